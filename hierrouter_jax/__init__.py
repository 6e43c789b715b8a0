"""Learned multi-hop routing of language models on replayable outcome tables."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hierrouter_jax._version import __version__

if TYPE_CHECKING:
    from hierrouter_jax.agents.learner import train
    from hierrouter_jax.agents.mesh import data_mesh, replicate, shard_queries
    from hierrouter_jax.agents.optimizer import apply_gradient
    from hierrouter_jax.agents.ppo import collect as rollout
    from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
    from hierrouter_jax.bridge.collect import collect
    from hierrouter_jax.bridge.encoders import build_encoder, count_truncated
    from hierrouter_jax.bridge.grading import Verdict
    from hierrouter_jax.bridge.route import route
    from hierrouter_jax.bridge.tasks import Item
    from hierrouter_jax.bundle import PolicyBundle
    from hierrouter_jax.envs.rewards import RewardWeights
    from hierrouter_jax.errors import InputError
    from hierrouter_jax.evaluation.intervals import paired_difference
    from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at, policy_outcome
    from hierrouter_jax.hop_tree import HopTree
    from hierrouter_jax.outcomes.store import load_table, save_table
    from hierrouter_jax.outcomes.table import Context, OutcomeTable, Query
    from hierrouter_jax.processor import use_wide_vectors
    from hierrouter_jax.report.pages.run import build_report
    from hierrouter_jax.studies.compare import Arm, CompareConfig, compare
    from hierrouter_jax.studies.evaluate import evaluate
    from hierrouter_jax.sweeps.draws import grid, sobol, uniform
    from hierrouter_jax.sweeps.draws import log as log_uniform
    from hierrouter_jax.sweeps.result import SweepResult, load_sweep
    from hierrouter_jax.sweeps.search.config import SweepConfig
    from hierrouter_jax.sweeps.search.run import search
    from hierrouter_jax.sweeps.sweep import sweep
    from hierrouter_jax.training.checkpoints import load_routers
    from hierrouter_jax.training.features import fit_features
    from hierrouter_jax.training.router import TrainedRouter, static_of
    from hierrouter_jax.training.train import TrainConfig, train_routers

# Loaded on first use, so that importing the package pulls in neither JAX nor torch. Behind a colon: its name there.
_HOME = {
    "Arm": "studies.compare",
    "CompareConfig": "studies.compare",
    "Context": "outcomes.table",
    "HopTree": "hop_tree",
    "InputError": "errors",
    "Item": "bridge.tasks",
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
    "Verdict": "bridge.grading",
    "apply_gradient": "agents.optimizer",
    "build_encoder": "bridge.encoders",
    "build_report": "report.pages.run",
    "collect": "bridge.collect",
    "compare": "studies.compare",
    "count_truncated": "bridge.encoders",
    "data_mesh": "agents.mesh",
    "ending_at": "evaluation.policy_outcome",
    "evaluate": "studies.evaluate",
    "fit_features": "training.features",
    "grid": "sweeps.draws",
    "load_routers": "training.checkpoints",
    "load_sweep": "sweeps.result",
    "load_table": "outcomes.store",
    "log_uniform": "sweeps.draws:log",
    "paired_difference": "evaluation.intervals",
    "policy_outcome": "evaluation.policy_outcome",
    "replicate": "agents.mesh",
    "rollout": "agents.ppo:collect",
    "route": "bridge.route",
    "save_table": "outcomes.store",
    "search": "sweeps.search.run",
    "shard_queries": "agents.mesh",
    "sobol": "sweeps.draws",
    "static_of": "training.router",
    "sweep": "sweeps.sweep",
    "train": "agents.learner",
    "train_routers": "training.train",
    "uniform": "sweeps.draws",
    "use_wide_vectors": "processor",
}

__all__ = [
    "Arm",
    "CompareConfig",
    "Context",
    "HopTree",
    "InputError",
    "Item",
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
    "Verdict",
    "__version__",
    "apply_gradient",
    "build_encoder",
    "build_report",
    "collect",
    "compare",
    "count_truncated",
    "data_mesh",
    "ending_at",
    "evaluate",
    "fit_features",
    "grid",
    "load_routers",
    "load_sweep",
    "load_table",
    "log_uniform",
    "paired_difference",
    "policy_outcome",
    "replicate",
    "rollout",
    "route",
    "save_table",
    "search",
    "shard_queries",
    "sobol",
    "static_of",
    "sweep",
    "train",
    "train_routers",
    "uniform",
    "use_wide_vectors",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hierrouter_jax' has no attribute {name!r}")
    module, _, own = _HOME[name].partition(":")
    return getattr(import_module(f"hierrouter_jax.{module}"), own or name)
