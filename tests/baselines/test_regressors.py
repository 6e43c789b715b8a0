"""Regressors of several outcomes by hand and against slow fits."""

from functools import partial

import numpy as np
import pytest

from hierrouter_jax.baselines.regressors import (
    constant,
    cross_fitted,
    is_network,
    level_of,
    logistic,
    neighbours,
    perceptron,
    reduced_rank,
    ridge,
)


def test_ridge_without_each_row_is_ridge_fitted_without_it():
    rng = np.random.default_rng(0)
    x, y, known = rng.normal(size=(12, 4)), rng.random((12, 2)), rng.random((12, 2)) < 0.8
    held_out = ridge(x, y, known, 3.0).held_out()
    for row in range(12):
        others = known.copy()
        others[row] = False
        np.testing.assert_allclose(held_out[row], ridge(x, y, others, 3.0).predict(x[[row]])[0])


def test_neighbours_are_the_mean_of_those_that_know():
    x, y = np.array([[0.0], [1.0], [2.0], [9.0]]), np.array([[0.0], [1.0], [0.5], [1.0]])
    known = np.array([[True], [False], [True], [True]])
    fitted = neighbours(x, y, known, k=2)
    assert fitted.predict(np.array([[0.4], [7.0]])).tolist() == [[0.25], [0.75]]
    assert fitted.held_out()[[0, 2, 3]].tolist() == [[0.75], [0.5], [0.25]]


def test_a_reduced_rank_has_that_rank_and_a_full_one_is_ridge():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.random((40, 4))
    known = np.ones_like(y, dtype=bool)
    full = ridge(x, y, known, 1.0).predict(x)
    one = reduced_rank(x, y, known, alpha=1.0, rank=1).predict(x)
    assert np.linalg.matrix_rank(one - one.mean(axis=0), tol=1e-8) == 1
    np.testing.assert_allclose(reduced_rank(x, y, known, alpha=1.0, rank=4).predict(x), full)


def test_the_mean_of_what_is_known_by_hand():
    y, known = np.array([[1.0, 5.0], [0.0, 7.0]]), np.array([[True, False], [True, False]])
    np.testing.assert_array_equal(level_of(y, known), [0.5, np.nan])
    fitted = constant(y, known)
    np.testing.assert_array_equal(fitted.predict(np.zeros((3, 4))), np.tile([0.5, np.nan], (3, 1)))
    np.testing.assert_array_equal(fitted.held_out(), np.tile([0.5, np.nan], (2, 1)))


def test_groups_are_predicted_by_a_fit_without_them():
    """Each row's outcome is its group; the predictor says the largest that it saw, so never its own group's alone."""

    def predictor(x, y, known):
        return lambda new: np.full((len(new), 1), float(y.max()))

    group = np.repeat(np.arange(9), 2)
    predicted = cross_fitted(predictor, np.zeros((18, 1)), group[:, None].astype(float), np.ones((18, 1), bool), group)
    assert (predicted[group == 8] < 8).all()
    assert (predicted[:2] == predicted[0]).all()
    assert 8.0 in predicted


@pytest.mark.parametrize(
    "regressor", [partial(perceptron, width=16, alpha=0.01), partial(logistic, inverse=10.0), partial(ridge, alpha=0.1)]
)
def test_what_a_feature_says_is_learned_and_what_is_unknown_is_left_out(regressor):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = np.stack([x[:, 0] > 0, x[:, 1] > 0], axis=1).astype(float)
    known = np.stack([np.ones(300, bool), np.arange(300) < 200], axis=1)
    y[200:, 1] = 1 - y[200:, 1]  # wrong, but unknown
    fitted = regressor(x, y, known)
    new = np.array([[2.0, 2.0, 0.0], [-2.0, 2.0, 0.0], [2.0, -2.0, 0.0]])
    assert (fitted.predict(new) > 0.5).tolist() == [[True, True], [False, True], [True, False]]
    assert ((fitted.held_out()[:200] > 0.5) == (y[:200] > 0.5)).mean() > 0.85


def test_a_perceptron_alone_is_a_network():
    assert is_network(partial(perceptron, width=4, alpha=1.0))
    assert not is_network(partial(ridge, alpha=1.0))
