"""What learners read of a log: fitted features, contexts with their values, and episodes, on the device."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hierrouter_jax.agents.context_ascent import ContextValues
from hierrouter_jax.agents.off_policy import LoggedSteps
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.log_trees import LogTrees
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.training.features import FittedFeatures, leading_directions, whitened


class Economy(NamedTuple):
    """What the return of an episode is made of.

    Attributes:
      cost_weight: cost weight of the return, over the cost normaliser.
      normaliser: mean money of one call.
    """

    cost_weight: float
    normaliser: float

    @property
    def per_money(self) -> float:
        """Cost weight of the return, per money unit."""
        return self.cost_weight / self.normaliser


def fit_log_features(trees: LogTrees, size: int, tie_order: tuple[int, ...]) -> FittedFeatures:
    """Reduction and cost normaliser from the contexts and calls of a log, as `fit_features` from a table.

    Each stage weighs the same, whatever number of contexts the log has of it.

    Args:
      size: number of principal components.
      tie_order: actions in the order in which they win ties.
    """
    origin = trees.embedding[trees.stage == 0].mean(axis=0, dtype=np.float64)
    mean, second = np.zeros_like(origin), np.zeros((len(origin), len(origin)))
    stages = np.unique(trees.stage)
    for stage in stages:
        rows = trees.embedding[trees.stage == stage] - origin
        mean += rows.mean(axis=0) / len(stages)
        second += rows.T @ rows / len(rows) / len(stages)
    reduction = whitened(*leading_directions(origin + mean, second - np.outer(mean, mean), size))
    return FittedFeatures(reduction, float(np.nanmean(trees.cost[:, 1:])) or 1.0, tie_order)


@single_precision
def context_values(trees: LogTrees, values: Float[np.ndarray, "C A"], features: FittedFeatures) -> ContextValues:
    """The contexts of a log with predicted returns of all actions, padded to a power of two.

    So a log that grows is seldom of another shape, for which training would be compiled anew.

    Args:
      values: predicted return of each action at each context.
      features: reduction and cost normaliser of the run.
    """
    spent = accumulate_cost(np.nan_to_num(trees.cost), trees.tree) / features.cost_normaliser
    count = len(trees.stage)
    rows = np.minimum(np.arange(1 << (count - 1).bit_length()), count - 1)
    return ContextValues(
        features=jnp.asarray(features.reduction(trees.embedding)[rows], jnp.float32),
        stage=jnp.asarray(trees.stage[rows], jnp.int32),
        spent=jnp.asarray(spent[trees.context_query, trees.context_node][rows], jnp.float32),
        mask=jnp.asarray(trees.legal[rows]),
        values=jnp.asarray(np.where(trees.legal, values, 0.0)[rows], jnp.float32),
        count=jnp.asarray(count, jnp.int32),
    )


@single_precision
def logged_steps(episodes: Episodes, features: FittedFeatures, economy: Economy) -> LoggedSteps:
    """Judged episodes as the off-policy learner wants them."""
    episodes = episodes.only(np.isfinite(episodes.quality))
    return LoggedSteps(
        features=jnp.asarray(features.reduction(episodes.embedding) * episodes.taken[..., None], jnp.float32),
        spent=jnp.asarray(episodes.spent / features.cost_normaliser, jnp.float32),
        mask=jnp.asarray(episodes.mask),
        action=jnp.asarray(episodes.action, jnp.int32),
        propensity=jnp.asarray(episodes.propensity, jnp.float32),
        taken=jnp.asarray(episodes.taken),
        reward=jnp.asarray(rewards(episodes, economy), jnp.float32),
    )


def rewards(episodes: Episodes, economy: Economy) -> Float[np.ndarray, "E L"]:
    """Reward of every decision: minus the weighed money of its hop, and the answer's quality at the last."""
    reward = -economy.per_money * episodes.cost
    last = episodes.taken.sum(axis=1) - 1
    reward[np.arange(len(episodes)), last] += episodes.quality
    return np.where(episodes.taken, reward, 0.0)
