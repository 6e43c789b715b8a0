"""Learned multi-hop routing of language models on replayable outcome tables."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hierrouter_jax._version import __version__
from hierrouter_jax.moved import MovedModules, renamed

if TYPE_CHECKING:
    import hierrouter_jax.quickstart as quickstart
    import hierrouter_jax.report as report
    from hierrouter_jax.agents.learner import train
    from hierrouter_jax.agents.mesh import data_mesh, replicate, shard_queries
    from hierrouter_jax.agents.optimizer import apply_gradient
    from hierrouter_jax.agents.ppo import collect as rollout
    from hierrouter_jax.bridge.collect import collect
    from hierrouter_jax.bridge.encoders import build_encoder, count_truncated
    from hierrouter_jax.bridge.grading import Verdict
    from hierrouter_jax.bridge.regrade import regrade
    from hierrouter_jax.bridge.route import route
    from hierrouter_jax.bridge.tasks import Item
    from hierrouter_jax.bundle import PolicyBundle
    from hierrouter_jax.cli.export import ExportConfig
    from hierrouter_jax.cli.export import write_bundle as export
    from hierrouter_jax.cli.import_ import ImportConfig, import_outcomes
    from hierrouter_jax.errors import InputError
    from hierrouter_jax.evaluation.paired import paired_difference
    from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at, policy_outcome
    from hierrouter_jax.hop_tree import HopTree
    from hierrouter_jax.learner_config import LearnerHyper, LearnerStatic, RewardWeights
    from hierrouter_jax.outcomes.shipped import shipped_tables as tables
    from hierrouter_jax.outcomes.store import load_table, save_table
    from hierrouter_jax.outcomes.table import Context, OutcomeTable, Query
    from hierrouter_jax.processor import use_wide_vectors
    from hierrouter_jax.quickstart_config import QuickstartConfig
    from hierrouter_jax.report.pages.run import build_report
    from hierrouter_jax.studies.calibrate import calibrate
    from hierrouter_jax.studies.compare.config import Arm, CompareConfig
    from hierrouter_jax.studies.compare.run import compare
    from hierrouter_jax.studies.evaluate import evaluate
    from hierrouter_jax.studies.leaderboard.config import LeaderboardConfig, LearnerSpec
    from hierrouter_jax.studies.leaderboard.run import leaderboard
    from hierrouter_jax.studies.transfer import transfer
    from hierrouter_jax.studies.worth import worth
    from hierrouter_jax.sweeps.draws import grid, sobol, uniform
    from hierrouter_jax.sweeps.draws import log as log_uniform
    from hierrouter_jax.sweeps.result import SweepResult, load_sweep
    from hierrouter_jax.sweeps.search.config import SweepConfig
    from hierrouter_jax.sweeps.search.run import sweep
    from hierrouter_jax.sweeps.sweep import train_many
    from hierrouter_jax.training.checkpoints import load_routers
    from hierrouter_jax.training.features import fit_features
    from hierrouter_jax.training.router import TrainedRouter
    from hierrouter_jax.training.settings import TrainConfig, static_of
    from hierrouter_jax.training.train import train_routers

# Loaded on first use, so that importing the package pulls in neither JAX nor torch. Behind a colon: its name there.
_HOME = {
    "Arm": "studies.compare.config",
    "CompareConfig": "studies.compare.config",
    "Context": "outcomes.table",
    "ExportConfig": "cli.export",
    "HopTree": "hop_tree",
    "ImportConfig": "cli.import_",
    "InputError": "errors",
    "Item": "bridge.tasks",
    "LeaderboardConfig": "studies.leaderboard.config",
    "LearnerHyper": "learner_config",
    "LearnerSpec": "studies.leaderboard.config",
    "LearnerStatic": "learner_config",
    "OutcomeTable": "outcomes.table",
    "PolicyBundle": "bundle",
    "PolicyOutcome": "evaluation.policy_outcome",
    "Query": "outcomes.table",
    "QuickstartConfig": "quickstart_config",
    "RewardWeights": "learner_config",
    "SweepConfig": "sweeps.search.config",
    "SweepResult": "sweeps.result",
    "TrainConfig": "training.settings",
    "TrainedRouter": "training.router",
    "Verdict": "bridge.grading",
    "apply_gradient": "agents.optimizer",
    "build_encoder": "bridge.encoders",
    "build_report": "report.pages.run",
    "calibrate": "studies.calibrate",
    "collect": "bridge.collect",
    "compare": "studies.compare.run",
    "count_truncated": "bridge.encoders",
    "data_mesh": "agents.mesh",
    "ending_at": "evaluation.policy_outcome",
    "evaluate": "studies.evaluate",
    "export": "cli.export:write_bundle",
    "fit_features": "training.features",
    "grid": "sweeps.draws",
    "import_outcomes": "cli.import_",
    "leaderboard": "studies.leaderboard.run",
    "load_routers": "training.checkpoints",
    "load_sweep": "sweeps.result",
    "load_table": "outcomes.store",
    "log_uniform": "sweeps.draws:log",
    "paired_difference": "evaluation.paired",
    "policy_outcome": "evaluation.policy_outcome",
    "regrade": "bridge.regrade",
    "replicate": "agents.mesh",
    "rollout": "agents.ppo:collect",
    "route": "bridge.route",
    "save_table": "outcomes.store",
    "shard_queries": "agents.mesh",
    "sobol": "sweeps.draws",
    "static_of": "training.settings",
    "sweep": "sweeps.search.run",
    "tables": "outcomes.shipped:shipped_tables",
    "train": "agents.learner",
    "train_many": "sweeps.sweep",
    "train_routers": "training.train",
    "transfer": "studies.transfer",
    "uniform": "sweeps.draws",
    "use_wide_vectors": "processor",
    "worth": "studies.worth",
}
_CALLED = ("quickstart", "report")  # modules that have a verb's name, and are called as its function

__all__ = [
    "Arm",
    "CompareConfig",
    "Context",
    "ExportConfig",
    "HopTree",
    "ImportConfig",
    "InputError",
    "Item",
    "LeaderboardConfig",
    "LearnerHyper",
    "LearnerSpec",
    "LearnerStatic",
    "OutcomeTable",
    "PolicyBundle",
    "PolicyOutcome",
    "Query",
    "QuickstartConfig",
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
    "calibrate",
    "collect",
    "compare",
    "count_truncated",
    "data_mesh",
    "ending_at",
    "evaluate",
    "export",
    "fit_features",
    "grid",
    "import_outcomes",
    "leaderboard",
    "load_routers",
    "load_sweep",
    "load_table",
    "log_uniform",
    "paired_difference",
    "policy_outcome",
    "quickstart",
    "regrade",
    "replicate",
    "report",
    "rollout",
    "route",
    "save_table",
    "shard_queries",
    "sobol",
    "static_of",
    "sweep",
    "tables",
    "train",
    "train_many",
    "train_routers",
    "transfer",
    "uniform",
    "use_wide_vectors",
    "worth",
]

sys.meta_path.append(MovedModules())


def __getattr__(name: str) -> Any:
    if name in _CALLED:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(renamed(name))
    module, _, own = _HOME[name].partition(":")
    if module == "learner_config" and "jax" in sys.modules:
        import_module(f"{__name__}.agents.types")  # makes pytrees of them, for who maps over their leaves
    return getattr(import_module(f"{__name__}.{module}"), own or name)
