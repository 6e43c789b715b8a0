"""The routing environment: pure functions of a table on the device, and its adapters for gymnasium and gymnax."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierrouter_jax.envs.gym_vector import RoutingVectorEnv
    from hierrouter_jax.envs.gymnax_env import EnvParams, EnvState, FiveValueEnv, RoutingEnv
    from hierrouter_jax.envs.rewards import Hop, RewardWeights
    from hierrouter_jax.envs.routing import action_mask, entering_rewards, reset, stage, start, step
    from hierrouter_jax.envs.types import DeviceTable, RoutingState, Step, device_table

# Loaded on first use: the adapters need gymnasium and gymnax, which nothing else does.
_HOME = {
    "DeviceTable": "types",
    "EnvParams": "gymnax_env",
    "EnvState": "gymnax_env",
    "FiveValueEnv": "gymnax_env",
    "Hop": "rewards",
    "RewardWeights": "rewards",
    "RoutingEnv": "gymnax_env",
    "RoutingState": "types",
    "RoutingVectorEnv": "gym_vector",
    "Step": "types",
    "action_mask": "routing",
    "device_table": "types",
    "entering_rewards": "routing",
    "reset": "routing",
    "stage": "routing",
    "start": "routing",
    "step": "routing",
}

__all__ = [
    "DeviceTable",
    "EnvParams",
    "EnvState",
    "FiveValueEnv",
    "Hop",
    "RewardWeights",
    "RoutingEnv",
    "RoutingState",
    "RoutingVectorEnv",
    "Step",
    "action_mask",
    "device_table",
    "entering_rewards",
    "reset",
    "stage",
    "start",
    "step",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hierrouter_jax.envs' has no attribute {name!r}")
    return getattr(import_module(f"hierrouter_jax.envs.{_HOME[name]}"), name)
