"""Names that the package had before: who imports one is answered with the name that it has now."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PACKAGE = "hierrouter_jax"
_EMPTIED = "experiments"  # a folder of which nothing is left
# Where what a module held is now, by its new place.
_PLACES = {
    "agents.batching": "agents.episodes agents.shuffle",
    "agents.fit_prior": "agents.prior agents.warm_start",
    "agents.learner": "agents.imported",
    "agents.optimizer": "agents.optimise",
    "agents.ppo": "agents.losses",
    "baselines.planning": "baselines.predict_then_choose",
    "baselines.registry": "baselines.opponents",
    "baselines.sequences": "baselines.open_loop",
    "bridge.backends.decoding": "bridge.backends.decode",
    "bridge.backends.load": "bridge.backends.ray_workers",
    "bridge.backends.transformers": "bridge.backends.chat",
    "bridge.collect.calls": "bridge.collect.progress",
    "bridge.encoders": "bridge.collect.embed bridge.encoders.imported bridge.encoders.weights",
    "bridge.encoders.neural": "bridge.encoders.sentences bridge.encoders.transformers",
    "bridge.encoders.parts": "bridge.encoders.interface bridge.encoders.truncation",
    "bridge.forecast": "bridge.plan",
    "bridge.grading.parallel": "bridge.collect.verdicts",
    "bridge.grading.sandbox.limits": "bridge.grading.memory bridge.grading.seccomp",
    "bridge.grading.sandbox.runner": "bridge.grading.runner",
    "bridge.grading.sandbox.wire": "bridge.grading.wire",
    "bridge.grading.verdict": "bridge.grading.adapter bridge.grading.exact",
    "bridge.paid_calls": "bridge.call_shards bridge.table_calls",
    "bridge.pool.config": "bridge.pool.member",
    "bridge.pool.source": "bridge.pool.size",
    "bridge.tasks.draw": "bridge.tasks.shots",
    "bridge.tokenizers": "bridge.gguf bridge.token_counter",
    "cli.collect": "cli.collecting",
    "cli.forecast": "cli.plan",
    "cli.import_": "cli.imports cli.provenance",
    "cli.inspect_tasks": "cli.tasks",
    "cli.report": "cli.pages",
    "cli.route": "cli.live",
    "cli.sweep": "cli.search",
    "cli.train": "cli.runs",
    "cli.worth": "cli.advice",
    "envs.types": "envs.precision",
    "evaluation.intervals": "evaluation.reliable evaluation.statistics",
    "evaluation.metrics": "evaluation.field evaluation.front",
    "evaluation.paired": "evaluation.repeats",
    "evaluation.policy_outcome": "evaluation.outcome",
    "evaluation.tree_policy": "agents.tree_policy policies.table_policy",
    "files": "writing",
    "interrupts": "experiments.interrupts",
    "outcomes.importers.costs": "outcomes.importers.prices outcomes.importers.tokens",
    "outcomes.importers.evaluations": "outcomes.importers.llmrouterbench outcomes.importers.opencompass",
    "outcomes.importers.formats": "outcomes.importers.long",
    "outcomes.importers.records": "outcomes.importers.reading",
    "outcomes.importers.scales": "outcomes.importers.suspects",
    "outcomes.importers.wide": "outcomes.importers.routellm outcomes.importers.routerbench",
    "outcomes.notes": "outcomes.query_file",
    "outcomes.table": "outcomes.context",
    "policies.masking": "policies.categorical",
    "policies.network": "policies.imported",
    "quickstart": "experiments.quickstart",
    "report": "experiments.report",
    "studies.calibrate": "experiments.calibrate",
    "studies.compare": "experiments.compare",
    "studies.evaluate": "experiments.evaluate experiments.external experiments.front",
    "studies.leaderboard": "experiments.leaderboard",
    "studies.partial": "experiments.partial",
    "studies.transfer": "experiments.out_of_distribution",
    "studies.worth": "experiments.worth",
    "sweeps.draws": "experiments.draws experiments.hypers",
    "sweeps.folder": "experiments.sweep_folder",
    "sweeps.layouts": "experiments.layouts",
    "sweeps.members": "experiments.members",
    "sweeps.result": "experiments.sweep_result",
    "sweeps.search": "experiments.search",
    "sweeps.sweep": "experiments.sweep experiments.sweep_source",
    "sweeps.workers": "experiments.workers",
    "tiny": "bridge.tiny",
    "training.checkpoints": "experiments.checkpoints experiments.steps",
    "training.checks": "experiments.budgets experiments.rewards",
    "training.features": "experiments.features",
    "training.router": "experiments.routers",
    "training.run_folder": "experiments.identity experiments.run_folder",
    "training.tracking": "experiments.tracking",
    "training.train": "experiments.train",
}
MOVED = {old: new for new, olds in _PLACES.items() for old in olds.split()}
RENAMED = {"search": "sweep"}  # names of the package itself


def renamed(name: str) -> str:
    """The sentence about a name of the package that is unknown, with the new name where it has one."""
    if name in RENAMED:
        return f"{_PACKAGE}.{name} is now {_PACKAGE}.{RENAMED[name]}"
    return f"module {_PACKAGE!r} has no attribute {name!r}"


class MovedModules(MetaPathFinder, Loader):
    """Finds no module, but says where one went; asked last, so that nothing that exists comes to it."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """An empty folder for the one that is gone, so that its modules are asked for by their names.

        Raises:
          ImportError: naming where what a module held is now.
        """
        name = fullname.removeprefix(f"{_PACKAGE}.")
        if name in RENAMED and name != fullname:
            raise ImportError(renamed(name), name=fullname)
        if name in MOVED and name != fullname:
            raise ImportError(f"{fullname} is now {_PACKAGE}.{MOVED[name]}", name=fullname)
        return ModuleSpec(fullname, self, is_package=True) if fullname == f"{_PACKAGE}.{_EMPTIED}" else None

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: the folder stays empty."""


class VerbPackage(ModuleType):
    """A module or folder that has the name of a verb: calling it does what the verb does."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The verb's function, of the same arguments."""
        module, function = _VERBS[self.__name__]
        return getattr(import_module(module), function)(*arguments, **named)


_VERBS = {
    f"{_PACKAGE}.quickstart": (f"{_PACKAGE}.quickstart", "run_quickstart"),
    f"{_PACKAGE}.report": (f"{_PACKAGE}.report.build", "build_page"),
}


def make_callable(name: str) -> None:
    """Let a module that is being loaded, and has the name of a verb, be called as the verb's function."""
    sys.modules[name].__class__ = VerbPackage
