"""What must be known beside every off-policy estimate: overlap, weights, propensities, and drift over time."""

from math import erfc
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.evaluation.off_policy import weights
from hierrouter_jax.evaluation.off_policy_intervals import skewness_interval
from hierrouter_jax.outcomes.decision_log import propensity_check
from hierrouter_jax.outcomes.log_health import PROPENSITY_LEVEL
from hierrouter_jax.studies.off_policy.evidence import Evidence

STOP = "STOP"
PERIODS = 4  # parts of the log, of as many episodes each, that drift is looked for between
_TAKEN = 0.01  # share of a stage's decisions below which an action is none of the target's


def diagnostics(of: Evidence, signal: tuple[float, float]) -> dict[str, Any]:
    """What the estimates of a target rest on, as plain data.

    Args:
      of: logged episodes weighed for the target.
      signal: weights of quality and of normalised cost in the return.
    """
    last, episodes = of.weight[:, -1], of.episodes
    check = propensity_check(episodes.probs[episodes.taken], episodes.action[episodes.taken])
    return {
        "effective_sample": of.effective,
        "effective_share": of.effective / len(last),
        "effective_wrong": of.effective_answers["wrong"],
        "effective_right": of.effective_answers["right"],
        "largest_weight": float(last.max()),
        "largest_weight_share": float(last.max() / max(last.sum(), 1e-300)),
        "mean_weight": _mean_weight(weights(of.uncut)[:, -1]),  # cut ratios lower it, however sound the propensities
        "unsupported": float(of.unsupported.sum(axis=1).mean()),
        "actions": _actions(of),
        "overlap": _overlap(of),
        "propensities": {
            "p_value": check.p_value,
            "bins": [
                {"low": float(low), "high": float(high), "expected": float(expected), "taken": int(number)}
                for low, high, expected, number in zip(check.low, check.high, check.expected, check.taken, strict=True)
            ],
        },
        "drift": _drift(of, signal),
    }


def doubts(diagnosis: dict[str, Any]) -> list[str]:
    """What speaks against the estimates or bends them, one sentence each."""
    sentences, weight, drift = [], diagnosis["mean_weight"], diagnosis["drift"]
    if weight["p_value"] < PROPENSITY_LEVEL:
        sentences.append(
            f"the mean weight is {weight['value']:.3f}, but must be 1 within its error of {weight['error']:.3f} "
            f"(p = {weight['p_value']:.1g}): the propensities are not those of the draws, or the log lacks what the "
            "policy does"
        )
    if drift["p_value"] < PROPENSITY_LEVEL:
        values = ", ".join(f"{period['value']:.3f}" for period in drift["periods"])
        sentences.append(
            f"the return of what was served drifts over the log's {len(drift['periods'])} periods ({values}; "
            f"p = {drift['p_value']:.1g}): an estimate is of the queries and policies of the whole time, not of now"
        )
    return sentences


def _mean_weight(weight: Float[np.ndarray, " E"]) -> dict[str, float]:
    value, error = float(weight.mean()), float(weight.std() / np.sqrt(len(weight)))
    p_value = erfc(abs(value - 1) / error / 2**0.5) if error > 0 else 1.0
    return {"value": value, "error": error, "p_value": p_value}


def _actions(of: Evidence) -> list[dict[str, Any]]:
    """At each stage, how often each action was taken and how often the target takes it."""
    names, rows = [*of.episodes.candidates, STOP], []
    for stage in range(of.episodes.length):
        here = of.episodes.taken[:, stage]
        if not here.any():
            continue
        logged, target = _shares(of, stage, here)
        rows += [
            {"stage": stage, "action": name, "logged": float(its), "target": float(other)}
            for name, its, other in zip(names, logged, target, strict=True)
        ]
    return rows


def _overlap(of: Evidence) -> list[dict[str, Any]]:
    """For each stage and task, what the target does there that the log hardly ever or never took."""
    names, episodes, rows = np.array([*of.episodes.candidates, STOP], dtype=object), of.episodes, []
    for stage in range(episodes.length):
        for task in dict.fromkeys(episodes.task.tolist()):
            here = episodes.taken[:, stage] & (episodes.task == task)
            if not here.any():
                continue
            count = np.bincount(episodes.action[here, stage], minlength=len(names))
            _, target = _shares(of, stage, here)
            visits = max(float(of.before[here, stage].sum()), 1e-300)
            rows.append(
                {
                    "stage": stage,
                    "task": task,
                    "decisions": int(here.sum()),
                    "never_taken": names[(count == 0) & (target > _TAKEN)].tolist(),
                    "unsupported": float(of.unsupported[here, stage].sum() / visits),
                }
            )
    return rows


def _shares(
    of: Evidence, stage: int, here: Bool[np.ndarray, " E"]
) -> tuple[Float[np.ndarray, " A"], Float[np.ndarray, " A"]]:
    """Shares of the actions that were taken, and of those that the target takes where it comes."""
    logged = np.bincount(of.episodes.action[here, stage], minlength=of.episodes.num_models + 1) / here.sum()
    visits = of.before[here, stage]
    return logged, visits @ of.target[here, stage] / max(visits.sum(), 1e-300)


def _drift(of: Evidence, signal: tuple[float, float]) -> dict[str, Any]:
    """The return of what was served in periods of as many episodes, and whether they are the same.

    With means m_k and standard errors s_k, sum_k (m_k - m)^2 / s_k^2 is held against a chi-squared distribution.
    """
    from scipy.special import chdtrc

    order = np.argsort(of.episodes.time, kind="stable")
    values = of.logged(signal)[order]
    parts = [part for part in np.array_split(values, PERIODS) if len(part) > 1]
    periods = [
        {"value": float(part.mean()), "ci": list(skewness_interval(part, len(part))), "episodes": len(part)}
        for part in parts
    ]
    means = np.array([part.mean() for part in parts])
    errors = np.array([max(part.var(ddof=1) / len(part), 1e-12) for part in parts])
    centre = (means / errors).sum() / (1 / errors).sum() if len(parts) else 0.0
    statistic = float(((means - centre) ** 2 / errors).sum())
    p_value = float(chdtrc(len(parts) - 1, statistic)) if len(parts) > 1 else 1.0
    return {"periods": periods, "p_value": p_value}
