"""The page of a sweep: its best combinations, what validation makes of each swept number, and the seeds' spread."""

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hierrouter_jax.errors import InputError
from hierrouter_jax.report import formats
from hierrouter_jax.report.figures.style import COLOUR, DOUBLE, STYLE, arm_look, canvas, paper_files, to_svg
from hierrouter_jax.report.site import Site, write_site
from hierrouter_jax.sweeps.result import load_sweep

_OUTCOMES = ("best_return", "best_accuracy", "best_cost", "best_update", "train_return", "accuracy", "cost", "return")
_APART = {"member", "group", "learner", "seed", *_OUTCOMES}
_SHOWN = 20
_DECADES = 10.0  # a number that spans more than this factor has a logarithmic scale


def build_sweep_page(folder: Path) -> Path:
    """Write `report.html`, `report.json`, `figures/` and `data/*.csv` into a sweep's folder.

    Raises:
      InputError: if it holds no sweep, or none of its members is finished.
    """
    folder = Path(folder)
    result = load_sweep(folder)
    if result.frame.empty:
        raise InputError(f"{folder}: no member of the sweep is finished; run it again, and it goes on")
    return write_site(folder, sweep_site(folder.resolve().name, result.frame, result.split, len(result.plan)))


def sweep_site(name: str, frame: pd.DataFrame, split: str, planned: int) -> Site:
    """A sweep's page from its frame, a row a finished member of those that were planned."""
    numbers = swept(frame)
    combined = combinations(frame, numbers)
    with rc_context(STYLE):
        height = 240 * ceil(max(1, len(numbers)) / 3)
        svg = to_svg(_responses(frame, numbers, (920, height)), f"Response of {name} to each swept number")
        files = paper_files({"responses": _responses(frame, numbers, (DOUBLE, 0.8 * height))})
    best = combined.iloc[0]
    point = ", ".join(f"{number} {best[number]:.4g}" for number in numbers) or "the only combination"
    spread = f"{best['best_return_min']:.4f} to {best['best_return_max']:.4f} over {best['seeds']} seeds"
    headlines = [
        f"Best mean validation return: {best['best_return_mean']:.4f} ({spread}), by {best['learner']} with {point}.",
    ]
    if "accuracy_mean" in combined:
        share = f"{formats.percent(best['accuracy_mean'])}{formats.NARROW_SPACE}%"
        headlines.append(f"It answers {share} of the {split} split right, which chose nothing.")
    context = {
        "title": name,
        "heading": f"hierrouter sweep \N{MIDDLE DOT} {name}",
        "headlines": headlines,
        "svg": svg,
        "swept": numbers,
        "split": split,
        "finished": len(frame),
        "planned": planned,
        "shown": combined.head(_SHOWN).to_dict("records"),
        "count": len(combined),
        "several_rewards": any(number.startswith("reward.") for number in numbers),
    }
    frames = {"members": frame, "combinations": combined}
    return Site("sweep.html.j2", context, frames, {"name": name, "swept": numbers, "headlines": headlines}, files)


def swept(frame: pd.DataFrame) -> list[str]:
    """The numbers of which the sweep has more than one value."""
    numbers = (column for column in frame.select_dtypes("number") if column not in _APART)
    return [column for column in numbers if frame[column].nunique(dropna=False) > 1]


def combinations(frame: pd.DataFrame, numbers: list[str]) -> pd.DataFrame:
    """A row for every combination, all seeds together: mean, lowest and highest; the best mean validation first."""
    keys = ["learner", "group", *numbers]
    outcomes = [column for column in _OUTCOMES if column in frame and column != "best_update"]
    grouped = frame.groupby(keys, dropna=False, sort=False)
    wide = grouped[outcomes].agg(["mean", "min", "max"])
    wide.columns = ["_".join(column) for column in wide.columns]
    wide.insert(0, "seeds", grouped.size().to_numpy())
    return wide.reset_index().sort_values("best_return_mean", ascending=False, kind="stable", ignore_index=True)


def _responses(frame: pd.DataFrame, numbers: list[str], size: tuple[float, float]) -> Figure:
    """Validation return over each swept number, a dot a member; where none was swept, over the seeds."""
    figure = canvas(size, layout="constrained")
    shown = numbers or ["seed"]
    width = min(3, len(shown))
    panels = figure.subplots(ceil(len(shown) / width), width, squeeze=False, sharey=True)
    groups = frame[["learner", "group"]].drop_duplicates().itertuples(index=False)
    looks = {group: (learner, arm_look(index)) for index, (learner, group) in enumerate(groups)}
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, number in zip(panels.flat, shown, strict=False):
        for group, (_, look) in looks.items():
            part = frame[frame["group"] == group]
            dots: dict[str, Any] = {"color": look["color"], "markeredgecolor": "none", "alpha": 0.6, "markersize": 4.5}
            axes.plot(part[number], part["best_return"], look["marker"], **dots)
        values = frame[number].to_numpy(dtype=float)
        if values.min() > 0 and values.max() > _DECADES * values.min():
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(number)
    low, high = np.nanquantile(frame["best_return"], 0.02), frame["best_return"].max()
    panels.flat[0].set_ylim(low - 0.08 * (high - low) - 1e-6, high + 0.08 * (high - low) + 1e-6)
    for axes in panels[:, 0]:
        axes.set_ylabel("validation return")
    if len(looks) > 1:
        handles = [
            Line2D(
                [], [], linestyle="none", marker=look["marker"], color=look["color"], label=f"{learner}, shapes {group}"
            )
            for group, (learner, look) in looks.items()
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=4, fontsize=10, labelcolor=COLOUR["soft"])
    return figure
