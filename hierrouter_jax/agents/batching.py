"""What one update learns from: rows in a shuffled order, dropout, and each episode's conditions and rewards."""

from dataclasses import replace
from functools import lru_cache
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hierrouter_jax.agents.mesh import spread
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.policies import conditions as conditioning
from hierrouter_jax.policies.conditions import Conditions

_LIMIT = 1 << 20  # rows, up to which the products below stay within 31 bits
_STEPS = 64
_UNEVEN = 6


def shuffle(key: PRNGKeyArray, size: int) -> Int[Array, " size"]:
    """An order of 0..size-1: i -> (a i + b) mod size, with a random start b and a random step a prime to `size`.

    A rollout's rows are independent but for their episode and lie stage by stage; all that an epoch needs is a new
    division into minibatches that cuts every stage alike. Steps are taken whose progressions spread evenly: those
    with small quotients in the continued fraction of a / size. A permutation by sorting took an eighth of the
    whole update on a CPU. Beyond a million rows it is a permutation by sorting.
    """
    if size >= _LIMIT:
        return jax.random.permutation(key, size)
    step_key, start_key = jax.random.split(key)
    steps = jnp.asarray(even_steps(size))
    step = steps[jax.random.randint(step_key, (), 0, len(steps))]
    start = jax.random.randint(start_key, (), 0, size, dtype=jnp.int32)
    position = jnp.arange(size, dtype=jnp.int32)
    high = (step * (position >> 10)) % size * 1024 % size
    return (high + step * (position & 1023) % size + start) % size


@lru_cache
def even_steps(size: int) -> np.ndarray:
    """At most 64 numbers prime to `size` whose multiples spread evenly over 0..size-1, int32.

    Every size has one, as Zaremba conjectured (1972, even of quotients up to 5); all sizes below 2^20 were tried.
    """
    candidates = np.random.default_rng(size).permutation(np.arange(1, max(2, size), dtype=np.int32))
    coprime = candidates[np.gcd(candidates, size) == 1]
    even = (step for step in coprime if _largest_quotient(step, size) <= _UNEVEN)
    return np.array(list(islice(even, _STEPS)), dtype=np.int32)


def _largest_quotient(step: int, size: int) -> int:
    """Of the continued fraction of step / size."""
    largest, numerator, denominator = 0, int(step), size
    while numerator:
        largest = max(largest, denominator // numerator)
        denominator, numerator = numerator, denominator % numerator
    return largest


def dropout(key: PRNGKeyArray, features: Float[Array, "*B F"], rate: Float[Array, ""] | float) -> Float[Array, "*B F"]:
    """Zero each feature with probability `rate`, scale up the rest (Srivastava et al. 2014); `rate` may be traced.

    At rate 0 nothing is drawn: the random bits of a whole minibatch would cost as much as the network.
    """

    def drop(features):
        keep = jax.random.bernoulli(key, 1 - rate, features.shape)
        return jnp.where(keep, features / (1 - rate), 0.0).astype(features.dtype)

    return jax.lax.cond(rate > 0, drop, lambda features: features, features)


def draw_conditions(
    key: PRNGKeyArray, query: Int[Array, " B"], table: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> Conditions:
    """Conditions of an episode of each query; a budget that pays for no first hop is raised to the cheapest."""
    conditions = conditioning.draw(key, static.conditions, hyper.ranges, query.shape)
    if conditions.budget is None:
        return conditions
    return replace(conditions, budget=jnp.maximum(conditions.budget, routing.smallest_budget(query, table)))


def reward_weights(hyper: LearnerHyper, conditions: Conditions) -> RewardWeights:
    """The run's reward, with the episodes' own cost weights where they have them."""
    return hyper.reward if conditions.cost_weight is None else replace(hyper.reward, hop_cost=conditions.cost_weight)


def reward_unit(weights: RewardWeights) -> Float[Array, ""]:
    """What learners count returns in: 1 where no weight is above 10 in size, the largest weight where one is above 100.

    Between the two it is (weight / 10)^2, so that it has no step.

    A value head has to reach returns of 1e6 in steps of the learning rate, and until then its loss leaves nothing of a
    clipped gradient to the policy; float32 holds no ties to 1e-6 there. Weights of an ordinary size stay as they are.
    """
    sizes = [jnp.abs(leaf) for leaf in jax.tree.leaves(replace(weights, overrun_limit=0.0))]
    largest = jnp.max(jnp.stack(sizes))
    return jnp.maximum(1.0, jnp.minimum(largest, (0.1 * largest) ** 2))


def in_units(weights: RewardWeights, unit: Float[Array, ""]) -> RewardWeights:
    """The weights of a reward that is counted in that unit."""
    return replace(jax.tree.map(lambda leaf: leaf / unit, weights), overrun_limit=weights.overrun_limit)


def tree_rewards(hyper: LearnerHyper, conditions: Conditions) -> RewardWeights:
    """The run's reward over trees [Q, N], with the queries' own cost weights [Q, 1] where they have them."""
    if conditions.cost_weight is None:
        return hyper.reward
    return replace(hyper.reward, hop_cost=conditions.cost_weight[:, None])


def draw_trees(
    key: PRNGKeyArray, table: DeviceTable, count: int, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[DeviceTable, Conditions]:
    """The whole hop trees of `count` drawn queries, features dropped out, and conditions for each [count]."""
    query_key, condition_key, drop_key = jax.random.split(key, 3)
    query = spread(routing.draw_queries(query_key, table, count))
    conditions = draw_conditions(condition_key, query, table, static, hyper)
    trees = table.take(query)
    return replace(trees, features=dropout(drop_key, trees.features, hyper.dropout)), conditions
