"""Learned multi-hop routing of language models on replayable outcome tables."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hierrouter_jax._version import __version__

if TYPE_CHECKING:
    from hierrouter_jax.agents.learner import train
    from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
    from hierrouter_jax.bridge.collect import collect
    from hierrouter_jax.bridge.route import route
    from hierrouter_jax.bundle import PolicyBundle
    from hierrouter_jax.errors import InputError
    from hierrouter_jax.experiments.evaluate import evaluate
    from hierrouter_jax.experiments.features import fit_features
    from hierrouter_jax.experiments.search.config import SweepConfig
    from hierrouter_jax.experiments.search.run import search
    from hierrouter_jax.experiments.sweep import sweep
    from hierrouter_jax.experiments.sweep_result import SweepResult, load_sweep
    from hierrouter_jax.experiments.train import TrainConfig, train_routers
    from hierrouter_jax.hop_tree import HopTree
    from hierrouter_jax.outcomes.store import load_table, save_table
    from hierrouter_jax.outcomes.table import OutcomeTable, Query

# Loaded on first use, so that importing the package pulls in neither JAX nor torch.
_HOME = {
    "HopTree": "hop_tree",
    "InputError": "errors",
    "LearnerHyper": "agents.types",
    "LearnerStatic": "agents.types",
    "OutcomeTable": "outcomes.table",
    "PolicyBundle": "bundle",
    "Query": "outcomes.table",
    "SweepConfig": "experiments.search.config",
    "SweepResult": "experiments.sweep_result",
    "TrainConfig": "experiments.train",
    "collect": "bridge.collect",
    "evaluate": "experiments.evaluate",
    "fit_features": "experiments.features",
    "load_sweep": "experiments.sweep_result",
    "load_table": "outcomes.store",
    "route": "bridge.route",
    "save_table": "outcomes.store",
    "search": "experiments.search.run",
    "sweep": "experiments.sweep",
    "train": "agents.learner",
    "train_routers": "experiments.train",
}

__all__ = [
    "HopTree",
    "InputError",
    "LearnerHyper",
    "LearnerStatic",
    "OutcomeTable",
    "PolicyBundle",
    "Query",
    "SweepConfig",
    "SweepResult",
    "TrainConfig",
    "__version__",
    "collect",
    "evaluate",
    "fit_features",
    "load_sweep",
    "load_table",
    "route",
    "save_table",
    "search",
    "sweep",
    "train",
    "train_routers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hierrouter_jax' has no attribute {name!r}")
    return getattr(import_module(f"hierrouter_jax.{_HOME[name]}"), name)
