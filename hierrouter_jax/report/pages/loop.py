"""The page of an online loop: accuracy and regret of every player over episodes, with intervals over seeds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hierrouter_jax.evaluation.intervals import Estimate, seed_interval
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.run import need, need_each, need_some, read_object
from hierrouter_jax.report.figures.style import COLOUR, DOUBLE, PERCENT, STYLE, arm_look, canvas, paper_files, to_svg
from hierrouter_jax.report.site import Site, write_site

LOOP = "loop.json"
_PLAYER = ("rounds", "episodes", "regret")


def build_loop_page(folder: Path) -> Path:
    """Write `report.html`, `report.json`, `figures/` and `data/*.csv` into the folder of a loop.json.

    Raises:
      InputError: if loop.json is missing, unreadable, lacks a field, or has no reference, player or round.
    """
    folder = Path(folder)
    record = read_object(folder / LOOP, "episodes", "references", "players")
    need_some(record, ("references", "players"), str(folder / LOOP))
    for name, player in record["players"].items():
        place = f"{folder / LOOP}: player {name!r}"
        need_some(player, _PLAYER, place)
        need(player["regret"], tuple(record["references"]), f"{place}: 'regret'")
        for seed, rounds in enumerate(player["rounds"]):
            need_each(rounds, ("accuracy",), f"{place}: rounds[{seed}]")
    return write_site(folder, _site(folder.resolve().name, record))


def _site(name: str, record: dict[str, Any]) -> Site:
    frame = _curves(record)
    with rc_context(STYLE):
        label = f"Accuracy and regret of {name} over episodes"
        svg = to_svg(_figure(frame, (920, 330)), label)
        files = paper_files({"loop": _figure(frame, (DOUBLE, 280))})
    last = frame.groupby(["player", "of"], sort=False).last()
    players = list(record["players"])
    context = {
        "title": name,
        "heading": f"hierrouter loop \N{MIDDLE DOT} {name}",
        "headlines": _headlines(record, last),
        "svg": svg,
        "record": record,
        "aims": list(record["references"]),
        "seeds": len(record["players"][players[0]]["rounds"]),
        "rows": [{"name": player, **last.loc[player].to_dict("index")} for player in players],
    }
    return Site("loop.html.j2", context, {"curves": frame}, {"name": name, "headlines": context["headlines"]}, files)


def _curves(record: dict[str, Any]) -> pd.DataFrame:
    """A row for each player, number and mark of episodes: mean over seeds and its interval."""
    rows = []
    for name, player in record["players"].items():
        right = [[row["accuracy"] for row in rounds] for rounds in player["rounds"]]
        numbers = {"accuracy": np.array(right, dtype=float)}  # not a number before anything was learned
        numbers |= {aim: np.array(each, dtype=float) for aim, each in player["regret"].items()}
        for of, values in numbers.items():
            band: Estimate = seed_interval(values)
            for at, count in enumerate(player["episodes"]):
                row = {"player": name, "of": of, "episodes": count, "mean": band.value[at]}
                rows.append(row | {"low": band.low[at], "high": band.high[at]})
    return pd.DataFrame(rows)


def _headlines(record: dict[str, Any], last: pd.DataFrame) -> list[str]:
    own, aim = next(iter(record["players"])), next(iter(record["references"]))
    right = f"{formats.percent(last.loc[(own, 'accuracy'), 'mean'])}{formats.NARROW_SPACE}%"
    regrets = [f"{name} {last.loc[(name, aim), 'mean']:,.0f}" for name in record["players"]]
    return [
        f"After {record['episodes']:,} episodes the {own} answers {right} of the test queries right.",
        f"What the {aim} would have earned more until then: {', '.join(regrets)}.",
    ]


def _figure(frame: pd.DataFrame, size: tuple[float, float]) -> Figure:
    """A panel for accuracy, and one for the regret against each reference."""
    kinds = list(frame["of"].unique())
    figure = canvas(size, layout="constrained")
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        for index, (name, its) in enumerate(frame[frame["of"] == kind].groupby("player", sort=False)):
            look = arm_look(index)
            marks = {"markersize": 3, "markeredgecolor": "none", "linewidth": 1.3}
            axes.plot(its["episodes"], its["mean"], label=name, **look, **marks)
            axes.fill_between(its["episodes"], its["low"], its["high"], color=look["color"], alpha=0.18, linewidth=0)
        axes.set_title("test accuracy" if kind == "accuracy" else f"regret: {kind}", fontsize=10.5)
        axes.set_xlabel("episodes")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        if kind == "accuracy":
            axes.yaxis.set_major_formatter(PERCENT)
            axes.set_ylim(0, 1)
    panels[0].legend(fontsize=9, labelcolor=COLOUR["soft"])
    return figure
