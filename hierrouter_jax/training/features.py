"""Everything fitted on the training split: the reduction of embeddings and the cost normaliser."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from hierrouter_jax.bundle import FeatureReduction
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.files import replacing
from hierrouter_jax.outcomes.table import OutcomeTable

FEATURES = "features.safetensors"
_ENOUGH = 20_000  # contexts of a stage that principal components are fitted on


@dataclass(frozen=True)
class FittedFeatures:
    """What a run fits on its training split and its bundle carries.

    Attributes:
      reduction: linear map of context embeddings to features.
      cost_normaliser: mean cost of one call, in the table's money unit.
    """

    reduction: FeatureReduction
    cost_normaliser: float

    def on_device(self, table: OutcomeTable) -> DeviceTable:
        """Any split of the table, reduced and normalised, as the environment wants it."""
        return device_table(table, self.reduction(table.context_embedding), self.cost_normaliser)


def fit_features(train: OutcomeTable, size: int, seed: int = 0) -> FittedFeatures:
    """Fit on the training split only.

    Args:
      train: the training queries.
      size: F, principal components kept (fewer where the data has fewer). Each is divided by the root of its
        spread: left as they are, rare but telling directions would drown in the main ones; scaled to equal
        spread, the last ones would be mostly noise.
      seed: seed of the randomised solver.
    """

    decided = _reached(train)
    size = min(size, decided.shape[1], len(decided) - 1)
    mean, directions, variance = principal_components(decided, size, seed)
    spread = np.sqrt(variance)
    scale = np.sqrt(spread * spread.mean())
    reduction = FeatureReduction(
        mean=mean.astype(np.float32),
        components=np.ascontiguousarray(directions.T, dtype=np.float32),
        scale=np.maximum(scale, 1e-3 * scale[0] + 1e-12).astype(np.float32),
    )
    calls = train.available[:, 1:]
    return FittedFeatures(reduction, float(train.cost[:, 1:][calls].mean()) or 1.0)


def fitted_once(path: Path, fit: Callable[[], FittedFeatures]) -> FittedFeatures:
    """What was fitted before and lies in a file; where there is none yet, what `fit` gives, kept there."""
    if not path.is_file():
        fitted = fit()
        arrays = asdict(fitted.reduction) | {"cost_normaliser": np.array([fitted.cost_normaliser])}
        with replacing(path) as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)
    return load_features(path)


def load_features(path: Path) -> FittedFeatures:
    """What was fitted on the training split, from the file that `fitted_once` wrote."""
    arrays = load_file(path)
    (normaliser,) = arrays.pop("cost_normaliser").ravel()  # older sweeps have it without an axis
    return FittedFeatures(FeatureReduction(**arrays), float(normaliser))


def principal_components(
    rows: Float[np.ndarray, "R E"], size: int, seed: int
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, "F E"], Float[np.ndarray, " F"]]:
    """The mean, the leading principal directions and the variance along each, by randomised SVD.

    As scikit-learn's PCA with its randomised solver, to the bit, without the second that it takes to import: ten more
    random vectors than components, four power iterations, or seven for few components, normalised by LU (Halko,
    Martinsson and Tropp 2011). The largest entry of each direction is positive.
    """
    import scipy.linalg  # only whoever fits needs it

    linalg: Any = scipy.linalg  # whose stubs have no fixed number of results

    mean = rows.mean(axis=0)
    centred = rows - mean
    wide = rows.shape[0] < rows.shape[1]
    matrix = centred.T if wide else centred
    random = np.random.RandomState(seed).normal(size=(matrix.shape[1], size + 10))
    basis = random.astype(centred.dtype, copy=False)
    for _ in range(7 if size < 0.1 * min(rows.shape) else 4):
        basis, _ = linalg.lu(matrix @ basis, permute_l=True, check_finite=False)
        basis, _ = linalg.lu(matrix.T @ basis, permute_l=True, check_finite=False)
    basis, _ = linalg.qr(matrix @ basis, mode="economic", check_finite=False)
    left, values, right = linalg.svd(basis.T @ matrix, full_matrices=False)
    directions = ((basis @ left).T if wide else right)[:size]
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(size), largest])
    return mean, directions * signs[:, None], values[:size] ** 2 / (len(rows) - 1)


def _reached(table: OutcomeTable) -> Float[np.ndarray, "R E"]:
    """Embeddings of decision nodes that were collected, each stage weighing the same; at most `_ENOUGH` a stage.

    Stage t has M^t contexts a query; unweighted, the query itself would hardly count.
    """
    rows = []
    for stage in range(table.tree.horizon):
        nodes = table.tree.stage_slice(stage)
        query, node = np.nonzero(table.available[:, nodes])
        every = max(1, len(query) // max(1, min(table.num_queries, _ENOUGH)))
        rows.append(table.context_embedding[query[::every], nodes.start + node[::every]])
    return np.concatenate(rows)
