"""What the result tables of the page and of the terminal share: order, apartness, relative cost, number formats."""

from collections.abc import Mapping, Sequence
from typing import Any

MINUS, NARROW_SPACE, DASH = "\u2212", "\u202f", "\u2013"


def deployable(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Every policy that could serve, most accurate first, the cheaper one first among equals."""
    rows = [row for row in evaluation["policies"] if row["kind"] != "oracle"]
    return sorted(rows, key=lambda row: (-row["accuracy"], row["cost"]))


def oracles(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Oracle rows, most accurate first, with those that only `ceiling` knows."""
    rows = [row for row in evaluation["policies"] if row["kind"] == "oracle"]
    known = {row["name"] for row in rows}
    for name, value in evaluation.get("ceiling", {}).items():
        if name not in known and "accuracy" in value:
            rows.append({"name": name, "kind": "oracle", **value})
    return sorted(rows, key=lambda row: -row["accuracy"])


def co_failure_ceiling(evaluation: dict[str, Any]) -> tuple[float, tuple[float, float] | None] | None:
    """Accuracy, with its interval, that choosing one model per query and calling it once can at most reach."""
    co_failure = evaluation.get("ceiling", {}).get("co_failure")
    if co_failure is None:
        return None
    interval = co_failure.get("ci")
    return 1 - co_failure["value"], (1 - interval[1], 1 - interval[0]) if interval else None


def pool_members(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pool of a result file's `table`, an object a model, also where the file has the names alone."""
    return [model if isinstance(model, dict) else {"name": model} for model in table["pool"]]


def model_names(table: Mapping[str, Any]) -> list[str]:
    """Names of the pool's models, in the pool's order."""
    return [member["name"] for member in pool_members(table)]


def cheapest_single(evaluation: Mapping[str, Any], rows: str = "policies") -> dict[str, Any] | None:
    """The cheapest row of one model called once: the unit of relative cost.

    Args:
      evaluation: a run's evaluation, a comparison, or one board of a leaderboard.
      rows: the key that the file has its policies under.
    """
    models = model_names(evaluation["table"])
    single = [row for row in evaluation[rows] if row["name"] in models and row["cost"] > 0]
    return min(single, key=lambda row: row["cost"], default=None)


def relative_cost(row: Mapping[str, Any], evaluation: Mapping[str, Any]) -> float | None:
    """Cost of a row in units of the cheapest single model, None where there is no such unit."""
    unit = cheapest_single(evaluation)
    return None if unit is None or row.get("cost") is None else row["cost"] / unit["cost"]


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage without its sign: 0.9517 -> 95.2."""
    return DASH if value is None else number(100 * value, digits)


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus and no minus zero."""
    if value is None:
        return DASH
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def signed_points(value: float) -> str:
    """A difference of fractions in percentage points with its sign: 0.2884 -> +28.8."""
    text = percent(value)
    return f"+{text}" if float(text.replace(MINUS, "-")) > 0 else text


def percent_interval(interval: Sequence[float] | None) -> str:
    """An interval of fractions in percent: (0.9, 0.95) -> 90.0 to 95.0."""
    return "" if not interval else f"{percent(interval[0])} to {percent(interval[1])}"


def multiple(value: float | None) -> str:
    """A ratio: 3.4, or 34 where decimals would only pretend."""
    return number(value, 2 if value is None or value < 9.995 else 1 if value < 99.95 else 0)


def p_value(value: float | None) -> str:
    if value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def probability(value: float | None) -> str:
    """Two decimals that never round up to certainty."""
    return "> 0.99" if value is not None and 0.995 <= value < 1 else number(value)
