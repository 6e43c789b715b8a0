"""Tokens, stated costs and price lists."""

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.cli.import_ import ImportConfig, import_notes
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import ImportOptions, build_table, read_format
from hierrouter_jax.outcomes.importers.costs import WordCounter, check_prices, cost_meaning, fill_tokens, read_prices
from hierrouter_jax.outcomes.importers.records import Price
from tests.outcomes.outcome_files import SUM, LengthEncoder, long_rows, table_of, write


def test_a_stated_cost_needs_no_tokenizer(tmp_path):
    """SUM is 6 words and marks, COLOUR 9; without text nothing is counted, and no number is asked for."""
    rows = long_rows(SUM, "four words, a mark.")
    rows[1] |= {"response": None}
    rows[3] |= {"response": ""}
    table = table_of("long", write(tmp_path / "o.jsonl", rows), counter=None)
    np.testing.assert_array_equal(table.cost, [[0, 1, 1], [0, 1, 1]])
    np.testing.assert_array_equal(table.tokens_in, [[0, 6, 6], [0, 9, 9]])
    np.testing.assert_array_equal(table.tokens_out, [[0, 6, 0], [0, 6, 0]])
    assert table.settings["import"]["cost"] == (
        "cost is as the source states it for each outcome; tokens that it does not state are counted by words"
    )
    np.testing.assert_allclose([table.pool[0].price_in, table.pool[1].price_in], [2 / 27, 2 / 15])


def test_costs_of_zero_are_said(tmp_path):
    rows = [row | {"cost": 0} for row in long_rows(SUM, "x")]
    free = table_of("long", write(tmp_path / "o.jsonl", rows), counter=None)
    assert any("every cost is 0" in note for note in import_notes(free.settings["import"]))
    rows = [row | {"cost": None} for row in rows]
    write(tmp_path / "o.jsonl", rows)
    records = read_format("long", tmp_path / "o.jsonl")
    free = build_table(records, LengthEncoder(), WordCounter(), dict.fromkeys("ab", Price(0, 0)), "dollars")
    assert any("every cost is 0" in note for note in import_notes(free.settings["import"]))
    dear = build_table(records, LengthEncoder(), WordCounter(), {"a": Price(0, 0), "b": Price(0, 1)}, "dollars")
    assert not any("every cost is 0" in note for note in import_notes(dear.settings["import"]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {a: {base_rate: 1}}", "money_unit must say"),
        ("money_unit: USD\nmodels: {a: {price_in: 1}}", "a: price_out is None, but must be a number of at least 0"),
        ("money_unit: USD\nmodels: {a: {base_rate: -1}}", "a: base_rate is -1"),
        ("money_unit: USD\nmodels: {a: {price: 1}}", "state either base_rate, or both price_in and price_out"),
        ("a: {input_price: 1}", "a: output_price is None"),
        ("money_unit: USD\nmodel: 1\nmodels: {a: {base_rate: 1}}", "model is not a field; did you mean models"),
    ],
)
def test_a_price_list_is_whole_or_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_prices(write(tmp_path / "prices.yaml", text))


def test_prices_by_hand(tmp_path):
    """Prices are of `per_tokens` tokens; LLMRouter's of a million."""
    text = "money_unit: cents\nper_tokens: 100\nmodels: {a: {base_rate: 5}, b: {price_in: 1, price_out: 2}}"
    assert read_prices(write(tmp_path / "own.yaml", text)) == (
        {"a": Price(0.05, 0.05), "b": Price(0.01, 0.02)},
        "cents",
    )
    path = write(tmp_path / "default_llm.json", {"a": {"input_price": 2, "output_price": 4}})
    assert read_prices(path) == ({"a": Price(2e-6, 4e-6)}, "US dollars")


def test_every_model_needs_a_price():
    check_prices({"a": Price(1, 1)}, ["a"], "the pool")
    with pytest.raises(InputError, match=r"the pool: model 'b' has no price \(it states those of a\)"):
        check_prices({"a": Price(1, 1)}, ["a", "b"], "the pool")


def test_words_and_marks_are_counted():
    assert WordCounter().count(["What is 2 + 2?", "", "don't"]) == [6, 0, 3]


def test_tokens_that_are_not_given_are_counted_and_reported():
    columns = ["query_id", "route", "query", "response", "tokens_in", "tokens_out"]
    rows = [("q", ("a",), "one two", "three", None, 7), ("q", ("b",), "one two", "three four", None, None)]
    frame, report = fill_tokens(pd.DataFrame(rows, columns=columns, dtype=object), WordCounter(), None)
    assert frame["tokens_in"].tolist() == [2, 2]
    assert frame["tokens_out"].tolist() == [7, 2]
    expected = {"tokenizer": "words", "counted_in": 2, "counted_out": 1, "stated_out": None, "without_out": 0}
    assert report == expected
    assert cost_meaning(report, costs_stated=False) == (
        "cost is tokens read and written, counted by words, at the stated prices"
    )


def test_responses_that_are_not_there_take_the_stated_number():
    columns = ["query_id", "route", "query", "response", "tokens_in", "tokens_out"]
    frame = pd.DataFrame([("q", ("a",), "one", None, 1, None)], columns=columns, dtype=object)
    filled, report = fill_tokens(frame, None, 9)
    assert filled["tokens_out"].tolist() == [9]
    assert "an assumed 9 tokens written where there is no response (1 outcomes)" in cost_meaning(report, False)
    assert "of tokens read alone, as given" in cost_meaning(fill_tokens(frame, None, None)[1], False)
    assert cost_meaning(report, True) == "cost is as the source states it for each outcome"


def test_more_tokens_than_a_column_holds_are_refused():
    for make in (ImportOptions, lambda tokens_out: ImportConfig("long", "o.csv", tokens_out=tokens_out)):
        assert make(tokens_out=2**31 - 1).tokens_out == 2**31 - 1
        with pytest.raises(
            InputError, match="tokens_out is 3000000000, but must be a whole number of at least 0 and at"
        ):
            make(tokens_out=3_000_000_000)
