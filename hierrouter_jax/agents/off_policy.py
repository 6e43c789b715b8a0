"""PPO from episodes that another policy served: its clipped objective under clipped importance weights."""

from dataclasses import replace
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from hierrouter_jax.agents.batching import dropout, shuffle
from hierrouter_jax.agents.optimizer import apply_gradient, entropy_bonus
from hierrouter_jax.agents.ppo import clipped_surrogate, normalise, normalised_weights, weighted_mean
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.policies.masking import entropies, masked_log_probs
from hierrouter_jax.policies.network import Network, PolicyInputs, network_outputs

MOST_WEIGHT = 10.0  # of a decision: what the product of the ratios along its route is clipped at


@struct.dataclass
class LoggedSteps:
    """E logged episodes of at most L decisions on the device, padded.

    Attributes:
      features: context embedding after the run's feature reduction [E, L, F].
      spent: money spent before each decision, over the cost normaliser [E, L].
      mask: actions that could be taken [E, L, A], bool.
      action: index of the action taken [E, L].
      propensity: logged probability of that action [E, L]; 1 in padding.
      taken: whether the decision was made [E, L], bool.
      reward: reward of the action [E, L]; 0 in padding.
    """

    features: Float[Array, "E L F"]
    spent: Float[Array, "E L"]
    mask: Bool[Array, "E L A"]
    action: Int[Array, "E L"]
    propensity: Float[Array, "E L"]
    taken: Bool[Array, "E L"]
    reward: Float[Array, "E L"]

    def take(self, episode: Int[Array, " B"]) -> "LoggedSteps":
        """The steps of some episodes only."""
        return jax.tree.map(lambda leaf: leaf[episode], self)


def route_weights(
    log_ratio: Float[Array, "B L"], taken: Bool[Array, "B L"], most: Float[Array, ""] | float = MOST_WEIGHT
) -> Float[Array, "B L"]:
    """Weight of each decision: min(prod_{u <= t} pi(a_u) / mu(a_u), most), 0 in padding.

    With `most` unbounded the weighted mean of f(s_t, a_t) over logged episodes is its mean under pi: per-decision
    importance sampling (Precup, Sutton and Singh 2000). The bound trades bias for variance (Ionides 2008).

    Args:
      log_ratio: log of pi(a_t) / mu(a_t) of each decision's own action.
    """
    chex.assert_equal_shape([log_ratio, taken])
    logs = jnp.cumsum(jnp.where(taken, log_ratio, 0.0), axis=1)
    return jnp.where(taken, jnp.exp(jnp.minimum(logs, jnp.log(most))), 0.0)


def retrace_advantages(
    rewards: Float[Array, "B L"],
    values: Float[Array, "B L"],
    ratio: Float[Array, "B L"],
    taken: Bool[Array, "B L"],
    gamma: Float[Array, ""] | float,
    trace: Float[Array, ""] | float,
) -> Float[Array, "B L"]:
    """A_t = delta_t + gamma * trace * min(1, rho_{t+1}) * A_{t+1}, delta_t = r_t + gamma * V_{t+1} - V_t.

    Retrace's corrected traces (Munos et al. 2016, eq. 4): what the log did later counts as far as the policy would do
    it, too. Where the ratios are 1 these are the generalised advantages of `ppo`.

    Args:
      ratio: pi(a_t) / mu(a_t) of each decision's own action.
      taken: whether the decision was made; the value behind an episode's end is 0, and so is the advantage.
    """
    chex.assert_equal_shape([rewards, values, ratio, taken])
    going = taken.astype(rewards.dtype)
    trust = jnp.minimum(1.0, ratio)
    next_advantage, next_value, advantages = jnp.zeros_like(rewards[:, 0]), jnp.zeros_like(rewards[:, 0]), []
    for stage in reversed(range(rewards.shape[1])):
        delta = rewards[:, stage] + gamma * next_value - values[:, stage]
        advantage = going[:, stage] * (delta + gamma * trace * next_advantage)
        advantages.append(advantage)
        next_advantage, next_value = trust[:, stage] * advantage, going[:, stage] * values[:, stage]
    return jnp.stack(advantages[::-1], axis=1)


def update(
    state: LearnerState, log: LoggedSteps, network: Network, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """Advantages and weights of `num_envs` drawn episodes under the policy as it is, then epochs over their steps.

    Where the log is of the policy itself, all weights are 1 and the step is that of `ppo.update` on those episodes.
    """
    draw_key, shuffle_key, key = jax.random.split(state.key, 3)
    progress = state.update / static.num_updates
    part = log.take(jax.random.randint(draw_key, (static.num_envs,), 0, len(log.taken)))
    log_prob, value = _of_actions(state.params, part, network)
    log_ratio = log_prob - jnp.log(part.propensity)
    advantage = retrace_advantages(part.reward, value, jnp.exp(log_ratio), part.taken, hyper.gamma, hyper.gae_lambda)
    batch = {
        "log_prob": log_prob,
        "weight": route_weights(log_ratio, part.taken),
        "advantage": advantage,
        "target": advantage + value,
    }

    def epoch(carry, epoch_key):
        order_key, drop_key = jax.random.split(epoch_key)
        order = shuffle(order_key, static.num_envs).reshape(static.minibatches, -1)
        return jax.lax.scan(minibatch, carry, (order, jax.random.split(drop_key, static.minibatches)))

    def minibatch(carry, inputs):
        (params, optimizer), (rows, drop_key) = carry, inputs
        its = {name: leaf[rows] for name, leaf in batch.items()}
        steps = part.take(rows)
        steps = replace(steps, features=dropout(drop_key, steps.features, hyper.dropout))
        gradient, metrics = jax.grad(loss, has_aux=True)(params, steps, its, network, hyper, progress)
        return apply_gradient(params, optimizer, gradient, hyper, progress), metrics

    keys = jax.random.split(shuffle_key, static.epochs)
    (params, optimizer), metrics = jax.lax.scan(epoch, (state.params, state.optimizer), keys)
    metrics = jax.tree.map(jnp.mean, metrics)
    first = batch["weight"][:, 0]
    metrics["train_return"] = jnp.sum(batch["weight"] * part.reward) / jnp.maximum(jnp.sum(first), 1e-6)
    return replace(state, params=params, optimizer=optimizer, key=key, update=state.update + 1), metrics


def loss(
    params: Any,
    steps: LoggedSteps,
    batch: dict[str, Float[Array, "B L"]],
    network: Network,
    hyper: LearnerHyper,
    progress: Float[Array, ""],
) -> tuple[Float[Array, ""], Metrics]:
    """-clipped surrogate + value loss - entropy bonus, each decision by its importance weight."""
    logits, value = network_outputs(network, params, _seen(steps))
    log_probs = masked_log_probs(logits, _decided(steps))
    log_prob = jnp.take_along_axis(log_probs, steps.action[..., None], axis=-1)[..., 0]
    weight = normalised_weights(batch["weight"])
    advantage = normalise(batch["advantage"], batch["weight"])
    ratio = jnp.exp(jnp.where(steps.taken, log_prob - batch["log_prob"], 0.0))
    entropy = entropies(log_probs, _decided(steps))
    metrics = {
        "policy_loss": -jnp.sum(weight * clipped_surrogate(ratio, advantage, hyper.clip)),
        "value_loss": 0.5 * jnp.sum(weight * (value - batch["target"]) ** 2),
        "entropy": weighted_mean(entropy, batch["weight"]),
        "clip_fraction": weighted_mean((jnp.abs(ratio - 1) > hyper.clip).astype(jnp.float32), batch["weight"]),
        "effective_share": jnp.sum(batch["weight"]) ** 2
        / jnp.maximum(jnp.sum(batch["weight"] ** 2) * jnp.sum(steps.taken), 1e-6),
    }
    total = metrics["policy_loss"] + hyper.value_coefficient * metrics["value_loss"]
    return total - entropy_bonus(hyper, progress) * metrics["entropy"], metrics


def _of_actions(params: Any, steps: LoggedSteps, network: Network) -> tuple[Float[Array, "B L"], Float[Array, "B L"]]:
    """Log probability of each action taken, 0 in padding, and the value of each context."""
    logits, value = network_outputs(network, params, _seen(steps))
    log_probs = masked_log_probs(logits, _decided(steps))
    log_prob = jnp.take_along_axis(log_probs, steps.action[..., None], axis=-1)[..., 0]
    return jnp.where(steps.taken, log_prob, 0.0), jnp.where(steps.taken, value, 0.0)


def _decided(steps: LoggedSteps) -> Bool[Array, "B L A"]:
    """The mask, with everything legal in padding, so that its logarithms are finite."""
    return steps.mask | ~steps.taken[..., None]


def _seen(steps: LoggedSteps) -> PolicyInputs:
    batch, length = steps.taken.shape
    stage = jnp.broadcast_to(jnp.arange(length), (batch, length))
    return PolicyInputs(steps.features, stage, steps.spent, jnp.zeros((batch, length, 0)))
