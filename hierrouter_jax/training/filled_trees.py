"""The partial trees of a log, filled to tables that learners of whole trees can train on."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hierrouter_jax.agents.off_policy import LoggedSteps
from hierrouter_jax.envs.types import DeviceTable, single_precision
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
def filled_trees(
    trees: LogTrees, values: Float[np.ndarray, "C A"], features: FittedFeatures, economy: Economy
) -> DeviceTable:
    """Trees in which every action at a context of the log leads somewhere: where an episode went, or to its value.

    A node that episodes entered keeps its context and what was seen below it. An action that nobody took leads to a
    leaf whose quality makes its return the predicted one. So does an answer that nobody judged. What lies below a leaf
    is missing, so that policies end there.

    Args:
      values: predicted return of each action at each context, best without the context's own query.
      features: reduction, cost normaliser and ties of the run.
    """
    tree, query, node = trees.tree, trees.context_query, trees.context_node
    models = tree.num_models
    called = np.where(trees.entered, trees.cost, np.nan)
    last = tree.last_model(np.arange(tree.num_nodes))
    by_model = np.array([_mean(called[:, 1:][:, last[1:] == model]) for model in range(models)])
    cost = np.where(trees.entered, np.nan_to_num(trees.cost), by_model[last])
    cost[:, 0] = 0.0
    children = tree.child(node[:, None], np.arange(models))
    available = np.zeros(trees.quality.shape, dtype=bool)
    available[:, 0] = True
    available[query[:, None], children] = trees.legal[:, :models] | trees.tried[:, :models]
    worth = np.full(trees.quality.shape, np.nan)
    worth[query[:, None], children] = values[:, :models] + economy.per_money * cost[query[:, None], children]
    stopping = values[:, models]
    decided = np.zeros(trees.quality.shape, dtype=bool)
    decided[query, node] = True
    worth[query, node] = np.where(trees.legal[:, models], stopping, 0.0)
    quality = np.where(np.isfinite(trees.quality), trees.quality, np.nan_to_num(worth))
    lowest, highest = np.nanmin(trees.quality), np.nanmax(trees.quality)
    reduced = np.zeros((trees.num_queries, tree.num_decision_nodes, len(features.reduction.scale)), np.float32)
    reduced[query, node] = features.reduction(trees.embedding)
    scaled = cost / features.cost_normaliser
    return DeviceTable(
        features=jnp.asarray(reduced),
        quality=jnp.asarray(np.clip(quality, lowest, highest), jnp.float32),
        cost=jnp.asarray(scaled, jnp.float32),
        spent=jnp.asarray(accumulate_cost(scaled, tree), jnp.float32),
        available=jnp.asarray(available),
        task=jnp.zeros(trees.num_queries, jnp.int32),
        tree=tree,
        tie_order=features.tie_order,
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


def _mean(values: Float[np.ndarray, "*B"]) -> float:
    """Mean of what is a number; 0 where nothing is."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else 0.0
