"""The gymnax environment against the host table and against exact evaluation."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.envs.gymnax_env import EnvParams, EnvState, FiveValueEnv, RoutingEnv
from hierrouter_jax.envs.routing import decision_masks, start
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.exact import expected_return
from tests.envs.test_gym_vector import WEIGHTS, SlowEpisode, on_device
from tests.tables import random_table


def at_query(env: RoutingEnv, params: EnvParams, query: int) -> tuple[np.ndarray, EnvState]:
    """The observation and the state at the root of one query."""
    state = EnvState(start(jnp.asarray(query)), jnp.zeros((), jnp.int32))
    return np.asarray(env.observe(state, params)), state


@pytest.mark.parametrize("allow_stop", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_it_is_the_host_table_step_by_step(allow_stop, missing):
    table = random_table(queries=8, missing=missing)
    env, slow = RoutingEnv(on_device(table), allow_stop), SlowEpisode(table, allow_stop)
    params, rng = EnvParams(on_device(table), WEIGHTS), np.random.default_rng(1)
    for query in range(table.num_queries):
        observation, state = at_query(env, params, query)
        expected, _ = slow.reset(options={"query": query})
        done = False
        while not done:
            np.testing.assert_allclose(observation[: -env.num_actions], expected, rtol=1e-5)
            assert (np.asarray(env.mask(observation)) == slow.mask()).all()
            action = int(rng.integers(env.num_actions))
            expected, reward, done, _, _ = slow.step(action)
            fresh, state, its_reward, terminated, truncated, info = env.step(
                jax.random.key(3), state, jnp.asarray(action), params
            )
            observation = np.asarray(info["final_observation"])
            assert (bool(terminated), bool(truncated)) == (done, False)
            assert float(its_reward) == pytest.approx(reward, abs=1e-6)
        np.testing.assert_allclose(observation[: -env.num_actions], expected, rtol=1e-5)
        assert int(state.time) == 0
        np.testing.assert_array_equal(fresh, env.reset(jax.random.key(3), params)[0])


@pytest.mark.parametrize("action", [-1, 3, 4, 2**31 - 1, -(2**31)])
def test_what_is_no_action_ends_the_episode_for_nothing(action):
    env = RoutingEnv(on_device(random_table()), allow_stop=False)
    params = EnvParams(on_device(random_table()), WEIGHTS)
    _, state = env.reset(jax.random.key(0), params)
    _, _, reward, terminated, _, info = env.step(jax.random.key(1), state, jnp.asarray(action), params)
    assert (float(reward), bool(terminated), float(info["discount"])) == (0.0, True, 0.0)


@pytest.mark.parametrize("allow_stop", [False, True])
def test_mean_return_of_random_play_is_the_exact_one(allow_stop):
    table = on_device(random_table(queries=5))
    env, params = RoutingEnv(table, allow_stop), EnvParams(table, WEIGHTS)

    def episode(key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 2 * table.tree.horizon + 1)
        observation, state = env.reset(keys[0], params)

        def body(carry, keys):
            observation, state, done = carry
            action = jax.random.categorical(keys[0], jnp.log(env.mask(observation)))
            observation, state, reward, ended, _, _ = env.step(keys[1], state, action, params)
            return (observation, state, done | ended), jnp.where(done, 0.0, reward)

        steps = keys[1:].reshape(table.tree.horizon, 2)
        return jax.lax.scan(body, (observation, state, jnp.zeros((), bool)), steps)[1].sum()

    returns = np.asarray(jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(2), 20_000)))
    mask = decision_masks(table, allow_stop)
    exact = expected_return(mask / mask.sum(axis=-1, keepdims=True), table, WEIGHTS).mean()
    assert abs(returns.mean() - exact) < 4 * returns.std() / len(returns) ** 0.5


def test_tables_of_one_shape_share_one_program():
    env = RoutingEnv(on_device(random_table()))

    @jax.jit
    @chex.assert_max_traces(n=1)
    def begin(key: jax.Array, table: DeviceTable) -> jax.Array:
        return env.reset(key, EnvParams(table))[0]

    first, second = (begin(jax.random.key(0), on_device(random_table(seed=seed))) for seed in (0, 1))
    assert first.shape == second.shape


def test_the_older_interface_has_five_values_and_the_rest_of_the_environment():
    env = FiveValueEnv(RoutingEnv(on_device(random_table()), allow_stop=True))
    params = env.default_params
    _, state = env.reset(jax.random.key(0), params)
    observation, state, _, done, info = env.step(jax.random.key(1), state, jnp.asarray(0), params)
    assert (env.num_actions, bool(done), info["action_mask"].shape) == (4, False, (4,))
    assert observation.shape == (2 + 3 + 1 + 4,)


def test_spaces_are_those_of_gymnax():
    spaces = pytest.importorskip("gymnax.environments.spaces", reason="gymnax is not installed")
    env = RoutingEnv(on_device(random_table()))
    observation, _ = env.reset(jax.random.key(0))
    assert isinstance(env.action_space(), spaces.Discrete)
    assert env.action_space().n == 3
    assert env.observation_space().shape == observation.shape
    assert bool(env.observation_space().contains(observation))


def test_without_gymnax_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gymnax.environments", None)
    with pytest.raises(InputError, match=r"pip install 'hierrouter_jax\[gymnax\]'"):
        RoutingEnv(on_device(random_table())).action_space()
