"""Which page a folder gets: of a run, several runs, a comparison, a leaderboard, a sweep, an estimate or a loop."""

from collections.abc import Sequence
from pathlib import Path

from hierrouter_jax.errors import InputError
from hierrouter_jax.report.pages.compare import build_compare_page
from hierrouter_jax.report.pages.leaderboard import build_leaderboard_page
from hierrouter_jax.report.pages.run import build_run_page
from hierrouter_jax.sweeps.folder import HEADER


def build_page(
    runs: Sequence[Path],
    out: Path | None = None,
    query: str | None = None,
    a: str | None = None,
    b: str | None = None,
    table: Path | None = None,
) -> Path:
    """Write the page of one folder beside what it holds, or of several runs into `out`; returns the page's path.

    Raises:
      InputError: if a folder is missing or its files are not right, or an option does not belong to it.
    """
    options = {"--out": out, "--query": query, "--a": a, "--b": b, "--table": table}
    if len(runs) == 1:
        (run,) = runs
        marks = {
            "compare.json": "comparison",
            "leaderboard.json": "leaderboard",
            HEADER: "sweep",
            "estimate.json": "estimate",
            "loop.json": "loop",
        }
        of = next((kind for mark, kind in marks.items() if (run / mark).is_file()), "run")
        _refuse(options, ("--out",) if of == "run" else tuple(options), f"{run} is a single {of}")
        if of == "comparison":
            return build_compare_page(run)
        if of == "leaderboard":
            return build_leaderboard_page(run)
        if of == "sweep":
            from hierrouter_jax.report.pages.sweep import build_sweep_page

            return build_sweep_page(run)
        if of == "estimate":
            from hierrouter_jax.report.pages.estimate import build_estimate_page

            return build_estimate_page(run)
        if of == "loop":
            from hierrouter_jax.report.pages.loop import build_loop_page

            return build_loop_page(run)
        return build_run_page(run, query, a, b, table)
    from hierrouter_jax.report.pages.several import build_several_page

    _refuse(options, ("--query", "--table"), "there are several runs")
    if out is None:
        raise InputError("a report of several runs needs a folder of its own: give one by --out")
    return build_several_page(runs, out, a, b)


def _refuse(options: dict[str, object], which: tuple[str, ...], because: str) -> None:
    name = next((name for name in which if options[name] is not None), None)
    if name is not None:
        raise InputError(f"{name} is {options[name]}, but {because}, whose report has no such option")
