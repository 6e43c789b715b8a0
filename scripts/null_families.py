"""How often `compare` claims a difference where there is none, and how often it sees one: real policies, redrawn.

    hierrouter quickstart --out runs/quickstart
    python -m scripts.null_families runs/quickstart/table

One learner is trained with many seeds at each cost weight. A family draws its arms' runs from that one pool, no run
twice, and its queries with replacement, so that no arm is better than another. It is then judged as `compare` judges:
return at every cost weight and hypervolume, each arm against the first, Holm over all of them.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from jsonargparse import auto_cli

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.envs.types import accumulate_cost
from hierrouter_jax.evaluation.crossed import CrossedMean, crossed_mean
from hierrouter_jax.evaluation.paired import Difference, verdicts
from hierrouter_jax.files import write_json
from hierrouter_jax.learner_config import LearnerHyper
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.compare.claims import FEWEST_SEEDS, PRIMARY, added, measures
from hierrouter_jax.studies.compare.outcomes import reference
from hierrouter_jax.sweeps.sweep import train_many
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.settings import with_numbers

AT_ONCE = 25  # families whose intervals are computed together


@dataclass(frozen=True)
class Pool:
    """What P runs of one learner do at each of W cost weights on Q queries.

    Attributes:
      cost, quality: cost and quality of every run's answer [W, P, Q].
      cost_weights: quality that the normalised cost of one call weighs as much as [W].
      cost_normaliser: mean cost of one call on the training split.
      reference: bounds of the cost axis, as `compare.outcomes.reference` gives them.
    """

    cost: Float[np.ndarray, "W P Q"]
    quality: Float[np.ndarray, "W P Q"]
    cost_weights: tuple[float, ...]
    cost_normaliser: float
    reference: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """What a number of families showed.

    Attributes:
      seeds, arms: number of runs of each arm, and of arms beside the baseline.
      effects: standard deviation of an effect that was added to each run's accuracy.
      families: number of families.
      refused: number of families in which nothing may be claimed, whatever their numbers.
      false_claims: share of families with any claim, of which none is true; refused ones claim nothing.
      false_claims_ci: its 99 % Clopper-Pearson interval.
      ignoring_seeds: share of families with any claim, had p-values been over queries alone, seeds averaged.
      coverage: share of 95 % intervals that hold the true difference, 0.
      power: share of the first arm's returns called better, where it is better by `lead`.
    """

    seeds: int
    arms: int
    effects: float
    families: int
    refused: int
    false_claims: float
    false_claims_ci: tuple[float, float]
    ignoring_seeds: float
    coverage: float
    power: float


def trained_pool(
    table: OutcomeTable, cost_weights: tuple[float, ...], runs: int, static: LearnerStatic, features: int, out: Path
) -> Pool:
    """The same learner with many seeds at each cost weight; a sweep in `out` that was cut off goes on."""
    fitted = fit_features(table.split("train"), features)
    hypers = [with_numbers(LearnerHyper(), {"reward.hop_cost": weight}) for weight in cost_weights]
    result = train_many(table, static, hypers, runs, features=fitted, layout="map", out=out)
    part = table.split("test")
    ends = np.array([result.curves(member)["ends"] for member in range(runs * len(cost_weights))])
    ends = ends.reshape(len(cost_weights), runs, part.num_queries)
    rows = np.arange(part.num_queries)
    spent = accumulate_cost(part.cost.astype(np.float64), part.tree)
    quality = part.quality.astype(float)
    return Pool(spent[rows, ends], quality[rows, ends], cost_weights, fitted.cost_normaliser, reference(part))


def differences(
    pool: Pool, seeds: int, arms: int, lead: float, effects: float, rng: np.random.Generator
) -> Float[np.ndarray, "H S Q"]:
    """One family: what each seed and query adds to each of its hypotheses, an arm's hypotheses beside each other.

    Args:
      lead: accuracy that the first arm gains, on queries drawn anew, of which it then answers all right.
      effects: standard deviation of an effect that is added to each run's accuracy.
    """
    _, runs, queries = pool.quality.shape
    chosen = rng.choice(runs, (arms + 1, seeds), replace=False)
    rows = rng.integers(queries, size=queries)
    cost, quality = (values[:, chosen][..., rows] for values in (pool.cost, pool.quality))  # [W, A, S, Q]
    quality = quality + effects * rng.normal(size=(1, arms + 1, seeds, 1))
    if lead:
        wrong = 1 - quality[:, 1].mean()
        given = rng.random(queries) < lead / wrong
        quality[:, 1] = np.where(given, 1.0, quality[:, 1])
    matched = cost[:, 0].mean(axis=(1, 2))
    its = measures(np.array(pool.cost_weights), pool.cost_normaliser, pool.reference, matched)
    its = [measure for name, _, measure in its if name in PRIMARY]
    adds = np.array([[added(measure, cost[:, arm], quality[:, arm]) for measure in its] for arm in range(arms + 1)])
    return (adds[1:] - adds[0]).reshape(-1, seeds, queries)


def judged(
    pool: Pool, seeds: int, arms: int, families: int, lead: float, effects: float, seed: int
) -> Iterator[tuple[list[Difference], list[Difference]]]:
    """The differences of each of many families, as `paired_difference` gives them; then as if there were no seeds."""
    rng = np.random.default_rng([seed, seeds, arms])
    for start in range(0, families, AT_ONCE):
        count = min(AT_ONCE, families - start)
        drawn = np.array([differences(pool, seeds, arms, lead, effects, rng) for _ in range(count)])
        both = (_families(crossed_mean(values)) for values in (drawn, drawn.mean(axis=-2, keepdims=True)))
        yield from zip(*both, strict=True)


def _families(means: CrossedMean) -> list[list[Difference]]:
    return [
        [
            Difference(float(value), (float(low), float(high)), float(p))
            for value, low, high, p in zip(*one, strict=True)
        ]
        for one in zip(*means, strict=True)
    ]


def cell(
    pool: Pool, seeds: int, arms: int, families: int, lead: float = 0.02, effects: float = 0.0, seed: int = 0
) -> Cell:
    """False claims, coverage and power of a kind of family."""
    from scipy import stats

    null, ignoring = zip(*judged(pool, seeds, arms, families, 0.0, effects, seed), strict=True)
    allowed = seeds >= FEWEST_SEEDS
    otherwise = np.mean([any(one.counts for one in verdicts(family)) for family in ignoring])
    claims = sum(allowed and any(one.counts for one in verdicts(family)) for family in null)
    intervals = np.array([one.interval for family in null for one in family])
    returns = len(pool.cost_weights)
    better = [
        allowed and one.word == "better"
        for family, _ in judged(pool, seeds, arms, families, lead, effects, seed + 1)
        for one in verdicts(family)[:returns]
    ]
    ci = stats.binomtest(claims, families).proportion_ci(0.99, method="exact")
    covered = (intervals[:, 0] <= 0) & (intervals[:, 1] >= 0)
    return Cell(
        seeds=seeds,
        arms=arms,
        effects=effects,
        families=families,
        refused=0 if allowed else families,
        false_claims=claims / families,
        false_claims_ci=(float(ci.low), float(ci.high)),
        ignoring_seeds=float(otherwise),
        coverage=float(covered.mean()),
        power=float(np.mean(better)),
    )


def main(
    table: Path,
    runs: int = 120,
    families: int = 1000,
    seeds: tuple[int, ...] = (1, 2, 3, 5, 10),
    arms: tuple[int, ...] = (1, 5),
    cost_weights: tuple[float, ...] = (0.01, 0.03, 0.1),
    lead: float = 0.02,
    effects: float = 0.05,
    static: LearnerStatic = LearnerStatic("exact", allow_stop=True, num_envs=256, num_updates=8, evaluate_every=4),
    features: int = 96,
    out: Path = Path("runs/null_families"),
) -> None:
    """Train the pool, draw families, print a row a cell, and write all of them.

    Args:
      table: folder of the outcome table.
      runs: seeds of the learner at each cost weight.
      families: number of families of each cell.
      seeds: numbers of seeds of an arm.
      arms: numbers of arms beside the baseline.
      cost_weights: cost weights at which each arm is trained.
      lead: accuracy that one arm gains where power is measured.
      effects: standard deviation of effects of seeds, for cells of 3 seeds where these dominate.
      static: shapes of the learner.
      features: principal components that it sees.
      out: folder of the pool's sweep and of `null_families.json`.
    """
    pool = trained_pool(load_table(table), cost_weights, runs, static, features, out / "pool")
    kinds = [(s, a, 0.0) for s in seeds for a in arms] + [(3, a, effects) for a in arms if effects]
    cells = []
    print("seeds arms effects   false claims (99 % interval)   refused   seeds ignored   coverage   power")
    for number, many, size in kinds:
        one = cell(pool, number, many, families, lead, size)
        low, high = one.false_claims_ci
        print(
            f"{number:5d} {many:4d} {size:7.2f}   {one.false_claims:.3f} ({low:.3f} to {high:.3f}){'':9}"
            f"{one.refused:7d}   {one.ignoring_seeds:13.3f}   {one.coverage:8.3f}   {one.power:5.3f}",
            flush=True,
        )
        cells.append(asdict(one))
    about = {"table": str(table), "runs": runs, "queries": pool.quality.shape[2], "lead": lead}
    write_json(out / "null_families.json", about | {"cost_weights": list(cost_weights), "cells": cells})


if __name__ == "__main__":
    auto_cli(main)
