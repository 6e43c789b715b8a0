"""Peak memory of training on a large outcome table of random outcomes, all the way from host arrays.

python -m scripts.host_memory --queries 100000 --features 96
"""

import resource

import jax
import numpy as np
from jsonargparse import auto_cli

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers

EMBEDDING = 384


def main(queries: int = 100_000, features: int = 96) -> None:
    """Print the table's bytes (by how much it makes the process grow), the process's peak, and 1.3 tables + 1 GiB.

    Args:
      queries: Q, a twentieth of them for validation; M = 3, L = 3, E = 384, float32.
      features: F, to which embeddings are reduced.
    """
    jax.devices()
    before = peak()
    table = random_outcomes(queries)
    size = peak() - before
    static = LearnerStatic(num_envs=4096, num_updates=5)
    train_routers(table, TrainConfig(("ppo",), num_seeds=1, features=features, static=static))
    allowed = 1.3 * size + 2**30
    print(f"table {size / 2**30:.2f} GiB, peak {peak() / 2**30:.2f} GiB, {peak() / allowed:.2f} of 1.3 tables + 1 GiB")


def peak() -> int:
    """Most bytes of the process that were ever resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def random_outcomes(queries: int) -> OutcomeTable:
    """A table of random outcomes, its embeddings drawn by parts."""
    tree, rng = HopTree(3, 3), np.random.default_rng(0)
    embedding = np.empty((queries, tree.num_decision_nodes, EMBEDDING), np.float32)
    for start in range(0, queries, 1000):
        part = embedding[start : start + 1000]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
    shape = (queries, tree.num_nodes)
    quality = (rng.random(shape) < 0.4).astype(np.float32)
    tokens = rng.integers(1, 30, shape).astype(np.int32)
    response = np.full(shape, "an answer", dtype=object)
    quality[:, 0], tokens[:, 0], response[:, 0] = 0.0, 0, ""
    return OutcomeTable(
        tree=tree,
        pool=tuple(PricedModel(f"m{m}", m + 1.0, m + 1.0, 1000) for m in range(tree.num_models)),
        queries=tuple(
            Query(f"q{q}", f"query {q}", f"task {q % 3}", "gold", "validation" if q % 20 == 0 else "train")
            for q in sorted(range(queries), key=lambda q: q % 20 == 0)
        ),
        context_embedding=embedding,
        quality=quality,
        tokens_in=tokens,
        tokens_out=tokens,
        available=np.ones(shape, bool),
        response=response,
        encoder={"kind": "ngrams"},
    )


if __name__ == "__main__":
    auto_cli(main)
