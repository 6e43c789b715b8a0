"""The routing MDP as a gymnax environment, for learners that are written to that interface.

`RoutingEnv` has gymnax 1.x's `reset(key, params)` and `step(key, state, action, params)` with six values;
`FiveValueEnv` around it has the five values of older versions, which rejax and purejaxrl take. Only the spaces come
from gymnax itself (the extra `gymnax`).
"""

from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import RewardWeights, Scalar
from hierrouter_jax.envs.types import DeviceTable, RoutingState
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree

Observation = Float[Array, " O"]
Info = dict[str, Any]


@struct.dataclass
class EnvParams:
    """What an episode is played on; all of it are leaves, so that no table is compiled into a program.

    Attributes:
      table: outcomes on the device.
      weights: weights of the reward terms.
      gamma: discount of the learner, which the reward's `potential` needs.
      max_steps_in_episode: the horizon L; an episode ends there by itself and is never truncated.
    """

    table: DeviceTable
    weights: RewardWeights = struct.field(default_factory=RewardWeights)
    gamma: Scalar = 1.0

    @property
    def max_steps_in_episode(self) -> int:
        return self.table.tree.horizon


@struct.dataclass
class EnvState:
    """One episode.

    Attributes:
      routing: the query, the node and whether the episode has ended.
      time: hops that are done.
    """

    routing: RoutingState
    time: Int[Array, ""]


class RoutingEnv:
    """One episode of a uniformly drawn query at a time; `vmap` it for a batch.

    An observation [O] is the context's features [F], the stage one-hot [L], the cost spent [1] and the mask of legal
    actions [A], so O = F + L + 1 + A; where no decision is left, features and stage are 0. Actions are the M models,
    and STOP where it is allowed. An illegal action ends the episode with reward 0.

    Args:
      table: the outcomes that `default_params` hold.
      allow_stop: whether STOP is an action, the last one.
    """

    name = "hierrouter"

    def __init__(self, table: DeviceTable, allow_stop: bool = False) -> None:
        self._table, self._allow_stop = table, allow_stop
        self._features, self._tree = table.features.shape[-1], table.tree

    @property
    def default_params(self) -> EnvParams:
        return EnvParams(self._table)

    @property
    def tree(self) -> HopTree:
        """The tree of routes that episodes walk."""
        return self._tree

    @property
    def num_actions(self) -> int:
        return self._tree.num_models + self._allow_stop

    @partial(jax.jit, static_argnames="self")
    def reset(self, key: PRNGKeyArray, params: EnvParams | None = None) -> tuple[Observation, EnvState]:
        """Begin an episode."""
        return self.reset_env(key, params or self.default_params)

    @partial(jax.jit, static_argnames="self")
    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Int[Array, ""], params: EnvParams | None = None
    ) -> tuple[Observation, EnvState, Float[Array, ""], Bool[Array, ""], Bool[Array, ""], Info]:
        """Take an action, and begin another episode where it ended.

        Returns:
          The observation and the state, of the next episode where this one ended; the reward; whether the episode
          terminated; whether it was truncated, which it never is; and `info`, with `final_observation`, the last one
          of the episode that ended, and `action_mask` [A] of the observation.
        """
        params = params or self.default_params
        final_observation, final, reward, terminated, info = self.step_env(key, state, action, params)
        fresh_observation, fresh = self.reset_env(key, params)
        state = jax.tree.map(partial(jnp.where, terminated), fresh, final)
        observation = jnp.where(terminated, fresh_observation, final_observation)
        truncated = jnp.zeros_like(terminated)
        info |= {"terminated": terminated, "truncated": truncated, "final_observation": final_observation}
        return observation, state, reward, terminated, truncated, info | {"action_mask": self.mask(observation)}

    def reset_env(self, key: PRNGKeyArray, params: EnvParams) -> tuple[Observation, EnvState]:
        """Begin an episode; not compiled by itself."""
        begun = jax.tree.map(lambda leaf: leaf[0], routing.reset(key, params.table, 1))
        state = EnvState(begun, jnp.zeros((), jnp.int32))
        return self.observe(state, params), state

    def step_env(
        self, key: PRNGKeyArray, state: EnvState, action: Int[Array, ""], params: EnvParams
    ) -> tuple[Observation, EnvState, Float[Array, ""], Bool[Array, ""], Info]:
        """Take an action without beginning another episode; transitions are deterministic, `key` is not used."""
        del key
        action = jnp.where((action >= 0) & (action < self.num_actions), action, -1)  # else a missing STOP would be one
        after, result = routing.step(
            state.routing, action, params.table, params.weights, self._allow_stop, params.gamma
        )
        state = EnvState(after, state.time + 1)
        discount = jnp.where(result.terminated, 0.0, 1.0)
        return self.observe(state, params), state, result.reward, result.terminated, {"discount": discount}

    def mask(self, observation: Float[Array, "*B O"]) -> Bool[Array, "*B A"]:
        """Legal actions, as the observation holds them."""
        return observation[..., -self.num_actions :] > 0

    def observation_space(self, params: EnvParams | None = None) -> Any:
        """A `Box` of shape [O].

        Raises:
          InputError: if gymnax is not installed.
        """
        bound = jnp.finfo(jnp.float32).max
        size = self._features + self._tree.horizon + 1 + self.num_actions
        low = jnp.zeros(size).at[: self._features].set(-bound)
        high = jnp.ones(size).at[: self._features].set(bound).at[self._features + self._tree.horizon].set(bound)
        return _spaces().Box(low, high, (size,), jnp.float32)

    def action_space(self, params: EnvParams | None = None) -> Any:
        """A `Discrete` space of the A actions.

        Raises:
          InputError: if gymnax is not installed.
        """
        return _spaces().Discrete(self.num_actions)

    def observe(self, state: EnvState, params: EnvParams) -> Observation:
        """What a policy reads in a state, as the class says."""
        table, here = params.table, state.routing
        features = table.features.at[here.query, here.node].get(mode="fill", fill_value=0)  # leaves have none
        stage = jax.nn.one_hot(routing.stage(here, table), table.tree.horizon)  # 0 after the last hop
        mask = routing.action_mask(here, table, self._allow_stop)[: self.num_actions]
        parts = [features, stage, table.spent[here.query, here.node][None], mask]
        return jnp.concatenate([part.astype(jnp.float32) for part in parts])


class FiveValueEnv:
    """The environment with the five values of gymnax before 1.0: observation, state, reward, done, info.

    Args:
      env: the environment whose `terminated` and `truncated` become one `done`.
    """

    def __init__(self, env: RoutingEnv) -> None:
        self.env = env

    def __getattr__(self, name: str) -> Any:
        if name == "env":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.env, name)

    @partial(jax.jit, static_argnames="self")
    def step(
        self, key: PRNGKeyArray, state: EnvState, action: Int[Array, ""], params: EnvParams | None = None
    ) -> tuple[Observation, EnvState, Float[Array, ""], Bool[Array, ""], Info]:
        """As `RoutingEnv.step`, with one `done` in the place of `terminated` and `truncated`."""
        observation, state, reward, terminated, truncated, info = self.env.step(key, state, action, params)
        return observation, state, reward, terminated | truncated, info


def _spaces() -> Any:
    try:
        return import_module("gymnax.environments.spaces")
    except ImportError:
        raise InputError("gymnax is not installed; pip install 'hierrouter_jax[gymnax]'") from None
