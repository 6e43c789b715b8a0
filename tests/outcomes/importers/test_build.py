"""From outcomes to a table with its provenance."""

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import build_table, read_format
from hierrouter_jax.outcomes.importers.costs import WordCounter
from hierrouter_jax.outcomes.importers.records import Price
from tests.outcomes.outcome_files import (
    CITY,
    COLOUR,
    ROUTERBENCH,
    SUM,
    LengthEncoder,
    long_rows,
    provenance,
    table_of,
    write,
)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_source_without_training_queries_is_refused(tmp_path, split):
    path = write(tmp_path / "o.jsonl", [row | {"split": split} for row in long_rows(SUM, "x")])
    with pytest.raises(InputError, match=f"holds no training query, only {split}; --resplit draws splits anew"):
        table_of("long", path)
    assert table_of("long", path, resplit=True).num_queries == 2


def test_a_table_says_where_its_outcomes_come_from(tmp_path):
    """The sum stands in train and test, and leaves train: two models have three of six outcomes of three queries."""
    rows = [*long_rows(SUM, "4")[:3], {"query": CITY, "model": "a", "score": 0, "cost": 2, "response": "Lima"}]
    rows = [row | {"split": "train"} for row in rows]
    path = write(tmp_path / "o.jsonl", [*rows, rows[0] | {"query": f"{SUM} ", "split": "test"}])
    table = table_of("long", path, counter=None, shares={"train": 1})
    assert [(query.text, query.split) for query in table.queries] == [
        (COLOUR, "train"),
        (CITY, "train"),
        (f"{SUM} ", "test"),
    ]
    known = provenance(table)
    assert known["counts"]["queries_read"] == 4
    assert known["counts"]["missing"] == 3 * 2 - 3
    assert known["counts"]["splits"] == {"train": 2, "test": 1}
    assert known["duplicates"]["dropped"] == {"train": {"queries": 1}}
    assert known["files"]["o.jsonl"]["bytes"] == path.stat().st_size
    assert known["splits"] == "given"
    assert known["options"]["leaks"] == "train"
    assert table.cost.tolist() == [[0, 1, 0], [0, 2, 0], [0, 1, 0]]


def test_validation_is_drawn_from_train_where_a_source_has_none(tmp_path):
    texts = [f"{number * 7919:x} {number * 104729:x} {number * 1299709:x}?" for number in range(1, 21)]
    rows = [{"query": text, "model": "a", "score": 1, "cost": 1, "response": "x", "split": "train"} for text in texts]
    table = table_of("long", write(tmp_path / "o.jsonl", rows), shares={"train": 3, "validation": 1})
    assert [query.split for query in table.queries].count("validation") == 5
    assert provenance(table)["validation_drawn"]


@pytest.mark.parametrize("shares", [{}, {"train": 0}, {"train": 0.8, "val": 0.2}])
def test_shares_are_checked_where_the_source_has_splits(tmp_path, shares):
    path = write(tmp_path / "o.jsonl", [row | {"split": "train"} for row in long_rows(SUM, "x")])
    with pytest.raises(InputError, match="must be weights of train, validation, test, one of them above 0"):
        table_of("long", path, shares=shares)


def test_prices_without_a_unit_are_in_money_units(tmp_path):
    path = write(tmp_path / "o.jsonl", long_rows(SUM, "x"))
    assert table_of("long", path, prices={"a": Price(1, 1), "b": Price(2, 2)}).money_unit == "money units"


def test_stated_costs_keep_the_unit_of_their_source(tmp_path):
    """RouterBench states US dollars; the long format states no unit, and prices alone are in theirs."""
    prices = {"a": Price(1, 1), "b": Price(2, 2)}

    def unit(format, path):
        return build_table(read_format(format, path), LengthEncoder(), WordCounter(), prices, "euros").money_unit

    assert unit("routerbench", write(tmp_path / "w.csv", ROUTERBENCH)) == "US dollars"
    rows = long_rows(SUM, "x")
    assert unit("long", write(tmp_path / "o.jsonl", rows)) == "euros"
    assert unit("long", write(tmp_path / "o.jsonl", [row | {"cost": None} for row in rows])) == "euros"


def test_a_query_without_any_score_is_left_out_and_noted(tmp_path):
    rows = [*long_rows(SUM, "x"), {"query": CITY, "model": "a", "score": None, "cost": 1, "response": "Lima"}]
    table = table_of("long", write(tmp_path / "o.jsonl", rows))
    assert [query.text for query in table.queries] == [SUM, COLOUR]
    assert provenance(table)["notes"] == ["queries left out, as none of their outcomes has a score: 1"]
    rows[1]["score"] = None
    assert provenance(table_of("long", write(tmp_path / "o.jsonl", rows[:4])))["notes"] == []


def test_splits_are_stated_for_all_queries_or_none(tmp_path):
    rows = long_rows(SUM, "x")
    rows[0]["split"] = rows[1]["split"] = "train"
    with pytest.raises(InputError, match="has no split, but others do; split all or none"):
        table_of("long", write(tmp_path / "o.jsonl", rows))
