"""A comparison's compare.json, read and checked: whatever is wrong is one sentence."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.report import formats
from hierrouter_jax.report.data.run import flat, need, need_each, need_some, read_object, routes_frame

COMPARE = "compare.json"
_TOP = ("table", "cost_weights", "seeds", "arms", "comparisons", "claims", "opponents")
_ARM = ("name", "points", "front")
_POINT = ("cost_weight", "accuracy", "cost", "return", "curve", "routes", "stop_rate")
_COMPARISON = ("a", "b", "metric", "cost_weight", "difference", "ci", "verdict")


@dataclass(frozen=True)
class CompareFiles:
    """What a comparison's folder holds for its page."""

    name: str
    compare: dict[str, Any]

    @property
    def evaluation(self) -> dict[str, Any]:
        """The table, where a run's evaluation has it."""
        return {"table": self.compare["table"]}

    @property
    def models(self) -> list[str]:
        return formats.model_names(self.compare["table"])

    @property
    def arms(self) -> list[str]:
        return [arm["name"] for arm in self.compare["arms"]]

    @property
    def shown_weight(self) -> float:
        """The cost weight in the middle, at which the page shows what each arm learned."""
        weights = sorted(self.compare["cost_weights"])
        return weights[len(weights) // 2]

    @property
    def baseline(self) -> str:
        """The arm that the others are held against: the first."""
        return self.compare.get("record", {}).get("baseline") or self.arms[0]

    def family(self, name: str) -> list[dict[str, Any]]:
        """The comparisons of a declared family, arm by arm."""
        its = [row for row in self.compare["comparisons"] if row.get("family", "primary") == name]
        return sorted(its, key=lambda row: self.arms.index(row["a"]) if row["a"] in self.arms else len(self.arms))

    @property
    def behaviour(self) -> dict[str, Any]:
        """Shares of routes of each arm at the shown cost weight."""
        return {
            arm["name"]: {"routes": point["routes"]}
            for arm in self.compare["arms"]
            if (point := point_at(arm, self.shown_weight)) is not None
        }

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for arm in self.behaviour.values() for task in arm["routes"]))

    @cached_property
    def unit(self) -> tuple[float, str] | None:
        """Cost and name of the cheapest single model called once, where the opponents hold one."""
        cheapest = formats.cheapest_single(self.compare, "opponents")
        return None if cheapest is None else (cheapest["cost"], cheapest["name"])


def point_at(arm: dict[str, Any], cost_weight: float) -> dict[str, Any] | None:
    """What an arm reaches at a cost weight; None where it was not trained at it."""
    return next((point for point in arm["points"] if point["cost_weight"] == cost_weight), None)


def read_compare(folder: Path) -> CompareFiles:
    """Read a comparison's folder.

    Raises:
      InputError: if compare.json is missing, unreadable or lacks a field.
    """
    path = folder / COMPARE
    compare = read_object(path, *_TOP)
    need(compare["table"], ("split", "queries", "horizon", "pool"), f"{path}: 'table'")
    need_some(compare, ("arms",), str(path))
    for index, arm in enumerate(compare["arms"]):
        need(arm, _ARM, f"{path}: arms[{index}]")
        for at, point in enumerate(arm["points"]):
            need(point, _POINT, f"{path}: arms[{index}].points[{at}]")
            for metric in ("accuracy", "cost", "return"):
                need(point[metric], ("mean",), f"{path}: arms[{index}].points[{at}].{metric}")
    need_each(compare["comparisons"], _COMPARISON, f"{path}: comparisons")
    need_each(compare["opponents"], ("name", "kind", "accuracy", "cost"), f"{path}: opponents")
    return CompareFiles(folder.resolve().name, compare)


_METRICS = ("accuracy", "cost", "return")


def compare_frames(files: CompareFiles) -> dict[str, pd.DataFrame]:
    """The tables of a comparison. Fractions stay fractions; costs are in the table's money unit."""
    compare = files.compare
    points = [(arm["name"], point) for arm in compare["arms"] for point in arm["points"]]
    return {
        "arms": pd.DataFrame([_arm(arm) for arm in compare["arms"]]),
        "points": pd.DataFrame([{"arm": name, **_point(point)} for name, point in points]),
        "per_seed": pd.DataFrame(
            {"arm": name, "cost_weight": point["cost_weight"], "seed": seed}
            | {metric: point[metric]["per_seed"][at] for metric in _METRICS}
            for name, point in points
            if all("per_seed" in point[metric] for metric in _METRICS)
            for at, seed in enumerate(compare["seeds"])
        ),
        "curves": pd.DataFrame(row for name, point in points for row in _curves(name, point)),
        "fronts": pd.DataFrame(
            {"arm": arm["name"], **point} for arm in compare["arms"] for point in arm["front"].get("points", [])
        ),
        "comparisons": pd.DataFrame([flat(row) for row in compare["comparisons"]]),
        "opponents": pd.DataFrame([flat(row) for row in compare["opponents"]]),
        "routes": routes_frame(
            ({"arm": name, "cost_weight": point["cost_weight"]}, point["routes"]) for name, point in points
        ),
        "stop_rates": pd.DataFrame(
            {"arm": name, "cost_weight": point["cost_weight"], "of": kind, "name": str(key), "stop_rate": value}
            for name, point in points
            for kind, values in _stop_rates(point["stop_rate"])
            for key, value in values
        ),
    }


def _arm(arm: dict[str, Any]) -> dict[str, Any]:
    front = {name: arm["front"][name] for name in ("hypervolume", "aiq") if name in arm["front"]}
    columns = {key: value for key, value in arm.items() if key not in ("points", "front", "reward", "settings")}
    reward = {f"reward.{name}": weight for name, weight in (arm.get("reward") or {}).items()}
    settings = {name: str(value) for name, value in (arm.get("settings") or {}).items()}
    return flat(columns) | flat(front) | reward | settings


def _point(point: dict[str, Any]) -> dict[str, Any]:
    return flat({key: value for key, value in point.items() if key not in ("curve", "routes", "stop_rate")})


def _curves(name: str, point: dict[str, Any]) -> list[dict[str, Any]]:
    curve = point["curve"]
    return [
        {"arm": name, "cost_weight": point["cost_weight"], "metric": metric, "update": update}
        | {key: curve[metric][key][at] for key in ("iqm", "low", "high")}
        for metric in ("validation_accuracy", "validation_return")
        if metric in curve
        for at, update in enumerate(curve["update"])
    ]


def _stop_rates(rate: dict[str, Any]) -> list[tuple[str, list[tuple[Any, float]]]]:
    stages = list(enumerate(rate.get("per_stage") or []))
    return [("all", [("all", rate["all"])]), ("task", list(rate["per_task"].items())), ("stage", stages)]
