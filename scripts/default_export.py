"""Whether what a run exports by default loses to a plan or a fixed sequence a task, on fresh folds of several tables.

    hierrouter quickstart --out runs/quickstart
    python -m scripts.default_export --tables '[runs/quickstart/table, tables/lookahead, tables/llmrouter]'

On every split the default learners are trained, validation chooses what is exported, and each opponent's variant with
or without STOP, and the accuracy of both on the test fold is compared. Intervals are over splits and queries; p-values
are corrected by Holm's method over all tables and opponents.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from jsonargparse import auto_cli

from hierrouter_jax.baselines.problem import Policy, returns
from hierrouter_jax.baselines.registry import OPPONENTS
from hierrouter_jax.evaluation.paired import Repeats, Verdict, verdicts
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.files import write_json
from hierrouter_jax.outcomes.duplicates import find_duplicates
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.choice import bundle_ends, candidates, choose
from hierrouter_jax.studies.leaderboard.splits import Split, clusters, questions_tested, random_splits
from hierrouter_jax.studies.measures import problem_of
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers

RIVALS = ("task-sequence", "predict-then-plan")


def main(
    tables: list[Path],
    splits: int = 4,
    test: float = 0.3,
    validation: float = 0.2,
    seeds: int = 5,
    seed: int = 0,
    out: Path = Path("runs/bench/default_export.json"),
) -> None:
    """Train, choose and compare on every table.

    Args:
      tables: folders of outcome tables.
      splits: random splits of each table.
      test: share of the queries that a split tests.
      validation: share of the others that validation has.
      seeds: runs of each learner.
      seed: seed of splits and runs.
      out: JSON file to write.
    """
    rows: list[dict[str, Any]] = []
    tests = []
    for path in tables:
        table = load_table(path)
        table = table.select(table.answered)
        group = find_duplicates([query.text for query in table.queries]).joined(table.question)
        drawn = random_splits(
            np.asarray(table.task), group, splits, 0, round(test * table.num_queries), validation, seed
        )
        repeats = Repeats(questions_tested(drawn, np.arange(table.num_queries)), clusters(group))
        quality, chosen = judged(table, drawn, TrainConfig(num_seeds=seeds, seed=seed))
        for rival in RIVALS:
            if rival in quality:
                tests.append(repeats.difference(quality["exported"] - quality[rival]))
                accuracy = {name: float(repeats.mean(values)) for name, values in quality.items()}
                rows.append({"table": path.as_posix(), "opponent": rival, "accuracy": accuracy, "chosen": chosen})
        print(f"{path}: exported {', '.join(chosen)}")
    for row, verdict in zip(rows, verdicts(tests), strict=True):
        row |= _said(verdict)
        low, high = (100 * bound for bound in verdict.interval)
        print(
            f"{row['table']} {row['opponent']}: {100 * verdict.value:+.1f} [{low:+.1f}, {high:+.1f}] points, "
            f"corrected p {verdict.p_holm:.3f}: {verdict.word}"
        )
    write_json(out, {"splits": splits, "seeds": seeds, "rows": rows})


def _said(verdict: Verdict) -> dict[str, Any]:
    return {
        "difference": verdict.value,
        "ci": list(verdict.interval),
        "p_holm": verdict.p_holm,
        "verdict": verdict.word,
    }


def judged(
    table: OutcomeTable, drawn: list[Split], config: TrainConfig
) -> tuple[dict[str, Float[np.ndarray, "S Q"]], list[str]]:
    """Quality on each split's test queries, 0 elsewhere, of what is exported and of opponents; names of the former."""
    quality: dict[str, Float[np.ndarray, "S Q"]] = {}
    chosen = []
    for number, split in enumerate(drawn):
        some = split.of(table)
        held, fold, order = some.split("validation"), some.split("test"), np.sort(split.test)
        routers, _ = train_routers(some, config)
        best = choose(candidates(some, routers))
        chosen.append(best.name)
        router = next(iter(routers.values()))
        weight = float(router.hyper.reward.hop_cost) / router.features.cost_normaliser
        problem = problem_of(some, router.features, weight)
        policies: dict[str, Policy] = {"exported": partial(bundle_ends, best.bundle)}
        for rival in RIVALS:
            names = [name for name in (rival, f"{rival}+stop") if table.tree.horizon >= OPPONENTS[name].shallowest]
            fitted = [OPPONENTS[name].fit(problem) for name in names]
            if fitted:
                policies[rival] = max(fitted, key=lambda policy: returns(held, policy(held), weight))
        for name, policy in policies.items():
            values = quality.setdefault(name, np.zeros((len(drawn), table.num_queries)))
            values[number, order] = policy_outcome(fold, policy(fold)).quality
    return quality, chosen


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
