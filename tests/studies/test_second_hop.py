"""What a second hop gains, split by a control: by hand, in a pool and beside it, and with replicates."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from hierrouter_jax.cli.worth import split_sentence
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.second_hop import controls_of, second_hops
from tests.tables import random_table, replicated, tables, written_again

PROMPT = {"prompt": {"members": {"again": {"fresh": "b"}, "a": {"closing": "Short."}}}}


def built(right: dict[tuple[str, ...], list[int]], split: str = "test") -> OutcomeTable:
    """Models a, b and `again`, the control of b; a route is right on the queries whose entry is 1."""
    names = ("a", "b", "again")
    table = random_table(queries=4, models=3, horizon=2, tasks=1, splits=(split,))
    quality = np.zeros_like(table.quality)
    for route, its in right.items():
        quality[:, table.tree.node([names.index(name) for name in route])] = its
    pool = tuple(PricedModel(name, 1.0, 1.0) for name in names)
    return replace(table, pool=pool, quality=quality, settings=PROMPT)


RIGHT = {
    ("a",): [1, 0, 0, 0],
    ("b",): [0, 1, 0, 0],
    ("a", "again"): [0, 1, 0, 0],
    ("b", "again"): [0, 1, 0, 0],
    ("a", "b"): [1, 1, 1, 0],
    ("b", "b"): [0, 1, 0, 1],
}


def test_the_split_by_hand():
    """b after a is right 3 times of 4, a once, b's control once: of 50 points another try makes 0, reading 50."""
    train = built({("a", "b"): [0, 0, 0, 1], ("b", "b"): [0, 0, 1, 1]}, "train")
    after_a, after_b = second_hops(train, built(RIGHT))
    assert [after_a[name] for name in ("first", "second", "control", "queries")] == ["a", "b", "again", 4]
    assert [after_a[name] for name in ("draft", "again", "read")] == [0.25, 0.25, 0.75]
    assert [after_a[name]["value"] for name in ("gain", "another_try", "reading")] == [0.5, 0.0, 0.5]
    assert [after_b[name]["value"] for name in ("gain", "another_try", "reading")] == [0.25, 0.0, 0.25]
    assert (after_a["chosen"], after_b["chosen"]) == (False, True)  # on training b after b is the best
    low, high = after_a["another_try"]["ci"]
    assert low < 0 < high  # one query won and one lost
    assert split_sentence(after_b).startswith("Of the gain of b after b, 25.0 points [")
    assert "another try makes 0.0 points [0.0, 0.0] (again does not read the draft)" in split_sentence(after_b)


def test_a_control_beside_the_pool_is_one_call():
    part = built(RIGHT)
    beside = random_table(queries=4, models=1, horizon=1, tasks=1, splits=("test",))
    beside = replace(beside, quality=np.float32([[0, 1], [0, 1], [0, 0], [0, 0]]), pool=(PricedModel("twin", 1, 1),))
    row = next(one for one in second_hops(part, part, beside, {"b": "twin"}) if one["first"] == "a")
    assert [row[name]["value"] for name in ("gain", "another_try", "reading")] == [0.5, 0.25, 0.25]


@given(tables(models=3, queries=5))
def test_the_two_parts_make_up_the_gain(table):
    part = replace(table, settings={"prompt": {"members": {"m2": {"fresh": "m1"}}}})
    rows = second_hops(part, part)
    assert bool(rows) <= (table.tree.horizon > 1)
    for row in rows:
        assert row["gain"]["value"] == pytest.approx(row["another_try"]["value"] + row["reading"]["value"])
    assert sum(row["chosen"] for row in rows) == bool(rows)


def test_replicates_count_once():
    part = built(RIGHT)
    (once, _), (thrice, _) = second_hops(part, part), second_hops(part, replicated(part, 3))
    assert thrice["queries"] == 4
    assert thrice["gain"]["value"] == once["gain"]["value"]
    assert thrice["gain"]["ci"] == pytest.approx(once["gain"]["ci"], abs=0.01)


def test_duplicates_are_one_piece_of_evidence_as_replicates_are():
    part = replicated(built(RIGHT), 2)
    (one, _), (other, _) = second_hops(part, part), second_hops(part, written_again(part))
    assert other["queries"] == 2 * one["queries"]
    for name in ("gain", "another_try", "reading"):
        assert other[name]["ci"] == pytest.approx(one[name]["ci"])


def test_tables_without_a_control_have_no_split():
    part = built(RIGHT)
    assert controls_of(PROMPT) == {"b": "again"}
    assert second_hops(part, replace(part, settings={})) == second_hops(part.up_to(1), part.up_to(1)) == []
    with pytest.raises(InputError, match=r"controls: the table has no model 'agian'; did you mean again\?"):
        second_hops(part, part, None, {"b": "agian"})
    with pytest.raises(InputError, match="controls: 'b' cannot be its own control"):
        second_hops(part, part, None, {"b": "b"})
