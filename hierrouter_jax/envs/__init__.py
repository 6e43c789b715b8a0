"""The routing environment: pure functions of a table on the device, and its adapter for gymnasium."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierrouter_jax.envs.gym_vector import RoutingVectorEnv
    from hierrouter_jax.envs.rewards import Hop, RewardWeights
    from hierrouter_jax.envs.routing import action_mask, entering_rewards, reset, stage, start, step
    from hierrouter_jax.envs.types import DeviceTable, RoutingState, Step, device_table

# Loaded on first use: the adapter needs gymnasium, which nothing else does.
_HOME = {
    "DeviceTable": "types",
    "Hop": "rewards",
    "RewardWeights": "rewards",
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
    "Hop",
    "RewardWeights",
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
