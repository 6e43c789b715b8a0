"""Stable-Baselines3's PPO (Raffin et al. 2021) on three environments: ours behind an adapter, numpy's, a plain loop.

python -m scripts.opponents.sb3 adapter --steps 1000000 --features 384
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jsonargparse import auto_cli
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from torch import Tensor, nn

from scripts.opponents.opponent import trainer
from scripts.opponents.problem import Problem, Settings

DUMMY_ENVS = 64


class Trunk(BaseFeaturesExtractor):
    """The shared tanh layers; given as `net_arch`, policy and value would each have their own."""

    def __init__(self, observation_space: spaces.Box, hidden: tuple[int, int]) -> None:
        first, second = hidden
        super().__init__(observation_space, second)
        size = observation_space.shape[0]
        self.layers = nn.Sequential(nn.Linear(size, first), nn.Tanh(), nn.Linear(first, second), nn.Tanh())

    def forward(self, observations: Tensor) -> Tensor:
        return self.layers(observations)


class BatchedEnv(VecEnv):
    """What Stable-Baselines3 asks of a vector environment that is not made of single ones.

    Its PPO never sets an attribute of single environments nor calls their methods, of which there are none.
    """

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class AdapterEnv(BatchedEnv):
    """Any Gymnasium vector environment with autoreset in the same step."""

    def __init__(self, env: gymnasium.vector.VectorEnv) -> None:
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> np.ndarray:
        return self.env.reset()[0]

    def step_wait(self) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(self.actions)
        infos: list[dict] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(terminated | truncated):
            infos[row]["terminal_observation"] = info["final_obs"][row]
        return observation, reward, terminated | truncated, infos


class NumpyEnv(BatchedEnv):
    """All episodes at once, as numpy indices into the table."""

    def __init__(self, problem: Problem, num_envs: int, seed: int) -> None:
        self.problem, self.rng = problem, np.random.default_rng(seed)
        observation_space, action_space = problem_spaces(problem)
        self.nothing = np.zeros(problem.observations.shape[-1], np.float32)  # of the end; nobody looks at it
        super().__init__(num_envs, observation_space, action_space)

    def reset(self) -> np.ndarray:
        self.query = self.rng.integers(0, self.problem.num_queries, self.num_envs)
        self.node = np.zeros_like(self.query)
        return self.problem.observations[self.query, self.node]

    def step_wait(self) -> Any:
        tree = self.problem.tree
        node = tree.child(self.node, self.actions)
        reward = self.problem.rewards[self.query, node]
        done = node >= tree.num_decision_nodes
        fresh = self.rng.integers(0, self.problem.num_queries, self.num_envs)
        self.query, self.node = np.where(done, fresh, self.query), np.where(done, 0, node)
        infos = [{"terminal_observation": self.nothing} if ended else {} for ended in done]
        return self.problem.observations[self.query, self.node], reward, done, infos


class ScalarEnv(gymnasium.Env):
    """One episode, as a user would write it first."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.observation_space, self.action_space = problem_spaces(problem)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.query, self.node = int(self.np_random.integers(self.problem.num_queries)), 0
        return self.problem.observations[self.query, self.node], {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        tree = self.problem.tree
        self.node = tree.child(self.node, int(action))
        done = self.node >= tree.num_decision_nodes
        seen = self.problem.observations[self.query]
        observation = np.zeros_like(seen[0]) if done else seen[self.node]
        return observation, float(self.problem.rewards[self.query, self.node]), done, False, {}


def problem_spaces(problem: Problem) -> tuple[spaces.Box, spaces.Discrete]:
    size = problem.observations.shape[-1]
    return spaces.Box(-np.inf, np.inf, (size,), np.float32), spaces.Discrete(problem.tree.num_models)


class StableBaselines:
    """The opponent on a given environment, on the CPU as Stable-Baselines3 advises for small networks."""

    def __init__(self, env: VecEnv, problem: Problem, settings: Settings, seed: int) -> None:
        self.steps_per_update = settings.num_envs * problem.tree.horizon
        self.model = PPO(
            "MlpPolicy",
            env,
            learning_rate=settings.learning_rate,
            n_steps=self.steps_per_update // env.num_envs,
            batch_size=self.steps_per_update // settings.minibatches,
            n_epochs=settings.epochs,
            gamma=settings.gamma,
            gae_lambda=settings.gae_lambda,
            clip_range=settings.clip,
            ent_coef=settings.entropy,
            vf_coef=settings.value_coefficient / 2,  # its value loss lacks the others' factor of a half
            max_grad_norm=settings.max_grad_norm,
            policy_kwargs={
                "features_extractor_class": Trunk,
                "features_extractor_kwargs": {"hidden": settings.hidden},
                "net_arch": [],
            },
            seed=seed,
            device="cpu",
        )
        self._episodes = settings.num_envs

    def update(self) -> None:
        self.model.learn(self.steps_per_update, log_interval=None, reset_num_timesteps=False)  # type: ignore[arg-type]

    def mean_return(self) -> float:
        return float(self.model.rollout_buffer.rewards.sum()) / self._episodes


class Adapter(StableBaselines):
    """On our environment."""

    name = "sb3_adapter"

    def __init__(self, problem: Problem, settings: Settings, seed: int) -> None:
        from hierrouter_jax.envs.gym_vector import RoutingVectorEnv

        env = RoutingVectorEnv(problem.on_device(), settings.num_envs, seed=seed)
        super().__init__(AdapterEnv(env), problem, settings, seed)


class Numpy(StableBaselines):
    """On arrays."""

    name = "sb3_numpy"

    def __init__(self, problem: Problem, settings: Settings, seed: int) -> None:
        super().__init__(NumpyEnv(problem, settings.num_envs, seed), problem, settings, seed)


class Dummy(StableBaselines):
    """On a plain loop over single environments, which play several episodes a rollout."""

    name = "sb3_dummy"

    def __init__(self, problem: Problem, settings: Settings, seed: int) -> None:
        env = DummyVecEnv([lambda: ScalarEnv(problem)] * min(DUMMY_ENVS, settings.num_envs))
        super().__init__(env, problem, settings, seed)


if __name__ == "__main__":
    auto_cli({"adapter": trainer(Adapter), "numpy": trainer(Numpy), "dummy": trainer(Dummy)}, as_positional=False)
