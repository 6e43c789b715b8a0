"""A learner as pure functions: `init`, `update`, and a whole run `train`, the same for every algorithm.

`jit` them, `vmap` them over keys and any leaf of the hyperparameters, or shard them.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from hierrouter_jax.agents import all_actions, exact, ppo
from hierrouter_jax.agents.batching import in_units, reward_unit, tree_rewards
from hierrouter_jax.agents.fit_prior import fit_prior, standard_error, warm_start
from hierrouter_jax.agents.optimizer import optimizer
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.types import DeviceTable, single_precision
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.exact import expected_return
from hierrouter_jax.evaluation.tree_policy import TreePolicy, mean_scores, run_policy
from hierrouter_jax.plugins import load_object
from hierrouter_jax.policies import conditions as conditioning
from hierrouter_jax.policies.conditions import NONE, Conditions
from hierrouter_jax.policies.network import Network, build_network, check_network, gather_inputs
from hierrouter_jax.policies.prior import PRIOR, PriorWeights, prior_logits

Update = Callable[[LearnerState, DeviceTable, Network, LearnerStatic, LearnerHyper], tuple[LearnerState, Metrics]]


def imported_update(path: str) -> Update:
    """The update that an import path names; updates are counted for it.

    Raises:
      InputError: if the path leads nowhere; when it is traced, if it returns something else than a state like the
        one it was given and scalar metrics, `train_return` among them.
    """
    theirs = load_object(path)

    def update(
        state: LearnerState, table: DeviceTable, network: Network, static: LearnerStatic, hyper: LearnerHyper
    ) -> tuple[LearnerState, Metrics]:
        new, metrics = theirs(state, table, network, static, hyper)
        before, after = _shapes(state), _shapes(new)
        changed = [name for name in before | after if before.get(name) != after.get(name)]
        if changed:
            name = changed[0]
            raise InputError(
                f"learner {path}: {name} of the state it returns is {after.get(name, 'missing')}, "
                f"but was {before.get(name, 'missing')}"
            )
        for needed in ("train_return", *(("train_cost",) if static.lagrangian else ())):
            if needed not in metrics:
                raise InputError(f"learner {path}: its metrics are {sorted(metrics)}, but must hold {needed}")
        wide = [name for name, value in metrics.items() if jax.numpy.shape(value)]
        if wide:
            raise InputError(f"learner {path}: its metric {wide[0]} is an array, but metrics must be scalars")
        return replace(new, update=state.update + 1), metrics

    return update


def _shapes(state: LearnerState) -> dict[str, str]:
    """Type and shape of every leaf by its place, as in float32[3, 4]."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): str(jax.typeof(leaf)).lstrip("~")
        for path, leaf in leaves
    }


_UPDATES = {"ppo": ppo.update, "all-actions": all_actions.update, "exact": exact.update}


@single_precision
def init(key: PRNGKeyArray, table: DeviceTable, static: LearnerStatic, hyper: LearnerHyper) -> LearnerState:
    """A fresh learner, warm-started where `static` says so."""
    network_key, warm_key, key = jax.random.split(key, 3)
    zero = jnp.zeros((), jnp.int32)
    network = build_network(table, static)
    conditions = conditioning.draw(network_key, static.conditions, hyper.ranges, ())
    seen = gather_inputs(table, zero, zero, conditions, hyper.ranges)
    params: Any = network.init(network_key, seen)
    check_network(static.network, network, params, seen)
    if static.prior:
        fitted = fit_prior(table, static, hyper)
        params = {"params": params["params"] | {PRIOR: {f.name: getattr(fitted, f.name) for f in fields(fitted)}}}
    if static.warm_start:
        params = warm_start(warm_key, params, optimizer().init(params), table, network, static, hyper)
    return fresh_state(params, key, hyper)


def fresh_state(params: Any, key: PRNGKeyArray, hyper: LearnerHyper) -> LearnerState:
    """The state before the first update of parameters."""
    zero = jnp.zeros((), jnp.int32)
    return LearnerState(
        params=params,
        optimizer=optimizer().init(params),
        key=key,
        update=zero,
        best_params=params,
        best_return=jnp.asarray(-jnp.inf, jnp.float32),  # a weak type here would compile the first update twice
        best_update=zero,
        cost_weight=jnp.asarray(hyper.reward.hop_cost, jnp.float32),
    )


@single_precision
def update(
    state: LearnerState, table: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """One update of the algorithm that `static` names; metrics are scalars.

    Where `static.lagrangian` says so, the cost weight then takes a step of dual ascent on the constraint that a query
    cost `mean_cost` on average: lambda <- max(0, lambda + rate (mean cost - mean_cost)).
    """
    network = build_network(table, static)
    if not static.lagrangian:
        return _learn(state, table, network, static, hyper)
    priced = replace(hyper, reward=replace(hyper.reward, hop_cost=state.cost_weight))
    state, metrics = _learn(state, table, network, static, priced)
    excess = metrics["train_cost"] - hyper.mean_cost
    weight = jnp.maximum(0.0, state.cost_weight + hyper.cost_weight_rate * excess)
    return replace(state, cost_weight=weight), metrics | {"cost_weight": state.cost_weight}


def _learn(
    state: LearnerState, table: DeviceTable, network: Network, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """One update at these rewards, counted in units that networks can reach.

    A learner of the user's own, and one that is told its cost weight, learns from the weights as they are.
    """
    if static.algorithm not in _UPDATES:
        return imported_update(static.algorithm)(state, table, network, static, hyper)
    algorithm = _UPDATES[static.algorithm]
    if static.cost_conditioned:
        return algorithm(state, table, network, static, hyper)
    unit = reward_unit(hyper.reward)
    counted = replace(hyper, reward=in_units(hyper.reward, unit))
    state, metrics = algorithm(state, table, network, static, counted)
    return state, metrics | {"train_return": unit * metrics["train_return"]}


def all_finite(params: Any) -> Bool[Array, ""]:
    """Whether training has not diverged: no parameter is infinite or no number."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]))


@single_precision
def validate(
    state: LearnerState, validation: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """Exact greedy return, accuracy and cost (over the normaliser) on the validation split; keeps the best parameters.

    A conditioned policy counts by its mean over a grid of its conditions. Under `lagrangian` the return is the
    accuracy of a policy that keeps the mean cost, and minus the excess of one that does not. Of parameters that are
    not finite all three are NaN, as their policy chooses nothing, so that they are never the best.
    """

    def score(conditions: Conditions):
        conditions = jax.tree.map(lambda value: jnp.broadcast_to(value, (validation.num_queries,)), conditions)
        if conditions.budget is not None:
            smallest = routing.smallest_budget(jnp.arange(validation.num_queries), validation)
            conditions = replace(conditions, budget=jnp.maximum(conditions.budget, smallest))
        policy = run_policy(static, state.params, validation, conditions, hyper.ranges)
        accuracy, cost = mean_scores(policy.greedy_ends(), validation)
        returns = expected_return(policy.greedy(), validation, tree_rewards(hyper, conditions))
        return {"validation_return": jnp.mean(returns), "validation_accuracy": accuracy, "validation_cost": cost}

    if static.conditions:
        scores = jax.lax.map(score, conditioning.grid(static.conditions, hyper.ranges, points=3))
        metrics = jax.tree.map(jnp.mean, scores)
    else:
        metrics = score(NONE)
    if static.lagrangian:  # returns at different cost weights cannot be compared
        excess = metrics["validation_cost"] - hyper.mean_cost
        metrics["validation_return"] = jnp.where(excess > 0, -excess, metrics["validation_accuracy"])
    sound = all_finite(state.params)
    metrics = {name: jnp.where(sound, value, jnp.nan) for name, value in metrics.items()}
    value = metrics["validation_return"]
    better = value > state.best_return
    if static.prior:
        gain, error, start = _gain_over_prior(state, validation, static, hyper)
        better &= gain > hyper.prior_evidence * error
        state = replace(state, best_return=jnp.maximum(state.best_return, start))  # what training began with counts
    keep = partial(jax.tree.map, lambda new, old: jnp.where(better, new, old))
    state = replace(
        state,
        best_params=keep(state.params, state.best_params),
        best_return=keep(value, state.best_return),
        best_update=keep(state.update, state.best_update),
    )
    return state, metrics


def _gain_over_prior(
    state: LearnerState, validation: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """What the greedy policy earns beyond its prior's on the same queries, its standard error, the prior's return."""
    learned = run_policy(static, state.params, validation)
    stages = jnp.asarray(validation.tree.stages[: validation.tree.num_decision_nodes])
    weights = PriorWeights(**state.best_params["params"][PRIOR])  # the same, and finite where training has diverged
    stages = jnp.broadcast_to(stages, validation.features.shape[:2])

    def returns(policy: TreePolicy) -> Float[Array, " Q"]:
        return expected_return(policy.greedy(), validation, hyper.reward)

    start = returns(replace(learned, logits=prior_logits(weights, validation.features, stages)))
    gain = returns(learned) - start
    return jnp.mean(gain), standard_error(gain, validation), jnp.mean(start)


@single_precision
def advance(
    state: LearnerState, table: DeviceTable, validation: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """`evaluate_every` updates and one validation; metrics are stacked over the updates [U] (validation: scalars)."""

    def body(carry, _):
        return update(carry, table, static, hyper)

    state, metrics = jax.lax.scan(body, state, length=static.evaluate_every)
    state, evaluation = validate(state, validation, static, hyper)
    return state, metrics | evaluation


@single_precision
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
