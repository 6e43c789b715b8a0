"""Validation, pricing, splits and the fingerprint of the outcome table."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.outcomes.ties import reordered
from tests.tables import random_table


def spoiled(array: np.ndarray, value: object) -> np.ndarray:
    copy = array.copy()
    copy[1, 2] = value
    return copy


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quality", np.nan, "quality: query 'q1', node 2 is nan, but must be a number in [0, 1]"),
        ("quality", 1.5, "quality: query 'q1', node 2 is 1.5"),
        ("tokens_in", -1, "tokens_in: query 'q1', node 2 is -1, but must be at least 0"),
        ("latency", np.nan, "latency: query 'q1', node 2 is nan"),
        ("context_embedding", np.inf, "context_embedding: query 'q1', node 2 is not finite"),
    ],
)
def test_a_bad_entry_is_named(field, value, message):
    table = random_table()
    with pytest.raises(InputError) as caught:
        replace(table, **{field: spoiled(getattr(table, field), value)})
    assert message in str(caught.value)


def test_wrong_shapes_are_named():
    table = random_table()
    with pytest.raises(InputError, match=r"quality: shape is \(6, 39\) but 6 queries x 40 nodes are needed"):
        replace(table, quality=table.quality[:, 1:])
    with pytest.raises(InputError, match="context_embedding: shape is"):
        replace(table, context_embedding=table.context_embedding[:, 1:])
    with pytest.raises(InputError, match="pool has 2 models but the hop tree is made for 3"):
        replace(table, pool=table.pool[:2])


def test_an_orphan_hop_is_refused():
    table = random_table()
    available = table.available.copy()
    available[0, 1] = False  # its children stay
    with pytest.raises(InputError, match="must be false where the hop before it is missing"):
        replace(table, available=available)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "  "}, "'q0' has an empty text"),
        ({"split": "dev"}, "split 'dev'; it must be one of train, validation, test"),
        ({"id": "q1"}, "id 'q1' occurs twice"),
    ],
)
def test_bad_queries_are_named(change, message):
    table = random_table()
    queries = (Query(**(vars(table.queries[0]) | change)), *table.queries[1:])
    with pytest.raises(InputError) as caught:
        replace(table, queries=queries)
    assert message in str(caught.value)


def test_the_fingerprint_follows_outcomes_and_not_prices_or_splits():
    table = random_table()
    dearer = replace(table, pool=tuple(replace(member, price_in=9.0) for member in table.pool))
    resplit = replace(table, queries=tuple(replace(query, split="test") for query in table.queries))
    assert dearer.fingerprint == resplit.fingerprint == table.fingerprint
    assert not np.allclose(dearer.cost[:, 1:], table.cost[:, 1:])
    other = spoiled(table.response, "something else")
    assert replace(table, response=other).fingerprint != table.fingerprint
    assert replace(table, quality=1 - table.quality).fingerprint != table.fingerprint


def test_a_selection_keeps_the_meaning_of_task_indices():
    table = random_table(queries=6, tasks=3)
    for split in ("train", "validation", "test"):
        part = table.split(split)
        assert [part.task_names[t] for t in part.task] == [query.task for query in part.queries]
        assert part.task_names == table.task_names
        assert part.details["finish_reason"].shape == part.quality.shape


@pytest.mark.parametrize("hops", [1, 2, 3, 9])
def test_routes_of_fewer_hops_are_the_first_nodes_of_every_column(hops):
    """M = 3: 4, 13 and 40 nodes, of which 1, 4 and 13 decide; a cost that the source states is cut with the rest."""
    nodes, decisions = {1: (4, 1), 2: (13, 4), 3: (40, 13), 9: (40, 13)}[hops]
    table = random_table()
    stated = np.arange(table.quality.size, dtype=np.float64).reshape(table.quality.shape)
    stated[:, 0] = 0
    part = replace(table, stated_cost=stated).up_to(hops)
    assert part.cost.tolist() == stated[:, :nodes].tolist()
    assert part.context_embedding.tolist() == table.context_embedding[:, :decisions].tolist()
    for name in ("quality", "tokens_in", "tokens_out", "available", "response", "latency"):
        assert getattr(part, name).tolist() == getattr(table, name)[:, :nodes].tolist()
    assert part.details["finish_reason"].shape == (6, nodes)


def test_a_missing_split_is_refused():
    with pytest.raises(InputError, match="holds no test queries; its splits are"):
        random_table(splits=("train", "validation")).split("test")


def test_a_pool_in_another_order_has_the_same_outcomes_by_name():
    table = random_table(2, queries=4, models=3, horizon=3, missing=0.3)
    there = reordered(table, (2, 0, 1))
    assert there.model_names == ("m2", "m0", "m1")
    for node in range(table.tree.num_nodes):
        names = [table.model_names[model] for model in table.tree.route(node)]
        same = there.tree.node([there.model_names.index(name) for name in names])
        for column in ("quality", "cost", "available", "response"):
            np.testing.assert_array_equal(getattr(there, column)[:, same], getattr(table, column)[:, node])
        if node < table.tree.num_decision_nodes:
            np.testing.assert_array_equal(there.context_embedding[:, same], table.context_embedding[:, node])
