"""A comparison's compare.json, read and checked: whatever is wrong is one sentence."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.report.inputs import need, read_object

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
        return [model["name"] if isinstance(model, dict) else model for model in self.compare["table"]["pool"]]

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
        found = {}
        for arm in self.compare["arms"]:
            point = next((one for one in arm["points"] if one["cost_weight"] == self.shown_weight), None)
            if point is not None:
                found[arm["name"]] = {"routes": point["routes"]}
        return found

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for arm in self.behaviour.values() for task in arm["routes"]))

    @cached_property
    def unit(self) -> tuple[float, str] | None:
        """Cost and name of the cheapest single model called once, where the opponents hold one."""
        single = [row for row in self.compare["opponents"] if row["name"] in self.models and row["cost"] > 0]
        cheapest = min(single, key=lambda row: row["cost"], default=None)
        return None if cheapest is None else (cheapest["cost"], cheapest["name"])


def read_compare(folder: Path) -> CompareFiles:
    """Read a comparison's folder.

    Raises:
      InputError: if compare.json is missing, unreadable or lacks a field.
    """
    path = folder / COMPARE
    compare = read_object(path, *_TOP)
    need(compare["table"], ("split", "queries", "horizon", "pool"), f"{path}: 'table'")
    if not compare["arms"]:
        raise InputError(f"{path}: 'arms' is empty, so there is nothing to report")
    for index, arm in enumerate(compare["arms"]):
        need(arm, _ARM, f"{path}: arms[{index}]")
        for at, point in enumerate(arm["points"]):
            need(point, _POINT, f"{path}: arms[{index}].points[{at}]")
            for metric in ("accuracy", "cost", "return"):
                need(point[metric], ("mean",), f"{path}: arms[{index}].points[{at}].{metric}")
    for index, row in enumerate(compare["comparisons"]):
        need(row, _COMPARISON, f"{path}: comparisons[{index}]")
    for index, row in enumerate(compare["opponents"]):
        need(row, ("name", "kind", "accuracy", "cost"), f"{path}: opponents[{index}]")
    return CompareFiles(folder.resolve().name, compare)
