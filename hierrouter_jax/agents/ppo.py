"""PPO on the outcome table in the Anakin shape: ids in the rollout, rows gathered in the minibatch."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.agents.episodes import draw_conditions, reward_weights
from hierrouter_jax.agents.losses import clipped_surrogate, dropout, generalised_advantages, normalise, share
from hierrouter_jax.agents.mesh import gather, spread
from hierrouter_jax.agents.optimise import apply_gradient, entropy_bonus
from hierrouter_jax.agents.shuffle import shuffle
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.policies.categorical import masked_categorical
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import RouterNetwork, gather_inputs, network_outputs


@struct.dataclass
class Rollout:
    """L steps of B episodes; ids only, rows are gathered in the minibatch.

    Attributes:
      query, node: [L, B] where the action was taken.
      conditions: [L, B] of the episode.
      action: [L, B].
      log_prob: [L, B] of the action when it was taken.
      value: [L, B] estimated then.
      reward: [L, B].
      alive: [L, B] bool, whether the episode was still going before the step.
    """

    query: Int[Array, "L B"]
    node: Int[Array, "L B"]
    conditions: Conditions
    action: Int[Array, "L B"]
    log_prob: Float[Array, "L B"]
    value: Float[Array, "L B"]
    reward: Float[Array, "L B"]
    alive: Bool[Array, "L B"]


@struct.dataclass
class Batch:
    """Steps to learn from, [B].

    Attributes:
      rollout: where they were taken and how.
      advantage: of the action; in a minibatch of zero mean and unit variance.
      target: of the value.
      weight: 1 for steps of episodes that were going, else 0; in a minibatch adding up to 1.
    """

    rollout: Rollout
    advantage: Float[Array, " B"]
    target: Float[Array, " B"]
    weight: Float[Array, " B"]


def update(
    state: LearnerState, table: DeviceTable, network: RouterNetwork, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """One rollout of `num_envs` whole episodes, then epochs of minibatch steps over it."""
    rollout_key, shuffle_key, key = jax.random.split(state.key, 3)
    rollout, end = collect(rollout_key, state.params, table, network, static, hyper)
    advantages = generalised_advantages(rollout.reward, rollout.value, rollout.alive, hyper.gamma, hyper.gae_lambda)
    weight = rollout.alive.astype(jnp.float32)
    batch = gather(jax.tree.map(jnp.ravel, Batch(rollout, advantages, advantages + rollout.value, weight)))
    size = rollout.action.size
    progress = state.update / static.num_updates

    def epoch(carry, epoch_key):
        order_key, drop_key = jax.random.split(epoch_key)
        order = shuffle(order_key, size).reshape(static.minibatches, -1)
        return jax.lax.scan(minibatch, carry, (order, jax.random.split(drop_key, static.minibatches)))

    def minibatch(carry, inputs):
        (params, optimizer), (rows, drop_key) = carry, inputs
        part = gather(jax.tree.map(lambda leaf: leaf[rows], batch))
        part = spread(replace(part, advantage=normalise(part.advantage, part.weight), weight=share(part.weight)))
        gradient, metrics = jax.grad(loss, has_aux=True)(
            params, part, drop_key, table, network, static, hyper, progress
        )
        params, optimizer = apply_gradient(params, optimizer, gradient, hyper, progress)
        return (params, optimizer), metrics

    keys = jax.random.split(shuffle_key, static.epochs)
    (params, optimizer), metrics = jax.lax.scan(epoch, (state.params, state.optimizer), keys)
    metrics = jax.tree.map(jnp.mean, metrics) | {
        "train_return": jnp.mean(jnp.sum(rollout.reward, axis=0)),
        "train_cost": jnp.mean(table.spent[end.query, end.node]),
    }
    return replace(state, params=params, optimizer=optimizer, key=key, update=state.update + 1), metrics


def collect(
    key: PRNGKeyArray,
    params: dict,
    table: DeviceTable,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
) -> tuple[Rollout, routing.RoutingState]:
    """Run whole episodes, L steps of every environment, finished ones standing still; also how they ended."""
    query_key, condition_key, key = jax.random.split(key, 3)
    query = spread(routing.draw_queries(query_key, table, static.num_envs))
    told = draw_conditions(condition_key, query, table, static, hyper)
    weights = reward_weights(hyper, told)

    def advance(state, step_key):
        seen = gather_inputs(table, state.query, _decision_node(state.node, table), told, hyper.ranges)
        logits, value = network_outputs(network, params, seen)
        policy = masked_categorical(logits, routing.action_mask(state, table, static.allow_stop))
        action: Any
        log_prob: Any
        action, log_prob = policy.sample_and_log_prob(seed=step_key)
        next_state, result = routing.step(state, action, table, weights, static.allow_stop, hyper.gamma)
        return next_state, Rollout(state.query, state.node, told, action, log_prob, value, result.reward, ~state.done)

    start = routing.start(query, told.budget)
    end, rollout = jax.lax.scan(advance, start, jax.random.split(key, table.tree.horizon))
    return rollout, end


def loss(
    params: dict,
    batch: Batch,
    drop_key: PRNGKeyArray,
    table: DeviceTable,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
    progress: Float[Array, ""],
) -> tuple[Float[Array, ""], Metrics]:
    """-clipped surrogate + value loss - entropy bonus, over the steps of episodes that were going.

    All means are taken by one sum, because over several devices each would be a communication of its own.
    """
    rollout, node = batch.rollout, _decision_node(batch.rollout.node, table)
    seen = gather_inputs(table, rollout.query, node, rollout.conditions, hyper.ranges)
    seen = replace(seen, features=dropout(drop_key, seen.features, hyper.dropout))
    logits, value = network_outputs(network, params, seen)
    state = routing.RoutingState(rollout.query, node, ~rollout.alive, rollout.conditions.budget)
    policy = masked_categorical(logits, routing.action_mask(state, table, static.allow_stop))
    log_ratio = policy.log_prob(rollout.action) - rollout.log_prob
    uncertainty: Any = policy.entropy()
    per_step = {
        "policy_loss": -clipped_surrogate(jnp.exp(log_ratio), batch.advantage, hyper.clip),
        "value_loss": 0.5 * (value - batch.target) ** 2,
        "entropy": uncertainty,
        "approx_kl": jnp.expm1(log_ratio) - log_ratio,
        "clip_fraction": (jnp.abs(jnp.expm1(log_ratio)) > hyper.clip).astype(jnp.float32),
    }
    means = batch.weight @ jnp.stack(list(per_step.values()), axis=-1)
    metrics = dict(zip(per_step, means, strict=True))
    total = metrics["policy_loss"] + hyper.value_coefficient * metrics["value_loss"]
    return total - entropy_bonus(hyper, progress) * metrics["entropy"], metrics


def _decision_node(node, table: DeviceTable):
    """Leaves decide nothing: their (ignored) step reads the root's features instead of falling off the table."""
    return jnp.where(node < table.tree.num_decision_nodes, node, 0)
