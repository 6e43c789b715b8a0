"""A learner as pure functions: `init`, `update`, and a whole run `train`, the same for every algorithm.

`jit` them, `vmap` them over keys and any leaf of the hyperparameters, or shard them.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from hierrouter_jax.agents import all_actions, exact, ppo
from hierrouter_jax.agents.episodes import tree_rewards
from hierrouter_jax.agents.imported import imported_update
from hierrouter_jax.agents.optimise import optimizer
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.agents.warm_start import warm_start
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import decision_masks, end_probability, expected_return, greedy
from hierrouter_jax.policies import conditions as conditioning
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.imported import check_network, network_class
from hierrouter_jax.policies.network import Network, gather_inputs
from hierrouter_jax.policies.table_policy import decision_logits

_UPDATES = {"ppo": ppo.update, "all-actions": all_actions.update, "exact": exact.update}


def build_network(table: DeviceTable, static: LearnerStatic) -> Network:
    """The network for a table's pool and horizon."""
    return network_class(static.network)(
        num_actions=table.tree.num_models + 1,
        horizon=table.tree.horizon,
        hidden=static.hidden,
        stage_size=static.stage_size,
    )


def init(key: PRNGKeyArray, table: DeviceTable, static: LearnerStatic, hyper: LearnerHyper) -> LearnerState:
    """A fresh learner, warm-started where `static` says so."""
    network_key, warm_key, key = jax.random.split(key, 3)
    zero = jnp.zeros((), jnp.int32)
    network = build_network(table, static)
    told = conditioning.draw(network_key, static.conditions, hyper.ranges, ())
    seen = gather_inputs(table, zero, zero, told, hyper.ranges)
    params: Any = network.init(network_key, seen)
    check_network(static.network, network, params, seen)
    if static.warm_start:
        params = warm_start(warm_key, params, optimizer().init(params), table, network, static, hyper)
    return LearnerState(
        params=params,
        optimizer=optimizer().init(params),
        key=key,
        update=zero,
        best_params=params,
        best_return=jnp.asarray(-jnp.inf, jnp.float32),  # a weak type here would compile the first update twice
        best_update=zero,
    )


def update(
    state: LearnerState, table: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """One update of the algorithm that `static` names; metrics are scalars."""
    one_update = _UPDATES.get(static.algorithm) or imported_update(static.algorithm)
    return one_update(state, table, build_network(table, static), static, hyper)


def validate(
    state: LearnerState, validation: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """Exact greedy return and accuracy on the validation split; keeps the best parameters.

    A conditioned policy counts by its mean over a grid of its conditions.
    """
    network = build_network(validation, static)

    def score(told: Conditions):
        told = jax.tree.map(lambda value: jnp.broadcast_to(value, (validation.num_queries,)), told)
        if told.budget is not None:
            queries = jnp.arange(validation.num_queries)
            told = replace(told, budget=jnp.maximum(told.budget, routing.smallest_budget(queries, validation)))
        mask = decision_masks(validation, static.allow_stop, told.budget)
        policy = greedy(decision_logits(network, state.params, validation, told, hyper.ranges), mask)
        value = jnp.mean(expected_return(policy, validation, tree_rewards(hyper, told)))
        accuracy = jnp.mean(jnp.sum(end_probability(policy, validation.tree) * validation.quality, axis=1))
        return value, accuracy

    if static.conditions:
        scores = jax.lax.map(score, conditioning.grid(static.conditions, hyper.ranges, points=3))
        value, accuracy = jax.tree.map(jnp.mean, scores)
    else:
        value, accuracy = score(Conditions())
    better = value > state.best_return
    keep = partial(jax.tree.map, lambda new, old: jnp.where(better, new, old))
    state = replace(
        state,
        best_params=keep(state.params, state.best_params),
        best_return=keep(value, state.best_return),
        best_update=keep(state.update, state.best_update),
    )
    return state, {"validation_return": value, "validation_accuracy": accuracy}


def advance(
    state: LearnerState, table: DeviceTable, validation: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """`evaluate_every` updates and one validation; metrics are stacked over the updates [U] (validation: scalars)."""

    def body(carry, _):
        return update(carry, table, static, hyper)

    state, metrics = jax.lax.scan(body, state, length=static.evaluate_every)
    state, evaluation = validate(state, validation, static, hyper)
    return state, metrics | evaluation


def train(
    key: PRNGKeyArray, table: DeviceTable, validation: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """A whole run as one pure function: `jit` it, `vmap` it over keys and any leaf of `hyper`.

    Returns:
      The final state, and metrics stacked over the T / evaluate_every blocks of `advance`.
    """

    def body(carry, _):
        return advance(carry, table, validation, static, hyper)

    blocks = static.num_updates // static.evaluate_every
    return jax.lax.scan(body, init(key, table, static, hyper), length=blocks)
