"""The opponents of the benchmark are fair: same rewards, same observations, and every one of them learns."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.routing import entering_rewards
from scripts.opponents.problem import Problem, Settings, make_problem

ROOT = Path(__file__).parent.parent
SETTINGS = Settings(num_envs=64)
OPPONENTS = {
    "purejaxrl": ("purejaxrl", "PureJaxRL"),
    "torch": ("torch_ppo", "TorchPPO"),
    "sb3_adapter": ("sb3", "Adapter"),
    "sb3_numpy": ("sb3", "Numpy"),
    "sb3_dummy": ("sb3", "Dummy"),
}
NEEDS = {"purejaxrl": "jax", "torch_ppo": "torch", "sb3": "stable_baselines3"}


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem(queries=60, models=3, horizon=3, features=8, seed=0)


@pytest.fixture(params=OPPONENTS)
def opponent(request, problem):
    module, name = OPPONENTS[request.param]
    pytest.importorskip(NEEDS[module], reason="needs the extra 'bench'")
    found = getattr(import_module(f"scripts.opponents.{module}"), name)(problem, SETTINGS, seed=0)
    assert found.name == request.param
    return found


def test_it_learns(opponent):
    """A random router reaches 1 / M less the cost of three hops, the best one 1 less that."""
    assert opponent.steps_per_update == 64 * 3
    returns = []
    for _ in range(30):
        opponent.update()
        returns.append(opponent.mean_return())
    assert returns[0] == pytest.approx(1 / 3 - 0.03, abs=0.2)
    assert np.mean(returns[-3:]) > returns[0] + 0.2
    assert max(returns) < 1


def test_the_rewards_are_the_environments(problem):
    expected = entering_rewards(problem.on_device(), RewardWeights())
    np.testing.assert_allclose(problem.rewards[:, 1:], expected[:, 1:], rtol=1e-6)


def test_the_observations_are_the_environments(problem):
    gym_vector = pytest.importorskip("hierrouter_jax.envs.gym_vector", reason="needs the extra 'gym'")
    env = gym_vector.RoutingVectorEnv(problem.on_device(), num_envs=8)
    for seen in (env.reset()[0], env.step(np.arange(8) % 3)[0], env.step(np.arange(8) // 3)[0]):
        rows = problem.observations.reshape(-1, seen.shape[-1])
        assert all(np.isclose(rows, row, atol=1e-6).all(axis=1).any() for row in seen)


def test_the_problem_can_be_solved_by_one_model_a_hop_and_by_no_single_model(problem):
    """Some route is always right for each query; no route is for all."""
    leaves = problem.quality[:, problem.tree.stage_slice(problem.tree.horizon)]
    assert (leaves.max(axis=1) == 1).all()
    assert leaves.mean(axis=0).max() < 0.7


def test_a_module_trains_in_a_fresh_process():
    pytest.importorskip("torch", reason="needs the extra 'bench'")
    sizes = ["--steps", "500", "--queries", "20", "--features", "8", "--settings.num_envs", "32"]
    command = [sys.executable, "-m", "scripts.opponents.torch_ppo", *sizes]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=300)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["name"], figures["steps"]) == ("torch", 576)
    assert figures["seconds_training"] > 0
    assert figures["seconds_compile_and_first_update"] > 0
    assert -0.1 < figures["return"] < 1
