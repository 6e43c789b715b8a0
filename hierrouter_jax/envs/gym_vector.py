"""The routing MDP as a Gymnasium vector environment, for learners that come from there (needs the extra `gym`)."""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import RewardWeights, Scalar
from hierrouter_jax.envs.types import DeviceTable, RoutingState, Step, single_precision

View = tuple[Float[Array, "B O"], Bool[Array, "B A"]]


class RoutingVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Episodes of uniformly drawn queries; one that ends is replaced within the same step.

    An observation is the context's features [F], the stage one-hot [L] and the cost spent [1], so O = F + L + 1; where
    no decision is left, features and stage are 0. Actions are the M models, and STOP where it is allowed. `infos` hold
    `action_mask` [B, A]: an action outside it ends the episode with reward 0. As in Gymnasium's `SyncVectorEnv` under
    `AutoresetMode.SAME_STEP`, a step in which episodes end adds their `final_obs` and `final_info`.
    """

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        table: DeviceTable,
        num_envs: int,
        weights: RewardWeights = RewardWeights(),
        allow_stop: bool = False,
        seed: int = 0,
        gamma: float = 1.0,
    ) -> None:
        """Make the spaces; `reset` starts the episodes.

        Args:
          table: outcome table on the device.
          num_envs: number of episodes in parallel, B.
          weights: weights of the reward terms.
          allow_stop: whether STOP is an action, the last one.
          seed: seed of the drawn queries, until `reset` gets another.
          gamma: discount of the learner's return; the reward's `potential` needs it.
        """
        self.num_envs = num_envs
        self.single_observation_space = _observation_space(table)
        self.single_action_space = spaces.Discrete(table.tree.num_models + allow_stop)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._table, self._weights, self._allow_stop, self._gamma = table, weights, allow_stop, gamma
        self._key = jax.random.key(seed)
        self._state: RoutingState | None = None

    @single_precision
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[np.ndarray, "B O"], dict[str, Any]]:
        """Start all episodes anew; without a seed, the stream of queries goes on."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._key = jax.random.key(seed)
        self._key, self._state, view = _start(self._key, self._table, self.num_envs, self._allow_stop)
        observation, mask = _on_host(view)
        return observation, _info(mask, np.ones(self.num_envs, bool))

    @single_precision
    def step(
        self, actions: Int[np.ndarray, " B"]
    ) -> tuple[Float[np.ndarray, "B O"], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one action in every episode, and start another one where it ended."""
        assert self._state is not None, "call reset before step"
        self._key, self._state, result, view, final_view = _advance(
            self._key,
            self._state,
            _as_actions(actions, self.num_envs, self._table.tree.num_models + self._allow_stop),
            self._table,
            self._weights,
            self._allow_stop,
            self._gamma,
        )
        observation, mask = _on_host(view)
        reward, terminated = _on_host((result.reward, result.terminated))
        info = _info(mask, np.ones(self.num_envs, bool))
        if terminated.any():
            info |= _final_info(*_on_host(final_view), terminated)
        return observation, reward, terminated, np.zeros_like(terminated), info


def _as_actions(actions: Any, num_envs: int, count: int) -> Int[np.ndarray, " B"]:
    """Actions as the device counts them, -1 for every integer that is none, however large.

    Raises:
      ValueError: if they are no whole numbers, one an environment.
    """
    array = np.asarray(actions)
    if array.shape != (num_envs,) or not (array.dtype == object or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"actions are {array.dtype} {array.shape}, but must be {num_envs} whole numbers")
    return np.array([action if 0 <= action < count else -1 for action in array], np.int32)


def _observation_space(table: DeviceTable) -> spaces.Box:
    """Features of any size, a one-hot stage, a cost of at least 0."""
    features, stages = table.features.shape[-1], table.tree.horizon
    low, high = np.zeros(features + stages + 1, np.float32), np.ones(features + stages + 1, np.float32)
    low[:features], high[:features], high[-1] = -np.inf, np.inf, np.inf
    return spaces.Box(low, high, dtype=np.float32)


def _view(state: RoutingState, table: DeviceTable, allow_stop: bool) -> View:
    """What a learner sees: observation and mask."""
    features = table.features.at[state.query, state.node].get(mode="fill", fill_value=0)  # leaves have none
    stage = jax.nn.one_hot(routing.stage(state, table), table.tree.horizon)  # 0 after the last hop
    spent = table.spent[state.query, state.node]
    mask = routing.action_mask(state, table, allow_stop)
    return jnp.concatenate([features, stage, spent[:, None]], axis=-1), mask[:, : table.tree.num_models + allow_stop]


@partial(jax.jit, static_argnames=("num_envs", "allow_stop"))
def _start(
    key: PRNGKeyArray, table: DeviceTable, num_envs: int, allow_stop: bool
) -> tuple[PRNGKeyArray, RoutingState, View]:
    query_key, key = jax.random.split(key)
    state = routing.reset(query_key, table, num_envs)
    return key, state, _view(state, table, allow_stop)


@partial(jax.jit, static_argnames="allow_stop")
def _advance(
    key: PRNGKeyArray,
    state: RoutingState,
    action: Int[Array, " B"],
    table: DeviceTable,
    weights: RewardWeights,
    allow_stop: bool,
    gamma: Scalar,
) -> tuple[PRNGKeyArray, RoutingState, Step, View, View]:
    """Step, and reset what ended; the second view is of the states before that reset."""
    query_key, key = jax.random.split(key)
    final, result = routing.step(state, action, table, weights, allow_stop, gamma)
    fresh = routing.reset(query_key, table, action.size)
    state = jax.tree.map(partial(jnp.where, result.terminated), fresh, final)
    return key, state, result, _view(state, table, allow_stop), _view(final, table, allow_stop)


def _on_host(arrays: tuple[Array, Array]) -> tuple[np.ndarray, np.ndarray]:
    """Copies, since what JAX shares is read-only and torch warns of that."""
    first, second = (np.array(array) for array in arrays)
    return first, second


def _info(mask: Bool[np.ndarray, "B A"], held: Bool[np.ndarray, " B"]) -> dict[str, Any]:
    """Gymnasium's vector infos: every key has a twin that says which environments hold it."""
    return {"action_mask": mask, "_action_mask": held}


def _final_info(
    observation: Float[np.ndarray, "B O"], mask: Bool[np.ndarray, "B A"], ended: Bool[np.ndarray, " B"]
) -> dict[str, Any]:
    final = np.full(ended.shape, None, dtype=object)
    for row in np.flatnonzero(ended):
        final[row] = observation[row]
    info = _info(mask & ended[:, None], ended.copy())
    return {"final_obs": final, "_final_obs": ended.copy(), "final_info": info, "_final_info": ended.copy()}
