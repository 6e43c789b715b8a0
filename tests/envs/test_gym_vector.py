"""The vector environment against the host table, Gymnasium's own rules and its `SyncVectorEnv`."""

import warnings
from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils import passive_env_checker as passive
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from hierrouter_jax.envs.gym_vector import RoutingVectorEnv
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.tables import random_table

WEIGHTS = RewardWeights(terminal_quality=1.0, hop_cost=0.05, quality_gain=0.3, damage=0.2)
NORMALISER = 2.0
NUM_ENVS = 16


def on_device(table: OutcomeTable) -> DeviceTable:
    """A table whose features are the query and the decision node, for tests to know where an episode is."""
    shape = (table.num_queries, table.tree.num_decision_nodes)
    return device_table(table, np.stack(np.indices(shape), axis=-1).astype(np.float32), NORMALISER)


class SlowEpisode(gymnasium.Env):
    """One episode on the host table, in plain Python, of the query that `reset` is given."""

    def __init__(self, table: OutcomeTable, allow_stop: bool) -> None:
        self.table, self.allow_stop, self.stop = table, allow_stop, table.tree.num_models
        self.observation_space = spaces.Box(-np.inf, np.inf, (2 + table.tree.horizon + 1,), np.float32)
        self.action_space = spaces.Discrete(self.stop + allow_stop)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.query, self.node, self.done = (options or {}).get("query", 0), 0, False
        return self.observe()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        reward, before = 0.0, float(self.table.quality[self.query, self.node])
        if not self.mask()[action]:
            self.done = True
        elif action == self.stop:
            self.done, reward = True, before
        else:
            self.node = int(self.table.tree.child(self.node, action))
            after, self.done = float(self.table.quality[self.query, self.node]), not self.children()
            reward = self.done * after + 0.3 * (after - before) - 0.2 * (before >= 0.5 > after)
            reward -= 0.05 * self.table.cost[self.query, self.node] / NORMALISER
        observation, info = self.observe()
        return observation, reward, self.done, False, info

    def children(self) -> list[int]:
        tree, available = self.table.tree, self.table.available[self.query]
        decides = self.node < tree.num_decision_nodes
        return [m for m in range(tree.num_models) if decides and available[tree.child(self.node, m)]]

    def mask(self) -> np.ndarray:
        mask = np.zeros(self.action_space.n, bool)
        if not self.done:
            mask[self.children()] = True
        if self.allow_stop:
            mask[self.stop] = self.done or self.node > 0
        return mask

    def observe(self) -> tuple[np.ndarray, dict]:
        tree = self.table.tree
        observation = np.zeros(self.observation_space.shape, np.float32)
        if self.node < tree.num_decision_nodes:
            observation[:2] = self.query, self.node
            observation[2 + len(tree.route(self.node))] = 1
        observation[-1] = sum(self.table.cost[self.query, n] for n in tree.path(self.node)) / NORMALISER
        return observation, {"action_mask": self.mask()}


@pytest.mark.parametrize("allow_stop", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_every_step_is_what_a_walk_of_the_table_gives(allow_stop, missing):
    """Rewards, ends, observations and masks, the final ones too; one action in ten is drawn without the mask."""
    table, rng = random_table(queries=9, missing=missing), np.random.default_rng(0)
    env = RoutingVectorEnv(on_device(table), NUM_ENVS, WEIGHTS, allow_stop, seed=1)
    walks = [SlowEpisode(table, allow_stop) for _ in range(NUM_ENVS)]
    observation, info = env.reset()

    def follow(row: int) -> None:
        """Start the slow episode on the query that was drawn, and see that it is at the root."""
        expected, expected_info = walks[row].reset(options={"query": int(observation[row, 0])})
        np.testing.assert_array_equal(observation[row], expected)
        np.testing.assert_array_equal(info["action_mask"][row], expected_info["action_mask"])

    for row in range(NUM_ENVS):
        follow(row)
    for _ in range(30):
        legal = [rng.choice(np.flatnonzero(mask)) for mask in info["action_mask"]]
        action = np.where(rng.random(NUM_ENVS) < 0.1, rng.integers(env.single_action_space.n, size=NUM_ENVS), legal)
        observation, reward, terminated, truncated, info = env.step(action)
        assert not truncated.any()
        assert ("final_obs" in info) == terminated.any()
        for row, walk in enumerate(walks):
            expected, expected_reward, done, _, expected_info = walk.step(int(action[row]))
            assert reward[row] == pytest.approx(expected_reward, abs=1e-5)
            assert terminated[row] == done
            seen, mask = observation[row], info["action_mask"][row]
            if done:
                seen, mask = info["final_obs"][row], info["final_info"]["action_mask"][row]
                follow(row)
            np.testing.assert_allclose(seen, expected, rtol=1e-5)
            np.testing.assert_array_equal(mask, expected_info["action_mask"])


def test_the_infos_are_built_as_gymnasium_builds_them():
    """Same keys, shapes, types and presence masks as its own same-step vector environment, ends unequal in time."""
    table = random_table(queries=1)
    ours = RoutingVectorEnv(on_device(table), 3, WEIGHTS, allow_stop=True)
    theirs = SyncVectorEnv([lambda: SlowEpisode(table, True)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    assert_same(ours.reset(seed=0)[1], theirs.reset(seed=0)[1])
    for actions in ([0, 1, 2], [3, 0, 1], [2, 3, 1], [1, 1, 0]):
        mine, other = ours.step(np.array(actions)), theirs.step(np.array(actions))
        for left, right in zip(mine[:4], other[:4], strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-5)
        assert_same(mine[4], other[4])


def assert_same(ours, theirs) -> None:
    """Equal, and of equal type, down the nested infos."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert set(ours) == set(theirs)
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif ours is not None and ours.dtype == theirs.dtype == object:
        for left, right in zip(ours, theirs, strict=True):
            assert_same(left, right)
    elif ours is not None:
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, strict=True)


@pytest.mark.parametrize("allow_stop", [False, True])
def test_the_spaces_are_the_batched_single_ones(allow_stop):
    env = RoutingVectorEnv(on_device(random_table(models=3, horizon=2)), NUM_ENVS, allow_stop=allow_stop)
    assert env.single_action_space == spaces.Discrete(4 if allow_stop else 3)
    assert env.single_observation_space.shape == (2 + 2 + 1,)
    assert env.single_observation_space.dtype == np.float32
    assert env.action_space == batch_space(env.single_action_space, NUM_ENVS)
    assert env.observation_space == batch_space(env.single_observation_space, NUM_ENVS)


def test_gymnasium_has_nothing_to_complain_of():
    """Its passive checks that hold for vector environments, with every warning an error."""
    env = RoutingVectorEnv(on_device(random_table()), NUM_ENVS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for space in (env.single_observation_space, env.observation_space):
            passive.check_observation_space(space)
        for space in (env.single_action_space, env.action_space):
            passive.check_action_space(space)
        timesteps = [passive.env_reset_passive_checker(env, seed=3)]
        for _ in range(5):
            observation, *_, info = env.step(env.action_space.sample())
            passive.check_obs(observation, env.observation_space, "step")
            assert observation.flags.writeable  # or torch warns
            for final in info.get("final_obs", []):
                passive.check_obs(final, env.single_observation_space, "step")
            timesteps.append((observation, info))
        for before, after in pairwise(timesteps):
            passive.env_data_reuse_passive_checker(before, after, "step", "step")


def test_gymnasiums_statistics_see_whole_episodes():
    table = random_table(horizon=3)
    env = RecordEpisodeStatistics(RoutingVectorEnv(on_device(table), NUM_ENVS, WEIGHTS))
    env.reset()
    rewards = [env.step(np.full(NUM_ENVS, hop))[1] for hop in (0, 1, 2, 2, 1, 0)]
    assert set(env.length_queue) == {3}
    np.testing.assert_allclose(env.return_queue, np.concatenate([sum(rewards[:3]), sum(rewards[3:])]), rtol=1e-4)


def test_a_seed_repeats_the_stream_of_queries():
    device = on_device(random_table(queries=50))

    def queries(env: RoutingVectorEnv, seed: int | None) -> list:
        seen = [env.reset(seed=seed)[0]]
        seen += [env.step(np.zeros(NUM_ENVS, int))[0] for _ in range(device.tree.horizon * 2)]
        return np.stack(seen).tolist()

    env = RoutingVectorEnv(device, NUM_ENVS, seed=5)
    first = queries(env, None)
    assert queries(env, None) != first
    assert queries(env, 5) == first
    assert queries(RoutingVectorEnv(device, NUM_ENVS), 5) == first
    assert queries(RoutingVectorEnv(device, NUM_ENVS), None) == queries(env, 0)
    assert queries(env, 6) != first


@pytest.mark.parametrize("allow_stop", [False, True])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint64, object])
def test_any_integer_that_is_no_action_ends_the_episode_with_nothing(allow_stop, dtype):
    """Negative ones do not count from the end, and large ones do not wrap around to small ones."""
    table = random_table(queries=6)
    none = [3, 4, 5, 2**31 - 1] if not allow_stop else [4, 5, 6, 2**31 - 1]
    none += [-1, -2, -3, -4, -(2**31)] if dtype is not np.uint64 else [2**63, 2**64 - 1, 2**32, 2**32 + 1]
    none += [2**32, 2**32 + 1, 2**40 + 2, -(2**32) + 1] if dtype is np.int64 else []
    none += [10**30, -(10**30)] if dtype is object else []
    env = RoutingVectorEnv(on_device(table), len(none) + 1, WEIGHTS, allow_stop)
    env.reset(seed=1)
    _, reward, terminated, _, info = env.step(np.array([*none, 0], dtype=dtype))
    assert (reward[:-1] == 0).all()
    assert terminated[:-1].all()
    assert not terminated[-1], "a legal action goes on"
    assert np.array_equal(info["_final_obs"], terminated)


@pytest.mark.parametrize(
    "actions", [np.zeros(4), np.zeros(4, bool), np.zeros(3, int), np.zeros((4, 1), int), 0, ["0"] * 4, [None] * 4]
)
def test_what_is_no_row_of_whole_numbers_is_refused(actions):
    env = RoutingVectorEnv(on_device(random_table()), 4)
    env.reset(seed=0)
    with pytest.raises((ValueError, TypeError)):
        env.step(actions)


def test_what_reset_is_given_is_named_as_gymnasium_names_it():
    env = RoutingVectorEnv(on_device(random_table()), NUM_ENVS)
    assert env.reset(seed=3)[0].shape[0] == NUM_ENVS
    with pytest.raises(TypeError, match="positional"):
        env.reset(3)
