"""Routers from a decision log: every learner on one part, judged by the estimator on the other, the best exported."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.evaluation.intervals import CONFIDENCE
from hierrouter_jax.learner_config import LOG_LEARNERS, OFF_POLICY, VALUES
from hierrouter_jax.outcomes.coverage import evaluated_queries
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.off_policy.estimate import estimate
from hierrouter_jax.training.log_training import held_out_part, learn_values, train_log_learner
from hierrouter_jax.training.settings import TrainConfig

DEFAULT_LEARNERS = (VALUES, OFF_POLICY)
FEWEST = 20  # episodes with feedback on either side of the split


@dataclass(frozen=True)
class LogRun:
    """What training from a log gives.

    Attributes:
      bundle: policy of the best estimated return on held-out episodes; of the first learner where these cannot tell.
      record: content of evaluation.json.
      metrics: a row for each learner, seed and update.
    """

    bundle: PolicyBundle
    record: dict[str, Any]
    metrics: pd.DataFrame


def train_from_log(
    episodes: Episodes,
    template: PolicyBundle,
    config: TrainConfig,
    held_out: float,
    table: OutcomeTable | None = None,
    learners: tuple[str, ...] = DEFAULT_LEARNERS,
) -> LogRun:
    """Train learners of logs, estimate each on held-out episodes, and choose.

    The same episodes judge and choose. So the intervals of K learners are those of 1 - .05 / K (Bonferroni), which hold
    all at once with 95 %: that of the chosen one, too, whichever it is.

    Args:
      episodes: episodes of a log.
      template: policy of the log's pool and encoder.
      config: numbers and shapes of the learners, their seeds among them; its learners' names are of tables.
      held_out: share of the questions whose episodes judge, and teach nothing.
      table: outcome table of the pool, whose test queries show the truth beside; it is never learned from.
      learners: names of `LOG_LEARNERS`, the first of which is chosen where the held-out episodes cannot tell.

    Raises:
      InputError: if a learner is unknown or named twice, or the log is of another pool or encoder or has too few
        episodes with feedback.
    """
    if not learners or len(set(learners)) != len(learners):
        raise InputError(f"log_learners must be one or more different names, not {list(learners)}")
    unknown = next((name for name in learners if name not in LOG_LEARNERS), None)
    if unknown is not None:
        raise InputError(f"log_learners: {unknown!r} is no learner of logs; {nearest(unknown, LOG_LEARNERS)}")
    names = tuple(member.name for member in template.pool)
    if episodes.candidates != names:
        raise InputError(f"the log routes {', '.join(episodes.candidates)}, but the policy {', '.join(names)}")
    if dict(episodes.encoder) != dict(template.encoder):
        raise InputError(
            f"the log's embeddings are of the encoder {dict(episodes.encoder)}, but the policy's pool has "
            f"{dict(template.encoder)}"
        )
    episodes = episodes.only(episodes.ended)
    apart = held_out_part(episodes, held_out, config.seed)
    has_quality = np.isfinite(episodes.quality)
    for part, what in ((~apart, "to learn from"), (apart, "held out")):
        if (has_quality & part).sum() < FEWEST:
            raise InputError(
                f"{int((has_quality & part).sum())} episodes with feedback are {what}, but {FEWEST} are needed"
            )
    of = learn_values(episodes.only(~apart), template, config)
    test = None if table is None else evaluated_queries(table, "test")
    confidence = 1 - (1 - CONFIDENCE) / len(learners)
    bundles, rows, metrics = {}, [], []
    for name in learners:
        bundles[name], its = train_log_learner(name, of, template, config)
        seeds, updates = its["train_return"].shape
        frame = {key: value.ravel() for key, value in its.items()}
        seed, update = np.repeat(np.arange(seeds), updates), np.tile(1 + np.arange(updates), seeds)
        metrics.append(pd.DataFrame({"learner": name, "seed": seed, "update": update} | frame))
        estimates = estimate(episodes.only(apart), bundles[name], table=test, confidence=confidence)
        rows.append({"name": name, "kind": "learned", **_brief(estimates)})
    best = _best(rows)
    return LogRun(
        bundle=bundles[best["name"]],
        record={
            "log": {
                "episodes": len(episodes),
                "judged": int(has_quality.sum()),
                "held_out": int((has_quality & apart).sum()),
                "queries": of.trees.num_queries,
                "left_out": list(episodes.left_out),
            },
            "cost_weight": of.economy.cost_weight,
            "cost_normaliser": of.economy.normaliser,
            "money_unit": template.money_unit,
            "logging": estimates["logging"],
            "estimator": estimates["estimator"],
            "confidence": confidence,
            "policies": rows,
            "chosen": best["name"],
        },
        metrics=pd.concat(metrics, ignore_index=True),
    )


def _best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of the best estimated return, where the log can answer for the first, too; else the first.

    An estimate of a few effective episodes says nothing, and would choose by chance.
    """
    able = [row for row in rows if row["answers"]]
    return max(able, key=lambda row: row["return"]) if rows[0] in able else rows[0]


def _brief(estimates: dict[str, Any]) -> dict[str, Any]:
    """Of an estimate: its numbers with their intervals, None where the log cannot answer; and why not."""
    row = next(row for row in estimates["estimators"] if row["name"] == estimates["estimator"])
    metrics = {name: row[name]["value"] for name in ("return", "accuracy", "cost")}
    intervals = {f"{name}_ci": row[name]["ci"] for name in ("return", "accuracy", "cost")}
    return {
        **metrics,
        **intervals,
        "answers": estimates["answers"],
        "reasons": estimates["reasons"],
        "truth": estimates["truth"],
    }
