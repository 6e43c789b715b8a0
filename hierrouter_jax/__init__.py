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
    from hierrouter_jax.envs.rewards import RewardWeights
    from hierrouter_jax.errors import InputError
    from hierrouter_jax.evaluation.paired import paired_difference
    from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at, policy_outcome
    from hierrouter_jax.hop_tree import HopTree
    from hierrouter_jax.outcomes.store import load_table, save_table
    from hierrouter_jax.outcomes.table import OutcomeTable, Query
    from hierrouter_jax.report.pages.run import build_report
    from hierrouter_jax.studies.evaluate import evaluate
    from hierrouter_jax.sweeps.result import SweepResult, load_sweep
    from hierrouter_jax.sweeps.search.config import SweepConfig
    from hierrouter_jax.sweeps.search.run import search
    from hierrouter_jax.sweeps.sweep import sweep
    from hierrouter_jax.training.checkpoints import load_routers
    from hierrouter_jax.training.features import fit_features
    from hierrouter_jax.training.router import TrainedRouter, static_of
    from hierrouter_jax.training.train import TrainConfig, train_routers

# Loaded on first use, so that importing the package pulls in neither JAX nor torch.
_HOME = {
    "HopTree": "hop_tree",
    "InputError": "errors",
    "LearnerHyper": "agents.types",
    "LearnerStatic": "agents.types",
    "OutcomeTable": "outcomes.table",
    "PolicyBundle": "bundle",
    "PolicyOutcome": "evaluation.policy_outcome",
    "Query": "outcomes.table",
    "RewardWeights": "envs.rewards",
    "SweepConfig": "sweeps.search.config",
    "SweepResult": "sweeps.result",
    "TrainConfig": "training.train",
    "TrainedRouter": "training.router",
    "build_report": "report.pages.run",
    "collect": "bridge.collect",
    "ending_at": "evaluation.policy_outcome",
    "evaluate": "studies.evaluate",
    "fit_features": "training.features",
    "load_routers": "training.checkpoints",
    "load_sweep": "sweeps.result",
    "load_table": "outcomes.store",
    "paired_difference": "evaluation.paired",
    "policy_outcome": "evaluation.policy_outcome",
    "route": "bridge.route",
    "save_table": "outcomes.store",
    "static_of": "training.router",
    "search": "sweeps.search.run",
    "sweep": "sweeps.sweep",
    "train": "agents.learner",
    "train_routers": "training.train",
}

__all__ = [
    "HopTree",
    "InputError",
    "LearnerHyper",
    "LearnerStatic",
    "OutcomeTable",
    "PolicyBundle",
    "PolicyOutcome",
    "Query",
    "RewardWeights",
    "SweepConfig",
    "SweepResult",
    "TrainConfig",
    "TrainedRouter",
    "__version__",
    "build_report",
    "collect",
    "ending_at",
    "evaluate",
    "fit_features",
    "load_routers",
    "load_sweep",
    "load_table",
    "paired_difference",
    "policy_outcome",
    "route",
    "save_table",
    "search",
    "static_of",
    "sweep",
    "train",
    "train_routers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hierrouter_jax' has no attribute {name!r}")
    return getattr(import_module(f"hierrouter_jax.{_HOME[name]}"), name)
