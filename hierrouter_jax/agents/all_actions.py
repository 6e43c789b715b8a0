"""PPO without sampling: its clipped objective summed over all actions of whole hop trees, advantages exact."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from hierrouter_jax.agents.batching import draw_conditions, dropout, tree_rewards
from hierrouter_jax.agents.guidance import guidance_share, guide
from hierrouter_jax.agents.mesh import gather, spread
from hierrouter_jax.agents.optimizer import apply_gradient, entropy_bonus
from hierrouter_jax.agents.ppo import clipped_surrogate, normalise, weighted_mean
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import action_values, reach_probability
from hierrouter_jax.evaluation.tree_policy import run_network
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.masking import entropies
from hierrouter_jax.policies.network import RouterNetwork


@struct.dataclass
class OldPolicy:
    """The policy before the update, over the trees of Q queries.

    Attributes:
      conditions: cost weight and budget of each query [Q].
      log_probs: logarithm of each action's probability, guidance included [Q, D, A].
      guided: part of this probability that came from guidance [Q, D, A].
      advantage: exact advantage of each action [Q, D, A].
      weight: discounted probability of coming to the node and taking the action [Q, D, A]; 0 where there is no
        choice.
      root_value: expected return of each query [Q].
      cost: expected cost of each query's route [Q], over the cost normaliser.
    """

    conditions: Conditions
    log_probs: Float[Array, "Q D A"]
    guided: Float[Array, "Q D A"]
    advantage: Float[Array, "Q D A"]
    weight: Float[Array, "Q D A"]
    root_value: Float[Array, " Q"]
    cost: Float[Array, " Q"]


def update(
    state: LearnerState, table: DeviceTable, network: RouterNetwork, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """Advantages of all actions at all nodes of `num_envs` drawn queries, then epochs over those queries.

    A node counts by its discounted reach, so the gradient is the expected return's own at any gamma (sampled PPO
    leaves the discount out).
    """
    query_key, condition_key, shuffle_key, drop_key, key = jax.random.split(state.key, 5)
    progress = state.update / static.num_updates
    query = spread(routing.draw_queries(query_key, table, static.num_envs))
    conditions = draw_conditions(condition_key, query, table, static, hyper)
    share = guidance_share(hyper, progress, table.tree)
    old = gather(old_policy(state.params, table.take(query), conditions, network, static, hyper, share))
    query = gather(query)

    def epoch(carry, keys):
        order = jax.random.permutation(keys[0], static.num_envs).reshape(static.minibatches, -1)
        return jax.lax.scan(minibatch, carry, (order, jax.random.split(keys[1], static.minibatches)))

    def minibatch(carry, inputs):
        (params, optimizer), (rows, its_key) = carry, inputs
        rows = spread(rows)
        part = jax.tree.map(lambda leaf: leaf[rows], old)
        trees = table.take(query[rows])
        trees = replace(trees, features=dropout(its_key, trees.features, hyper.dropout))
        gradient, metrics = jax.grad(loss, has_aux=True)(params, trees, part, network, static, hyper, progress, share)
        return apply_gradient(params, optimizer, gradient, hyper, progress), metrics

    keys = jax.random.split(shuffle_key, static.epochs), jax.random.split(drop_key, static.epochs)
    (params, optimizer), metrics = jax.lax.scan(epoch, (state.params, state.optimizer), keys)
    metrics = jax.tree.map(jnp.mean, metrics)
    metrics |= {"train_return": jnp.mean(old.root_value), "train_cost": jnp.mean(old.cost)}
    return replace(state, params=params, optimizer=optimizer, key=key, update=state.update + 1), metrics


def old_policy(
    params: Any,
    trees: DeviceTable,
    conditions: Conditions,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
    share: Float[Array, ""] | float = 0.0,
) -> OldPolicy:
    """What the policy, under guidance of that share, does on whole trees, and how good each action is."""
    policy = run_network(network, params, trees, conditions, static.allow_stop, hyper.ranges)
    mask, guided = policy.mask, guide(share, trees, policy.mask, conditions, hyper)
    log_probs = _under_guidance(policy.log_probs(), guided, share)
    probs = jnp.exp(log_probs)
    values = action_values(probs, trees, tree_rewards(hyper, conditions), hyper.gamma)
    baseline = jnp.sum(probs * values, axis=-1, keepdims=True)
    decisions = trees.tree.num_decision_nodes
    discount = jnp.power(hyper.gamma, jnp.asarray(trees.tree.stages[:decisions], jnp.float32))
    reach = reach_probability(probs, trees.tree)
    weight = (reach[:, :decisions] * discount)[..., None] * probs
    # Where nothing can be decided there is nothing to learn, and STOP's value at a leaf is meaningless.
    weight = weight * (jnp.sum(mask, axis=-1, keepdims=True) > 1)
    cost = jnp.sum(reach * trees.cost, axis=1)
    return OldPolicy(conditions, log_probs, guided, values - baseline, weight, baseline[:, 0, 0], cost)


def loss(
    params: Any,
    trees: DeviceTable,
    old: OldPolicy,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
    progress: Float[Array, ""],
    share: Float[Array, ""] | float = 0.0,
) -> tuple[Float[Array, ""], Metrics]:
    """-sum over nodes and actions of reach x pi_old x clipped surrogate, - entropy bonus.

    The expectation that PPO's sampled surrogate (Schulman et al. 2017, eq. 7) estimates.
    """
    policy = run_network(network, params, trees, old.conditions, static.allow_stop, hyper.ranges)
    log_probs, mask = policy.log_probs(), policy.mask
    weight = jnp.where(mask, old.weight, 0.0)
    acting = _under_guidance(log_probs, old.guided, share)
    log_ratio = jnp.where(mask, acting - old.log_probs, 0.0)
    advantage = normalise(jnp.where(mask, old.advantage, 0.0), weight)
    policy_loss = -weighted_mean(clipped_surrogate(jnp.exp(log_ratio), advantage, hyper.clip), weight)
    entropy = weighted_mean(entropies(log_probs, mask), jnp.sum(weight, axis=-1))
    metrics = {
        "policy_loss": policy_loss,
        "entropy": entropy,
        "approx_kl": weighted_mean(jnp.expm1(log_ratio) - log_ratio, weight),
        "clip_fraction": weighted_mean((jnp.abs(jnp.expm1(log_ratio)) > hyper.clip).astype(jnp.float32), weight),
    }
    return policy_loss - entropy_bonus(hyper, progress) * entropy, metrics


def _under_guidance(
    log_probs: Float[Array, "Q D A"], guided: Float[Array, "Q D A"], share: Float[Array, ""] | float
) -> Float[Array, "Q D A"]:
    """log((1 - k) pi + k pi*)."""
    return jnp.logaddexp(jnp.log1p(-share) + log_probs, jnp.log(guided))
