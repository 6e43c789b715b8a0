"""Random outcome tables, small enough for the slow obvious version of everything."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.replicates import repeated_by_seed
from hierrouter_jax.outcomes.table import OutcomeTable, Query


def random_table(
    seed: int = 0,
    queries: int = 6,
    models: int = 3,
    horizon: int = 3,
    embedding: int = 8,
    missing: float = 0.0,
    tasks: int = 2,
    splits: tuple[str, ...] = ("train", "validation", "test"),
) -> OutcomeTable:
    """A table of random outcomes; `missing` is the share of hops never run (with everything below them)."""
    rng = np.random.default_rng(seed)
    tree = HopTree(models, horizon)
    shape = (queries, tree.num_nodes)
    available = rng.random(shape) >= missing
    available[:, 0] = True
    available[:, 1] = True  # at least one model answers every query
    for node in range(1, tree.num_nodes):
        available[:, node] &= available[:, tree.parent(node)]
    quality = rng.choice([0.0, 0.25, 0.5, 1.0], size=shape).astype(np.float32) * available
    quality[:, 0] = 0.0
    tokens = rng.integers(1, 30, size=(2, *shape)).astype(np.int32) * available
    tokens[:, :, 0] = 0
    response = np.array(
        [[f"r{q}.{n}" if available[q, n] and n else "" for n in range(shape[1])] for q in range(queries)], dtype=object
    )
    return OutcomeTable(
        tree=tree,
        pool=tuple(PricedModel(f"m{m}", 0.1 * (m + 1), 0.2 * (m + 1), 1000 * (m + 1)) for m in range(models)),
        queries=tuple(
            Query(f"q{q}", f"text {q}", f"task{q % tasks}", f"gold {q}", splits[q % len(splits)])
            for q in range(queries)
        ),
        context_embedding=rng.normal(size=(queries, tree.num_decision_nodes, embedding)).astype(np.float32),
        quality=quality,
        tokens_in=tokens[0],
        tokens_out=tokens[1],
        available=available,
        response=response,
        encoder={"kind": "ngrams", "size": embedding},
        latency=rng.random(shape).astype(np.float32),
        details={"finish_reason": np.where(available, "stop", "").astype(object)},
    )


def replicated(table: OutcomeTable, count: int, split: str = "test") -> OutcomeTable:
    """The table with every query of a split `count` times, seed by seed, with the same outcomes each time."""
    asked = [row for row, query in enumerate(table.queries) if query.split == split]
    again = repeated_by_seed([table.queries[row] for row in asked], count)[len(asked) :]
    rows = np.array([*range(table.num_queries), *asked * (count - 1)])
    columns = (
        "context_embedding",
        "quality",
        "tokens_in",
        "tokens_out",
        "available",
        "response",
        "latency",
        "tokens_cached",
    )
    columns = tuple(name for name in (*columns, "latency") if getattr(table, name) is not None)
    return replace(
        table,
        queries=(*table.queries, *again),
        details={name: column[rows] for name, column in table.details.items()},
        **{name: getattr(table, name)[rows] for name in columns},
    )


def written_again(table: OutcomeTable) -> OutcomeTable:
    """The table with its replicates as questions of their own, of the same texts."""
    return replace(table, queries=tuple(replace(query, question="", seed=0) for query in table.queries))


def tables(**fixed) -> st.SearchStrategy[OutcomeTable]:
    """Tables over M, L, missing hops and seeds."""
    return st.builds(
        random_table,
        **{
            "seed": st.integers(0, 10_000),
            "queries": st.just(3),
            "models": st.sampled_from([1, 3]),  # every shape is compiled anew
            "horizon": st.integers(1, 3),
            "missing": st.sampled_from([0.0, 0.3]),
        }
        | {name: st.just(value) for name, value in fixed.items()},
    )
