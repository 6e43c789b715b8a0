"""The verbs that tell how good routers are beside others and what their numbers mean: leaderboard, calibrate."""

import json as jsonlib
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.cli.runs import run_table
from hierrouter_jax.cli.tables import Name, marked, print_result, result_console
from hierrouter_jax.domains import POSITIVE, SHARE
from hierrouter_jax.files import existing, write_json
from hierrouter_jax.report import formats as formats
from hierrouter_jax.report.pages.leaderboard import build_leaderboard_page
from hierrouter_jax.studies.calibrate import calibrate as run_calibration
from hierrouter_jax.studies.leaderboard.config import OURS, LeaderboardConfig, LearnerSpec, learners_from
from hierrouter_jax.studies.leaderboard.run import RESULT
from hierrouter_jax.studies.leaderboard.run import leaderboard as run_leaderboard
from hierrouter_jax.sweeps.workers import WorkerError

SEVERAL = {"leaderboard": "tables", "calibrate": "runs"}  # verb: the argument that takes one or more values
WRITES = {"calibrate": lambda options: existing(options["runs"][0])}  # verb: the folder, by its options
DOMAINS = {"calibrate": {"budget": POSITIVE, "accuracy": SHARE}}  # of numbers that are no field of a configuration
CALIBRATION = "calibration.json"
_STYLES = {"better": "green", "worse": "red", "tied": "", "undecided": "dim"}


def leaderboard(
    tables: list[Path],
    out: Path = LeaderboardConfig.out,
    splits: int = LeaderboardConfig.splits,
    folds: int = LeaderboardConfig.folds,
    train: int = LeaderboardConfig.train,
    test: int = LeaderboardConfig.test,
    validation: float = LeaderboardConfig.validation,
    seed: int = LeaderboardConfig.seed,
    cost_weights: list[float] = list(LeaderboardConfig.cost_weights),  # noqa: B006 (read only)
    learners: dict[str, Any] | list[str] = {},  # noqa: B006 (read only)
    opponents: list[str] | None = None,
    features: int = LeaderboardConfig.features,
    seeds: int = LeaderboardConfig.seeds,
    static: LearnerStatic = LearnerStatic(),  # noqa: B008 (frozen)
    hyper: LearnerHyper = LearnerHyper(),  # noqa: B008
    duplicates: float = LeaderboardConfig.duplicates,
    workers: int | None = None,
    resamples: int = LeaderboardConfig.resamples,
    fresh: bool = False,
    json: bool = False,
) -> None:
    """Fit all learners and all opponents on the same splits of tables, judge them exactly, and rank them.

    Without --splits or --folds the tables' own split is used. `ours` is, in each split, the learner that validation
    chooses. Run the same command again after an interruption, or with more learners, and only what is missing is
    fitted.

    Args:
      tables: folders of outcome tables.
      out: folder of the results.
      splits: repeated random splits, stratified by task, duplicates kept together; needs --test.
      folds: k-fold cross-validation instead.
      train: queries of each random split that are learned and chosen from; by default all that are not tested.
      test: queries of each random split that are tested.
      validation: share of the training part that choices are made on.
      seed: of splits, learners and opponents.
      cost_weights: lambda, per mean call, at which everybody takes part; the first is ranked.
      learners: names, or by name what differs from the shared settings: learner, features, static, hyper, tune, seeds,
        ensemble, fit.
      opponents: names of those that take part; by default all.
      features: principal components of the embedding that everybody sees.
      seeds: runs of each learner.
      static: shapes that learners share.
      hyper: numbers that learners share.
      duplicates: similarity from which two queries are near-duplicates, from 0.5 to 1.
      workers: processes; by default one a core.
      resamples: of every bootstrap.
      fresh: discard earlier results.
      json: print the result for machines.
    """
    named = {name: LearnerSpec() for name in learners} if isinstance(learners, list) else learners_from(learners)
    config = LeaderboardConfig(
        tables=tuple(tables),
        out=out,
        splits=splits,
        folds=folds,
        train=train,
        test=test,
        validation=validation,
        seed=seed,
        cost_weights=tuple(cost_weights),
        **({"learners": named} if named else {}),
        opponents=None if opponents is None else tuple(opponents),
        features=features,
        seeds=seeds,
        static=static,
        hyper=hyper,
        duplicates=duplicates,
        workers=workers,
        resamples=resamples,
        fresh=fresh,
    )
    try:
        found = run_leaderboard(config)
    except WorkerError as error:
        raise SystemExit(f"hierrouter: error: {error}") from None
    page = build_leaderboard_page(out)
    if json:
        print(jsonlib.dumps(found))
        return
    console = result_console()
    for board in found["boards"]:
        print_result(console, *(board_table(board, hidden) for hidden in ((), ("AIQ",), ("AIQ", "gap %"))))
        console.print(f"· {board['headline']['sentence']}\n", soft_wrap=True, markup=False)
    _tell(console, f"page: {page}, numbers: {out / RESULT}")


def calibrate(
    runs: list[Path],
    budget: float | None = None,
    accuracy: float | None = None,
    learner: str | None = None,
    table: Path | None = None,
    split: str = "test",
    json: bool = False,
) -> None:
    """Find the cost weight or stop threshold that meets a budget or an accuracy, and how far off it is on test.

    Chosen on validation among all policies of the runs: under each cost weight, for a policy that is told one; from
    each probability of STOP on, for another that may stop; and as they were trained. Writes calibration.json into the
    first run.

    Args:
      runs: folders that 'hierrouter train' or 'quickstart' wrote, on one table.
      budget: mean cost of a query that is to be kept, in the table's money unit, the router's own included.
      accuracy: that is to be reached, as a fraction, instead of a budget.
      learner: only this one; by default all that the runs hold.
      table: outcome table, if it is no longer where the first run found it.
      split: that the choice is checked on.
      json: print the result for machines.
    """
    loaded = run_table(runs[0], table)
    found = run_calibration(runs, loaded, budget, accuracy, split, learner)
    write_json(runs[0] / CALIBRATION, found)
    if json:
        print(jsonlib.dumps(found))
        return
    console = result_console()
    for sentence in calibrated(found):
        console.print(sentence, soft_wrap=True, markup=False)
    _tell(console, f"all {found['settings_tried']} settings: {runs[0] / CALIBRATION}")


def calibrated(found: dict[str, Any]) -> list[str]:
    """What was found, in sentences."""
    setting, off, target = found["setting"], found["off"], found["target"]
    validation, checked, unit = found["validation"], found[off["split"]], target["money_unit"]
    value = "" if setting["value"] is None else f"{setting['value']:.3g}"
    knobs = {
        "cost_weight": f"told the cost weight {value}",
        "stop_threshold": f"stopping from a probability of STOP of {value} on",
        "none": "as it was trained",
    }
    wanted = (
        f"a mean cost of {target['budget']:g} {unit}"
        if target["budget"]
        else f"an accuracy of {target['accuracy']:.1%}"
    )

    def reached(part: dict[str, Any]) -> str:
        low, high = (formats.percent(end) for end in part["accuracy_ci"])
        costs = f"{part['cost']:.4g} {unit} ({part['cost_ci'][0]:.4g} to {part['cost_ci'][1]:.4g})"
        return f"{formats.percent(part['accuracy'])} % right ({low} to {high}) at {costs}, {part['queries']} queries"

    if off["metric"] == "cost":
        difference, ends = f"{off['from_target']:+.3g} {unit}", [f"{end:+.3g}" for end in off["from_target_ci"]]
    else:
        difference = f"{formats.signed_points(off['from_target'])} points"
        ends = [formats.signed_points(end) for end in off["from_target_ci"]]
    kept = "meets" if off["met"] else "misses"
    doubt = "; the interval holds 0, so more queries could turn this" if off["undecided"] else ""
    return [
        f"For {wanted}: {setting['learner']} of {setting['run']}, {knobs[setting['knob']]}.",
        f"On validation: {reached(validation)}.",
        f"On {off['split']}: {reached(checked)}.",
        f"On {off['split']} it {kept} the target, off by {difference} ({ends[0]} to {ends[1]}){doubt}.",
    ]


def board_table(board: dict[str, Any], hidden: tuple[str, ...] = ()) -> Table:
    """A row a participant, most accurate first, oracles apart below.

    Accuracy in percent with its 95 % interval; cost over the cheapest single model's; the differences are ours minus
    the row's, in points.

    Args:
      hidden: columns that are left to the page, where the terminal is narrow.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        title=board["name"],
        title_justify="left",
        caption=_caption(board) + (f"; {' and '.join(hidden)} on the page" if hidden else ""),
        caption_justify="left",
        caption_style="dim",
    )
    table.add_column("")
    unit, names = cheapest(board), tuple(map(marked, board["policies"]))
    cells = [_cells(row, unit) for row in board["policies"]]
    for header in cells[0]:
        if header not in hidden:
            table.add_column(header, justify="right", no_wrap=True)
    for at, row in enumerate(board["policies"]):
        following = board["policies"][at + 1 :][:1]
        table.add_row(
            Name(marked(row), names),
            *(cell for header, cell in cells[at].items() if header not in hidden),
            style="bold magenta" if row["name"] == OURS else "magenta" if row["kind"] == "learned" else "",
            end_section=bool(following) and (row["kind"] == "oracle") != (following[0]["kind"] == "oracle"),
        )
    return table


def _cells(row: dict[str, Any], unit: float | None) -> dict[str, str | Text]:
    """By column."""
    against = row["ours_against"]
    return {
        "accuracy %": _with_interval(row["accuracy"], row["accuracy_ci"]),
        "cost": formats.multiple(row["cost"] / unit if unit else None),
        "gap %": _share(row.get("oracle_gap_recovered")),
        "AIQ": _share(row.get("aiq")),
        "ours minus it": _with_interval(against["difference"], against["ci"], signed=True) if against else "",
        "verdict": Text(against["verdict"], _STYLES[against["verdict"]]) if against else "",
    }


def cheapest(board: dict[str, Any]) -> float | None:
    """Cost of the cheapest single model, the unit of costs."""
    names = {member["name"] for member in board["table"]["pool"]}
    return min((row["cost"] for row in board["policies"] if row["name"] in names and row["cost"] > 0), default=None)


def _caption(board: dict[str, Any]) -> str:
    split, weight = board["split"], board["cost_weights"][0]
    kinds = {"random": "random splits", "folds": "folds", "given": "given split"}
    return (
        f"{split['count']} {kinds[split['kind']]}: {split['train']} to train, {split['validation']} to choose, "
        f"{split['test']} to test; cost weight {weight:g}; 95 % intervals over splits and queries; cost 1 is the "
        "cheapest model; * learned"
    )


def _with_interval(value: float, interval: Any, signed: bool = False) -> Text:
    show = formats.signed_points if signed else formats.percent
    low, high = (show(end) for end in interval)
    return Text.assemble(show(value), (f" {low}–{high}" if not signed else f" {low} to {high}", "dim not bold default"))


def _share(metric: dict[str, Any] | None) -> str:
    return formats.percent(None if metric is None else metric["value"])


def _tell(console: Console, text: str) -> None:
    console.print(text, style="dim", soft_wrap=True, markup=False)
