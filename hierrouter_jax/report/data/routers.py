"""What only a run's routers and its outcome table tell: the hop tree of a query, and two policies query by query."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from hierrouter_jax.config import load_yaml
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.paired import paired_difference
from hierrouter_jax.evaluation.policy_outcome import ending_at, policy_outcome
from hierrouter_jax.outcomes.coverage import evaluated_queries
from hierrouter_jax.outcomes.duplicates import find_duplicates
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import RIGHT
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.headlines import verdict
from hierrouter_jax.report.data.hop_tree import QueryTree, choices, query_tree, telling_query
from hierrouter_jax.report.data.run import RunFiles
from hierrouter_jax.report.site import Section
from hierrouter_jax.studies.measures import charged, opponents, problem_of
from hierrouter_jax.training.checkpoints import load_routers
from hierrouter_jax.training.router import TrainedRouter

_SHOWN = 200  # queries on the page; the CSV has all
_GROUPS = (
    ("only_a", "only A is right"),
    ("only_b", "only B is right"),
    ("both", "both right, by other routes"),
    ("neither", "neither right, by other routes"),
)


class RunPolicies:
    """A run's routers and opponents on the split that its evaluation is of.

    Raises:
      InputError: if the outcome table or the routers are not where the run says, or the table is another one.
    """

    def __init__(self, run: Path, files: RunFiles, table: Path | None = None) -> None:
        self.run, self.files = run, files
        recorded = load_yaml(run / "config.yaml").get("table")
        path = table or (Path(recorded) if recorded else run / "table")
        self.table = load_table(path)
        evaluated = files.evaluation["table"].get("fingerprint")
        if evaluated is not None and evaluated != self.table.fingerprint:
            raise InputError(
                f"{path}: has fingerprint {self.table.fingerprint}, but {run} was evaluated on the table {evaluated}"
            )
        self.part = evaluated_queries(self.table, files.evaluation["table"]["split"])

    @cached_property
    def routers(self) -> dict[str, TrainedRouter]:
        return load_routers(self.run, self.table)

    @property
    def best(self) -> str:
        """The most accurate learned router of the evaluation."""
        learned = [row["name"] for row in formats.deployable(self.files.evaluation) if row["kind"] == "learned"]
        return next(name for name in [*learned, *self.routers] if name in self.routers)

    def best_opponent(self, but: str = "") -> str:
        """The most accurate opponent other than `but`; the best router where there is none."""
        rows = formats.deployable(self.files.evaluation)
        return next((r["name"] for r in rows if r["name"] in self._opponents and r["name"] != but), self.best)

    def ends(self, name: str) -> Int[np.ndarray, " Q"]:
        """Where a policy of the evaluation answers each query of the split.

        Raises:
          InputError: if the run evaluated no such policy, or it answers at random.
        """
        if name in self.routers:
            return choices(self.routers[name], self.part).ends
        fixed = self._opponents
        if name not in fixed:
            raise InputError(f"{self.run}: has no policy {name!r}; it has {', '.join([*self.routers, *fixed])}")
        return fixed[name]

    def cost(self, name: str, ends: Int[np.ndarray, " Q"]) -> np.ndarray:
        """Money spent on each query, with what deciding costs a learned router, as in the evaluation."""
        outcome = policy_outcome(self.part, ending_at(ends, self.part.tree))
        router = self.routers.get(name)
        return outcome.cost if router is None else charged(router, outcome, self.table).cost

    @cached_property
    def _opponents(self) -> dict[str, Int[np.ndarray, " Q"]]:
        router = next(iter(self.routers.values()))
        weight = router.hyper.reward.hop_cost / router.features.cost_normaliser
        entries = opponents(self.part, problem_of(self.table, router.features, weight))
        return {entry.name: entry.ends.argmax(axis=1) for entry in entries if entry.kind != "random"}

    def tree(self, query: str | None = None, router: str | None = None) -> QueryTree:
        """The hop tree of a query of the table, by default of one of the split that shows a repair.

        Raises:
          InputError: if the table has no such query, or the run no such router.
        """
        name = router or self.best
        if name not in self.routers:
            raise InputError(f"{self.run}: has no router {name!r} to draw; it has {', '.join(self.routers)}")
        if query is None:
            part, policy = self.part, choices(self.routers[name], self.part)
            row = telling_query(part, policy.ends)
        else:
            ids = [one.id for one in self.table.queries]
            if query not in ids:
                raise InputError(f"--query is {query!r}, but the table's ids run from {ids[0]!r} to {ids[-1]!r}")
            part, row = self.table.select(np.array([ids.index(query)])), 0
            policy = choices(self.routers[name], part)
        return query_tree(name, part, row, policy.probabilities[row], int(policy.ends[row]))


@dataclass(frozen=True)
class Side:
    """One policy of one run; `run` is how the page calls that, where there are several."""

    policies: RunPolicies
    name: str
    run: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} of {self.run}" if self.run else self.name


def evaluated_on(evaluation: dict[str, Any]) -> dict[str, Any]:
    """What evaluations must have in common for their policies to be compared query by query: queries and prices."""
    table = evaluation["table"]
    prices = [
        f"{member['name']} {member.get('price_in')} in and {member.get('price_out')} out"
        + (f" and {cached} cached" if (cached := member.get("price_cached_in")) is not None else "")
        for member in formats.pool_members(table)
    ]
    return {
        "on the table": table.get("fingerprint"),
        "on the split": table.get("split"),
        "in the money unit": evaluation.get("money_unit"),
        "at the prices": ", ".join(prices),
    }


def check_same_evaluation(a: tuple[Path, dict[str, Any]], b: tuple[Path, dict[str, Any]]) -> None:
    """Refuse two runs, each with its evaluation, whose queries or prices are not the same.

    Raises:
      InputError: naming both tables' fingerprints, both splits, both money units, or all prices.
    """
    mine, others = evaluated_on(a[1]), evaluated_on(b[1])
    for where, value in mine.items():
        if value != others[where]:
            raise InputError(
                f"{a[0]} was evaluated {where} {value} and {b[0]} {where} {others[where]}, "
                "so their policies cannot be compared query by query"
            )


def pair_section(a: Side, b: Side) -> Section:
    """The paired differences of two policies, and a row for every query on which their routes or results differ."""
    part = a.policies.part
    ends = [side.policies.ends(side.name) for side in (a, b)]
    costs = [side.policies.cost(side.name, its) for side, its in zip((a, b), ends, strict=True)]
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
    group = find_duplicates([query.text for query in part.queries]).group
    accuracy, cost = (_difference(values[0], values[1], group) for values in (quality, costs))
    numbers = {
        "a": a.label,
        "b": b.label,
        "split": a.policies.files.evaluation["table"]["split"],
        "queries": part.num_queries,
        "counts": counts,
        "accuracy": accuracy | {"a": float(quality[0].mean()), "b": float(quality[1].mean())},
        "cost": cost | {"a": float(costs[0].mean()), "b": float(costs[1].mean())},
        "same_route": int((ends[0] == ends[1]).sum()),
    }
    return Section(_context(numbers, listed, a.policies.files.evaluation.get("money_unit", "money units")), listed)


def _difference(values: np.ndarray, others: np.ndarray, cluster: np.ndarray) -> dict[str, Any]:
    difference = paired_difference(np.asarray(values, float), np.asarray(others, float), cluster)
    return {"difference": difference.value, "ci": list(difference.interval), "p_value": difference.p_value}


def _row(
    a: Side,
    b: Side,
    query: int,
    ends: list[np.ndarray],
    costs: list[np.ndarray],
    quality: list[np.ndarray],
    right: list[np.ndarray],
) -> dict[str, Any]:
    part = a.policies.part
    of = part.queries[query]
    one, other = bool(right[0][query]), bool(right[1][query])
    group = ("both" if other else "only_a") if one else ("only_b" if other else "neither")
    row: dict[str, Any] = {"query_id": of.id, "task": of.task, "query": of.text, "gold": of.gold, "group": group}
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
    relation = {
        "better": "more accurate than",
        "worse": "less accurate than",
        "tied": "tied in accuracy with",
        "undecided": "neither more nor less accurate, as far as these queries tell, than",
    }[verdict(accuracy)]
    ends = " to ".join(formats.signed_points(end) for end in accuracy["ci"])
    interval = f"{formats.signed_points(accuracy['difference'])} points, 95{formats.NARROW_SPACE}% interval {ends}"
    times = f", at {formats.multiple(cost['a'] / cost['b'])} times its cost" if cost["b"] else ""
    counts = numbers["counts"]
    only = f"only the first is right on {counts['only_a']} queries, only the second on {counts['only_b']}"
    return f"{numbers['a']} is {relation} {numbers['b']} ({interval}){times}; {only}."


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
