"""Principal components as scikit-learn's randomised solver has them, to the bit."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from hierrouter_jax.training.features import principal_components


@pytest.mark.parametrize(("shape", "size"), [((60, 20), 6), ((60, 200), 3), ((30, 12), 11), ((40, 90), 20)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_they_are_those_of_scikit_learn(shape, size, kind):
    rows = (np.random.default_rng(0).normal(size=shape) * np.linspace(2, 0.1, shape[1])).astype(kind)
    theirs = PCA(n_components=size, svd_solver="randomized", random_state=3).fit(rows)
    mean, directions, variance = principal_components(rows, size, 3)
    assert mean.tobytes() == theirs.mean_.tobytes()
    assert directions.tobytes() == np.ascontiguousarray(theirs.components_).tobytes()
    assert variance.tobytes() == theirs.explained_variance_.tobytes()


def test_a_line_by_hand():
    """Points on the diagonal of a square: one direction, whose variance is that of the distances."""
    mean, directions, variance = principal_components(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]), 1, 0)
    assert mean.tolist() == [1.0, 1.0]
    np.testing.assert_allclose(directions, [[0.5**0.5, 0.5**0.5]])
    np.testing.assert_allclose(variance, [2.0])
