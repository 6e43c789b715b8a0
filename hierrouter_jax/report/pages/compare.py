"""The page of a comparison: its claims, curves, fronts and verdicts, with the figures and the numbers beside it."""

from math import ceil
from pathlib import Path
from typing import Any

from hierrouter_jax.report import formats

_CARD = 150  # height of a task's routes


def build_compare_page(folder: Path) -> Path:
    """Write `report.html`, `report.json`, `figures/` and `data/*.csv` into the folder of a compare.json.

    Raises:
      InputError: if compare.json is missing, unreadable or lacks a field.
    """
    from hierrouter_jax.report.data.compare import compare_frames, read_compare
    from hierrouter_jax.report.site import Site, write_site

    folder = Path(folder)
    files = read_compare(folder)
    svg, figures = _draw(files)
    context = _context(files) | {"svg": svg}
    numbers = {"name": files.name, "claims": files.compare["claims"], "family": files.compare.get("family")}
    return write_site(folder, Site("compare.html.j2", context, compare_frames(files), numbers, figures))


def _draw(files: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Inline pictures, and files for paper."""
    from matplotlib import rc_context

    from hierrouter_jax.report.figures import compare as figures
    from hierrouter_jax.report.figures.run import routes_figure
    from hierrouter_jax.report.figures.style import DOUBLE, STYLE, paper_files, to_svg

    panel_rows = ceil(len(files.compare["cost_weights"]) / 3)
    families = [name for name in ("primary", "secondary") if files.family(name)]
    tall = {name: 60 + 18 * len(files.family(name)) for name in families}
    few, tasks = 50 + 24 * len(files.arms), files.tasks
    with rc_context(STYLE):
        drawn = {
            "curves": figures.curves_figure(files, (920, 40 + 230 * panel_rows)),
            "returns": figures.curves_figure(files, (920, 40 + 230 * panel_rows), "validation_return"),
            "fronts": figures.fronts_figure(files, (920, 460)),
            "fronts_narrow": figures.fronts_figure(files, (390, 760), narrow=True),
            "front_numbers": figures.front_numbers_figure(files, (700, few)),
            "learned": figures.learned_figure(files, (920, 240)),
            **{f"forest_{name}": figures.forest_figure(files, name, (920, tall[name])) for name in families},
        }
        svg: dict[str, Any] = {name: to_svg(figure, f"{name} of {files.name}") for name, figure in drawn.items()}
        svg["routes"] = [to_svg(routes_figure(files, [task], (920, _CARD)), f"Routes of task {task}") for task in tasks]
        paper = {
            "learning_curves": figures.with_key(figures.curves_figure(files, (DOUBLE, 60 + 190 * panel_rows)), files),
            "fronts": figures.with_key(figures.fronts_figure(files, (DOUBLE, 350)), files),
            "front_numbers": figures.front_numbers_figure(files, (DOUBLE, few)),
            "learned": figures.with_key(figures.learned_figure(files, (DOUBLE, 215)), files),
            "routes": routes_figure(files, tasks, (DOUBLE, 130 * len(tasks))),
            **{f"forest_{name}": figures.forest_figure(files, name, (DOUBLE, tall[name])) for name in families},
        }
        return svg, paper_files(paper)


def _context(files: Any) -> dict[str, Any]:
    """Everything the template prints, formatted."""
    from hierrouter_jax.report.figures.style import arm_variable, model_variable

    compare = files.compare
    scale, unit = files.unit or (None, None)
    verdicts = {(row["a"], row["cost_weight"]): row for row in compare["comparisons"] if row["metric"] == "return"}
    colours = {name: arm_variable(index) for index, name in enumerate(files.arms)}
    points = [(arm["name"], point) for arm in compare["arms"] for point in arm["points"]]
    return {
        "title": files.name,
        "heading": f"hierrouter compare \N{MIDDLE DOT} {files.name}",
        "headlines": compare["claims"],
        "table": compare["table"],
        "family": compare.get("family"),
        "money_unit": compare.get("money_unit", "money units"),
        "unit": unit and {"name": unit, "cost": formats.multiple(scale)},
        "pool": [{"name": name, "variable": model_variable(index)} for index, name in enumerate(files.models)],
        "arms": [_arm(arm, colours) for arm in compare["arms"]],
        "baseline": files.baseline,
        "seeds": len(compare["seeds"]),
        "weights": [
            {
                "weight": f"{weight:g}",
                "rows": [
                    _row(name, point, verdicts.get((name, weight)), scale, colours)
                    for name, point in points
                    if point["cost_weight"] == weight
                ],
            }
            for weight in compare["cost_weights"]
        ],
        "opponents": sorted(
            (
                {**row, "relative": formats.multiple(row["cost"] / scale if scale else None)}
                for row in compare["opponents"]
            ),
            key=lambda row: (row["kind"] == "oracle", -row["accuracy"]),
        ),
        "shown_weight": f"{files.shown_weight:g}",
        "tasks": files.tasks,
        "record": [
            (name.replace("_", " "), _in_one_line(value)) for name, value in (compare.get("record") or {}).items()
        ],
    }


def _arm(arm: dict[str, Any], colours: dict[str, str]) -> dict[str, Any]:
    reward = {name: weight for name, weight in (arm.get("reward") or {}).items() if weight}
    return {
        "name": arm["name"],
        "colour": colours[arm["name"]],
        "learner": arm.get("learner", formats.DASH),
        "reward": _in_one_line(reward) or formats.DASH,
        "cost_term": arm.get("cost_term") or formats.DASH,
        "tried": arm.get("configurations_tried", formats.DASH),
        "settings": {name: _in_one_line(value) for name, value in (arm.get("settings") or {}).items()},
        "front": {name: arm["front"][name] for name in ("hypervolume", "aiq") if name in arm["front"]},
    }


def _in_one_line(value: Any) -> str:
    """A setting in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_one_line(one)}" for name, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(
    name: str, point: dict[str, Any], versus: dict[str, Any] | None, scale: float | None, colours: dict[str, str]
) -> dict[str, Any]:
    cost = point["cost"]
    relative = [end / scale for end in cost["mean_ci"]] if scale and cost.get("mean_ci") else None
    return {
        "name": name,
        "colour": colours[name],
        "accuracy": point["accuracy"],
        "cost": formats.multiple(cost["mean"] / scale) if scale else formats.number(cost["mean"], 2),
        "cost_interval": " to ".join(formats.multiple(end) for end in relative) if relative else "",
        "money": formats.number(cost["mean"], 3),
        "return": point["return"],
        "hops": formats.number(point.get("hops")),
        "repaired": point.get("repaired"),
        "damaged": point.get("damaged"),
        "stop": point["stop_rate"]["all"],
        "versus": versus,
    }
