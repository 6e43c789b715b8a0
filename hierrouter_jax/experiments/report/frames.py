"""Every number of a run's page as tables, a row a thing, for CSV and JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import trim_mean

from hierrouter_jax.experiments.report import rows
from hierrouter_jax.experiments.report.headline import verdict
from hierrouter_jax.experiments.report.inputs import RunFiles

_CURVES = ("validation_accuracy", "validation_return", "train_return")
_APART = ("per_task", "front", "seeds")


def run_frames(run: RunFiles) -> dict[str, pd.DataFrame]:
    """The tables of a run's page. Fractions stay fractions; costs are in the table's money unit."""
    evaluation = run.evaluation
    policies = rows.deployable(evaluation) + rows.oracles(evaluation)
    unit = rows.cheapest_single(evaluation)
    pool = [model if isinstance(model, dict) else {"name": model} for model in evaluation["table"]["pool"]]
    return {
        "policies": pd.DataFrame([_policy(row, evaluation, unit) for row in policies]),
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
        "routes": routes_frame((name, policy["routes"]) for name, policy in run.behaviour.items()),
        "transcripts": _transcripts(run.live or {}),
        "pool": pd.DataFrame(pool),
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
    told = [row if row["metric"] != "accuracy" else {**row, "verdict": verdict(dict(row))} for row in comparisons]
    return pd.DataFrame([flat(row) for row in told])


def routes_frame(routers: Iterable[tuple[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """Shares of the routes of each router on each task; models of a route are joined by ` > `."""
    return pd.DataFrame(
        {"policy": name, "task": task, **route, "route": " > ".join(route["route"])}
        for name, tasks in routers
        for task, routes in tasks.items()
        for route in routes
    )


def curves_frame(metrics: pd.DataFrame) -> pd.DataFrame:
    """What learning curves draw: interquartile mean over seeds, and the quartiles, wherever every seed was measured."""
    wide = []
    for learner, frame in metrics.groupby("learner", sort=False):
        for column in (name for name in _CURVES if name in frame):
            seeds = frame.pivot(index="env_steps", columns="seed", values=column).dropna()
            if len(seeds):
                low, high = np.quantile(seeds.to_numpy(), [0.25, 0.75], axis=1)
                middle = trim_mean(seeds.to_numpy(), 0.25, axis=1)
                told = {"learner": learner, "metric": column, "env_steps": seeds.index, "seeds": seeds.shape[1]}
                wide.append(pd.DataFrame({**told, "iqm": middle, "quartile_1": low, "quartile_3": high}))
    return pd.concat(wide, ignore_index=True) if wide else pd.DataFrame()


def _policy(row: Mapping[str, Any], evaluation: dict[str, Any], unit: dict[str, Any] | None) -> dict[str, Any]:
    known = flat({key: value for key, value in row.items() if key not in _APART})
    cost = row.get("cost")
    return known | {"relative_cost": None if unit is None or cost is None else cost / unit["cost"]}


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
    told = ("query_id", "task", "query", "gold", "answer", "quality", "stopped")
    return pd.DataFrame(
        {"policy": router, **{name: one[name] for name in told}, "hop": hop, **flat(step)}
        for router, several in live.items()
        for one in several
        for hop, step in enumerate(one["hops"], start=1)
    )
