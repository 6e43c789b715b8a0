"""The files of a run folder, read and checked: whatever is wrong is one sentence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json

_POLICY_KEYS = ("name", "kind", "accuracy", "accuracy_ci", "cost", "hops", "repaired", "damaged", "per_task")
_TRANSCRIPT_KEYS = ("query_id", "query", "task", "gold", "stopped", "answer", "cost", "quality", "hops")
_METRIC_COLUMNS = ("learner", "seed", "update", "env_steps", "validation_return", "validation_accuracy")


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds for its report; `live` is None where live routing was not run."""

    name: str
    evaluation: dict[str, Any]
    metrics: pd.DataFrame
    behaviour: dict[str, Any]
    live: dict[str, Any] | None
    record: dict[str, Any]

    @property
    def models(self) -> list[str]:
        return [model["name"] if isinstance(model, dict) else model for model in self.evaluation["table"]["pool"]]

    @property
    def tasks(self) -> list[str]:
        """Task names in the order of the table."""
        return list(self.evaluation.get("task_names") or self.evaluation["policies"][0]["per_task"])


def read_run(run: Path) -> RunFiles:
    """Read a run folder.

    Raises:
      InputError: if the folder or one of its files is missing, unreadable or lacks a field.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder; 'hierrouter train' or 'hierrouter quickstart' makes one")
    live = run / "live.json"
    return RunFiles(
        name=run.resolve().name,
        evaluation=_evaluation(run / "evaluation.json"),
        metrics=_metrics(run / "metrics.parquet"),
        behaviour=_behaviour(run / "behaviour.json"),
        live=_live(live) if live.exists() else None,
        record=read_object(run / "run.json", "command", "version", "seed", "seconds", "machine"),
    )


def read_object(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON object that has these keys.

    Raises:
      InputError: if it is missing, not JSON, not an object, or lacks one.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds a {type(value).__name__} where an object with {', '.join(keys)} should be")
    need(value, keys, str(path))
    return value


def need(value: Any, keys: tuple[str, ...], where: str) -> None:
    """Refuse a value without one of the keys, by the place it has in its file."""
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing:
        raise InputError(f"{where} has no {missing[0]!r}; write the file again with this version of hierrouter")


def _evaluation(path: Path) -> dict[str, Any]:
    evaluation = read_object(path, "table", "policies", "ceiling")
    need(evaluation["table"], ("split", "queries", "horizon", "pool"), f"{path}: 'table'")
    if not evaluation["policies"]:
        raise InputError(f"{path}: 'policies' is empty, so there is nothing to report")
    for index, policy in enumerate(evaluation["policies"]):
        place = f"{path}: policies[{index}]"
        need(policy, _POLICY_KEYS, place)
        accuracy = policy["accuracy"]
        if not isinstance(accuracy, int | float) or not 0 <= accuracy <= 1:
            raise InputError(f"{place} ({policy['name']}) has accuracy {accuracy!r}, which is not a number in [0, 1]")
    for index, row in enumerate(evaluation.get("comparisons") or []):
        need(row, ("policy", "opponent", "metric", "difference", "ci"), f"{path}: comparisons[{index}]")
    return evaluation


def _behaviour(path: Path) -> dict[str, Any]:
    policies = read_object(path, "policies")["policies"]
    for name, policy in policies.items():
        need(policy, ("routes",), f"{path}: policies[{name!r}]")
        for task, routes in policy["routes"].items():
            for index, route in enumerate(routes):
                need(route, ("route", "stopped", "share"), f"{path}: policies[{name!r}].routes[{task!r}][{index}]")
    return policies


def _live(path: Path) -> dict[str, Any]:
    transcripts = read_object(path, "transcripts")["transcripts"]
    for router, several in transcripts.items():
        for index, transcript in enumerate(several):
            place = f"{path}: transcripts[{router!r}][{index}]"
            need(transcript, _TRANSCRIPT_KEYS, place)
            for hop in transcript["hops"]:
                need(hop, ("model", "response", "cost", "probability"), f"{place}: a hop")
    return transcripts


def _metrics(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        metrics = pd.read_parquet(path)
    except (OSError, ValueError):
        raise InputError(f"{path}: not a readable Parquet file; 'hierrouter train' writes it") from None
    missing = [column for column in _METRIC_COLUMNS if column not in metrics]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}; train again with this version of hierrouter")
    if metrics.empty:
        raise InputError(f"{path}: holds no row, so there is no training to report")
    return metrics
