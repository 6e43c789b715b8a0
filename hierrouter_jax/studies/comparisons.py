"""The comparisons that an evaluation declares, with corrected verdicts."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from hierrouter_jax.evaluation.paired import paired_difference, verdicts
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.measures import question_clusters, ratio
from hierrouter_jax.training.router import TrainedRouter


def declared_pairs(learners: Iterable[str]) -> list[tuple[str, str]]:
    """Who is compared with whom: declared here, before anything is seen, and corrected as one family.

    A learner of fixed length meets the best fixed routes and the best single model; one that may stop meets the best
    routes that may stop, and the same learner of fixed length.
    """
    pairs = []
    for name in learners:
        fixed, stop = name.removesuffix("+stop"), "+stop" if name.endswith("+stop") else ""
        opponents = (f"best-sequence{stop}", f"task-sequence{stop}", fixed if stop else "best-single")
        pairs += [(name, opponent) for opponent in opponents]
    return pairs


def comparisons(
    routers: dict[str, TrainedRouter],
    outcomes: dict[str, PolicyOutcome],
    by_seed: dict[str, list[PolicyOutcome]],
    part: OutcomeTable,
) -> list[dict[str, Any]]:
    """The declared comparisons that this run can make, p-values Holm-adjusted over them.

    They are about the chosen seeds' policies, as they are exported; `over_seeds`, a family of its own, is about what
    the learner gives from seed to seed, where there are two or more that did not diverge.
    """
    pairs = [pair for pair in declared_pairs(routers) if outcomes.keys() >= set(pair)]
    group = question_clusters(part)
    seeds = {
        name: np.stack([by_seed[name][seed].quality for seed in np.flatnonzero(~router.diverged)])
        for name, router in routers.items()
    }
    chosen = [paired_difference(outcomes[one].quality, outcomes[other].quality, group) for one, other in pairs]
    rows = [
        {
            "policy": policy,
            "opponent": opponent,
            "metric": "accuracy",
            "difference": one.value,
            "ci": list(one.interval),
            "p_value": one.p_value,
            "relative_cost": ratio(outcomes[policy].cost.mean(), outcomes[opponent].cost.mean()),
            "p_holm": one.p_holm,
            "over_seeds": None,
        }
        for (policy, opponent), one in zip(pairs, verdicts(chosen), strict=True)
    ]
    several, family = [], []
    for row in rows:
        mine, theirs = (seeds.get(row[side], outcomes[row[side]].quality) for side in ("policy", "opponent"))
        if theirs.ndim == 2:  # both learned: as many seeds of each, the first of those that did not diverge
            mine, theirs = mine[: len(theirs)], theirs[: len(mine)]
        if len(mine) > 1:
            several.append((row, len(mine)))
            family.append(paired_difference(mine, theirs, group))
    for (row, count), one in zip(several, verdicts(family), strict=True):
        row["over_seeds"] = {
            "seeds": count,
            "difference": one.value,
            "ci": list(one.interval),
            "p_value": one.p_value,
            "p_holm": one.p_holm,
            "verdict": one.word,
        }
    return rows
