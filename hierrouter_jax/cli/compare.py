"""The verb `compare`: reward shapings, learners, networks or numbers, over seeds and cost weights."""

import json as jsonlib
from typing import Any

from rich.table import Table
from rich.text import Text

from hierrouter_jax.cli.result_tables import VERDICT_STYLES, Name, plain_table, print_result, result_console
from hierrouter_jax.studies.compare.config import CompareConfig

_SHOWN = ("task-sequence", "task-sequence+stop", "oracle_fixed", "oracle_stop")


def compare(config: CompareConfig, json: bool = False) -> None:
    """Train arms on the same seeds and cost weights, and say which is better where, corrected for how many are asked.

    Run the same command again after an interruption and it goes on from the finished runs, to the same files.
    """
    from hierrouter_jax.interrupts import what_is_kept
    from hierrouter_jax.report.pages.compare import build_compare_page
    from hierrouter_jax.studies.compare.run import FRAME, RESULT
    from hierrouter_jax.studies.compare.run import compare as run_comparison

    with what_is_kept(f"{config.out} keeps the finished runs"):
        result = run_comparison(config)
    page = build_compare_page(config.out)
    if json:
        print(jsonlib.dumps(result))
        return
    console = result_console()
    print_result(console, comparison_table(result))
    for arm in result["arms"]:
        for point in (point for point in arm["points"] if point["diverged"]):
            lost = f"seeds {', '.join(map(str, point['diverged']))} diverged"
            sentence = f"{arm['name']} at cost weight {point['cost_weight']:g}: {lost}, and count as they began"
            console.print(f"! {sentence}", soft_wrap=True)
    for sentence in result["claims"]:
        console.print(f"· {sentence}", soft_wrap=True)
    files = f"page: {page}, numbers: {config.out / RESULT}, a row a policy: {config.out / FRAME}"
    console.print(files, style="dim", soft_wrap=True)


def comparison_table(result: dict[str, Any]) -> Table:
    """A row an arm and cost weight, then opponents that do not learn.

    Accuracy and return are in points, cost is in mean calls; intervals are 95 %, over seeds and queries at once; the
    verdict is on return, beside the first arm at the same cost weight, after correction.
    """
    unit = result["cost_normaliser"]
    on_return = [row for row in result["comparisons"] if row["metric"] == "return"]
    verdicts = {(row["a"], row["cost_weight"]): row["verdict"] for row in on_return}
    table = plain_table(
        pad_edge=False,
        caption=_caption(result),
    )
    table.add_column("arm")
    for header in ("cost weight", "accuracy %", "cost", "return"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    shown = [row for row in result["opponents"] if row["name"] in _SHOWN]
    names = tuple(row["name"] for row in [*result["arms"], *shown])
    for arm in result["arms"]:
        for point in arm["points"]:
            last = point is arm["points"][-1]
            verdict = verdicts.get((arm["name"], point["cost_weight"]), "")
            table.add_row(
                Name(arm["name"], names) if point is arm["points"][0] else "",
                f"{point['cost_weight']:g}",
                _cell(point["accuracy"], 100, 1),
                _cell(point["cost"], 1 / unit, 2),
                _cell(point["return"], 100, 1),
                Text(verdict, VERDICT_STYLES.get(verdict, "")),
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


def _caption(result: dict[str, Any]) -> str:
    table = result["table"]
    return (
        f"{table['queries']} queries of the {table['split']} split, {len(result['seeds'])} seeds; 95 % intervals over "
        f"both; cost 1 = {result['cost_normaliser']:.4g} {result['money_unit']}, a mean call"
    )
