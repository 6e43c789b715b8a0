"""Outcomes of several hops: routes, the tree that they span, what each hop read, and whole tables."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.importers import read_format
from hierrouter_jax.outcomes.importers.routes import embed, prompts, read_route, spanned_tree, with_prefixes
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import Query
from tests.outcomes.outcome_files import CITY, COLOUR, SUM, LengthEncoder, provenance, table_of, write
from tests.tables import random_table

HOPS = [
    {"route": ["a"], "model": "a", "score": 0, "response": "2 + 2 is", "tokens_out": 3, "cost": 1},
    {"route": "b", "model": "b", "score": 1, "response": "4", "tokens_out": 1, "cost": 5},
    {"route": ["a", "b"], "model": "b", "score": 1, "response": "four", "tokens_out": 2, "cost": 6},
    {"route": "b > a", "model": "a", "score": 0, "response": "five", "tokens_out": 2, "cost": 2},
    {"route": '["b", "b"]', "model": "b", "score": 0.5, "response": "4.", "tokens_out": 2, "cost": 7},
]


def rows(*texts: str) -> list[dict]:
    return [{"query": text, "gold": "4", **hop} for text in texts for hop in HOPS]


def test_a_table_of_two_hops_by_hand(tmp_path):
    """Nodes: 1 a, 2 b, 3 aa, 4 ab, 5 ba, 6 bb. SUM is 6 words and marks, `2 + 2 is` 4 and `4` 1."""
    table = table_of("long", write(tmp_path / "o.jsonl", rows(SUM)), shares={"train": 1})
    assert (table.tree, table.model_names) == (HopTree(2, 2), ("a", "b"))
    np.testing.assert_array_equal(table.available, [[1, 1, 1, 0, 1, 1, 1]])
    np.testing.assert_array_equal(table.quality, [[0, 0, 1, 0, 1, 0, 0.5]])
    np.testing.assert_array_equal(table.tokens_in, [[0, 6, 6, 0, 6 + 4, 6 + 1, 6 + 1]])
    np.testing.assert_array_equal(table.tokens_out, [[0, 3, 1, 0, 2, 2, 2]])
    np.testing.assert_array_equal(table.cost, [[0, 1, 5, 0, 6, 2, 7]])
    assert table.response.tolist() == [["", "2 + 2 is", "4", "", "four", "five", "4."]]
    assert provenance(table)["counts"] | {"splits": 0, "partial_queries": 0, "tasks": 0} == {
        "queries_read": 1, "queries": 1, "models": 2, "hops": 2, "outcomes": 5, "missing": 1,
        "splits": 0, "partial_queries": 0, "tasks": 0,
    }  # fmt: skip
    save_table(table, tmp_path / "t")
    assert load_table(tmp_path / "t").fingerprint == table.fingerprint


def test_a_csv_holds_routes_as_text_or_json(tmp_path):
    frame = pd.DataFrame(rows(SUM)).assign(
        route=lambda f: f["route"].map(lambda r: json.dumps(r) if isinstance(r, list) else r)
    )
    path = write(tmp_path / "o.csv", frame.to_csv(index=False))
    from_json = table_of("long", write(tmp_path / "o.jsonl", rows(SUM)), shares={"train": 1})
    assert table_of("long", path, shares={"train": 1}).fingerprint == from_json.fingerprint


def test_a_query_without_all_hops_is_partial_and_trains(tmp_path):
    whole = [{"route": ["a", "a"], "model": "a", "score": 1, "response": "x", "tokens_out": 1, "cost": 1}]
    asked = rows(SUM, COLOUR, CITY) + [{"query": text, "gold": "4", **whole[0]} for text in (COLOUR, CITY)]
    table = table_of("long", write(tmp_path / "o.jsonl", asked), shares={"train": 1, "test": 1})
    assert next(query.split for query in table.queries if query.text == SUM) == "train"
    assert {query.split for query in table.queries} == {"train", "test"}
    assert provenance(table)["counts"]["partial_queries"] == {"train": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"route": ["a", "c"]}, "route ends in 'c', but must end in the row's model 'b'"),
        ({"route": ["c", "b"]}, "has no outcome of the hop 'c' before"),
        ({"route": ["a", ""]}, "route ['a', ''] holds an empty name"),
        ({"route": 7}, "route 7 is neither a list of models nor a text as 'first > second'"),
        ({"route": "[a, b"}, "route '[a, b' is no list in JSON"),
        ({"route": "[" * 100_000}, "[[[ is no list in JSON"),
        ({"route": ["b"]}, "a second outcome of 'b' for query 'query-000000'; the first is kept"),
    ],
)
def test_a_row_with_a_wrong_route_is_listed_with_its_reason(tmp_path, change, reason):
    hops = rows(SUM)
    hops[2] |= change
    records = read_format("long", write(tmp_path / "o.jsonl", hops))
    assert [(row.file, row.row) for row in records.rejected] == [("o.jsonl", "2")]
    assert reason in records.rejected[0].reason
    assert len(records.frame) == 4


def test_a_hop_without_a_score_hides_those_after_it(tmp_path):
    hops = rows(SUM)
    hops[1]["score"] = None
    records = read_format("long", write(tmp_path / "o.jsonl", hops))
    assert [row.row for row in records.rejected] == ["3", "4"]


def test_tokens_of_a_hop_after_an_unknown_response_must_be_given(tmp_path):
    hops = [{key: value for key, value in row.items() if key != "cost"} for row in rows(SUM)]
    hops[0]["response"] = None
    hops[0]["tokens_in"] = 6
    with pytest.raises(
        InputError, match=r"route 'a > b': tokens_in is not given, and neither is an earlier response of"
    ):
        table_of("long", write(tmp_path / "o.jsonl", hops), prices={})


def test_a_tree_that_no_machine_holds_is_refused(tmp_path):
    route = [f"model-{step}" for step in range(12)]
    steps = [
        {"query": SUM, "route": route[: hop + 1], "model": route[hop], "score": 0, "response": "", "cost": 1}
        for hop in range(12)
    ]
    with pytest.raises(InputError, match=r"routes of 12 hops over 12 models make a tree of 9,726,655,034,461 nodes"):
        table_of("long", write(tmp_path / "o.jsonl", steps))


def test_read_route_by_hand():
    assert read_route("a>b > c") == ("a", "b", "c")
    assert read_route('["a > b"]') == ("a > b",)
    assert read_route(np.array(["a", "b"], dtype=object)) == ("a", "b")
    with pytest.raises(ValueError, match="neither a list"):
        read_route([])


def test_with_prefixes_by_hand():
    scored = [
        ("q", ("a",), 1.0),
        ("q", ("a", "b"), 0.0),
        ("r", ("a", "b"), 1.0),
        ("q", ("b",), None),
        ("q", ("b", "a"), 1.0),
    ]
    listed = [{"query_id": query, "route": route, "score": score} for query, route, score in scored]
    assert with_prefixes(listed) == ([0, 1, 3], [(2, ("a",)), (4, ("b",))])


def test_spanned_tree_by_hand():
    assert spanned_tree([("b",), ("b", "a", "c")], 5) == (["a", "b", "c"], HopTree(3, 3))


def test_prompts_by_hand():
    frame = pd.DataFrame(
        [("q", "Q", ("a",), "one"), ("q", "Q", ("a", "b"), None), ("q", "Q", ("a", "b", "a"), "x")],
        columns=["query_id", "query", "route", "response"],
    )
    assert prompts(frame).tolist() == ["Q", "Q\none", None]


def test_embeddings_are_of_the_query_and_the_responses():
    class Whole(LengthEncoder):
        def encode(self, contexts):
            return np.array([[len("".join([c.query, *c.responses]))] for c in contexts], dtype=np.float32)

    response = np.array([["", "ab", "c"] + [""] * 4], dtype=object)
    available = np.array([[True, True, False] + [False] * 4])
    query = Query(id="q", text="Q", task="t", gold="", split="train")
    embedding, work = embed(Whole(), HopTree(2, 2), [query], response, available)
    np.testing.assert_array_equal(embedding, [[[1], [3], [0]]])
    assert work is None


@given(st.integers(0, 10), st.sampled_from([0.0, 0.4]))
def test_a_table_written_as_rows_is_read_back(tmp_path_factory, seed, missing):
    """Every table is its long format: outcomes, costs and holes."""
    table = random_table(queries=3, seed=seed, missing=missing)
    long = [
        {
            "query_id": query.id, "query": query.text, "task": query.task, "gold": query.gold, "split": "train",
            "route": [table.model_names[model] for model in table.tree.route(node)],
            "model": table.model_names[table.tree.last_model(node)], "score": float(table.quality[row, node]),
            "tokens_in": int(table.tokens_in[row, node]), "tokens_out": int(table.tokens_out[row, node]),
            "response": table.response[row, node], "cost": float(table.cost[row, node]),
        }
        for row, query in enumerate(table.queries)
        for node in range(1, table.tree.num_nodes)
        if table.available[row, node]
    ]  # fmt: skip
    back = table_of("long", write(tmp_path_factory.mktemp("long") / "o.jsonl", long), leaks="keep")
    assume(back.tree == table.tree and back.model_names == table.model_names)  # else no hop of one is there
    for name in ("quality", "tokens_in", "tokens_out", "available", "cost"):
        np.testing.assert_allclose(getattr(back, name), getattr(table, name), rtol=1e-6)
