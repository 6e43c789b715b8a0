"""A participant's row: accuracy, cost and the field's metrics, each with a bootstrap interval."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.evaluation import metrics
from hierrouter_jax.evaluation.intervals import TAILS
from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.leaderboard.splits import Split, at_first_rows

_CPT = (50, 80)  # percent of the gap, as RouteLLM reports


@dataclass(frozen=True)
class Context:
    """What every row is measured by.

    Attributes:
      splits: rows of each part, for every split.
      normaliser: mean cost of one call on each split's training queries [S].
      bounds: bounds of the cost axis, as `compare.outcomes.reference` gives them.
      singles: accuracy and cost of the best single model, accuracy of random and of the oracles, resampled [1 + R];
        the first entry is the estimate itself.
    """

    table: OutcomeTable
    splits: list[Split]
    repeats: Repeats
    cost_weights: tuple[float, ...]
    normaliser: Float[np.ndarray, " S"]
    bounds: dict[str, Any]
    singles: dict[str, Float[np.ndarray, " R1"]] | None = None

    def with_references(self, values: dict[str, Any]) -> "Context":
        """With the participants that others are measured against, where they take part."""
        singles = {
            f"{name} {measure}": self.drawn(values[name][measure][0])
            for name in ("best-single", "random", "oracle_stop", "oracle_fixed")
            if name in values
            for measure in ("quality", "cost")
        }
        return replace(self, singles=singles)

    def drawn(self, values: Float[np.ndarray, "*B S Q"]) -> Float[np.ndarray, "*B R1"]:
        """The estimate, then its resamples."""
        return np.concatenate([self.repeats.mean(values)[..., None], self.repeats.resampled(values)], axis=-1)

    def by_question(self, values: Float[np.ndarray, "K Q"]) -> Float[np.ndarray, "K S Q"]:
        """What rows hold as a board has it: means over a question's tested rows, at the first of them; else 0."""
        means = np.zeros((len(values), *self.repeats.tested.shape))
        for s, split in enumerate(self.splits):
            first, its = at_first_rows(values[:, split.test], split.test, self.table.question)
            means[:, s, first] = its
        return means

    def returns(self, values: dict[str, Any], weight: int) -> Float[np.ndarray, "S Q"]:
        """Quality minus the cost weight times the normalised cost."""
        return values["quality"][weight] - self.cost_weights[weight] * values["cost"][weight] / self.normaliser[:, None]


def row(name: str, values: dict[str, Any], about: dict[str, Any], context: Context) -> dict[str, Any]:
    """One participant; money in the table's unit, accuracy and shares as fractions.

    `points` are all cost weights; the numbers outside it are at the first.
    """
    quality, cost = context.drawn(values["quality"]), context.drawn(values["cost"])  # [W, 1 + R]
    rates = {measure: context.repeats.mean(values[measure][0]) for measure in ("hops", "repaired", "damaged")}
    returned = [context.drawn(context.returns(values, w)) for w in range(len(context.cost_weights))]
    return {
        "name": name,
        "kind": about["kind"],
        "may_stop": about["may_stop"],
        "tried": about["tried"],
        "accuracy": float(quality[0, 0]),
        "accuracy_ci": interval(quality[0]),
        "accuracy_by_split": context.repeats.by_split(values["quality"][0]).tolist(),
        "cost": float(cost[0, 0]),
        "cost_ci": interval(cost[0]),
        "return": float(returned[0][0]),
        "return_ci": interval(returned[0]),
        **{measure: float(value) for measure, value in rates.items()},
        **_metrics(quality, cost, about["may_stop"], context),
        "per_task": _per_task(values, context),
        "points": [
            {
                "cost_weight": weight,
                "accuracy": float(quality[w, 0]),
                "accuracy_ci": interval(quality[w]),
                "cost": float(cost[w, 0]),
                "cost_ci": interval(cost[w]),
                "return": float(returned[w][0]),
                "return_ci": interval(returned[w]),
            }
            for w, weight in enumerate(context.cost_weights)
        ],
    } | (_two_models(values, context) if about["kind"] not in ("oracle", "external") else {})


def interval(drawn: Float[np.ndarray, " R1"]) -> list[float]:
    """95 % percentile interval from an estimate and its resamples."""
    return np.percentile(drawn[1:], TAILS).tolist()


def measured(drawn: Float[np.ndarray, " R1"], lower: bool = False) -> dict[str, Any] | None:
    """A metric with its interval; None where it is not defined, and a bound null where resamples say so.

    Args:
      lower: whether less is better, so that a resample without a value counts as infinite.
    """
    if not np.isfinite(drawn[0]):
        return None
    lost = ~np.isfinite(drawn[1:])
    low, high = np.percentile(np.where(lost, np.inf if lower else -np.inf, drawn[1:]), TAILS, method="nearest")
    return {"value": float(drawn[0]), "ci": [float(end) if np.isfinite(end) else None for end in (low, high)]}


def _metrics(
    quality: Float[np.ndarray, "W R1"], cost: Float[np.ndarray, "W R1"], may_stop: bool, context: Context
) -> dict[str, Any]:
    known = context.singles or {}
    low, high = context.bounds["cost_range"]
    values: dict[str, Any] = {
        "aiq": measured(metrics.average_quality(cost.T, quality.T, low, high)) if high > low else None,
        "hypervolume": measured(metrics.hypervolume(cost.T, quality.T, context.bounds["cost"])),
    }
    if "random quality" in known:
        values["gain_over_random"] = measured(metrics.gain(quality[0], known["random quality"]))
    if "best-single quality" in known:
        single, single_cost = known["best-single quality"], known["best-single cost"]
        own = known.get("oracle_stop quality" if may_stop else "oracle_fixed quality", known.get("oracle_stop quality"))
        values["gain_over_best_single"] = measured(metrics.gain(quality[0], single))
        values["cost_saving"] = measured(metrics.cost_saving(cost.T, quality.T, single_cost, single))
        if own is not None:
            values["oracle_gap_recovered"] = measured(metrics.oracle_gap_recovered(quality[0], single, own))
    return values


def _per_task(values: dict[str, Any], context: Context) -> dict[str, Any]:
    tasks = {}
    for index, name in enumerate(context.table.task_names):
        here = context.repeats.tested & (context.table.task == index)
        held = here.any(axis=1)
        if not held.any():
            continue
        some = replace(context.repeats, tested=here[held])
        drawn = [some.mean(values[measure][0][held]) for measure in ("quality", "cost")]
        tasks[name] = {
            "accuracy": float(drawn[0]),
            "accuracy_ci": np.percentile(some.resampled(values["quality"][0][held]), TAILS).tolist(),
            "cost": float(drawn[1]),
            "queries": int(here.any(axis=0).sum()),
        }
    return tasks


def _two_models(values: dict[str, Any], context: Context) -> dict[str, Any]:
    """APGR and CPT, where they are defined: over the points of all cost weights, a coin between them."""
    table = context.table
    if table.tree.num_models != 2 or table.tree.horizon != 1:
        return {}
    right, spent = (context.by_question(of[:, 1:].T.astype(float)) for of in (table.quality, table.cost))  # [2, S, Q]
    alone, costs = context.drawn(right), context.drawn(spent)  # [2, 1 + R]
    weak, strong = np.argsort(alone[:, 0], kind="stable")
    # Equal costs do not tell whose calls are whose, and a call that the table lacks has no quality.
    known = all(table.available[split.test, 1:].all() for split in context.splits)
    if not known or not alone[strong, 0] > alone[weak, 0] or costs[strong, 0] == costs[weak, 0]:
        return {"apgr": None, "cpt": None}
    dearer = spent[strong] - spent[weak]
    apart = np.abs(dearer) > 0
    share = np.where(apart, (values["cost"] - spent[weak]) / np.where(apart, dearer, 1.0), 0.0)  # [W, S, Q]
    curves = np.clip(context.drawn(np.clip(share, 0, 1)), 0, 1), context.drawn(values["quality"])  # [W, 1 + R]
    models = *(curve.T for curve in curves), alone[weak], alone[strong]
    apgr = measured(_resampled(metrics.apgr, *models)) or {}
    cpt = {str(percent): measured(_resampled(metrics.cpt, *models, percent), lower=True) or {} for percent in _CPT}
    return {
        "apgr": apgr["value"],
        "apgr_ci": apgr["ci"],
        "cpt": {percent: one["value"] for percent, one in cpt.items()},
        "cpt_ci": {percent: one["ci"] for percent, one in cpt.items()},
    }


def _resampled(
    metric: Callable[..., float],
    share: Float[np.ndarray, "R1 W"],
    quality: Float[np.ndarray, "R1 W"],
    weak: Float[np.ndarray, " R1"],
    strong: Float[np.ndarray, " R1"],
    *more: Any,
) -> Float[np.ndarray, " R1"]:
    """A metric of two models in every resample; not a number where the strong model is not the better one there."""
    rows = zip(share, quality, weak.tolist(), strong.tolist(), strict=True)
    return np.array([metric(s, q, low, high, *more) if high > low else np.nan for s, q, low, high in rows])
