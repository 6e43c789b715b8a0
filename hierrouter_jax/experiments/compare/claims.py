"""Sentences computed from a comparison's numbers, in whichever direction they point."""

from collections.abc import Iterable
from typing import Any

_VERDICTS = ("better", "worse", "tied", "undecided")


def claims(arms: list[str], comparisons: list[dict[str, Any]]) -> list[str]:
    """What may be said of each arm beside the baseline, `arms[0]`, and what may not.

    Only corrected verdicts of the primary family are claimed; AIQ is told for orientation.
    """
    baseline = arms[0]
    sentences = [_summary(baseline, comparisons)]
    for arm in arms[1:]:
        its = [row for row in comparisons if row["a"] == arm]
        sentences.append(_returns(arm, baseline, [row for row in its if row["metric"] == "return"]))
        sentences += [_overall(row) for row in its if row["metric"] == "hypervolume"]
    aiq = [row for row in comparisons if row["metric"] == "aiq"]
    told = [f"{word}: {_names(row['a'] for row in aiq if row['verdict'] == word)}" for word in _said(aiq)]
    sentences.append(f"For orientation, AIQ beside {baseline} (second family): {'; '.join(told)}.")
    return sentences


def _summary(baseline: str, comparisons: list[dict[str, Any]]) -> str:
    """Who wins or loses anywhere, after correction."""
    parts = []
    for word in ("better", "worse"):
        its = [row for row in comparisons if row["family"] == "primary" and row["verdict"] == word]
        told = []
        for arm in dict.fromkeys(row["a"] for row in its):
            weights = [f"{row['cost_weight']:g}" for row in its if row["a"] == arm and row["metric"] == "return"]
            where = [f"return at {', '.join(weights)}"] if weights else []
            where += ["hypervolume" for row in its if row["a"] == arm and row["metric"] == "hypervolume"]
            told.append(f"{arm} ({'; '.join(where)})")
        parts.append(
            f"{word} than {baseline} after correction: {', '.join(told)}"
            if told
            else f"no arm is {word} than {baseline} anywhere after correction"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _returns(arm: str, baseline: str, rows: list[dict[str, Any]]) -> str:
    """One arm's return at every cost weight, by verdict."""
    parts = []
    for word in _said(rows):
        told = [f"{row['cost_weight']:g} ({_size(row)})" for row in rows if row["verdict"] == word]
        parts.append(f"{word} at cost weight {', '.join(told)}")
    return f"Return of {arm} beside {baseline}: {'; '.join(parts)}."


def _overall(row: dict[str, Any]) -> str:
    """One arm over all costs."""
    chance = f"= {row['p_holm']:.3f}" if row["p_holm"] >= 0.001 else "< 0.001"
    a, b, detail = row["a"], row["b"], f"{_size(row)}, Holm p {chance}"
    said = {
        "better": f"{a} is better than {b}",
        "worse": f"{a} is worse than {b}",
        "tied": f"{a} and {b} are tied",
        "undecided": f"{a} against {b} is undecided",
    }[row["verdict"]]
    return f"Over the whole front, by hypervolume, {said} ({detail})."


def _size(row: dict[str, Any]) -> str:
    low, high = row["ci"]
    if low == high == row["difference"] == 0:
        return "the same"
    return f"{100 * row['difference']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def _said(rows: list[dict[str, Any]]) -> list[str]:
    """Verdicts that occur, the strongest first."""
    return [word for word in _VERDICTS if any(row["verdict"] == word for row in rows)]


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
