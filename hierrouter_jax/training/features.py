"""Everything fitted on the training split: the reduction of embeddings and the cost normaliser."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors.numpy import save_file

from hierrouter_jax.bundle import FeatureReduction
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.files import read_tensors, replacing
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.outcomes.ties import price_order, tie_order

FEATURES = "features.safetensors"
REDUCTION = "covariance of all contexts"  # what results that are kept depend on; changes with `fit_features`
WHITENING = 0.9  # of a component's own spread in what it is divided by; 1 would give all the same spread
_AT_ONCE = 8192  # contexts held in double precision at a time
_ROUNDING = 1e-10  # of the largest variance: what float32 embeddings may vary by rounding alone


@dataclass(frozen=True)
class FittedFeatures:
    """What a run fits on its training split and its bundle carries.

    Attributes:
      reduction: linear map of context embeddings to features.
      cost_normaliser: mean cost of one call, in the table's money unit.
      tie_order: actions in the order in which they win ties, M for STOP; empty in a run from before there was one,
        whose ties go by price.
    """

    reduction: FeatureReduction
    cost_normaliser: float
    tie_order: tuple[int, ...] = ()

    def on_device(self, table: OutcomeTable) -> DeviceTable:
        """Any split of the table, reduced and normalised, as the environment wants it."""
        features = self.reduction(table.context_embedding)
        return device_table(table, features, self.cost_normaliser, self.ties(table))

    def ties(self, table: OutcomeTable) -> tuple[int, ...]:
        """Actions in the order in which they win ties on a table of the run's pool."""
        return self.tie_order or price_order(table.pool)


def fit_features(train: OutcomeTable, size: int) -> FittedFeatures:
    """Fit on the training split only; nothing depends on the order of the pool's models or of the queries.

    Args:
      train: the training queries.
      size: F, principal components kept (fewer where the contexts vary along fewer). Each is divided by
        spread^.9 x (mean spread)^.1: left as they are, rare but telling directions would drown in the main ones.
    """
    reduction = whitened(*principal_components(train, size))
    calls = train.available[:, 1:]
    return FittedFeatures(reduction, float(train.cost[:, 1:][calls].mean()) or 1.0, tie_order(train))


def whitened(
    mean: Float[np.ndarray, " E"], directions: Float[np.ndarray, "F E"], variance: Float[np.ndarray, " F"]
) -> FeatureReduction:
    """The map to principal components, each divided as `fit_features` says."""
    spread = np.sqrt(variance)
    scale = spread**WHITENING * spread.mean() ** (1 - WHITENING)
    return FeatureReduction(
        mean=mean.astype(np.float32),
        components=np.ascontiguousarray(directions.T, dtype=np.float32),
        scale=np.maximum(scale, 1e-3 * scale[0] + 1e-12).astype(np.float32),
    )


def fitted_once(path: Path, fit: Callable[[], FittedFeatures]) -> FittedFeatures:
    """What was fitted before and lies in a file; where there is none yet, what `fit` gives, kept there."""
    if not path.is_file():
        fitted = fit()
        arrays = asdict(fitted.reduction) | {
            "cost_normaliser": np.array([fitted.cost_normaliser]),
            "tie_order": np.array(fitted.tie_order, dtype=np.int32),
        }
        with replacing(path) as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)
    return load_features(path)


def load_features(path: Path) -> FittedFeatures:
    """What was fitted on the training split, from the file that `fitted_once` wrote.

    Raises:
      InputError: if the file is damaged, or holds something else.
    """
    arrays = read_tensors(path)
    try:
        (normaliser,) = arrays.pop("cost_normaliser").ravel()  # older sweeps have it without an axis
        order = arrays.pop("tie_order", ())
        return FittedFeatures(FeatureReduction(**arrays), float(normaliser), tuple(map(int, order)))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not hold what a training fits ({reason_of(error)})") from None


def principal_components(
    table: OutcomeTable, size: int
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, "F E"], Float[np.ndarray, " F"]]:
    """Mean, leading principal directions and variance along each, of all contexts that the table holds.

    Eigenvectors of the exact covariance: no sample, so that none can depend on the order of the pool. Directions along
    which the contexts do not vary but for rounding are left out. The first entry of each direction whose absolute
    value is the largest, up to rounding, is positive.

    Args:
      table: the queries, of which at least one context is available.
      size: number of directions at most.
    """
    return leading_directions(*context_moments(table), size)


def leading_directions(
    mean: Float[np.ndarray, " E"], covariance: Float[np.ndarray, "E E"], size: int
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, "F E"], Float[np.ndarray, " F"]]:
    """`principal_components` of contexts of that mean and covariance."""
    import scipy.linalg  # only whoever fits needs it

    least = max(0, len(mean) - size)
    variance, vectors = scipy.linalg.eigh(covariance, subset_by_index=(least, len(mean) - 1))
    varies = variance > _ROUNDING * variance[-1]
    varies[-1] = True  # one direction, even where all contexts are the same
    variance, directions = variance[varies][::-1], vectors.T[varies][::-1]
    size_of = np.abs(directions)
    largest = (size_of >= (1 - 1e-6) * size_of.max(axis=1, keepdims=True)).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return mean, directions * signs[:, None], np.maximum(variance, 0.0)


def context_moments(table: OutcomeTable) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, "E E"]]:
    """Mean and covariance of the contexts that the table holds, each stage weighing the same, summed in float64.

    Stage t has M^t contexts a query; unweighted, the query itself would hardly count.
    """
    size = table.context_embedding.shape[-1]
    origin = table.context_embedding[:, 0].mean(axis=0, dtype=np.float64)  # near the mean, so that little cancels
    mean, second, stages = np.zeros(size), np.zeros((size, size)), 0
    for stage in range(table.tree.horizon):
        nodes = table.tree.stage_slice(stage)
        held = table.available[:, nodes]
        if not held.any():
            continue
        stages += 1
        at_once = max(1, _AT_ONCE // held.shape[1])
        for start in range(0, table.num_queries, at_once):
            part = slice(start, start + at_once)
            rows = table.context_embedding[part, nodes][held[part]] - origin
            mean += rows.sum(axis=0) / held.sum()
            second += rows.T @ rows / held.sum()
    mean /= stages
    return origin + mean, second / stages - np.outer(mean, mean)
