"""The verb `worth`: whether routing, and more hops, pay for the models of a table."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rich.table import Table

from hierrouter_jax.cli.result_tables import plain_table, result_console
from hierrouter_jax.domains import NONNEGATIVE, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.notes import replicates_note
from hierrouter_jax.outcomes.table import SPLITS
from hierrouter_jax.report import formats

_ROUTING = {
    "go": "go: choosing a model by the query's task beats {single} alone by {task}.",
    "sample": (
        "unclear: choosing by the query's task does not reliably beat {single} alone ({task}), but the headroom is "
        "large enough that a better router may; train one on this table before you collect more."
    ),
    "too few queries": (
        "too few queries to say: choosing by the query's task adds {task} to {single} alone, and the best choice for "
        "every query {oracle}, over {queries} queries; answer more of them."
    ),
    "no-go": (
        "no-go: choosing by the query's task does not reliably beat {single} alone ({task}), and even the best choice "
        "for every query would leave a router little to gain."
    ),
}
_HOP = {
    "go": "go: on this table a route of up to {hops} hops by the query's task adds {gain}.",
    "sample": (
        "collect a sample of it first: no model alone is right on {failed} of the queries, and only a rewriting hop "
        "can help there. A full tree costs {calls} calls a query."
    ),
    "too few queries": "too few queries to say: {why}, over {queries} queries.",
    "no-go": "no-go: {why}.",
}
SPLIT_OF_A_HOP = ("gain", "another_try", "reading")


@dataclass(frozen=True)
class WorthConfig:
    """A table, and what to measure on it.

    Attributes:
      table: folder of the outcome table.
      split: part of the table to measure on: train, validation or test.
      cost_weight: weight of the cost, over the mean cost of one call, in what is compared; 0 compares quality alone.
      controls: control of each member by name, in the pool or beside it, that answers without reading the draft; by
        default what the pool's prompts say.
    """

    DOMAINS: ClassVar[Domains] = {"cost_weight": NONNEGATIVE}

    table: Path
    split: str = "test"
    cost_weight: float = 0.0
    controls: dict[str, str] | None = None

    def __post_init__(self) -> None:
        check_domains(self)
        if self.split not in SPLITS:
            raise InputError(f"--split is {self.split!r}, but must be one of {', '.join(SPLITS)}")


def worth(config: WorthConfig, json: bool = False) -> None:
    """Say whether routing, and whether a second or third hop, is worth it for the models of a table.

    One hop is enough: collect with '--horizon 1', or import a published table.
    """
    from hierrouter_jax.outcomes.store import load_external, load_table
    from hierrouter_jax.studies.worth import worth as worth_of

    table, external = load_table(config.table), load_external(config.table)
    report = worth_of(table, config.split, config.cost_weight, external, config.controls)
    if json:
        print(jsonlib.dumps(report))
        return
    console = result_console()
    for grid in (_policies(report), _prices(report), *([_second_hops(report)] if report["second_hop"] else [])):
        console.print(grid)
        console.print()
    for sentence in sentences(report):
        console.print(sentence, soft_wrap=True)
    if report["replicates"]:
        console.print(replicates_note(report["replicates"]), style="dim", soft_wrap=True)


def sentences(report: dict[str, Any]) -> list[str]:
    """The answers in plain words."""
    single, task = report["best_single"]["model"], _points(report["task_sequence"]["headroom"])
    oracle, queries = _points(report["oracle"]["headroom"]), report["queries"]
    routing = _ROUTING[report["answers"]["routing"]].format(single=single, task=task, oracle=oracle, queries=queries)
    lines = [f"Routing: {routing}"]
    for depth in report["depth"][1:]:
        answer, gain = report["answers"][f"hop_{depth['hops']}"], depth.get("gain")
        why = (
            f"on this table it adds {_points(gain)} to the routes before it"
            if gain
            else f"no model alone is right on {_failed(report)} of the queries"
            if answer == "too few queries"
            else f"no model alone is right on {_failed(report)} of the queries, too few for a rewriting hop to add a "
            "point"
            if depth["hops"] == 2 or report["answers"]["hop_2"] == "go"
            else "see first what the second hop brings"
        )
        lines.append(
            f"Hop {depth['hops']}: "
            + _HOP[answer].format(
                hops=depth["hops"],
                gain=_points(gain) if gain else "",
                failed=f"{formats.percent(report['co_failure']['value'])} %",
                queries=queries,
                calls=depth["calls"],
                why=why,
            )
        )
    lines += [split_sentence(row) for row in report.get("second_hop", ()) if row["chosen"]]
    return lines


def split_sentence(row: dict[str, Any]) -> str:
    """How a second hop's gain is split, in plain words."""
    gain, another_try, reading = (_points(row[name]) for name in SPLIT_OF_A_HOP)
    return (
        f"Of the gain of {row['second']} after {row['first']}, {gain}, another try makes {another_try} "
        f"({row['control']} does not read the draft), and reading the draft {reading}."
    )


def _policies(report: dict[str, Any]) -> Table:
    left_out = f"; {report['left_out']} without all outcomes left out" if report["left_out"] else ""
    grid = plain_table(
        caption=f"one hop, {report['queries']} queries of the {report['split']} split{left_out}; "
        f"cost in {report['money_unit']}; 95 % intervals",
    )
    for column in ("", "accuracy %", "cost", "points over best single"):
        grid.add_column(column, justify="left" if not column else "right")
    for name, row in (
        (f"best single ({report['best_single']['model']})", report["best_single"]),
        ("best for the predicted task", report["task_sequence"]),
        ("oracle: best for every query", report["oracle"]),
    ):
        gain = _points(row["headroom"], unit="") if "headroom" in row else formats.DASH
        grid.add_row(name, formats.percent(row["accuracy"]), f"{row['cost']:.4g}", gain)
    grid.add_row("no model alone is right", _failed(report, unit=""), "", "")
    return grid


def _prices(report: dict[str, Any]) -> Table:
    grid = plain_table(
        caption="of one query; later hops are taken to write as much as the first, and read all that came before",
    )
    for column in ("hops", "calls to collect", "cost to collect", "cost of a route", "cheapest route"):
        grid.add_column(column, justify="right")
    for depth in report["depth"]:
        route = depth["route_cost"]
        costs = [f"{value:.4g}" for value in (depth["collection_cost"], route["mean"], route["cheapest"])]
        grid.add_row(str(depth["hops"]), str(depth["calls"]), *costs)
    return grid


def _second_hops(report: dict[str, Any]) -> Table:
    grid = plain_table(
        caption="points over the first hop alone, 95 % intervals; another try: the control, which reads the query "
        "alone; *: the best of these routes on the training split",
    )
    for column in ("route", "control", "gain", "another try", "reading the draft"):
        grid.add_column(column, justify="left" if column in ("route", "control") else "right")
    for row in report["second_hop"]:
        route = f"{row['first']} {row['second']}{' *' if row['chosen'] else ''}"
        grid.add_row(route, row["control"], *(_points(row[name], unit="") for name in SPLIT_OF_A_HOP))
    return grid


def _failed(report: dict[str, Any], unit: str = " %") -> str:
    failed = report["co_failure"]
    low, high = (formats.percent(bound) for bound in failed["ci"])
    return f"{formats.percent(failed['value'])}{unit} [{low}, {high}]"


def _points(gain: dict[str, Any], unit: str = " points") -> str:
    low, high = gain["ci"]
    return f"{100 * gain['value']:.1f}{unit} [{100 * low:.1f}, {100 * high:.1f}]"
