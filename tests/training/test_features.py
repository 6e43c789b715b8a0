"""What is fitted on the training split: principal components, the cost normaliser, and their file."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hierrouter_jax.outcomes.ties import tie_order
from hierrouter_jax.training.features import (
    WHITENING,
    context_moments,
    fit_features,
    fitted_once,
    load_features,
    principal_components,
)
from tests.tables import random_table

TABLE = random_table(queries=60)


def test_features_are_fitted_on_training_alone():
    fitted = fit_features(TABLE.split("train"), 6)
    moved = TABLE.context_embedding.copy()
    held_out = np.array([query.split != "train" for query in TABLE.queries])
    moved[held_out] += 100.0
    again = fit_features(replace(TABLE, context_embedding=moved).split("train"), 6)
    np.testing.assert_array_equal(fitted.reduction.components, again.reduction.components)
    train = TABLE.split("train")
    assert fitted.cost_normaliser == pytest.approx(train.cost[:, 1:].mean())


def test_components_of_two_directions_by_hand():
    """Contexts vary along two axes with standard deviations 2 and 1, 1.5 on average: spread^w x 1.5^(1 - w)."""
    table = random_table(queries=8, models=1, horizon=1, splits=("train",))
    signs = np.array([[2, 0], [-2, 0], [0, 1], [0, -1]] * 2, float) * np.sqrt(2)
    embedding = np.zeros_like(table.context_embedding)
    embedding[:, 0, :2] = signs + 5
    fitted = fit_features(replace(table, context_embedding=embedding), 2)
    np.testing.assert_allclose(fitted.reduction.mean[:2], 5, atol=1e-5)
    np.testing.assert_allclose(fitted.reduction.components[:2], np.eye(2), atol=1e-5)
    expected = np.array([2.0, 1.0]) ** WHITENING * 1.5 ** (1 - WHITENING)
    np.testing.assert_allclose(fitted.reduction.scale, expected, rtol=1e-5)
    assert fitted.on_device(table).features.shape == (8, 1, 2)


def test_every_stage_weighs_the_same_and_every_context_of_it_counts():
    """Two models, two hops: the query at 0, its contexts at 3 and 5, one of which is missing from half the queries.

    By hand: the second stage's mean is (4 x 3 + 2 x 5) / 6 = 11 / 3, the whole mean 11 / 6; the second moments are 0
    and (4 x 9 + 2 x 25) / 6 = 43 / 3, so that the variance is 43 / 6 - (11 / 6)^2 = 137 / 36.
    """
    table = random_table(queries=4, models=2, horizon=2, splits=("train",))
    embedding = np.zeros_like(table.context_embedding)
    embedding[:, 1:, 0] = 3, 5
    available = np.ones_like(table.available)
    available[:2, [2, 5, 6]] = False
    mean, covariance = context_moments(replace(table, context_embedding=embedding, available=available))
    assert mean[0] == pytest.approx(11 / 6)
    assert covariance[0, 0] == pytest.approx(137 / 36)
    assert np.count_nonzero(covariance) == 1


def test_components_are_the_eigenvectors_of_the_covariance():
    train = TABLE.split("train")
    mean, covariance = context_moments(train)
    assert mean.dtype == covariance.dtype == np.float64
    _, directions, variance = principal_components(train, 5)
    np.testing.assert_allclose(directions @ directions.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(covariance @ directions.T, directions.T * variance, atol=1e-12)
    np.testing.assert_allclose(variance, np.linalg.eigvalsh(covariance)[::-1][:5])
    assert (directions[np.arange(5), np.abs(directions).argmax(axis=1)] > 0).all()


def test_contexts_in_parts_give_the_same_moments(monkeypatch):
    whole = context_moments(TABLE)
    monkeypatch.setattr("hierrouter_jax.training.features._AT_ONCE", 7)
    for one, other in zip(whole, context_moments(TABLE), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_directions_without_spread_are_left_out():
    """Eight coordinates of which two are copies of others: six directions; contexts all alike: one."""
    embedding = TABLE.context_embedding.copy()
    embedding[..., 6:] = embedding[..., :2]
    assert fit_features(replace(TABLE, context_embedding=embedding), 8).reduction.scale.shape == (6,)
    alike = fit_features(replace(TABLE, context_embedding=np.ones_like(embedding)), 8)
    assert alike.on_device(TABLE).features.shape == (60, 13, 1)


def test_no_more_features_are_kept_than_there_are():
    assert fit_features(TABLE.split("train"), 96).reduction.scale.shape == (8,)


def test_what_was_fitted_once_is_read_from_its_file(tmp_path):
    path, calls = tmp_path / "features.safetensors", []

    def fit():
        calls.append(1)
        return fit_features(TABLE.split("train"), 6)

    first, second = fitted_once(path, fit), fitted_once(path, fit)
    assert len(calls) == 1
    expected = fit_features(TABLE.split("train"), 6)
    for fitted in (first, second, load_features(path)):
        assert fitted.cost_normaliser == expected.cost_normaliser
        assert fitted.tie_order == expected.tie_order == tie_order(TABLE.split("train"))
        for name in ("mean", "components", "scale"):
            np.testing.assert_array_equal(getattr(fitted.reduction, name), getattr(expected.reduction, name))
    arrays = load_file(path)
    save_file(arrays | {"cost_normaliser": arrays["cost_normaliser"].reshape(())}, path)  # as older sweeps have it
    assert load_features(path).cost_normaliser == expected.cost_normaliser
    save_file({name: array for name, array in arrays.items() if name != "tie_order"}, path)  # as older runs have it
    assert load_features(path).ties(TABLE) == (3, 0, 1, 2)  # STOP, then by price
