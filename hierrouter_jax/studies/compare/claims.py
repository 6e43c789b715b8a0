"""Every arm against the baseline, paired on the same seeds and queries, corrected over a family declared here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.evaluation.intervals import probability_of_improvement_estimate
from hierrouter_jax.evaluation.metrics import average_quality, hull, hypervolume
from hierrouter_jax.evaluation.paired import (
    Difference,
    Resamples,
    crossed_means,
    flipped_means,
    resampled_difference,
    verdicts,
)
from hierrouter_jax.studies.compare.outcomes import ArmOutcomes

# Declared before anything is seen. Claims rest on the primary family alone.
PRIMARY, SECONDARY = ("return", "hypervolume"), ("aiq", "accuracy at matched cost")

# A measure of an arm from its cost and quality at the W cost weights, for any leading axes.
Measure = Callable[[Float[np.ndarray, "*B W"], Float[np.ndarray, "*B W"]], Float[np.ndarray, "*B"]]


@dataclass(frozen=True)
class Means:
    """An arm's cost and quality at W cost weights, averaged in every way that a comparison needs.

    Attributes:
      arm: outcomes of the arm at every cost weight, seed and query.
      drawn: resamples of seeds and of queries, the same for all arms.
    """

    arm: ArmOutcomes
    drawn: Resamples

    @property
    def observed(self) -> tuple[Float[np.ndarray, " W"], Float[np.ndarray, " W"]]:
        return self.arm.outcome.cost.mean(axis=(1, 2)), self.arm.outcome.quality.mean(axis=(1, 2))

    @property
    def by_seed(self) -> tuple[Float[np.ndarray, "S W"], Float[np.ndarray, "S W"]]:
        return self.arm.outcome.cost.mean(axis=2).T, self.arm.outcome.quality.mean(axis=2).T

    @property
    def by_query(self) -> tuple[Float[np.ndarray, "W Q"], Float[np.ndarray, "W Q"]]:
        return self.arm.outcome.cost.mean(axis=1), self.arm.outcome.quality.mean(axis=1)

    @cached_property
    def resampled(self) -> tuple[Float[np.ndarray, "R W"], Float[np.ndarray, "R W"]]:
        outcome = self.arm.outcome
        return crossed_means(outcome.cost, self.drawn).T, crossed_means(outcome.quality, self.drawn).T


def comparisons(arms: list[ArmOutcomes], drawn: Resamples, reference: dict[str, Any]) -> list[dict[str, Any]]:
    """`comparisons` in compare.json: all arms but the first against the first."""
    baseline, *others = (Means(arm, drawn) for arm in arms)
    rows = [row for other in others for row in _pair(other, baseline, reference)]
    for family in (PRIMARY, SECONDARY):
        its = [row for row in rows if row["metric"] in family]
        differences = [Difference(row["difference"], tuple(row["ci"]), row["p_value"]) for row in its]
        for row, verdict in zip(its, verdicts(differences), strict=True):
            row |= {"p_holm": verdict.p_holm, "verdict": verdict.word}
    return rows


def family(arms: list[str], cost_weights: int) -> str:
    """The declared hypotheses, in words."""
    count = len(arms) - 1
    return (
        f"Declared before training: each of {count} arms against {arms[0]} on return at each of {cost_weights} cost "
        f"weights and on hypervolume, {count * (cost_weights + 1)} hypotheses, Holm-corrected together. AIQ and "
        "accuracy at matched cost are a second family, corrected apart; no claim rests on it."
    )


def _pair(a: Means, b: Means, reference: dict[str, Any]) -> list[dict[str, Any]]:
    """All rows of one arm against the baseline, p-values not yet corrected."""
    permuted = _relabelled(a, b)
    low, high = reference["cost_range"]
    measures: list[tuple[str, float | None, Measure]] = []
    for index, weight in enumerate(a.arm.cost_weights):
        measures.append(("return", float(weight), _return_at(index, a.arm)))
    measures.append(("hypervolume", None, lambda cost, quality: hypervolume(cost, quality, reference["cost"])))
    measures.append(("aiq", None, lambda cost, quality: average_quality(cost, quality, low, high)))
    for index, weight in enumerate(a.arm.cost_weights):
        measures.append(("accuracy at matched cost", float(weight), _quality_at(b.observed[0][index])))
    rows = []
    for metric, weight, measure in measures:
        difference = resampled_difference(
            float(measure(*a.observed) - measure(*b.observed)),
            measure(*a.resampled) - measure(*b.resampled),
            measure(*permuted[0]) - measure(*permuted[1]),
        )
        mine, theirs = measure(*a.by_seed)[:, None], measure(*b.by_seed)[:, None]
        chance = probability_of_improvement_estimate(mine, theirs, len(a.drawn.seeds))
        rows.append(
            {
                "a": a.arm.name,
                "b": b.arm.name,
                "metric": metric,
                "family": "primary" if metric in PRIMARY else "secondary",
                "cost_weight": weight,
                "difference": difference.value,
                "ci": list(difference.interval),
                "p_value": difference.p_value,
                "probability_of_improvement": {
                    "value": float(chance.value),
                    "ci": [float(chance.low), float(chance.high)],
                },
            }
        )
    return rows


def _return_at(index: int, arm: ArmOutcomes) -> Measure:
    def measure(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
        return quality[..., index] - arm.cost_weights[index] * cost[..., index] / arm.cost_normaliser

    return measure


def _quality_at(matched: float) -> Measure:
    """The hull at a given cost, that of the baseline's policies at one of the cost weights."""

    def measure(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
        return hull(cost, quality, np.full((*cost.shape[:-1], 1), matched))[..., 0]

    return measure


def _relabelled(a: Means, b: Means) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Cost and quality [P, W] of both arms after their names were swapped, or not, on each query, seeds averaged."""
    pairs = list(zip(a.by_query, b.by_query, strict=True))
    half = np.concatenate([(mine - theirs) / 2 for mine, theirs in pairs])
    cost, quality = np.split(flipped_means(half), 2, axis=1)
    middle = [((mine + theirs) / 2).mean(axis=1) for mine, theirs in pairs]
    return (middle[0] + cost, middle[1] + quality), (middle[0] - cost, middle[1] - quality)


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
    parts = [f"{word}: {_names(row['a'] for row in aiq if row['verdict'] == word)}" for word in _words(aiq)]
    sentences.append(f"For orientation, AIQ beside {baseline} (second family): {'; '.join(parts)}.")
    return sentences


def _summary(baseline: str, comparisons: list[dict[str, Any]]) -> str:
    """Who wins or loses anywhere, after correction."""
    parts = []
    for word in ("better", "worse"):
        its = [row for row in comparisons if row["family"] == "primary" and row["verdict"] == word]
        arms = []
        for arm in dict.fromkeys(row["a"] for row in its):
            weights = [f"{row['cost_weight']:g}" for row in its if row["a"] == arm and row["metric"] == "return"]
            where = [f"return at {', '.join(weights)}"] if weights else []
            where += ["hypervolume" for row in its if row["a"] == arm and row["metric"] == "hypervolume"]
            arms.append(f"{arm} ({'; '.join(where)})")
        parts.append(
            f"{word} than {baseline} after correction: {', '.join(arms)}"
            if arms
            else f"no arm is {word} than {baseline} anywhere after correction"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _returns(arm: str, baseline: str, rows: list[dict[str, Any]]) -> str:
    """One arm's return at every cost weight, by verdict."""
    parts = []
    for word in _words(rows):
        points = [f"{row['cost_weight']:g} ({_size(row)})" for row in rows if row["verdict"] == word]
        parts.append(f"{word} at cost weight {', '.join(points)}")
    return f"Return of {arm} beside {baseline}: {'; '.join(parts)}."


def _overall(row: dict[str, Any]) -> str:
    """One arm over all costs."""
    chance = f"= {row['p_holm']:.3f}" if row["p_holm"] >= 0.001 else "< 0.001"
    a, b, detail = row["a"], row["b"], f"{_size(row)}, Holm p {chance}"
    words = {
        "better": f"{a} is better than {b}",
        "worse": f"{a} is worse than {b}",
        "tied": f"{a} and {b} are tied",
        "undecided": f"{a} against {b} is undecided",
    }[row["verdict"]]
    return f"Over the whole front, by hypervolume, {words} ({detail})."


def _size(row: dict[str, Any]) -> str:
    low, high = row["ci"]
    if low == high == row["difference"] == 0:
        return "the same"
    return f"{100 * row['difference']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def _words(rows: list[dict[str, Any]]) -> list[str]:
    """Verdicts that occur, the strongest first."""
    return [word for word in _VERDICTS if any(row["verdict"] == word for row in rows)]


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
