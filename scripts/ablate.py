"""What makes the learned router better: the exact learner with and without a fitted prior, on one outcome table.

python -m scripts.ablate --table tables/lookahead                       # ten random splits of 1,200/540 queries
python -m scripts.ablate --table runs/quickstart/table --splits 0 --cost_weight 0.01   # the table's own split

Writes a JSON file and a Markdown table beside it. Every variant sees the same queries; a fifth of the training queries
of a random split is its validation split, and no split parts duplicates. Differences are to the best single model per
task of training and validation queries together, with a 95 % interval over splits and queries at once, duplicates
counting as one.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int
from jsonargparse import auto_cli

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.baselines import oracle, sequences
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.evaluation.policy_outcome import ending_at
from hierrouter_jax.files import write_json, write_text
from hierrouter_jax.outcomes.duplicates import find_duplicates
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.leaderboard.splits import Split, clusters, given_split, questions_tested, random_splits
from hierrouter_jax.studies.measures import opponents, problem_of
from hierrouter_jax.sweeps.members import greedy_scores
from hierrouter_jax.training.features import fit_features

REFERENCE = "best single per task (train + validation)"
VALIDATION = 0.2  # of the training queries
EXACT = LearnerStatic(algorithm="exact", num_envs=256, num_updates=20, evaluate_every=1)
PRIOR = replace(EXACT, prior=True)
# Never leave the prior: all that is learnt is the plan, and training need not go on.
ALONE = replace(PRIOR, num_envs=4, num_updates=1, epochs=1), {"prior_evidence": 1e6}
VARIANTS: dict[str, tuple[LearnerStatic, dict[str, float]]] = {
    "exact": (EXACT, {}),
    "exact, prior": (PRIOR, {"prior_caution": 0.5}),
    "exact, prior, evidence 2": (PRIOR, {"prior_caution": 0.5, "prior_evidence": 2.0}),
    "exact, prior, caution 1, evidence 3": (PRIOR, {"prior_caution": 1.0, "prior_evidence": 3.0}),
    "prior alone, caution 0": ALONE,
    "prior alone": (ALONE[0], ALONE[1] | {"prior_caution": 0.5}),
    "prior alone, caution 1": (ALONE[0], ALONE[1] | {"prior_caution": 1.0}),
}


def main(
    table: Path,
    splits: int = 10,
    train: int = 1200,
    features: int = 96,
    seeds: int = 3,
    cost_weight: float = 0.0,
    stop: bool = False,
    variants: tuple[str, ...] = tuple(VARIANTS),
    out: Path = Path("runs/bench/ablate.json"),
) -> None:
    """Train and test every variant on every split.

    Args:
      table: an outcome table.
      splits: random ones; 0 for the table's own.
      train: queries of a random split that are trained and validated on.
      features: principal components.
      seeds: runs a split, of which validation chooses.
      cost_weight: of the reward.
      stop: whether STOP may be chosen.
      variants: names of `VARIANTS`.
      out: JSON file; the Markdown goes beside it.
    """
    loaded = load_table(table)
    drawn, group = parted(loaded, splits, train)
    repeats = Repeats(questions_tested(drawn, np.arange(loaded.num_queries)), clusters(group))
    qualities = baselines(loaded, drawn, features, cost_weight, stop)
    notes = {}
    for name in variants:
        static, numbers = VARIANTS[name]
        qualities[name], notes[name] = learned(
            loaded, drawn, replace(static, allow_stop=stop), numbers, features, seeds, cost_weight
        )
        print(name, round(float(repeats.mean(qualities[name])), 4), flush=True)
    rows = [row(name, quality, qualities[REFERENCE], repeats, notes.get(name)) for name, quality in qualities.items()]
    rows.sort(key=lambda one: -one["accuracy"])
    write_json(
        out,
        {
            "table": loaded.fingerprint,
            "encoder": loaded.encoder,
            "splits": splits,
            "train": train,
            "features": features,
            "seeds": seeds,
            "cost_weight": cost_weight,
            "stop": stop,
            "configurations": len(variants),
            "rows": rows,
        },
    )
    write_text(out.with_suffix(".md"), markdown(rows))
    print(markdown(rows))


def parted(table: OutcomeTable, splits: int, train: int) -> tuple[list[Split], Int[np.ndarray, " Q"]]:
    """Random splits, or the table's own where none are asked for; and each query's group of duplicates."""
    group = find_duplicates([query.text for query in table.queries]).joined(table.question)
    if not splits:
        return [given_split(table, group, VALIDATION, seed=0)], group
    tested = table.num_queries - train
    return random_splits(np.asarray(table.task), group, splits, train, tested, VALIDATION, seed=0), group


def baselines(
    table: OutcomeTable, drawn: list[Split], features: int, cost_weight: float, stop: bool
) -> dict[str, Float[np.ndarray, "S Q"]]:
    """Quality of each opponent on each split's test queries, 0 elsewhere."""
    quality: dict[str, Float[np.ndarray, "S Q"]] = {}
    suffix = "+stop" if stop else ""
    for number, split in enumerate(drawn):
        whole = split.of(table)
        fitted = fit_features(whole.split("train"), features)
        part, weight = whole.split("test"), cost_weight / fitted.cost_normaliser
        seen = whole.select(np.array([query.split != "test" for query in whole.queries]))
        best = sequences.best_per_task(seen, False, weight, hops=1)
        entries = {entry.name: entry.ends for entry in opponents(part, problem_of(whole, fitted, weight))}
        wanted = ("best-single", "best-single-per-task", f"task-sequence{suffix}", f"random{suffix}")
        ends = {name: entries[name] for name in wanted} | {REFERENCE: ending_at(best[part.task], part.tree)}
        ceiling = oracle.oracle_stop(part) if stop else oracle.oracle_fixed(part)
        ends["oracle"] = ending_at(ceiling, part.tree)
        for name, ended in ends.items():
            values = quality.setdefault(name, np.zeros((len(drawn), table.num_queries)))
            values[number, split.test] = (ended * part.quality).sum(axis=1)
    return quality


def learned(
    table: OutcomeTable,
    drawn: list[Split],
    static: LearnerStatic,
    numbers: dict[str, float],
    features: int,
    seeds: int,
    cost_weight: float,
) -> tuple[Float[np.ndarray, "S Q"], dict[str, float]]:
    """Quality of the seed that validation chose, on each split's test queries, 0 elsewhere; and how training went."""
    hyper = replace(LearnerHyper(), **numbers)
    hyper = replace(hyper, reward=replace(hyper.reward, hop_cost=cost_weight))
    hyper = jax.tree.map(np.float32, hyper)
    quality, updates, trained = np.zeros((len(drawn), table.num_queries)), [], []
    for number, split in enumerate(drawn):
        whole = split.of(table)
        fitted = fit_features(whole.split("train"), features)
        tables = [fitted.on_device(whole.split(name)) for name in ("train", "validation", "test")]
        best, ends, at, value = program(static)(jax.vmap(jax.random.key)(np.arange(seeds)), hyper, *tables)
        chosen = int(np.argmax(best))
        quality[number, split.test] = table.quality[split.test, np.asarray(ends)[chosen]]
        updates.append(float(at[chosen]))
        trained.append(float(value[chosen]))
    return quality, {"updates kept": float(np.mean(updates)), "last train return": float(np.mean(trained))}


@lru_cache(maxsize=8)
def program(static: LearnerStatic) -> Any:
    """Seeds in turn; compiled once for all splits and numbers."""

    def run(keys: Any, hyper: LearnerHyper, train: DeviceTable, validation: DeviceTable, test: DeviceTable) -> Any:
        def one(key: Any) -> Any:
            state, metrics = learner.train(key, train, validation, static, hyper)
            _, ends = greedy_scores(state.best_params, test, static, hyper)
            return state.best_return, ends, state.best_update, metrics["train_return"][-1].mean()

        return jax.lax.map(one, keys)

    return jax.jit(run)


def row(
    name: str,
    quality: Float[np.ndarray, "S Q"],
    reference: Float[np.ndarray, "S Q"],
    repeats: Repeats,
    note: dict[str, float] | None,
) -> dict[str, Any]:
    """Accuracy, and the difference to the reference with its interval over splits and queries."""
    difference = repeats.difference(quality - reference)
    return {
        "name": name,
        "accuracy": float(repeats.mean(quality)),
        "difference": difference.value,
        "ci": list(difference.interval),
        **(note or {}),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| policy | accuracy | difference | 95 % interval |", "|---|---|---|---|"]
    for one in rows:
        low, high = one["ci"]
        lines.append(
            f"| {one['name']} | {one['accuracy']:.4f} | {one['difference']:+.4f} | {low:+.4f} to {high:+.4f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
