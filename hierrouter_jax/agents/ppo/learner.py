"""PPO on the outcome table in the Anakin shape: one compiled program, a scan over updates with the batch inside."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from hierrouter_jax.agents.ppo.losses import clipped_surrogate, dropout, generalised_advantages, masked_mean, normalise
from hierrouter_jax.agents.ppo.types import PPOHyper, PPOState, PPOStatic, Rollout
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import decision_masks, end_probability, expected_return, greedy
from hierrouter_jax.policies.categorical import masked_categorical
from hierrouter_jax.policies.network import RouterNetwork, gather_inputs, network_outputs
from hierrouter_jax.policies.table_policy import decision_logits

Metrics = dict[str, Float[Array, "*T"]]


def build_network(table: DeviceTable, static: PPOStatic) -> RouterNetwork:
    """The network for a table's pool and horizon."""
    return RouterNetwork(table.tree.num_models + 1, table.tree.horizon, static.hidden, static.stage_size)


def init(key: PRNGKeyArray, table: DeviceTable, static: PPOStatic, hyper: PPOHyper) -> PPOState:
    """A fresh learner."""
    network_key, key = jax.random.split(key)
    zero = jnp.zeros((), jnp.int32)
    params: Any = build_network(table, static).init(network_key, *gather_inputs(table, zero, zero))
    return PPOState(
        params=params,
        optimizer=_optimizer().init(params),
        key=key,
        update=zero,
        best_params=params,
        best_return=jnp.asarray(-jnp.inf, jnp.float32),  # a weak type here would compile the first update twice
        best_update=zero,
    )


def update(state: PPOState, table: DeviceTable, static: PPOStatic, hyper: PPOHyper) -> tuple[PPOState, Metrics]:
    """One rollout of `num_envs` whole episodes, then epochs of minibatch steps over it."""
    rollout_key, shuffle_key, key = jax.random.split(state.key, 3)
    rollout = collect(rollout_key, state.params, table, static, hyper)
    advantages = generalised_advantages(rollout.reward, rollout.value, rollout.alive, hyper.gamma, hyper.gae_lambda)
    batch = jax.tree.map(jnp.ravel, (rollout, advantages, advantages + rollout.value))
    size = rollout.action.size
    progress = state.update / static.num_updates

    def epoch(carry, epoch_key):
        order_key, drop_key = jax.random.split(epoch_key)
        order = jax.random.permutation(order_key, size).reshape(static.minibatches, -1)
        return jax.lax.scan(minibatch, carry, (order, jax.random.split(drop_key, static.minibatches)))

    def minibatch(carry, inputs):
        (params, optimizer), (rows, drop_key) = carry, inputs
        part = jax.tree.map(lambda leaf: leaf[rows], batch)
        gradient, metrics = jax.grad(loss, has_aux=True)(params, part, drop_key, table, static, hyper, progress)
        params, optimizer = _apply(params, optimizer, gradient, hyper, progress)
        return (params, optimizer), metrics

    keys = jax.random.split(shuffle_key, static.epochs)
    (params, optimizer), metrics = jax.lax.scan(epoch, (state.params, state.optimizer), keys)
    metrics = jax.tree.map(jnp.mean, metrics) | {"train_return": jnp.mean(jnp.sum(rollout.reward, axis=0))}
    return replace(state, params=params, optimizer=optimizer, key=key, update=state.update + 1), metrics


def collect(key: PRNGKeyArray, params: dict, table: DeviceTable, static: PPOStatic, hyper: PPOHyper) -> Rollout:
    """Run whole episodes: L steps of every environment, finished ones standing still."""
    network = build_network(table, static)
    reset_key, key = jax.random.split(key)

    def advance(state, step_key):
        logits, value = network_outputs(
            network, params, *gather_inputs(table, state.query, _decision_node(state.node, table))
        )
        policy = masked_categorical(logits, routing.action_mask(state, table, static.allow_stop))
        action: Any
        log_prob: Any
        action, log_prob = policy.sample_and_log_prob(seed=step_key)
        next_state, result = routing.step(state, action, table, hyper.reward, static.allow_stop)
        taken = Rollout(state.query, state.node, action, log_prob, value, result.reward, ~state.done)
        return next_state, taken

    start = routing.reset(reset_key, table, static.num_envs)
    _, rollout = jax.lax.scan(advance, start, jax.random.split(key, table.tree.horizon))
    return rollout


def loss(
    params: dict,
    batch: tuple[Rollout, Float[Array, " B"], Float[Array, " B"]],
    drop_key: PRNGKeyArray,
    table: DeviceTable,
    static: PPOStatic,
    hyper: PPOHyper,
    progress: Float[Array, ""],
) -> tuple[Float[Array, ""], Metrics]:
    """-clipped surrogate + value loss - entropy bonus, over the steps of episodes that were going."""
    rollout, advantage, target = batch
    alive, node = rollout.alive, _decision_node(rollout.node, table)
    features, stage, spent = gather_inputs(table, rollout.query, node)
    features = dropout(drop_key, features, hyper.dropout)
    logits, value = network_outputs(build_network(table, static), params, features, stage, spent)
    state = routing.RoutingState(rollout.query, node, ~alive)
    policy = masked_categorical(logits, routing.action_mask(state, table, static.allow_stop))
    log_ratio = policy.log_prob(rollout.action) - rollout.log_prob
    surrogate = clipped_surrogate(jnp.exp(log_ratio), normalise(advantage, alive), hyper.clip)
    policy_loss = -masked_mean(surrogate, alive)
    value_loss = 0.5 * masked_mean((value - target) ** 2, alive)
    uncertainty: Any = policy.entropy()
    entropy = masked_mean(uncertainty, alive)
    bonus = hyper.entropy + (hyper.entropy_end - hyper.entropy) * progress
    metrics = {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": masked_mean(jnp.expm1(log_ratio) - log_ratio, alive),
        "clip_fraction": masked_mean((jnp.abs(jnp.expm1(log_ratio)) > hyper.clip).astype(jnp.float32), alive),
    }
    return policy_loss + hyper.value_coefficient * value_loss - bonus * entropy, metrics


def validate(state: PPOState, validation: DeviceTable, static: PPOStatic, hyper: PPOHyper) -> tuple[PPOState, Metrics]:
    """Exact greedy return and accuracy on the validation split; keeps the best parameters."""
    mask = decision_masks(validation, static.allow_stop)
    policy = greedy(decision_logits(build_network(validation, static), state.params, validation), mask)
    value = jnp.mean(expected_return(policy, validation, hyper.reward))
    accuracy = jnp.mean(jnp.sum(end_probability(policy, validation.tree) * validation.quality, axis=1))
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
    state: PPOState, table: DeviceTable, validation: DeviceTable, static: PPOStatic, hyper: PPOHyper
) -> tuple[PPOState, Metrics]:
    """`evaluate_every` updates and one validation; metrics are stacked over the updates [U] (validation: scalars)."""

    def body(carry, _):
        return update(carry, table, static, hyper)

    state, metrics = jax.lax.scan(body, state, length=static.evaluate_every)
    state, evaluation = validate(state, validation, static, hyper)
    return state, metrics | evaluation


def train(
    key: PRNGKeyArray, table: DeviceTable, validation: DeviceTable, static: PPOStatic, hyper: PPOHyper
) -> tuple[PPOState, Metrics]:
    """A whole run as one pure function: `jit` it, `vmap` it over keys and any leaf of `hyper`.

    Returns:
      The final state, and metrics stacked over the T / evaluate_every blocks of `advance`.
    """

    def body(carry, _):
        return advance(carry, table, validation, static, hyper)

    blocks = static.num_updates // static.evaluate_every
    return jax.lax.scan(body, init(key, table, static, hyper), length=blocks)


def _decision_node(node, table: DeviceTable):
    """Leaves decide nothing: their (ignored) step reads the root's features instead of falling off the table."""
    return jnp.where(node < table.tree.num_decision_nodes, node, 0)


def _optimizer() -> optax.GradientTransformation:
    return optax.scale_by_adam(eps=1e-5)


def _apply(params, optimizer, gradient, hyper: PPOHyper, progress):
    """One AdamW step. The rate multiplies outside optax, so that it can be a traced leaf without recompiling."""
    norm = optax.global_norm(gradient)
    gradient = jax.tree.map(lambda leaf: leaf * jnp.minimum(1.0, hyper.max_grad_norm / (norm + 1e-6)), gradient)
    direction, optimizer = _optimizer().update(gradient, optimizer, params)
    rate = hyper.learning_rate * (1 + (hyper.learning_rate_end - 1) * progress)
    params = jax.tree.map(lambda p, d: p - rate * (d + hyper.weight_decay * p), params, direction)
    return params, optimizer
