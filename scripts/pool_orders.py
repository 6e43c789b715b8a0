"""What a router owes to the order of the pool, and what its features are worth beside those of a strided sample.

python -m scripts.pool_orders --table runs/quickstart/table             # forty seeds, the six orders of three models

Writes a JSON file and a Markdown table beside it. In the table's own order every learner is trained twice with the same
seeds: on the package's features, and on principal components of every k-th context, each divided by the root of its
spread. The difference of interquartile means has a 95 % bootstrap interval over seeds and test queries, crossed.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from jsonargparse import auto_cli

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.bundle import FeatureReduction
from hierrouter_jax.evaluation.intervals import RESAMPLES, interquartile_mean, percentile_interval
from hierrouter_jax.files import write_json, write_text
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.outcomes.ties import reordered
from hierrouter_jax.sweeps.sweep import train_many
from hierrouter_jax.training.features import FittedFeatures, fit_features
from hierrouter_jax.training.settings import static_of, with_numbers

_ENOUGH = 20_000  # contexts of a stage at most in a strided sample


def main(
    table: Path,
    seeds: int = 40,
    order_seeds: int = 40,
    orders: int = 6,
    learners: tuple[str, ...] = ("ppo", "ppo+stop"),
    features: int = 96,
    cost_weight: float = 0.01,
    out: Path = Path("runs/bench/pool_orders.json"),
) -> None:
    """Train and test every learner in every order.

    Args:
      table: an outcome table.
      seeds: runs that the two kinds of features are compared on.
      order_seeds: runs in each order of the pool, at most as many as seeds.
      orders: orders of the pool at most, its own first.
      learners: names of learners.
      features: principal components.
      cost_weight: of the reward.
      out: JSON file; the Markdown goes beside it.
    """
    loaded, rows = load_table(table), []
    pools = list(islice(permutations(range(loaded.tree.num_models)), orders))
    for learner in learners:
        settings = learner, cost_weight
        own = qualities(loaded, fit_features(loaded.split("train"), features), *settings, seeds)
        strided = qualities(loaded, strided_features(loaded.split("train"), features), *settings, seeds)
        by_order = {", ".join(loaded.model_names): summary(own[:order_seeds])}
        for models in pools[1:]:
            there = reordered(loaded, models)
            quality = qualities(there, fit_features(there.split("train"), features), *settings, order_seeds)
            by_order[", ".join(there.model_names)] = summary(quality)
        means = [row["interquartile_mean"] for row in by_order.values()]
        low, high = paired_interval(own, strided)
        rows.append(
            {
                "learner": learner,
                "own": summary(own),
                "strided": summary(strided),
                "difference": summary(own)["interquartile_mean"] - summary(strided)["interquartile_mean"],
                "ci": [low, high],
                "orders": by_order,
                "best_minus_worst_order": max(means) - min(means),
            }
        )
        print(markdown(rows[-1:]), flush=True)
    write_json(
        out,
        {
            "table": loaded.fingerprint,
            "seeds": seeds,
            "order_seeds": order_seeds,
            "features": features,
            "cost_weight": cost_weight,
            "rows": rows,
        },
    )
    write_text(out.with_suffix(".md"), markdown(rows))


def qualities(
    table: OutcomeTable, features: FittedFeatures, learner: str, cost_weight: float, seeds: int
) -> Float[np.ndarray, "S Q"]:
    """Quality of each seed's answer to each test query."""
    hyper = with_numbers(LearnerHyper(), {"reward.hop_cost": cost_weight})
    static = static_of(learner, LearnerStatic())
    result = train_many(table, static, hyper, seeds, features=features, layout="map", progress=False)
    test = table.split("test")
    ends = np.stack([result.curves(member)["ends"] for member in range(seeds)])
    return test.quality[np.arange(test.num_queries), ends].astype(np.float64)


def strided_features(train: OutcomeTable, size: int) -> FittedFeatures:
    """Principal components of every k-th context of a stage, in the order of the table: not free of the pool's order.

    With k a power of the number of models, the sample sees one route of each stage only.
    """
    from sklearn.decomposition import PCA

    rows = []
    for stage in range(train.tree.horizon):
        nodes = train.tree.stage_slice(stage)
        query, node = np.nonzero(train.available[:, nodes])
        every = max(1, len(query) // max(1, min(train.num_queries, _ENOUGH)))
        rows.append(train.context_embedding[query[::every], nodes.start + node[::every]])
    sample = np.concatenate(rows)
    size = min(size, sample.shape[1], len(sample) - 1)
    fitted = PCA(size, svd_solver="randomized", random_state=0).fit(sample)
    spread = np.sqrt(fitted.explained_variance_)
    scale = np.sqrt(spread * spread.mean())
    reduction = FeatureReduction(
        fitted.mean_.astype(np.float32),
        np.ascontiguousarray(np.asarray(fitted.components_).T, np.float32),
        np.maximum(scale, 1e-3 * scale[0] + 1e-12).astype(np.float32),
    )
    return replace(fit_features(train, 1), reduction=reduction)


def summary(quality: Float[np.ndarray, "S Q"]) -> dict[str, Any]:
    """Interquartile mean over seeds, mean, standard deviation and the worst seed of accuracy."""
    accuracy = quality.mean(axis=1)
    return {
        "interquartile_mean": float(interquartile_mean(accuracy)),
        "mean": float(accuracy.mean()),
        "standard_deviation": float(accuracy.std(ddof=min(1, len(accuracy) - 1))),
        "worst": float(accuracy.min()),
    }


def paired_interval(
    one: Float[np.ndarray, "S Q"], other: Float[np.ndarray, "S Q"], resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95 % interval of a difference of interquartile means: seeds and queries redrawn, the same for both."""
    rng = np.random.default_rng(0)
    seeds, queries = one.shape
    weight = rng.multinomial(queries, np.full(queries, 1 / queries), size=resamples) / queries
    chosen = rng.integers(0, seeds, size=(resamples, seeds))
    drawn = [(quality @ weight.T)[chosen, np.arange(resamples)[:, None]] for quality in (one, other)]
    low, high = percentile_interval(interquartile_mean(drawn[0], axis=1) - interquartile_mean(drawn[1], axis=1))
    return float(low), float(high)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| learner | features or order | interquartile mean | mean | sd | worst seed |",
        "|---|---|---|---|---|---|",
    ]
    for one in rows:
        parts = {"all contexts": one["own"], "strided sample": one["strided"], **one["orders"]}
        lines += [
            f"| {one['learner']} | {name} | {part['interquartile_mean']:.4f} | {part['mean']:.4f} "
            f"| {part['standard_deviation']:.4f} | {part['worst']:.4f} |"
            for name, part in parts.items()
        ]
    for one in rows:
        low, high = one["ci"]
        lines.append(
            f"\n{one['learner']}: all contexts less strided sample {one['difference']:+.4f} [{low:+.4f}, {high:+.4f}]; "
            f"best order less worst {one['best_minus_worst_order']:.4f}"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
