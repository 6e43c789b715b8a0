"""Tasks: benchmarks that a pool can be collected on."""

from hierrouter_jax.bridge.tasks.config import MixConfig, TaskConfig, load_mix, load_task
from hierrouter_jax.bridge.tasks.items import Item, choices
from hierrouter_jax.bridge.tasks.mix import TaskQueries, draw_mix

__all__ = ["Item", "MixConfig", "TaskConfig", "TaskQueries", "choices", "draw_mix", "load_mix", "load_task"]
