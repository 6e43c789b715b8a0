"""The files of a run folder, read and checked: whatever is wrong is one sentence."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.intervals import interquartile_mean
from hierrouter_jax.files import read_json
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.headlines import verdict
from hierrouter_jax.sums import check_sum

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
        return formats.model_names(self.evaluation["table"])

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


def need_some(value: Any, keys: tuple[str, ...], where: str) -> None:
    """As `need`, and refuse a key that holds nothing."""
    need(value, keys, where)
    empty = [key for key in keys if not value[key]]
    if empty:
        raise InputError(f"{where}: {empty[0]!r} is empty, so there is nothing to report")


def need_each(rows: Iterable[Any], keys: tuple[str, ...], where: str) -> None:
    """As `need`, of each row of a list."""
    for index, row in enumerate(rows):
        need(row, keys, f"{where}[{index}]")


def _evaluation(path: Path) -> dict[str, Any]:
    if "log" in (evaluation := read_object(path)):
        raise InputError(
            f"{path.parent}: was trained from a log, so that evaluation.json holds estimates, and a report needs exact "
            f"values; 'hierrouter estimate LOG --policy {path.parent} --out FOLDER' makes a folder with a report"
        )
    need(evaluation, ("table", "policies", "ceiling"), str(path))
    need(evaluation["table"], ("split", "queries", "horizon", "pool"), f"{path}: 'table'")
    need_some(evaluation, ("policies",), str(path))
    for index, policy in enumerate(evaluation["policies"]):
        place = f"{path}: policies[{index}]"
        need(policy, _POLICY_KEYS, place)
        accuracy = policy["accuracy"]
        if not isinstance(accuracy, int | float) or not 0 <= accuracy <= 1:
            raise InputError(f"{place} ({policy['name']}) has accuracy {accuracy!r}, which is not a number in [0, 1]")
    fields = ("policy", "opponent", "metric", "difference", "ci", "p_value")
    need_each(evaluation.get("comparisons") or [], fields, f"{path}: comparisons")
    return evaluation


def _behaviour(path: Path) -> dict[str, Any]:
    policies = read_object(path, "policies")["policies"]
    for name, policy in policies.items():
        need(policy, ("routes",), f"{path}: policies[{name!r}]")
        for task, routes in policy["routes"].items():
            need_each(routes, ("route", "stopped", "share"), f"{path}: policies[{name!r}].routes[{task!r}]")
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
    check_sum(path)
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


_CURVES = ("validation_accuracy", "validation_return", "train_return")
_APART = ("per_task", "front", "seeds")


def run_frames(run: RunFiles) -> dict[str, pd.DataFrame]:
    """The tables of a run's page. Fractions stay fractions; costs are in the table's money unit."""
    evaluation = run.evaluation
    policies = formats.deployable(evaluation) + formats.oracles(evaluation)
    return {
        "policies": pd.DataFrame([_policy(row, evaluation) for row in policies]),
        "seeds": _per_seed(policies),
        "comparisons": comparisons_frame(evaluation.get("comparisons") or []),
        "per_task": pd.DataFrame(
            {"policy": row["name"], "task": task, **values}
            for row in policies
            for task, values in (row.get("per_task") or {}).items()
        ),
        "fronts": pd.DataFrame({"policy": row["name"], **point} for row in policies for point in row.get("front", [])),
        "curves": curves_frame(run.metrics),
        "metrics": run.metrics,
        "routes": routes_frame(({"policy": name}, policy["routes"]) for name, policy in run.behaviour.items()),
        "transcripts": _transcripts(run.live or {}),
        "pool": pd.DataFrame(formats.pool_members(evaluation["table"])),
        "seconds": pd.DataFrame(
            {"stage": list(run.record["seconds"]), "seconds": list(run.record["seconds"].values())}
        ),
    }


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as one row: `cost: {mean: 1}` becomes `cost_mean`, and an interval `X_ci` two columns."""
    row: dict[str, Any] = {}
    for key, one in value.items():
        name = f"{prefix}{key}"
        if isinstance(one, Mapping):
            row |= flat(one, f"{name}_")
        elif name.endswith("ci") and isinstance(one, Sequence):
            row |= {f"{name}_low": one[0], f"{name}_high": one[1]}
        elif not isinstance(one, list):
            row[name] = one
    return row


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain data; what is not known is null."""
    return json.loads(str(frame.to_json(orient="records", double_precision=15)))


def comparisons_frame(comparisons: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [row if row["metric"] != "accuracy" else {**row, "verdict": verdict(dict(row))} for row in comparisons]
    return pd.DataFrame([flat(row) for row in rows])


def routes_frame(routers: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> pd.DataFrame:
    """Shares of the routes of each router on each task; models of a route are joined by ` > `.

    Args:
      routers: first columns that say which router it is, and its routes by task.
    """
    return pd.DataFrame(
        {**router, "task": task, **route, "route": " > ".join(route["route"])}
        for router, tasks in routers
        for task, routes in tasks.items()
        for route in routes
    )


def curves_frame(metrics: pd.DataFrame) -> pd.DataFrame:
    """What learning curves draw: interquartile mean over seeds, and the quartiles, wherever every seed was measured."""
    wide = []
    for learner, frame in metrics.groupby("learner", sort=False):
        for column in (name for name in _CURVES if name in frame):
            band = seed_band(frame, column)
            if len(band):
                wide.append(pd.DataFrame({"learner": learner, "metric": column, **band}))
    return pd.concat(wide, ignore_index=True) if wide else pd.DataFrame()


def seed_band(metrics: pd.DataFrame, column: str) -> pd.DataFrame:
    """Interquartile mean and quartiles over seeds of one learner's metric, at the steps where every seed has it."""
    seeds = metrics.pivot(index="env_steps", columns="seed", values=column).dropna()
    values = seeds.to_numpy()
    low, high = np.quantile(values, [0.25, 0.75], axis=1)
    middle = interquartile_mean(values, axis=1)
    band = {"env_steps": seeds.index, "seeds": seeds.shape[1], "iqm": middle, "quartile_1": low, "quartile_3": high}
    return pd.DataFrame(band)


def _policy(row: Mapping[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
    columns = flat({key: value for key, value in row.items() if key not in _APART})
    return columns | {"relative_cost": formats.relative_cost(row, evaluation)}


def _per_seed(policies: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    columns = ("accuracy", "return", "validation_return")
    return pd.DataFrame(
        {
            "policy": row["name"],
            "seed": seed,
            **{name: row["seeds"][name][seed] for name in columns if name in row["seeds"]},
            "chosen": seed == row["seeds"].get("chosen_seed"),
        }
        for row in policies
        if row.get("seeds")
        for seed in range(len(row["seeds"]["accuracy"]))
    )


def _transcripts(live: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    columns = ("query_id", "task", "query", "gold", "answer", "quality", "stopped")
    return pd.DataFrame(
        {"policy": router, **{name: one[name] for name in columns}, "hop": hop, **flat(step)}
        for router, several in live.items()
        for one in several
        for hop, step in enumerate(one["hops"], start=1)
    )
