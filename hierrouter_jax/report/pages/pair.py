"""A/B of two policies on the same queries: how much they differ, and on which queries."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.paired import paired_difference
from hierrouter_jax.outcomes.table import RIGHT
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.headlines import verdict
from hierrouter_jax.report.data.routers import Inside, Picture

_SHOWN = 200  # queries on the page; the CSV has all
_GROUPS = (
    ("only_a", "only A is right"),
    ("only_b", "only B is right"),
    ("both", "both right, by other routes"),
    ("neither", "neither right, by other routes"),
)


@dataclass(frozen=True)
class Side:
    """One policy of one run; `run` is how the page calls that, where there are several."""

    inside: Inside
    name: str
    run: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} of {self.run}" if self.run else self.name


def check_same_evaluation(a: tuple[Path, dict[str, Any]], b: tuple[Path, dict[str, Any]]) -> None:
    """Refuse two runs, each with the `table` of its evaluation, whose queries are not the same.

    Raises:
      InputError: naming both tables' fingerprints, or both splits.
    """
    for key, what in (("fingerprint", "table"), ("split", "split")):
        mine, other = a[1].get(key), b[1].get(key)
        if mine != other:
            raise InputError(
                f"{a[0]} was evaluated on the {what} {mine} and {b[0]} on the {what} {other}, "
                "so their policies cannot be compared query by query"
            )


def draw_pair(a: Side, b: Side) -> Picture:
    """The paired differences of two policies, and a row for every query on which their routes or results differ."""
    part = a.inside.part
    ends = [side.inside.ends(side.name) for side in (a, b)]
    costs = [side.inside.cost(side.name, its) for side, its in zip((a, b), ends, strict=True)]
    queries = np.arange(part.num_queries)
    quality = [part.quality[queries, its] for its in ends]
    right = [its >= RIGHT for its in quality]
    counts = {
        "both": int((right[0] & right[1]).sum()),
        "only_a": int((right[0] & ~right[1]).sum()),
        "only_b": int((~right[0] & right[1]).sum()),
        "neither": int((~right[0] & ~right[1]).sum()),
    }
    differ = np.flatnonzero((ends[0] != ends[1]) | (right[0] != right[1]))
    listed = [_row(a, b, int(query), ends, costs, quality, right) for query in differ]
    accuracy, cost = (_difference(*values) for values in ((quality[0], quality[1]), (costs[0], costs[1])))
    numbers = {
        "a": a.label,
        "b": b.label,
        "split": a.inside.files.evaluation["table"]["split"],
        "queries": part.num_queries,
        "counts": counts,
        "accuracy": accuracy | {"a": float(quality[0].mean()), "b": float(quality[1].mean())},
        "cost": cost | {"a": float(costs[0].mean()), "b": float(costs[1].mean())},
        "same_route": int((ends[0] == ends[1]).sum()),
    }
    return Picture(_context(numbers, listed, a.inside.files.evaluation.get("money_unit", "money units")), listed)


def _difference(values: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    found = paired_difference(np.asarray(values, float), np.asarray(others, float))
    return {"difference": found.value, "ci": list(found.interval), "p_value": found.p_value}


def _row(
    a: Side,
    b: Side,
    query: int,
    ends: list[np.ndarray],
    costs: list[np.ndarray],
    quality: list[np.ndarray],
    right: list[np.ndarray],
) -> dict[str, Any]:
    part = a.inside.part
    told = part.queries[query]
    one, other = bool(right[0][query]), bool(right[1][query])
    group = ("both" if other else "only_a") if one else ("only_b" if other else "neither")
    row: dict[str, Any] = {
        "query_id": told.id,
        "task": told.task,
        "query": told.text,
        "gold": told.gold,
        "group": group,
    }
    for letter, its_ends, its_costs, its_quality in zip("ab", ends, costs, quality, strict=True):
        end = int(its_ends[query])
        stopped = part.tree.stages[end] < part.tree.horizon
        route = [part.model_names[model] for model in part.tree.route(end)] + (["STOP"] if stopped else [])
        row |= {
            f"{letter}_route": " > ".join(route),
            f"{letter}_answer": str(part.response[query, end]),
            f"{letter}_quality": float(its_quality[query]),
            f"{letter}_cost": float(its_costs[query]),
        }
    return row


def _sentence(numbers: dict[str, Any]) -> str:
    """The differences in words, in whichever direction they point."""
    accuracy, cost = numbers["accuracy"], numbers["cost"]
    word = verdict(accuracy)
    said = {
        "better": "more accurate than",
        "worse": "less accurate than",
        "tied": "tied in accuracy with",
        "undecided": "neither more nor less accurate, as far as these queries tell, than",
    }[word]
    ends = " to ".join(formats.signed_points(end) for end in accuracy["ci"])
    interval = f"{formats.signed_points(accuracy['difference'])} points, 95{formats.NARROW_SPACE}% interval {ends}"
    times = f", at {formats.multiple(cost['a'] / cost['b'])} times its cost" if cost["b"] else ""
    counts = numbers["counts"]
    only = f"only the first is right on {counts['only_a']} queries, only the second on {counts['only_b']}"
    return f"{numbers['a']} is {said} {numbers['b']} ({interval}){times}; {only}."


def _context(numbers: dict[str, Any], listed: list[dict[str, Any]], money_unit: str) -> dict[str, Any]:
    accuracy, cost = numbers["accuracy"], numbers["cost"]
    return {
        "numbers": numbers,
        "sentence": _sentence(numbers),
        "verdict": verdict(accuracy),
        "cost_difference": formats.number(cost["difference"], 3),
        "cost_interval": " to ".join(formats.number(end, 3) for end in cost["ci"]),
        "relative_cost": formats.multiple(cost["a"] / cost["b"] if cost["b"] else None),
        "money_unit": money_unit,
        "groups": [
            {"key": key, "title": title, "count": sum(row["group"] == key for row in listed), "rows": shown}
            for key, title in _GROUPS
            if (shown := [row for row in listed if row["group"] == key][:_SHOWN])
        ],
    }
