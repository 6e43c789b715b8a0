"""The verb `sweep`: many settings over seeds, ranked, the best exported."""

import json as jsonlib
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from hierrouter_jax.cli.result_tables import in_words, plain_console, plain_table, result_console, value_text
from hierrouter_jax.sweeps.search.config import SweepConfig

if TYPE_CHECKING:
    from hierrouter_jax.sweeps.search.run import SearchResult

_ROWS, _TABLES = 5, 8


def sweep(config: SweepConfig, json: bool = False) -> None:
    """Train many settings over seeds, evaluate each run exactly, rank them on validation, export the best.

    What varies is given as name=choice, such as 'learning_rate=log(3e-4,3e-3)' (in quotes, for the shell's sake),
    reward.hop_cost=0.01,0.03 or learner=exact,ppo+stop. Run the same command again after an interruption and it goes
    on, to the same end.
    """
    from hierrouter_jax.cli.progress import SweepProgress, shown
    from hierrouter_jax.interrupts import interrupts_put_off
    from hierrouter_jax.sweeps.search.run import sweep as run_sweep

    progress, console = SweepProgress(config), plain_console(stderr=True)
    try:
        with shown(progress, console) as (watch, say):
            stopping = "stops after the runs under way; Ctrl-C again stops at once"
            with interrupts_put_off(lambda: say(stopping)) as check_interrupt:

                def watching(*finished: Any) -> None:
                    watch(*finished)
                    check_interrupt()

                result = run_sweep(config, watching)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{config.out} keeps {progress.done} of {progress.total} runs") from None
    results = result.to_dict()
    if json:
        print(jsonlib.dumps(results))
    else:
        _show(results, result)


def _show(results: dict[str, Any], search: "SearchResult") -> None:
    from hierrouter_jax.sweeps.folder import FRAME

    output = result_console()
    for ranked in results["best"][:_TABLES]:
        output.print(points_table(ranked, results))
        output.print()
    if len(results["best"]) > _TABLES:
        output.print(f"and {len(results['best']) - _TABLES} more rewards in {search.config.out / 'results.json'}\n")
    output.print(Text(caption(results, search), style="dim"))
    lost = int(search.frame["diverged"].sum())
    if lost:
        output.print(f"{lost} of {len(search.frame)} runs diverged: they are last in every rank, and never exported")
    output.print(f"all runs: {search.config.out / FRAME}", soft_wrap=True)
    for path in results["policies"]:
        output.print(f"policy: {path}", soft_wrap=True)
    for network in search.own_networks:
        reason = "a network of your own is trained, evaluated and compared, not exported"
        output.print(f"no bundle of {network}: {reason}", soft_wrap=True)


def points_table(ranked: dict[str, Any], results: dict[str, Any]) -> Table:
    """The best points of one reward, best first."""
    title = in_words(ranked["equal"])
    table = plain_table(pad_edge=False, title=title or None)
    points = ranked["points"][:_ROWS]
    split, by = results["table"]["split"], results["ranked_by"]
    times, digits, unit = (1, 4, "") if by == "validation_return" else (100, 1, " %")
    table.add_column("", justify="right", vertical="bottom")
    for name in points[0]["settings"]:
        table.add_column(name.replace(".", ".\n").replace("_", "_\n"), justify="right", no_wrap=True, vertical="bottom")
    for header in (by.replace("_", "\n") + unit, f"{split}\naccuracy %", f"{split}\ncost"):
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    table.add_column("best\nmember", justify="right", no_wrap=True, vertical="bottom")
    for point in points:
        where = "/".join(filter(None, (point["folder"], str(point["member"]))))
        table.add_row(
            str(point["rank"]),
            *map(value_text, point["settings"].values()),
            _cell(point[by], times, digits),
            _cell(point["accuracy"], 100, 1),
            _cell(point["cost"], 1, 1, interval=False),
            where,
        )
    return table


def caption(results: dict[str, Any], search: "SearchResult") -> str:
    """What the numbers are, and how points were ranked."""
    table, seeds = results["table"], results["seeds"]
    rung = " in the last rung" if search.config.halving else ""
    spread = (
        f"Interquartile means over {seeds} seeds with 95 % intervals; where those overlap, points are not told apart."
        if seeds > 1
        else "One seed a point, so that chance is not told from merit."
    )
    return (
        f"{results['configurations_tried']} configurations, {results['runs']} runs, "
        f"{search.ranking.explanation}{rung}.\n{spread}\n"
        f"{table['split']}: {table['queries']} queries; cost in {table['money_unit']}; "
        "best member: the seed that is best on validation."
    )


def _cell(score: dict[str, Any], times: float, digits: int, interval: bool = True) -> Text:
    if score["iqm"] is None:
        return Text("–")
    text = Text(f"{times * score['iqm']:.{digits}f}")
    if interval and score["interval"]:
        low, high = (f"{times * bound:.{digits}f}" for bound in score["interval"])
        text.append(f" {low}–{high}", style="dim")
    return text
