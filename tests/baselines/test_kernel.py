"""Kernel ridge regression: it is the textbook's, and what it holds out it has not seen."""

import numpy as np
import pytest

from hierrouter_jax.baselines import kernel
from hierrouter_jax.baselines.kernel import kernel_ridge


def rows(seed=0, number=30, known_share=0.7):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(number, 6)) / 2
    y = np.stack([np.sin(3 * x[:, 0]) + x[:, 4], x[:, 1] * x[:, 5]], axis=1)
    known = rng.random(y.shape) < known_share
    return x, y, known, rng.integers(0, 10, size=number)


def textbook(x, y, new, penalty, split):
    """K (K + penalty)^-1 y."""
    inverse = np.linalg.inv(kernel._kernel(x, x, split) + penalty * np.eye(len(x)))
    return kernel._kernel(new, x, split) @ inverse @ y


@pytest.fixture
def one_penalty(monkeypatch):
    monkeypatch.setattr(kernel, "PENALTIES", (0.3,))


def test_predictions_are_the_textbooks(one_penalty):
    x, y, _, _ = rows()
    new = np.random.default_rng(1).normal(size=(7, 6)) / 2
    fitted = kernel_ridge(x, y, np.ones(y.shape, bool), split=4)
    np.testing.assert_allclose(fitted.predict(new), textbook(x, y, new, 0.3, 4), atol=1e-4)


def test_held_out_predictions_are_those_of_a_fit_without_the_group(one_penalty):
    x, y, known, group = rows()
    held = kernel_ridge(x, y, known, group, split=4).held_out()
    for one in np.unique(group):
        own = group == one
        for column in range(2):
            others = known[:, column] & ~own
            expected = textbook(x[others], y[others, column], x[own], 0.3, 4)
            np.testing.assert_allclose(held[own, column], expected, atol=1e-4)


def test_an_outcome_that_no_row_knows_is_no_number():
    x, y, known, group = rows()
    known[:, 1] = False
    fitted = kernel_ridge(x, y, known, group, split=4)
    assert np.isfinite(fitted.predict(x)[:, 0]).all()
    assert np.isnan(fitted.predict(x)[:, 1]).all()
    assert np.isnan(fitted.held_out()[:, 1]).all()


def test_fewer_landmarks_than_rows_still_predict(monkeypatch):
    monkeypatch.setattr(kernel, "LANDMARKS", 60)
    x, y, known, group = rows(number=300, known_share=1.0)
    new, expected, _, _ = rows(seed=5, number=50)
    error = np.square(kernel_ridge(x, y, known, group, split=4).predict(new) - expected).mean()
    assert error < 0.2 * expected.var()


def test_noise_takes_a_larger_penalty():
    """What it returns of pure noise is closer to the mean than a small penalty alone would be."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 6)) / 2, rng.normal(size=(60, 1))
    fitted = kernel_ridge(x, y, np.ones(y.shape, bool), split=4).predict(x)
    assert fitted.std() < textbook(x, y, x, kernel.PENALTIES[0], 4).std()
