"""PPO on the outcome table in the Anakin shape: ids in the rollout, rows gathered in the minibatch."""

from dataclasses import fields, replace
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.agents.batching import draw_conditions, dropout, reward_weights, shuffle
from hierrouter_jax.agents.guidance import guidance_share, guide
from hierrouter_jax.agents.mesh import add_up, gather, spread
from hierrouter_jax.agents.optimizer import apply_gradient, entropy_bonus
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.masking import masked_categorical, masked_log_probs
from hierrouter_jax.policies.network import PolicyInputs, RouterNetwork, gather_inputs, network_outputs

_RARE = 1e-30  # probability below which an action counts as this rare, so that its logarithm is finite


def generalised_advantages(
    rewards: Float[Array, "L B"],
    values: Float[Array, "L B"],
    alive: Bool[Array, "L B"],
    gamma: Float[Array, ""] | float,
    gae_lambda: Float[Array, ""] | float,
) -> Float[Array, "L B"]:
    """A_t = delta_t + gamma * lambda * A_{t+1}, delta_t = r_t + gamma * V_{t+1} - V_t (Schulman et al. 2016, eq. 16).

    Episodes end within the L steps: the value after the last step, and after an episode's end, is 0.

    Args:
      alive: whether the episode was still going before each step; finished steps get advantage 0.
    """
    chex.assert_equal_shape([rewards, values, alive])
    alive = alive.astype(rewards.dtype)

    def backward(carry, inputs):
        next_advantage, next_value = carry
        reward, value, going = inputs
        delta = reward + gamma * next_value - value
        advantage = going * (delta + gamma * gae_lambda * next_advantage)
        return (advantage, going * value), advantage

    zeros = jnp.zeros_like(rewards[0])
    _, advantages = jax.lax.scan(backward, (zeros, zeros), (rewards, values, alive), reverse=True)
    return advantages


def clipped_surrogate(
    ratio: Float[Array, "*B"], advantage: Float[Array, "*B"], clip: Float[Array, ""] | float
) -> Float[Array, "*B"]:
    """min(ratio * A, clip(ratio, 1 - eps, 1 + eps) * A) (Schulman et al. 2017, eq. 7)."""
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage)


def normalised_weights(weight: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Weights of at least 0 that add up to 1 (to 0 where all are 0)."""
    total = jnp.sum(weight)
    return weight / jnp.where(total > 0, total, 1.0)


def weighted_mean(values: Float[Array, "*B"], weight: Float[Array, "*B"] | Bool[Array, "*B"]) -> Float[Array, ""]:
    """Mean over the entries by their weights, all at least 0 (0 where they add up to nothing)."""
    return jnp.sum(values * normalised_weights(weight.astype(values.dtype)))


def normalise(values: Float[Array, "*B"], weight: Float[Array, "*B"] | Bool[Array, "*B"]) -> Float[Array, "*B"]:
    """Zero mean and unit variance over the entries by their weights."""
    mean = weighted_mean(values, weight)
    variance = weighted_mean((values - mean) ** 2, weight)
    return (values - mean) / jnp.sqrt(variance + 1e-8)


@struct.dataclass
class Rollout:
    """L steps of B episodes; ids and no observations, whose rows are gathered in the minibatch.

    Attributes:
      query, node: row of the table and node of its tree at which the action was taken [L, B].
      conditions: cost weight and budget of the episode [L, B].
      mask: whether each action was legal [L, B, A], bool.
      action: index of the action that was taken [L, B].
      log_prob: log probability of that action when it was taken [L, B].
      guided: part of this probability that came from guidance [L, B].
      value: the network's estimate of the node's value then [L, B].
      reward: reward of the step [L, B].
      alive: whether the episode was still going before the step [L, B], bool.
    """

    query: Int[Array, "L B"]
    node: Int[Array, "L B"]
    conditions: Conditions
    mask: Bool[Array, "L B A"]
    action: Int[Array, "L B"]
    log_prob: Float[Array, "L B"]
    guided: Float[Array, "L B"]
    value: Float[Array, "L B"]
    reward: Float[Array, "L B"]
    alive: Bool[Array, "L B"]


@struct.dataclass
class Batch:
    """Steps to learn from, [B].

    Attributes:
      query, node, conditions, mask, action, log_prob, guided: the same fields of the rollout, its steps in one row.
      advantage: advantage of the action; in a minibatch of zero mean and unit variance.
      target: return that the value estimate is fitted to.
      weight: 1 for steps of episodes that were still going, else 0; in a minibatch they add up to 1.
    """

    query: Int[Array, " B"]
    node: Int[Array, " B"]
    conditions: Conditions
    mask: Bool[Array, "B A"]
    action: Int[Array, " B"]
    log_prob: Float[Array, " B"]
    guided: Float[Array, " B"]
    advantage: Float[Array, " B"]
    target: Float[Array, " B"]
    weight: Float[Array, " B"]


def update(
    state: LearnerState, table: DeviceTable, network: RouterNetwork, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """One rollout of `num_envs` whole episodes, then epochs of minibatch steps over it."""
    rollout_key, shuffle_key, key = jax.random.split(state.key, 3)
    progress = state.update / static.num_updates
    guidance = guidance_share(hyper, progress, table.tree)
    rollout, end = collect(rollout_key, state.params, table, network, static, hyper, guidance)
    batch = gather(to_batch(rollout, hyper))
    gradient_of = jax.grad(partial(loss, network=network), has_aux=True)

    def epoch(carry, epoch_key):
        order_key, drop_key = jax.random.split(epoch_key)
        order = shuffle(order_key, len(batch.weight)).reshape(static.minibatches, -1)
        return jax.lax.scan(minibatch, carry, (order, jax.random.split(drop_key, static.minibatches)))

    def minibatch(carry, inputs):
        (params, optimizer), (rows, drop_key) = carry, inputs
        part = gather(jax.tree.map(lambda leaf: leaf[rows], batch))
        part = spread(
            replace(part, advantage=normalise(part.advantage, part.weight), weight=normalised_weights(part.weight))
        )
        seen = gather_inputs(table, part.query, part.node, part.conditions, hyper.ranges)
        seen = replace(seen, features=dropout(drop_key, seen.features, hyper.dropout))
        gradient, metrics = add_up(gradient_of, (params, hyper, progress, guidance), (seen, part))
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
    share: Float[Array, ""] | float = 0.0,
) -> tuple[Rollout, routing.RoutingState]:
    """Run whole episodes, L steps of every environment, finished ones standing still; also how they ended.

    Args:
      share: share of the decisions that guidance takes over.
    """
    query_key, condition_key, key = jax.random.split(key, 3)
    query = spread(routing.draw_queries(query_key, table, static.num_envs))
    conditions = draw_conditions(condition_key, query, table, static, hyper)
    weights = reward_weights(hyper, conditions)
    # Episodes of one query have one tree, but for their conditions.
    trees, row = (table.take(query), jnp.arange(len(query))) if conditions.names else (table, query)
    legal = routing.decision_masks(trees, static.allow_stop, conditions.budget)
    guides = guide(share, trees, legal, conditions, hyper)

    def advance(state, step_key):
        # Leaves decide nothing: their (ignored) step reads the root's features instead of falling off the table.
        node = jnp.where(state.node < table.tree.num_decision_nodes, state.node, 0)
        seen = gather_inputs(table, state.query, node, conditions, hyper.ranges)
        logits, value = network_outputs(network, params, seen)
        mask = routing.action_mask(state, table, static.allow_stop)
        guided = guides[row, node]
        probs = (1 - share) * jnp.exp(masked_log_probs(logits, mask)) + guided
        policy = masked_categorical(jnp.log(jnp.maximum(probs, _RARE)), mask)
        action: Any
        log_prob: Any
        action, log_prob = policy.sample_and_log_prob(seed=step_key)
        next_state, result = routing.step(state, action, table, weights, static.allow_stop, hyper.gamma)
        taken = guided[jnp.arange(len(action)), action]
        step = Rollout(state.query, node, conditions, mask, action, log_prob, taken, value, result.reward, ~state.done)
        return next_state, step

    start = routing.start(query, conditions.budget)
    end, rollout = jax.lax.scan(advance, start, jax.random.split(key, table.tree.horizon))
    return rollout, end


def to_batch(rollout: Rollout, hyper: LearnerHyper) -> Batch:
    """All steps of a rollout, one after the other [L * B], with their advantages."""
    advantage = generalised_advantages(rollout.reward, rollout.value, rollout.alive, hyper.gamma, hyper.gae_lambda)
    batch = Batch(
        **{field.name: getattr(rollout, field.name) for field in fields(Batch) if hasattr(rollout, field.name)},
        advantage=advantage,
        target=advantage + rollout.value,
        weight=rollout.alive.astype(jnp.float32),
    )
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batch)


def loss(
    params: dict,
    hyper: LearnerHyper,
    progress: Float[Array, ""],
    share: Float[Array, ""] | float,
    seen: PolicyInputs,
    batch: Batch,
    network: RouterNetwork,
) -> tuple[Float[Array, ""], Metrics]:
    """-clipped surrogate + value loss - entropy bonus, over the steps of episodes that were going.

    The ratio is that of the policy under guidance of that share: ((1 - k) pi + k pi*) over the same when it acted.
    Everything is a sum over steps by their weights, so that sums over parts of a batch add up to the batch's.
    """
    logits, value = network_outputs(network, params, seen)
    # With actions first, sums over them run along all steps at once; rows of a few numbers each are slow on a CPU.
    log_probs = masked_log_probs(logits.T, batch.mask.T, axis=0)
    chosen = batch.action == jnp.arange(len(log_probs))[:, None]
    log_prob = jnp.sum(jnp.where(chosen, log_probs, 0.0), axis=0)
    log_ratio = jnp.logaddexp(jnp.log1p(-share) + log_prob, jnp.log(batch.guided)) - batch.log_prob
    per_step = {
        "policy_loss": -clipped_surrogate(jnp.exp(log_ratio), batch.advantage, hyper.clip),
        "value_loss": 0.5 * (value - batch.target) ** 2,
        "entropy": -jnp.sum(jnp.exp(log_probs) * log_probs, axis=0),
        "approx_kl": jnp.expm1(log_ratio) - log_ratio,
        "clip_fraction": (jnp.abs(jnp.expm1(log_ratio)) > hyper.clip).astype(jnp.float32),
    }
    metrics = {name: batch.weight @ values for name, values in per_step.items()}
    total = metrics["policy_loss"] + hyper.value_coefficient * metrics["value_loss"]
    return total - entropy_bonus(hyper, progress) * metrics["entropy"], metrics
