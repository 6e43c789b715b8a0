"""What is fitted on the training split: principal components, the cost normaliser, and their file."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hierrouter_jax.training.features import fit_features, fitted_once, load_features
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
    """Contexts vary along two axes with standard deviations 2 and 1: a component each, over the root of 1.5 spread."""
    table = random_table(queries=8, models=1, horizon=1, splits=("train",))
    signs = np.array([[2, 0], [-2, 0], [0, 1], [0, -1]] * 2, float) * np.sqrt(7 / 4)  # of a sample of eight
    embedding = np.zeros_like(table.context_embedding)
    embedding[:, 0, :2] = signs + 5
    fitted = fit_features(replace(table, context_embedding=embedding), 2)
    np.testing.assert_allclose(fitted.reduction.mean[:2], 5, atol=1e-5)
    np.testing.assert_allclose(np.abs(fitted.reduction.components[:2]), np.eye(2), atol=1e-5)
    np.testing.assert_allclose(fitted.reduction.scale, np.sqrt(1.5 * np.array([2.0, 1.0])), rtol=1e-5)
    assert fitted.on_device(table).features.shape == (8, 1, 2)


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
        for name in ("mean", "components", "scale"):
            np.testing.assert_array_equal(getattr(fitted.reduction, name), getattr(expected.reduction, name))
    arrays = load_file(path)
    save_file(arrays | {"cost_normaliser": arrays["cost_normaliser"].reshape(())}, path)  # as older sweeps have it
    assert load_features(path).cost_normaliser == expected.cost_normaliser
