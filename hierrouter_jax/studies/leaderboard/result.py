"""What a policy did on one split, on disk: a row a cost weight, a column a test query."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hierrouter_jax.evaluation.paired import verdicts
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome
from hierrouter_jax.files import replacing
from hierrouter_jax.studies.leaderboard.config import OURS
from hierrouter_jax.studies.leaderboard.rows import Context
from hierrouter_jax.studies.measures import ratio
from hierrouter_jax.sums import arrays_sum

MEASURES = tuple(field.name for field in fields(PolicyOutcome))


@dataclass(frozen=True)
class Judged:
    """One participant on one split.

    Attributes:
      outcome: `PolicyOutcome` with arrays [W, T], a row a cost weight; W = 1 where no cost weight changes the policy.
      validation: return on every validation query at each cost weight, that choices are made by; None for opponents,
        which choose for themselves.
      about: `kind`, `may_stop`, `tried` and, for learners, which point and seed were `chosen` and every seed's test
        accuracy there.
    """

    outcome: PolicyOutcome
    validation: Float[np.ndarray, "W V"] | None
    about: dict[str, Any]

    def at(self, weight: int) -> dict[str, Float[np.ndarray, " T"]]:
        """Every measure at one of the cost weights."""
        row = min(weight, len(self.outcome.quality) - 1)
        return {name: getattr(self.outcome, name)[row] for name in MEASURES}


def save(path: Path, result: Judged, identity: str) -> None:
    """Write a result, with a digest of all that it depends on and one of its content."""
    arrays = {name: np.ascontiguousarray(getattr(result.outcome, name)) for name in MEASURES}
    if result.validation is not None:
        arrays["validation"] = np.ascontiguousarray(result.validation)
    about = json.dumps(result.about)
    metadata = {"identity": identity, "told": about, "sum": _content(arrays, about)}
    with replacing(path) as temporary:
        save_file(arrays, temporary, metadata=metadata)


def load(path: Path, identity: str) -> Judged | None:
    """A result as it was written, if it is whole and depends on the same; else None, so that it is fitted anew."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("identity") != identity:
                return None
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (FileNotFoundError, SafetensorError):
        return None
    if metadata.get("sum") != _content(arrays, metadata.get("told", "")):
        return None
    validation = arrays.pop("validation", None)
    return Judged(PolicyOutcome(**arrays), validation, json.loads(metadata["told"]))


def _content(arrays: dict[str, np.ndarray], about: str) -> str:
    """A digest of all that a file holds."""
    return arrays_sum(arrays | {"told": np.frombuffer(about.encode(), np.uint8)}).tobytes().hex()


def stacked(outcomes: list[PolicyOutcome]) -> PolicyOutcome:
    """Outcomes at several cost weights as one."""
    return PolicyOutcome(**{name: np.stack([getattr(one, name) for one in outcomes]) for name in MEASURES})


# What ours is: the worst of its verdicts decides.
_STANDING = (("worse", "behind"), ("undecided", "undecided"), ("tied", "tied-first"), ("better", "first"))


def compared(values: dict[str, Any], rivals: list[str], context: Context) -> list[dict[str, Any]]:
    """Ours minus each opponent on the same queries of the same splits, at the first cost weight.

    Args:
      rivals: the opponents; the family of hypotheses is each of them, on accuracy, and on return where cost weighs.
    """
    rows, tests = [], []
    metrics = ("accuracy", "return") if context.cost_weights[0] > 0 else ("accuracy",)
    for metric in metrics:
        mine, others = (
            [values[name]["quality"][0] if metric == "accuracy" else context.returns(values[name], 0) for name in names]
            for names in ([OURS], rivals)
        )
        differences = mine[0] - np.stack(others)
        for difference, name in zip(differences, rivals, strict=True):
            test = context.repeats.difference(difference)
            tests.append(test)
            rows.append(
                {
                    "opponent": name,
                    "metric": metric,
                    "difference": test.value,
                    "ci": list(test.interval),
                    "p_value": test.p_value,
                    "relative_cost": _relative_cost(values, name, context),
                }
            )
    for row, verdict in zip(rows, verdicts(tests), strict=True):
        row |= {"p_holm": verdict.p_holm, "verdict": verdict.word}
    return rows


def headline(rows: list[dict[str, Any]], comparisons: list[dict[str, Any]]) -> dict[str, Any]:
    """Where ours stands: beside the most accurate opponent, and how often it is better, tied, undecided or worse."""
    against_ours = {row["opponent"]: row for row in comparisons if row["metric"] == "accuracy"}
    ours = next(row for row in rows if row["name"] == OURS)
    leader = next(row for row in rows if row["name"] in against_ours)
    against = against_ours[leader["name"]]
    counts = dict.fromkeys((verdict for verdict, _ in reversed(_STANDING)), 0)
    for row in against_ours.values():
        counts[row["verdict"]] += 1
    place = 1 + sum(row["accuracy"] > ours["accuracy"] for row in rows if row["name"] in against_ours)
    standing = next(word for verdict, word in _STANDING if counts[verdict])
    low, high = (100 * end for end in ours["accuracy_ci"])
    lower, upper = (100 * end for end in against["ci"])
    sentence = (
        f"Ours answers {100 * ours['accuracy']:.1f} % right ({low:.1f} to {high:.1f}), "
        f"{100 * against['difference']:+.1f} points ({lower:+.1f} to {upper:+.1f}) beside "
        f"the best opponent, {leader['name']}: {against['verdict']}. Of {len(against_ours)} opponents it is better "
        f"than {counts['better']}, tied with {counts['tied']}, undecided with {counts['undecided']} and worse than "
        f"{counts['worse']}."
    )
    return {"sentence": sentence, "standing": standing, "place": place, "leader": leader["name"], "counts": counts}


def _relative_cost(values: dict[str, Any], name: str, context: Context) -> float | None:
    return ratio(*(float(context.repeats.mean(values[one]["cost"][0])) for one in (OURS, name)))
