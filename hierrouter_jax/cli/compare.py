"""The verb that compares arms: reward shapings, learners, networks or numbers, over seeds and cost weights."""

import json as jsonlib
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from hierrouter_jax.agents.layout import SweepLayout
from hierrouter_jax.cli.tables import Name, print_result, result_console
from hierrouter_jax.report.pages.compare import build_compare_page
from hierrouter_jax.studies.compare.config import Base, CompareConfig, Tuning, arms_from
from hierrouter_jax.studies.compare.run import FRAME, RESULT
from hierrouter_jax.studies.compare.run import compare as run_comparison

_STYLES = {"better": "green", "worse": "red", "tied": "", "undecided": "dim"}
_SHOWN = ("task-sequence", "task-sequence+stop", "oracle_fixed", "oracle_stop")


def compare(
    table: Path | None = None,
    out: Path = CompareConfig.out,
    arms: dict[str, Any] = {},  # noqa: B006 (read only)
    split: str = CompareConfig.split,
    base: Base = Base(),  # noqa: B008 (frozen)
    cost_weights: list[float] = list(CompareConfig.cost_weights),  # noqa: B006 (read only)
    seeds: int = CompareConfig.seeds,
    tuning: Tuning = Tuning(),  # noqa: B008 (frozen)
    layout: SweepLayout | None = None,
    chunk: int | None = None,
    resamples: int = CompareConfig.resamples,
    export: bool = False,
    json: bool = False,
) -> None:
    """Train arms on the same seeds and cost weights, and say which is better where, corrected for how many are asked.

    Run the same command again after an interruption and it goes on from the finished runs, to the same files.

    Args:
      table: folder of the outcome table; may be given first, without --table.
      out: folder of the results.
      arms: by name: what differs from the base (reward, learner, static, hyper, cost_term, cost_scale, tune); the
        first is the baseline.
      split: that arms are judged on: train, validation or test.
      base: learner, features, static and hyper that arms share.
      cost_weights: at which every arm is trained and judged.
      seeds: runs of every arm at every cost weight.
      tuning: draws, seeds and space, the same budget for every arm.
      layout: map, vmap, devices, devices-vmap or processes; by default one that suits the machine.
      chunk: runs trained at once, for vmapped layouts.
      resamples: of every bootstrap.
      export: write the chosen policy of every arm at every cost weight as a bundle.
      json: print the result for machines.
    """
    config = CompareConfig(
        arms=arms_from(arms),
        table=table,
        out=out,
        split=split,
        base=base,
        cost_weights=tuple(cost_weights),
        seeds=seeds,
        tuning=tuning,
        layout=layout,
        chunk=chunk,
        resamples=resamples,
        export=export,
    )
    found = run_comparison(config)
    page = build_compare_page(out)
    if json:
        print(jsonlib.dumps(found))
        return
    console = result_console()
    print_result(console, comparison_table(found))
    for arm in found["arms"]:
        for point in (point for point in arm["points"] if point["diverged"]):
            lost = f"seeds {', '.join(map(str, point['diverged']))} diverged"
            sentence = f"{arm['name']} at cost weight {point['cost_weight']:g}: {lost}, and count as they began"
            console.print(f"! {sentence}", soft_wrap=True, markup=False)
    for sentence in found["claims"]:
        console.print(f"· {sentence}", soft_wrap=True, markup=False)
    told = f"page: {page}, numbers: {out / RESULT}, a row a policy: {out / FRAME}"
    console.print(told, style="dim", soft_wrap=True, markup=False)


def _table_first(arguments: list[str]) -> list[str]:
    """The table may be given first, without --table; then it counts and not a --config's, so it is parsed last."""
    if arguments and not arguments[0].startswith("-"):
        return [*arguments[1:], "--table", arguments[0]]
    return arguments


# What the command line means, as options.
ARGUMENTS = {"compare": _table_first}


def comparison_table(found: dict[str, Any]) -> Table:
    """A row an arm and cost weight, then opponents that do not learn.

    Accuracy and return are in points, cost is in mean calls; intervals are 95 %, over seeds and queries at once; the
    verdict is on return, beside the first arm at the same cost weight, after correction.
    """
    unit = found["cost_normaliser"]
    said = {(row["a"], row["cost_weight"]): row["verdict"] for row in found["comparisons"] if row["metric"] == "return"}
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        caption=_caption(found),
        caption_justify="left",
        caption_style="dim",
    )
    table.add_column("arm")
    for header in ("cost weight", "accuracy %", "cost", "return"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    shown = [row for row in found["opponents"] if row["name"] in _SHOWN]
    names = tuple(row["name"] for row in [*found["arms"], *shown])
    for arm in found["arms"]:
        for point in arm["points"]:
            last = point is arm["points"][-1]
            verdict = said.get((arm["name"], point["cost_weight"]), "")
            table.add_row(
                Name(arm["name"], names) if point is arm["points"][0] else "",
                f"{point['cost_weight']:g}",
                _cell(point["accuracy"], 100, 1),
                _cell(point["cost"], 1 / unit, 2),
                _cell(point["return"], 100, 1),
                Text(verdict, _STYLES.get(verdict, "")),
                end_section=last,
            )
    for row in shown:
        weight = "" if row["cost_weight"] is None else f"{row['cost_weight']:g}"
        value = "" if row["return"] is None else f"{100 * row['return']:.1f}"
        accuracy = _cell({"mean": row["accuracy"], "mean_ci": row["accuracy_ci"]}, 100, 1)
        table.add_row(Name(row["name"], names), weight, accuracy, f"{row['cost'] / unit:.2f}", value, "")
    return table


def _cell(measure: dict[str, Any], scale: float, digits: int) -> Text:
    low, high = (f"{scale * bound:.{digits}f}" for bound in measure["mean_ci"])
    return Text.assemble(f"{scale * measure['mean']:.{digits}f}", (f" {low}–{high}", "dim not bold default"))


def _caption(found: dict[str, Any]) -> str:
    table = found["table"]
    return (
        f"{table['queries']} queries of the {table['split']} split, {len(found['seeds'])} seeds; 95 % intervals over "
        f"both; cost 1 = {found['cost_normaliser']:.4g} {found['money_unit']}, a mean call"
    )
