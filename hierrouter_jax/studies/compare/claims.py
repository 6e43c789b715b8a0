"""Every arm against the baseline, paired on the same seeds and queries, corrected over a family declared here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.evaluation.crossed import linearised
from hierrouter_jax.evaluation.intervals import probability_of_improvement_estimate
from hierrouter_jax.evaluation.metrics import average_quality, hull, hypervolume
from hierrouter_jax.evaluation.paired import Difference, paired_difference, verdicts
from hierrouter_jax.studies.compare.outcomes import ArmOutcomes

# Declared before anything is seen. Claims rest on the primary family alone.
PRIMARY, SECONDARY = ("return", "hypervolume"), ("aiq", "accuracy at matched cost")
FEWEST_SEEDS = 2  # with one, nothing tells how far another seed of the same arm would be from it
ENOUGH_SEEDS = 3  # two are judged, by intervals so wide that little can be seen

Outcomes = tuple[Float[np.ndarray, "W S Q"], Float[np.ndarray, "W S Q"]]  # an arm's cost and quality

# A measure of an arm from its cost and quality at the W cost weights, for any leading axes.
Measure = Callable[[Float[np.ndarray, "*B W"], Float[np.ndarray, "*B W"]], Float[np.ndarray, "*B"]]


@dataclass(frozen=True)
class Judgement:
    """How arms are compared.

    Attributes:
      cluster: cluster of each judged question [G]; duplicates are one piece of evidence.
      reference: reference point and cost range of the fronts.
      resamples: number of resamples of every bootstrap: of P(improvement), interquartile means and curves' bands.
    """

    cluster: Int[np.ndarray, " G"]
    reference: dict[str, Any]
    resamples: int

    def difference(self, a: Outcomes, b: Outcomes, measure: Measure) -> Difference:
        """A measure of one arm minus that of another, on the same seeds and queries."""
        return paired_difference(added(measure, *a), added(measure, *b), self.cluster)


def added(
    measure: Measure, cost: Float[np.ndarray, "W S Q"], quality: Float[np.ndarray, "W S Q"]
) -> Float[np.ndarray, "S Q"]:
    """What each seed and query adds to a measure of an arm."""
    return linearised(lambda means: measure(*np.split(means, 2, axis=-1)), np.concatenate([cost, quality]))


def comparisons(arms: list[ArmOutcomes], judgement: Judgement) -> list[dict[str, Any]]:
    """`comparisons` in compare.json: all arms but the first against the first."""
    baseline, *others = arms
    rows = [row for other in others for row in _pair(other, baseline, judgement)]
    few = baseline.outcome.quality.shape[1] < FEWEST_SEEDS
    for family in (PRIMARY, SECONDARY):
        its = [row for row in rows if row["metric"] in family]
        differences = [Difference(row["difference"], tuple(row["ci"]), row["p_value"]) for row in its]
        for row, verdict in zip(its, verdicts(differences), strict=True):
            row |= {"p_holm": verdict.p_holm, "verdict": "undecided" if few else verdict.word}
    return rows


def family(arms: list[str], cost_weights: int) -> str:
    """The declared hypotheses, in words."""
    count = len(arms) - 1
    return (
        f"Declared before training: each of {count} arms against {arms[0]} on return at each of {cost_weights} cost "
        f"weights and on hypervolume, {count * (cost_weights + 1)} hypotheses, Holm-corrected together. AIQ and "
        "accuracy at matched cost are a second family, corrected apart; no claim rests on it."
    )


def measures(
    cost_weights: Float[np.ndarray, " W"],
    cost_normaliser: float,
    reference: dict[str, Any],
    matched: Float[np.ndarray, " W"],
) -> list[tuple[str, float | None, Measure]]:
    """What is compared: name, cost weight where it is of one, and how it is measured; the primary family first.

    Args:
      matched: mean cost of the baseline at each cost weight.
    """
    low, high = reference["cost_range"]
    rows: list[tuple[str, float | None, Measure]] = []
    for index, weight in enumerate(cost_weights):
        rows.append(("return", float(weight), _return_at(index, float(weight) / cost_normaliser)))
    rows.append(("hypervolume", None, lambda cost, quality: hypervolume(cost, quality, reference["cost"])))
    rows.append(("aiq", None, lambda cost, quality: average_quality(cost, quality, low, high)))
    for index, weight in enumerate(cost_weights):
        rows.append(("accuracy at matched cost", float(weight), _quality_at(float(matched[index]))))
    return rows


def _pair(a: ArmOutcomes, b: ArmOutcomes, judgement: Judgement) -> list[dict[str, Any]]:
    """All rows of one arm against the baseline, p-values not yet corrected."""
    ours, theirs = ((arm.outcome.cost, arm.outcome.quality) for arm in (a, b))
    by_seed = [tuple(values.mean(axis=2).T for values in its) for its in (ours, theirs)]  # [S, W]
    matched, rows = b.outcome.cost.mean(axis=(1, 2)), []
    for metric, weight, measure in measures(a.cost_weights, a.cost_normaliser, judgement.reference, matched):
        difference = judgement.difference(ours, theirs, measure)
        runs, others = (measure(*its)[:, None] for its in by_seed)
        chance = probability_of_improvement_estimate(runs, others, judgement.resamples)
        rows.append(
            {
                "a": a.name,
                "b": b.name,
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


def _return_at(index: int, weight: float) -> Measure:
    def measure(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
        return quality[..., index] - weight * cost[..., index]

    return measure


def _quality_at(matched: float) -> Measure:
    """The hull at a given cost, that of the baseline's policies at one of the cost weights."""

    def measure(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
        return hull(cost, quality, np.full((*cost.shape[:-1], 1), matched))[..., 0]

    return measure


_VERDICTS = ("better", "worse", "tied", "undecided")


def claims(arms: list[str], comparisons: list[dict[str, Any]], seeds: int) -> list[str]:
    """What may be said of each arm beside the baseline, `arms[0]`, and what may not.

    Only corrected verdicts of the primary family are claimed; AIQ is told for orientation.

    Args:
      seeds: number of runs of each arm; of too few it is said what they do not allow.
    """
    baseline = arms[0]
    sentences = [_summary(baseline, comparisons)]
    if seeds < FEWEST_SEEDS:
        sentences.append(
            "One seed allows no claim about an arm: intervals and p-values are about these runs on queries like these; "
            f"compare at least {ENOUGH_SEEDS} seeds."
        )
    elif seeds < ENOUGH_SEEDS:
        sentences.append(
            f"With {seeds} seeds only very large differences can be seen: the seeds' part of each interval is 12.7 "
            f"standard errors wide to either side; compare at least {ENOUGH_SEEDS}."
        )
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
