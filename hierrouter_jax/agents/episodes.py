"""What every learner draws: queries, their conditions, their rewards; sampled episodes or whole hop trees."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from hierrouter_jax.agents.losses import dropout
from hierrouter_jax.agents.mesh import spread
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.policies import conditions as conditioning
from hierrouter_jax.policies.conditions import Conditions


def draw_conditions(
    key: PRNGKeyArray, query: Int[Array, " B"], table: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> Conditions:
    """Conditions of an episode of each query; a budget that pays for no first hop is raised to the cheapest."""
    told = conditioning.draw(key, static.conditions, hyper.ranges, query.shape)
    if told.budget is None:
        return told
    return replace(told, budget=jnp.maximum(told.budget, routing.smallest_budget(query, table)))


def reward_weights(hyper: LearnerHyper, told: Conditions) -> RewardWeights:
    """The run's reward, with the episodes' own cost weights where they have them."""
    return hyper.reward if told.cost_weight is None else replace(hyper.reward, hop_cost=told.cost_weight)


def tree_rewards(hyper: LearnerHyper, told: Conditions) -> RewardWeights:
    """The run's reward over trees [Q, N], with the queries' own cost weights [Q, 1] where they have them."""
    return hyper.reward if told.cost_weight is None else replace(hyper.reward, hop_cost=told.cost_weight[:, None])


def draw_trees(
    key: PRNGKeyArray, table: DeviceTable, count: int, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[DeviceTable, Conditions]:
    """The whole hop trees of `count` drawn queries, features dropped out, and conditions for each [count]."""
    query_key, condition_key, drop_key = jax.random.split(key, 3)
    query = spread(routing.draw_queries(query_key, table, count))
    told = draw_conditions(condition_key, query, table, static, hyper)
    trees = table.take(query)
    return replace(trees, features=dropout(drop_key, trees.features, hyper.dropout)), told
