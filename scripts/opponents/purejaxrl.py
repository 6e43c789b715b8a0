"""PPO in JAX as PureJaxRL (Lu et al. 2022) writes it: stored observations, a key per environment, Flax and Optax.

python -m scripts.opponents.purejaxrl --steps 1000000 --features 384
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import distrax
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.linen.initializers import constant, orthogonal
from flax.training.train_state import TrainState
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from jsonargparse import auto_cli

from hierrouter_jax.hop_tree import HopTree
from scripts.opponents.opponent import trainer
from scripts.opponents.problem import Problem, Settings


class ActorCritic(nn.Module):
    """A policy over M models and a value, on a shared tanh trunk."""

    num_actions: int
    hidden: tuple[int, int]

    @nn.compact
    def __call__(self, observation: Float[Array, "*B O"]) -> tuple[distrax.Categorical, Float[Array, "*B"]]:
        hidden = observation
        for width in self.hidden:
            hidden = nn.tanh(nn.Dense(width, kernel_init=orthogonal(2**0.5), bias_init=constant(0.0))(hidden))
        logits = nn.Dense(self.num_actions, kernel_init=orthogonal(0.01), bias_init=constant(0.0))(hidden)
        value = nn.Dense(1, kernel_init=orthogonal(1.0), bias_init=constant(0.0))(hidden)
        return distrax.Categorical(logits=logits), jnp.squeeze(value, axis=-1)


class Table(NamedTuple):
    """The environment's parameters: what a step looks up."""

    observations: Float[Array, "Q D O"]
    rewards: Float[Array, "Q N"]


class EnvState(NamedTuple):
    """One episode, or a batch of them."""

    query: Int[Array, "*B"]
    node: Int[Array, "*B"]


@dataclass(frozen=True)
class Environment:
    """Pure functions of one environment; `step` starts the next episode where one ends."""

    tree: HopTree

    def reset(self, key: PRNGKeyArray, table: Table) -> tuple[Float[Array, " O"], EnvState]:
        state = self._draw(key, table)
        return table.observations[state], state

    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Int[Array, ""], table: Table
    ) -> tuple[Float[Array, " O"], EnvState, Float[Array, ""], Bool[Array, ""]]:
        node = self.tree.child(state.node, action)
        reward = table.rewards[state.query, node]
        done = node >= self.tree.num_decision_nodes
        state = jax.tree.map(partial(jnp.where, done), self._draw(key, table), EnvState(state.query, node))
        return table.observations[state], state, reward, done

    def _draw(self, key: PRNGKeyArray, table: Table) -> EnvState:
        return EnvState(jax.random.randint(key, (), 0, len(table.rewards)), jnp.zeros((), jnp.int32))


class Transition(NamedTuple):
    """What one step leaves for the epochs."""

    done: Bool[Array, "*B"]
    action: Int[Array, "*B"]
    value: Float[Array, "*B"]
    reward: Float[Array, "*B"]
    log_prob: Float[Array, "*B"]
    observation: Float[Array, "*B O"]


class Runner(NamedTuple):
    """What one update hands to the next."""

    train_state: TrainState
    env_state: EnvState
    observation: Float[Array, "B O"]
    key: PRNGKeyArray


Batch = tuple[Transition, Float[Array, "..."], Float[Array, "..."]]
Update = Callable[[Runner, Table], tuple[Runner, Float[Array, ""]]]


def make_update(environment: Any, settings: Settings) -> Update:
    """One update as a pure function, which also gives the mean return of its rollout.

    Args:
      environment: an environment with gymnax's older `reset` and `step`, and the `tree` of its episodes; what `step`
        returns after `done` is left alone.
      settings: numbers of PPO.
    """
    horizon = environment.tree.horizon
    size = settings.num_envs * horizon

    def env_step(runner: Runner, table: Table) -> tuple[Runner, Transition]:
        train_state, env_state, observation, key = runner
        action_key, step_key, key = jax.random.split(key, 3)
        policy, value = train_state.apply_fn(train_state.params, observation)
        action = policy.sample(seed=action_key)
        log_prob = policy.log_prob(action)
        step_keys = jax.random.split(step_key, settings.num_envs)
        following, env_state, reward, done, *_ = jax.vmap(environment.step, in_axes=(0, 0, 0, None))(
            step_keys, env_state, action, table
        )
        transition = Transition(done, action, value, reward, log_prob, observation)
        return Runner(train_state, env_state, following, key), transition

    def advantages(trajectory: Transition, last_value: Float[Array, " B"]) -> Float[Array, "L B"]:
        def backward(carry, transition: Transition):
            advantage, next_value = carry
            going = 1 - transition.done
            delta = transition.reward + settings.gamma * next_value * going - transition.value
            advantage = delta + settings.gamma * settings.gae_lambda * going * advantage
            return (advantage, transition.value), advantage

        start = (jnp.zeros_like(last_value), last_value)
        return jax.lax.scan(backward, start, trajectory, reverse=True, unroll=16)[1]

    def loss(params: Any, apply_fn: Callable, batch: Batch) -> Float[Array, ""]:
        old, advantage, target = batch
        policy, value = apply_fn(params, old.observation)
        near = old.value + (value - old.value).clip(-settings.clip, settings.clip)
        value_loss = 0.5 * jnp.maximum((value - target) ** 2, (near - target) ** 2).mean()
        ratio = jnp.exp(policy.log_prob(old.action) - old.log_prob)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = ratio.clip(1 - settings.clip, 1 + settings.clip)
        actor_loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
        return actor_loss + settings.value_coefficient * value_loss - settings.entropy * policy.entropy().mean()

    def minibatch(train_state: TrainState, batch: Batch) -> tuple[TrainState, Float[Array, ""]]:
        value, gradient = jax.value_and_grad(loss)(train_state.params, train_state.apply_fn, batch)
        return train_state.apply_gradients(grads=gradient), value

    def epoch(carry: tuple[TrainState, Batch], key: PRNGKeyArray):
        train_state, batch = carry
        order = jax.random.permutation(key, size)
        shuffled = jax.tree.map(lambda leaf: jnp.take(leaf, order, axis=0), batch)
        parts = jax.tree.map(lambda leaf: leaf.reshape(settings.minibatches, -1, *leaf.shape[1:]), shuffled)
        train_state, losses = jax.lax.scan(minibatch, train_state, parts)
        return (train_state, batch), losses

    def update(runner: Runner, table: Table) -> tuple[Runner, Float[Array, ""]]:
        runner, trajectory = jax.lax.scan(lambda carry, _: env_step(carry, table), runner, length=horizon)
        train_state, env_state, observation, key = runner
        _, last_value = train_state.apply_fn(train_state.params, observation)
        advantage = advantages(trajectory, last_value)
        batch = (trajectory, advantage, advantage + trajectory.value)
        batch = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[2:]), batch)
        shuffle_key, key = jax.random.split(key)
        (train_state, _), _ = jax.lax.scan(epoch, (train_state, batch), jax.random.split(shuffle_key, settings.epochs))
        return Runner(train_state, env_state, observation, key), trajectory.reward.sum(axis=0).mean()

    return update


class PureJaxRL:
    """The opponent; its whole update is one compiled program."""

    name = "purejaxrl"

    def __init__(self, problem: Problem, settings: Settings, seed: int) -> None:
        environment = Environment(problem.tree)
        network_key, reset_key, key = jax.random.split(jax.random.key(seed), 3)
        self._table = Table(jnp.asarray(problem.observations), jnp.asarray(problem.rewards))
        observation, env_state = jax.vmap(environment.reset, in_axes=(0, None))(
            jax.random.split(reset_key, settings.num_envs), self._table
        )
        network = ActorCritic(problem.tree.num_models, settings.hidden)
        optimizer = optax.chain(
            optax.clip_by_global_norm(settings.max_grad_norm), optax.adam(settings.learning_rate, eps=1e-5)
        )
        params = network.init(network_key, observation[0])
        train_state = TrainState.create(apply_fn=network.apply, params=params, tx=optimizer)
        self._runner = Runner(train_state, env_state, observation, key)
        self._update = jax.jit(make_update(environment, settings))
        self.steps_per_update = settings.num_envs * problem.tree.horizon

    def update(self) -> None:
        self._runner, self._mean_return = jax.block_until_ready(self._update(self._runner, self._table))

    def mean_return(self) -> float:
        return float(self._mean_return)


if __name__ == "__main__":
    auto_cli(trainer(PureJaxRL), as_positional=False)
