"""Every number of a comparison's page as tables, a row a thing, for CSV and JSON."""

from typing import Any

import pandas as pd

from hierrouter_jax.experiments.report.compare_inputs import CompareFiles
from hierrouter_jax.experiments.report.frames import flat

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
        "routes": pd.DataFrame(
            {
                "arm": name,
                "cost_weight": point["cost_weight"],
                "task": task,
                **route,
                "route": " > ".join(route["route"]),
            }
            for name, point in points
            for task, routes in point["routes"].items()
            for route in routes
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
    told = {key: value for key, value in arm.items() if key not in ("points", "front", "reward", "settings")}
    reward = {f"reward.{name}": weight for name, weight in (arm.get("reward") or {}).items()}
    settings = {name: str(value) for name, value in (arm.get("settings") or {}).items()}
    return flat(told) | flat(front) | reward | settings


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
