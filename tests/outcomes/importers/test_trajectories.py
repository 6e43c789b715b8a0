"""Trajectories of agents span partial trees; what contradicts an earlier one, or has no end, is rejected."""

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import read_format
from tests.outcomes.outcome_files import provenance, table_of, write

QUERY, OTHER = "Fix the failing test.", "Rename the module, please, and its imports."


def row(trajectory, model, response, success=None, query=QUERY, **more):
    return {
        "trajectory": trajectory, "query": query, "model": model, "response": response, "success": success,
        "cost": 1.0, "split": "train",
    } | more  # fmt: skip


RIGHT = [
    row("t1", "small", "looks at it"),
    row("t1", "large", "fixes it", True),
    row("t2", "small", "looks at it", False),
    row("t3", "large", "rewrites it"),
    row("t3", "large", "fixes that", 0.5),
    row("t4", "large", "renames it", 1, query=OTHER, split="validation"),
]


def rejected(path):
    return [(its.row, its.reason) for its in read_format("trajectories", path).rejected]


def test_trees_by_hand(tmp_path):
    """Nodes: small, large at hop 1 (large is 1 in order of name); then small-small, small-large, and so on."""
    table = table_of("trajectories", write(tmp_path / "t.jsonl", RIGHT))
    assert table.model_names == ("large", "small")
    assert table.tree.horizon == 2
    first = next(row for row, query in enumerate(table.queries) if query.text == QUERY)
    large, small = table.tree.node([0]), table.tree.node([1])
    large_large, small_large = table.tree.node([0, 0]), table.tree.node([1, 0])
    assert np.flatnonzero(table.available[first]).tolist() == sorted([0, large, small, large_large, small_large])
    assert table.quality[first][[small, small_large, large, large_large]].tolist() == [0.0, 1.0, 0.0, 0.5]
    assert table.response[first, small_large] == "fixes it"
    assert table.cost[first][[small, small_large]].tolist() == [1.0, 1.0]
    (note,) = [note for note in provenance(table)["notes"] if "not judged" in note]
    assert note.startswith("1 answers on the way of trajectories were not judged")


def test_a_judged_answer_counts_whichever_trajectory_comes_first(tmp_path):
    for rows in (RIGHT, [*RIGHT[2:], *RIGHT[:2]]):
        frame = read_format("trajectories", write(tmp_path / "t.jsonl", rows)).frame
        scores = {tuple(its["route"]): its["score"] for _, its in frame.iterrows() if its["query"] == QUERY}
        assert scores == {("small",): 0.0, ("small", "large"): 1.0, ("large",): 0.0, ("large", "large"): 0.5}


def test_steps_are_in_the_order_of_their_numbers(tmp_path):
    rows = [row("t", "large", "second", True, step=10), row("t", "small", "first", step=2)]
    frame = read_format("trajectories", write(tmp_path / "t.jsonl", rows)).frame
    assert {tuple(its["route"]) for _, its in frame.iterrows()} == {("small",), ("small", "large")}


def test_another_response_of_the_same_hop_ends_what_is_read_of_a_trajectory(tmp_path):
    rows = [*RIGHT, row("t5", "small", "does nothing"), row("t5", "small", "gives up", False)]
    reason = "the hop 'small' has another response in an earlier trajectory of its query"
    assert rejected(write(tmp_path / "t.jsonl", rows)) == [("6", reason), ("7", reason)]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("t5", "small", "tries")], "its trajectory has no success"),
        ([row("t5", "a", "x", False), row("t5", "b", "y", True)], "its trajectory has several successes"),
        (
            [row("t5", "a", "x", 1, step=1), row("t5", "b", "y", 1)],
            "step must be a number in every row of a trajectory",
        ),
        ([row("t5", "a", "x", 1, step=1), row("t5", "b", "y", step=1)], "two steps of its trajectory have the same"),
        ([row("t5", "a", "x", 1, step="one")], "step must be a number in every row"),
        ([row(None, "a", "x", 1)], "trajectory is empty"),
        ([row("t5", "a", "x", "perhaps")], "success is 'perhaps', but must be a number in [0, 1]"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_its_reason(tmp_path, rows, reason):
    found = rejected(write(tmp_path / "t.jsonl", [*RIGHT, *rows]))
    assert [at for at, _ in found] == [str(len(RIGHT) + number) for number in range(len(rows))]
    assert all(its.startswith(reason) for _, its in found)


def test_a_success_that_every_row_repeats_is_one_however_it_is_written(tmp_path):
    rows = [row("t5", "a", "x", 1), row("t5", "b", "y", "1.0"), row("t5", "c", "z", True)]
    records = read_format("trajectories", write(tmp_path / "t.jsonl", rows))
    assert records.frame["score"].tolist() == [0.0, 0.0, 1.0]
    assert not records.rejected
    rows = [row("t5", "a", "x", "true"), row("t5", "b", "y", "True ")]
    assert not rejected(write(tmp_path / "t.jsonl", rows))


def test_columns_are_mapped_and_needed(tmp_path):
    path = write(tmp_path / "t.jsonl", [{**row("t", "small", "x", 1), "solved": 1}])
    columns = {"success": "solved"}
    assert len(read_format("trajectories", path, columns).frame) == 1
    with pytest.raises(InputError, match="column 'outcome' is missing"):
        read_format("trajectories", path, {"success": "outcome"})
    with pytest.raises(InputError, match="--columns: sucess is not a column; did you mean success"):
        read_format("trajectories", path, {"sucess": "solved"})
    with pytest.raises(
        InputError, match=r"--columns: cost is 'csot', but no column of .*t\.jsonl is called so; did you"
    ):
        read_format("trajectories", path, columns | {"cost": "csot"})
