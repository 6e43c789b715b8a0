"""Learned multi-hop routing of language models on replayable outcome tables."""

import sys
from importlib import import_module
from typing import Any

from hierrouter_jax._version import __version__
from hierrouter_jax.moved import MovedModules, renamed

# Loaded on first use, so that importing the package pulls in neither JAX nor torch. Behind a colon: its name there.
_HOME = {
    "Arm": "studies.compare.config",
    "CompareConfig": "studies.compare.config",
    "Context": "outcomes.table",
    "Decision": "outcomes.decision_log",
    "DecisionLog": "outcomes.decision_log",
    "Episodes": "outcomes.episodes",
    "EstimateConfig": "cli.estimate",
    "ExportConfig": "cli.export",
    "HopTree": "hop_tree",
    "ImportConfig": "cli.import_",
    "InputError": "errors",
    "Item": "bridge.tasks",
    "LeaderboardConfig": "studies.leaderboard.config",
    "LearnerHyper": "learner_config",
    "LearnerSpec": "studies.leaderboard.config",
    "LearnerStatic": "learner_config",
    "NGramEncoder": "outcomes.ngrams",
    "LogOptions": "outcomes.decision_log",
    "LogWriter": "outcomes.decision_log",
    "LoopConfig": "cli.loop",
    "OutcomeTable": "outcomes.table",
    "PolicyBundle": "bundle",
    "PolicyOutcome": "evaluation.policy_outcome",
    "PricedModel": "outcomes.pricing",
    "Query": "outcomes.table",
    "QuickstartConfig": "quickstart_config",
    "RewardWeights": "learner_config",
    "Router": "serve.router",
    "ServeConfig": "serve.settings",
    "SimulateConfig": "cli.simulate",
    "SweepConfig": "sweeps.search.config",
    "SweepResult": "sweeps.result",
    "TorchPolicy": "bridge.torch_policy",
    "TrainConfig": "training.settings",
    "TrainedRouter": "training.router",
    "Traffic": "studies.traffic",
    "Verdict": "bridge.grading",
    "apply_gradient": "agents.optimizer",
    "build_encoder": "bridge.encoders",
    "build_report": "report.pages.run",
    "calibrate": "studies.calibrate",
    "check_episodes": "outcomes.log_health",
    "collect": "bridge.collect",
    "compare": "studies.compare.run",
    "count_truncated": "bridge.encoders",
    "data_mesh": "agents.mesh",
    "decision_contexts": "outcomes.coverage",
    "ending_at": "evaluation.policy_outcome",
    "episodes_of": "outcomes.episodes",
    "estimate": "cli.estimate:estimate_log",
    "evaluate": "studies.evaluate",
    "export": "cli.export:write_bundle",
    "fit_features": "training.features",
    "grid": "sweeps.draws",
    "import_log": "cli.import_",
    "import_outcomes": "cli.import_",
    "jax_policy": "training.policy_program",
    "leaderboard": "studies.leaderboard.run",
    "load_routers": "training.checkpoints",
    "load_sweep": "sweeps.result",
    "load_table": "outcomes.store",
    "log_uniform": "sweeps.draws:log",
    "loop": "cli.loop:play_loop",
    "paired_difference": "evaluation.paired",
    "policy_outcome": "evaluation.policy_outcome",
    "pool_agnostic": "studies.pool_agnostic",
    "propensity_check": "outcomes.decision_log",
    "read_log": "outcomes.decision_log",
    "regrade": "bridge.regrade",
    "replay_log": "outcomes.decision_log:replay",
    "replicate": "agents.mesh",
    "rollout": "agents.ppo:collect",
    "route": "bridge.route",
    "save_table": "outcomes.store",
    "shard_queries": "agents.mesh",
    "sign": "sums",
    "simulate": "cli.simulate:write_simulation",
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
    "write_log": "outcomes.decision_log",
}
_CALLED = ("quickstart", "report", "serve")  # modules that have a verb's name, and are called as its function

__all__ = [*_HOME, *_CALLED, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]

sys.meta_path.insert(0, MovedModules())


def __getattr__(name: str) -> Any:
    if name in _CALLED:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(renamed(name))
    module, _, own = _HOME[name].partition(":")
    if module == "learner_config" and "jax" in sys.modules:
        import_module(f"{__name__}.agents.types")  # makes pytrees of them, for who maps over their leaves
    return getattr(import_module(f"{__name__}.{module}"), own or name)
