"""Each format on files made by hand: every number of the table is known."""

import json

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import FORMATS, ImportOptions, build_table, read_format
from hierrouter_jax.outcomes.importers.costs import WordCounter, read_prices
from hierrouter_jax.outcomes.importers.records import Price
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.outcomes import outcome_files as made
from tests.outcomes.outcome_files import CITY, COLOUR, SUM, LengthEncoder, write


def table_of(format, path, counter=WordCounter(), prices=None, columns=None, **options) -> OutcomeTable:  # noqa: B008
    records = read_format(format, path, columns)
    return build_table(records, LengthEncoder(), counter, prices, options=ImportOptions(**options))


def told(table: OutcomeTable) -> dict:
    return json.loads(json.dumps(table.settings))["import"]


@pytest.fixture
def prices(tmp_path):
    return read_prices(write(tmp_path / "prices.yaml", made.PRICES))[0]


def test_the_long_format_by_hand(tmp_path, prices):
    """SUM is 6 words and marks, COLOUR 9, CITY 8; small costs .1 a million tokens, large 1 and 2."""
    table = table_of("long", write(tmp_path / "o.csv", made.LONG), prices=prices)
    assert table.model_names == ("large", "small")
    assert [query.text for query in table.queries] == [SUM, COLOUR, CITY]
    assert [query.split for query in table.queries] == ["train", "test", "test"]
    assert [query.task for query in table.queries] == ["sums", "colours", "cities"]
    np.testing.assert_array_equal(table.available, [[1, 1, 1], [1, 0, 1], [1, 1, 0]])
    np.testing.assert_array_equal(table.quality, [[0, 1, 1], [0, 0, 0], [0, 0.5, 0]])
    np.testing.assert_array_equal(table.tokens_in, [[0, 6, 6], [0, 0, 9], [0, 8, 0]])
    np.testing.assert_array_equal(table.tokens_out, [[0, 1, 1], [0, 0, 1], [0, 1, 0]])
    np.testing.assert_allclose(table.cost * 1e6, [[0, 8, 0.7], [0, 0, 1.0], [0, 10, 0]])
    np.testing.assert_array_equal(table.context_embedding[:, 0, 0], [len(SUM), len(COLOUR), len(CITY)])
    reasons = {row["row"]: row["reason"] for row in told(table)["rejected"]["rows"]}
    assert "score is 'maybe', but must be a number in [0, 1]" in reasons["3"]
    assert "a second outcome of 'large'" in reasons["6"]
    assert told(table)["counts"]["missing"] == 2
    assert told(table)["counts"]["partial_queries"] == {"test": 2}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv.gz"])
def test_the_long_format_is_the_same_in_every_file_type_and_under_other_names(tmp_path, prices, suffix):
    expected = table_of("long", write(tmp_path / "o.csv", made.LONG), prices=prices)
    frame = pd.read_csv(tmp_path / "o.csv", dtype=str, keep_default_na=False, na_values=[""])
    frame = frame.rename(columns={"query": "prompt", "score": "correct"})
    path = tmp_path / f"other{suffix}"
    if suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(path, index=False)
    table = table_of("long", path, prices=prices, columns={"query": "prompt", "score": "correct"})
    assert table.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(table.cost, expected.cost)


def test_llmrouter_by_hand(tmp_path):
    """The leaked sum leaves train, or else test; scores are keyed by name; the file's price fields are taken."""
    table = table_of("llmrouter", made.llmrouter(tmp_path / "data"), shares={"train": 1})
    assert [(query.id, query.split, query.task) for query in table.queries] == [
        ("train-00001", "train", "colours"),
        ("test-00000", "test", "sums"),
        ("test-00001", "test", "cities"),
    ]
    np.testing.assert_array_equal(table.quality[:, 1:], [[0.25, 0.5], [1, 1], [1, 0]])
    assert [(member.price_in, member.price_out) for member in table.pool] == [
        (pytest.approx(2e-7), pytest.approx(4e-7)),
        (pytest.approx(2e-6), pytest.approx(4e-7)),
    ]
    np.testing.assert_allclose(table.cost[:, 1:] * 1e6, [[1.8, 18], [1.2, 12], [1.6, 16]])
    report = told(table)
    assert report["duplicates"]["leaked"]["test"]["sums"] == {"queries": 1, "exact": 1, "near": 0}
    assert report["duplicates"]["dropped"] == {"train": {"sums": 1}}
    assert "tokens read alone" in report["cost"]
    assert "stands in no train query file" in report["rejected"]["rows"][0]["reason"]
    kept = table_of("llmrouter", tmp_path / "data", shares={"train": 1}, leaks="test", tokens_out=100)
    assert [query.id for query in kept.queries] == ["train-00000", "train-00001", "test-00001"]
    assert "an assumed 100 tokens written" in told(kept)["cost"]
    np.testing.assert_allclose(kept.cost[0, 1:] * 1e6, [1.2 + 40, 12 + 40])
    both = table_of("llmrouter", tmp_path / "data", shares={"train": 1}, leaks="keep")
    assert both.num_queries == 4


def test_opencompass_by_hand(tmp_path):
    table = table_of("opencompass", made.opencompass(tmp_path), prices=dict.fromkeys("ab", Price(1, 1)))
    by_id = {query.id: row for row, query in enumerate(table.queries)}
    assert set(by_id) == {"Sums-0", "Colours-0", "Colours-1", "cities-0"}
    assert table.quality[by_id["Sums-0"], 1:].tolist() == [1, 0]
    assert table.quality[by_id["Colours-0"], 1:].tolist() == [0, 1]
    assert table.available[by_id["Colours-1"], 1:].tolist() == [True, False]
    assert table.quality[by_id["cities-0"], 1:].tolist() == [1, 1]
    assert table.response[by_id["Colours-0"], 1:].tolist() == ["a red", "b red"]
    assert table.queries[by_id["Colours-0"]].text == COLOUR
    assert told(table)["dev_only"]
    assert [row["reason"] for row in told(table)["rejected"]["rows"]] == ["has no verdict"]
    assert table.queries[by_id["Colours-1"]].split == "train", "partial queries are for training only"


def test_routellm_by_hand(tmp_path):
    prices = {"weak": Price(1, 10), "strong": Price(2, 20)}
    table = table_of("routellm", made.routellm(tmp_path), prices=prices, tokens_out=1)
    assert [query.task for query in table.queries] == ["gsm8k", "mmlu_anatomy"]
    assert table.model_names == ("strong", "weak")
    np.testing.assert_array_equal(table.quality[:, 1:], [[1, 1], [1, 0]])
    np.testing.assert_array_equal(table.tokens_out[:, 1:], [[1, 3], [1, 1]])
    np.testing.assert_array_equal(table.cost[:, 1:], [[6 * 2 + 20, 6 + 30], [11 * 2 + 20, 11 + 10]])
    with pytest.raises(InputError, match=r"'mmlu_anatomy-00000'.*neither response nor tokens_out.*--tokens_out N"):
        table_of("routellm", tmp_path, prices=prices)


def test_routerbench_by_hand(tmp_path):
    """Costs stand as stated, whatever the tokens; they survive the disk and leave the fingerprint alone."""
    table = table_of("routerbench", write(tmp_path / "wide.csv", made.ROUTERBENCH))
    assert [query.id for query in table.queries] == ["sums.1", "cities.1"]
    assert table.queries[0].text == f"{SUM}\nBe brief."
    np.testing.assert_array_equal(table.quality, np.float32([[0, 1, 0.25], [0, 0, 0]]))
    np.testing.assert_array_equal(table.available, [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(table.cost, [[0, 0.001, 0.02], [0, 0.002, 0]])
    assert table.money_unit == "US dollars"
    assert table.charge is None
    assert told(table)["billed_over_priced"] == {"a": 1.0, "b": 1.0}, "prices that the costs imply"
    save_table(table, tmp_path / "t")
    loaded = load_table(tmp_path / "t")
    np.testing.assert_array_equal(loaded.cost, table.cost)
    assert loaded.fingerprint == table.fingerprint
    np.testing.assert_array_equal(loaded.select([1]).cost, table.cost[1:])
    priced = table_of("routerbench", tmp_path / "wide.csv", prices=dict.fromkeys("ab", Price(1e-4, 1e-4)))
    np.testing.assert_array_equal(priced.cost, table.cost)
    assert priced.fingerprint == table.fingerprint
    assert told(priced)["billed_over_priced"] == {"a": 1.5789, "b": 20.0}, ".003 over 19 tokens, .02 over 10"


def test_a_pickle_is_refused_with_the_way_out(tmp_path):
    write(tmp_path / "routerbench_0shot.pkl", "cos\nsystem\n(S'touch owned'\ntR.")
    for path in (tmp_path, tmp_path / "routerbench_0shot.pkl"):
        with pytest.raises(InputError, match=r"is a pickle, which runs code.*read_pickle\('routerbench_0shot.pkl'\)"):
            read_format("routerbench", path)


def test_llmrouterbench_by_hand(tmp_path):
    """The latest run counts; a missing score is a missing cell; tokens and costs are the provider's."""
    table = table_of("llmrouterbench", made.llmrouterbench(tmp_path), counter=None)
    assert [query.id for query in table.queries] == ["sums-test-1", "sums-test-2"]
    np.testing.assert_array_equal(table.quality[:, 1:], [[1, 0], [1, 1]])
    np.testing.assert_array_equal(table.available[:, 1:], [[1, 0], [1, 1]])
    np.testing.assert_array_equal(table.tokens_in[1], [0, 15, 15])
    np.testing.assert_array_equal(table.cost, [[0, 0.005, 0], [0, 0.005, 0.005]])
    assert table.response[:, 1].tolist() == ["It is 4.", "Lima"]
    reasons = sorted(row["reason"] for row in told(table)["rejected"]["rows"])
    assert reasons == ["is a demonstration run", "is an older run of a on sums"]
    free = made.llmrouterbench(tmp_path / "own", cost=0)
    with pytest.raises(InputError, match="model 'a' has no price"):
        table_of("llmrouterbench", free, counter=None)
    assert table_of("llmrouterbench", free, None, dict.fromkeys("ab", Price(1, 2))).cost[0, 1] == 15 + 2 * 5


def test_what_is_unknown_is_refused(tmp_path, prices):
    path = write(tmp_path / "o.csv", made.LONG)
    with pytest.raises(InputError, match="tokens_in is not given; name the tokenizer"):
        table_of("long", path, counter=None, prices=prices)
    with pytest.raises(InputError, match=r"model 'small' has no price.*it states those of large"):
        table_of("long", path, prices={"large": prices["large"]})
    with pytest.raises(InputError, match="none is stated"):
        table_of("long", path)
    with pytest.raises(InputError, match=r"column 'answer' is missing; its columns are query, task.*--columns"):
        read_format("long", path, {"score": "answer"})
    with pytest.raises(InputError, match="scroe is not a column; did you mean score"):
        read_format("long", path, {"scroe": "score"})
    with pytest.raises(InputError, match="format 'lnog' is unknown; did you mean long"):
        read_format("lnog", path)
    for name in FORMATS:
        with pytest.raises(InputError, match="no such file"):
            read_format(name, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no outcome can be read .1 rows are unreadable; the first: bad.csv row 0"):
        read_format("long", write(tmp_path / "bad.csv", "query,model,score\nx,m,five\n"))


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
