"""An arm as plain data: what it reaches at each cost weight, how it learned, and which routes it takes."""

from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.config import to_dict
from hierrouter_jax.evaluation.crossed import crossed_mean
from hierrouter_jax.evaluation.intervals import interquartile_mean_estimate
from hierrouter_jax.evaluation.metrics import average_quality, hypervolume, pareto_front
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.compare.claims import Judgement, Measure, added
from hierrouter_jax.studies.compare.outcomes import ArmOutcomes
from hierrouter_jax.studies.compare.runs import finite
from hierrouter_jax.studies.measures import route_shares, task_rows
from hierrouter_jax.training.settings import numbers


def arm_row(arm: ArmOutcomes, part: OutcomeTable, judgement: Judgement) -> dict[str, Any]:
    """One of `arms` in compare.json.

    Args:
      part: the judged split.
      judgement: clusters, bounds and resamples, the same for all arms.
    """
    its = arm.runs.arm
    values, over_weights = numbers(its.settings.hyper), arm.returns.mean(axis=2).T
    reward = {name.removeprefix("reward."): float(v) for name, v in values.items() if name.startswith("reward.")}
    static = {f"static.{name}": value for name, value in to_dict(its.settings.static).items()}
    return {
        "name": arm.name,
        "learner": its.settings.learner,
        "log": None if its.log is None else to_dict(its.log),
        "reward": reward,  # the cost term's weight is that of the point
        "cost_term": its.leaf.removeprefix("reward."),
        "cost_scale": its.scale,
        "settings": static | {name: float(value) for name, value in values.items() if name != its.leaf},
        "configurations_tried": sum(map(len, arm.runs.tried)),
        "configurations_per_point": len(arm.runs.tried[0]),
        "tuning": arm.runs.tried if len(arm.runs.tried[0]) > 1 else None,
        "points": [_point(arm, part, judgement, row) for row in range(len(arm.cost_weights))],
        "front": _front(arm, judgement),
        "return_over_cost_weights": _estimate(interquartile_mean_estimate(over_weights, judgement.resamples)),
    }


def _point(arm: ArmOutcomes, part: OutcomeTable, judgement: Judgement, row: int) -> dict[str, Any]:
    outcome, ends = arm.outcome, arm.ends[row]
    blocks, every = arm.accuracy_curve.shape[-1], arm.runs.arm.settings.static.evaluate_every
    return {
        "cost_weight": float(arm.cost_weights[row]),
        "accuracy": _measure(outcome.quality[row], judgement),
        "cost": _measure(outcome.cost[row], judgement),
        "return": _measure(arm.returns[row], judgement),
        "hops": float(outcome.hops[row].mean()),
        "repaired": float(outcome.repaired[row].mean()),
        "damaged": float(outcome.damaged[row].mean()),
        "chosen_seed": int(arm.chosen_seeds[row]),
        "validation_return": [finite(value) for value in arm.validation[row]],
        "diverged": np.flatnonzero(~np.isfinite(arm.validation[row])).tolist(),
        "settings": arm.runs.settings[row],
        "curve": {
            "update": [every * (block + 1) for block in range(blocks)],
            "validation_accuracy": _band(arm.accuracy_curve[row], judgement.resamples),
            "validation_return": _band(arm.return_curve[row], judgement.resamples),
        },
        "routes": {task: route_shares(ends[:, rows], part) for task, rows in task_rows(part)},
        "stop_rate": {
            "all": _stopped(ends, part),
            "per_task": {task: _stopped(ends[:, rows], part) for task, rows in task_rows(part)},
            "per_stage": [_stopped_at(stage, ends, part) for stage in range(1, part.tree.horizon)],
        },
    }


def _measure(values: Float[np.ndarray, "S Q"], judgement: Judgement) -> dict[str, Any]:
    """Mean with its crossed interval (seeds and queries), interquartile mean with its own (seeds alone)."""
    per_seed = values.mean(axis=1)
    middle = interquartile_mean_estimate(per_seed[:, None], judgement.resamples)
    mean = crossed_mean(values, judgement.cluster)
    return {
        "mean": float(per_seed.mean()),
        "mean_ci": [float(mean.low), float(mean.high)],
        "iqm": float(middle.value),
        "iqm_ci": [float(middle.low), float(middle.high)],
        "per_seed": per_seed.tolist(),
    }


def _band(curves: Float[np.ndarray, "S B"], resamples: int) -> dict[str, Any]:
    """Interquartile mean over seeds after each block of updates; null where a run gave no number."""
    band = interquartile_mean_estimate(curves[:, None], resamples)
    named = zip(("iqm", "low", "high"), band, strict=True)
    return {name: [finite(value) for value in values] for name, values in named}


def _front(arm: ArmOutcomes, judgement: Judgement) -> dict[str, Any]:
    """The efficient ones of the W mean points, and the front as one number, with crossed intervals."""
    cost, quality = arm.outcome.cost.mean(axis=(1, 2)), arm.outcome.quality.mean(axis=(1, 2))
    low, high = judgement.reference["cost_range"]

    def number(measure: Measure) -> dict[str, Any]:
        mean = crossed_mean(added(measure, arm.outcome.cost, arm.outcome.quality), judgement.cluster)
        return {"value": float(mean.value), "ci": [float(mean.low), float(mean.high)]}

    return {
        "points": [
            {"cost": float(cost[i]), "accuracy": float(quality[i]), "cost_weight": float(arm.cost_weights[i])}
            for i in pareto_front(cost, quality)
        ],
        "hypervolume": number(lambda cost, quality: hypervolume(cost, quality, judgement.reference["cost"])),
        "aiq": number(lambda cost, quality: average_quality(cost, quality, low, high)),
    }


def _stopped(ends: np.ndarray, part: OutcomeTable) -> float:
    """Share of answers before the horizon."""
    return float((part.tree.stages[ends] < part.tree.horizon).mean())


def _stopped_at(stage: int, ends: np.ndarray, part: OutcomeTable) -> float | None:
    """Of the routes that come as far as this many hops, the share that end there; null where none does."""
    stages = part.tree.stages[ends]
    reached = stages >= stage
    return float((stages == stage).sum() / reached.sum()) if reached.any() else None


def _estimate(estimate: Any) -> dict[str, Any]:
    return {"iqm": float(estimate.value), "iqm_ci": [float(estimate.low), float(estimate.high)]}
