"""The value, accuracy and cost of a policy that did not serve, from a log of another that did, as plain data."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.exact import end_probability
from hierrouter_jax.evaluation.intervals import CONFIDENCE
from hierrouter_jax.evaluation.off_policy_intervals import bernstein_interval, bootstrap_interval, skewness_interval
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.exploration import Exploration, distribution
from hierrouter_jax.outcomes.log_health import PROPENSITY_LEVEL, check_episodes
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.named_policy import tree_probs
from hierrouter_jax.studies.off_policy.diagnostics import diagnostics, doubts
from hierrouter_jax.studies.off_policy.evidence import (
    DEFAULT,
    ESTIMATORS,
    reasons_to_refuse,
    usable,
    weigh,
)

METRICS = ("return", "accuracy", "cost")
GREEDY = Exploration()


def target_probs(bundle: PolicyBundle, episodes: Episodes, explore: Exploration = GREEDY) -> Float[np.ndarray, "E L A"]:
    """What a policy would have drawn from at every logged decision, from what the log says was read there.

    Only actions that the log's mask allows count; where the policy may take none of them, all are as likely. A policy
    of fewer hops than the log stops after its last.

    Args:
      bundle: policy, with the log's candidates and encoder.
      episodes: complete episodes of a log.
      explore: exploration that the policy is to be served with.
    """
    probs = np.zeros(episodes.probs.shape)
    weighed, budgeted = ("cost_weight" in bundle.conditions, "budget" in bundle.conditions)
    weights = np.where(weighed & np.isfinite(episodes.cost_weight), episodes.cost_weight, -1.0)  # -1: the run's own
    limited = budgeted & np.isfinite(episodes.budget)
    for weight, limit in sorted(set(zip(weights.tolist(), limited.tolist(), strict=True))):
        same = (weights == weight) & (limited == limit)
        for stage in range(episodes.length):
            rows = np.flatnonzero(same & episodes.taken[:, stage])
            if not len(rows):
                continue
            logits = np.full((len(rows), episodes.num_models + 1), -np.inf)
            if stage < bundle.horizon:
                limits = {"budget": episodes.budget[rows], "charges": episodes.charges[rows, stage]} if limit else {}
                arguments = episodes.embedding[rows, stage], stage, episodes.spent[rows, stage]
                logits = bundle.logits(*arguments, None if weight < 0 else weight, **limits)
            else:
                logits[:, -1] = 0.0
            mask = episodes.mask[rows, stage] & np.isfinite(logits)
            none = ~mask.any(axis=1)
            mask[none], logits[none] = episodes.mask[rows, stage][none], 0.0
            probs[rows, stage] = distribution(np.where(mask, logits, 0.0), mask, explore, bundle.ties)
    return probs


def estimate(
    episodes: Episodes,
    bundle: PolicyBundle,
    explore: Exploration = GREEDY,
    cost_weight: float | None = None,
    estimator: str = DEFAULT,
    clip: float | None = None,
    seed: int = 0,
    table: OutcomeTable | None = None,
    confidence: float = CONFIDENCE,
) -> dict[str, Any]:
    """Everything that logged episodes say of a policy, in the form that docs/estimate.md gives.

    Args:
      episodes: episodes of a log.
      bundle: policy that is asked about, greedy unless it explores.
      explore: exploration that it is to be served with.
      cost_weight: weight of the normalised cost in the return; by default the bundle's, or 0 if it has none.
      estimator: name of the estimator whose numbers are given as the answer.
      clip: largest ratio of a decision.
      seed: seed of folds and resamples.
      table: queries of the log with all their outcomes, where they are known, so that the truth can stand beside.
      confidence: probability with which each interval of the policy is to hold the truth, in (0, 1). Whoever chooses
        the best of K policies by their estimates asks for 1 - .05 / K (Bonferroni): then those of all of them hold at
        once with 95 %, and so that of the chosen one, whichever it is.

    Raises:
      InputError: if the log is not of the policy's candidates or encoder, or nothing can be estimated from it.
    """
    if dict(episodes.encoder) != dict(bundle.encoder):
        raise InputError(
            f"the log's embeddings are of the encoder {dict(episodes.encoder)}, but the policy reads those of "
            f"{dict(bundle.encoder)}"
        )
    warnings = check_episodes(episodes, tuple(member.name for member in bundle.pool))
    some = episodes.only(usable(episodes))
    if len(some) < 2:
        raise InputError(f"{len(some)} episodes came to an end with feedback, but an estimate needs at least 2")
    of = weigh(some, target_probs(bundle, some, explore), bundle.cost_normaliser, clip, seed)
    weight = (bundle.cost_weight or 0.0) if cost_weight is None else cost_weight
    signals = {"return": (1.0, -weight), "accuracy": (1.0, 0.0), "cost": (0.0, bundle.cost_normaliser)}
    diagnosis = diagnostics(of, signals["return"])
    reasons = reasons_to_refuse(of)
    if diagnosis["propensities"]["p_value"] < PROPENSITY_LEVEL and not of.same:
        reasons.append("the logged propensities are not those of the draws")
    answers, interval = not reasons, partial(of.interval, confidence=confidence)
    rows = {name: _metrics(signals, partial(of.contributions, estimator=name), interval) for name in ESTIMATORS}
    paired = _metrics(signals, lambda its: of.contributions(its, estimator) - of.logged(its), interval, least=-1.0)
    if not answers:
        rows = {name: {metric: {**its, "ci": None} for metric, its in row.items()} for name, row in rows.items()}
    for metric in signals if not of.same else ():  # its error is that of the fit, which no spread shows
        rows["direct"][metric]["ci"] = None
    values = of.contributions(signals["return"], estimator)
    return {
        "episodes": {
            "log": len(episodes),
            "used": len(some),
            "without_feedback": int((episodes.ended & ~np.isfinite(episodes.quality)).sum()),
            "unfinished": int((~episodes.ended).sum()),
        },
        "served_by": {str(name): int((some.policy == name).sum()) for name in np.unique(some.policy.astype(str))},
        "policy": {"fingerprint": bundle.fingerprint, "kind": bundle.kind, "explore": str(explore)},
        "same_policy": of.same,
        "cost_weight": weight,
        "cost_normaliser": bundle.cost_normaliser,
        "money_unit": bundle.money_unit,
        "estimator": estimator,
        "clip": clip,
        "answers": answers,
        "reasons": reasons,
        "logging": _metrics(signals, of.logged, lambda values: skewness_interval(values, len(values))),
        "estimate": rows[estimator] if answers else None,
        "difference": paired if answers else None,
        "bootstrap": {"return": list(bootstrap_interval(values, seed=seed))} if answers else None,
        "bernstein": {"accuracy": list(bernstein_interval(of.weight[:, -1], of.quality))},
        "estimators": [{"name": name, **row} for name, row in rows.items()],
        "diagnostics": diagnosis,
        "warnings": [*warnings, *_taught(some, bundle), *doubts(diagnosis)],
        "truth": None if table is None else truth(table, bundle, explore, weight),
    }


def truth(table: OutcomeTable, bundle: PolicyBundle, explore: Exploration, cost_weight: float) -> dict[str, float]:
    """What the policy really reaches on all queries of a table, exactly."""
    probs = jnp.asarray(tree_probs(bundle, table, explore), jnp.float32)
    outcome = policy_outcome(table, np.asarray(end_probability(probs, table.tree), dtype=np.float64))
    returns = outcome.returns(cost_weight, bundle.cost_normaliser)
    named = zip(METRICS, (returns, outcome.quality, outcome.cost), strict=True)
    return {name: float(its.mean()) for name, its in named} | {"queries": table.num_queries}


def _taught(episodes: Episodes, bundle: PolicyBundle) -> list[str]:
    """A sentence where the policy may have learned from these episodes: what taught it speaks too well of it."""
    log = bundle.provenance.get("log", {})
    try:
        policies = [str(one) for one in log["policies"]]
        until = datetime.fromisoformat(log["until"]).timestamp() if "until" in log else np.inf
    except (KeyError, TypeError, ValueError):  # a bundle's provenance is free: this one speaks of no log of ours
        return []
    number = int((np.isin(episodes.policy.astype(str), policies) & (episodes.time <= until)).sum())
    if not number:
        return []
    return [
        f"{number:,} of the {len(episodes):,} episodes are of the log that the policy learned from, which makes the "
        "estimate too high: go by those that its training held out ('hierrouter train' prints them), or by later ones"
    ]


def _metrics(
    signals: dict[str, tuple[float, float]],
    contributions: Callable[[tuple[float, float]], Float[np.ndarray, " E"]],
    interval: Callable[[Float[np.ndarray, " E"]], tuple[float, float]],
    least: float = 0.0,
) -> dict[str, Any]:
    """Value and interval of each metric; that of accuracy within what can be, from `least` to 1."""
    metrics = {}
    for name, signal in signals.items():
        values = contributions(signal)
        low, high = interval(values)
        bounds = np.clip([low, high], least, 1.0).tolist() if name == "accuracy" else [low, high]
        metrics[name] = {"value": float(values.mean()), "ci": bounds}
    return metrics
