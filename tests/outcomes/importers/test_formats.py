"""Each format by its name, on files made by hand; the long one among them."""

import json

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import FORMATS, read_format
from hierrouter_jax.outcomes.importers.costs import read_prices
from tests.outcomes import outcome_files as made
from tests.outcomes.outcome_files import CITY, COLOUR, SUM, long_rows, provenance, table_of, write

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": SUM}]}]
SAID = [{"role": "assistant", "content": "4"}]
JOINED = f"Be brief.\n{SUM}"


def bench(folder, query, response):
    for model in "ab":
        record = {"index": 0, "origin_query": query, "score": 1, "raw_output": response, "cost": 1}
        other = record | {"index": 1, "origin_query": COLOUR}
        document = {"model_name": model, "dataset_name": "t", "split": "test", "cost": 1, "records": [record, other]}
        write(folder / f"{model}.json", document)
    return folder


def compass(folder, query, response):
    for model in "ab":
        row = {"origin_prompt": query, "origin_prediction": response, "correct": True}
        write(folder / "t" / f"{model}.json", {"details": {"0": row, "1": row | {"origin_prompt": COLOUR}}})
    return folder


def bench_of_grids(folder, query, response):
    row = {
        "sample_id": "0",
        "prompt": query,
        "eval_name": "t",
        "a": 1.0,
        "a|model_response": response,
        "a|total_cost": 1,
    }
    pd.DataFrame([row, row | {"sample_id": "1", "prompt": COLOUR}]).to_csv(folder / "w.csv")
    return folder / "w.csv"


MESSAGES = {
    "long, JSON lines": lambda folder: ("long", write(folder / "o.jsonl", long_rows(CHAT, SAID))),
    "long, JSON": lambda folder: ("long", write(folder / "o.json", long_rows(CHAT, SAID))),
    "long, CSV with JSON in it": lambda folder: (
        "long",
        write(folder / "o.csv", pd.DataFrame(long_rows(json.dumps(CHAT), json.dumps(SAID))).to_csv(index=False)),
    ),
    "long, CSV with Python in it": lambda folder: (
        "long",
        write(folder / "o.csv", pd.DataFrame(long_rows(str(CHAT), str(SAID))).to_csv(index=False)),
    ),
    "long, an object with messages": lambda folder: (
        "long",
        write(folder / "o.jsonl", long_rows({"messages": CHAT}, SAID[0])),
    ),
    "llmrouterbench": lambda folder: ("llmrouterbench", bench(folder, CHAT, SAID)),
    "llmrouterbench, as text": lambda folder: ("llmrouterbench", bench(folder, str(CHAT), str(SAID))),
    "opencompass": lambda folder: ("opencompass", compass(folder, CHAT, SAID)),
    "opencompass, as text": lambda folder: ("opencompass", compass(folder, json.dumps(CHAT), json.dumps(SAID))),
    "routerbench": lambda folder: ("routerbench", bench_of_grids(folder, str(CHAT), str(SAID))),
    "routerbench, lists of texts": lambda folder: (
        "routerbench",
        bench_of_grids(folder, str(["Be brief.", SUM]), str(["4"])),
    ),
}


@pytest.mark.parametrize("made_by", MESSAGES.values(), ids=MESSAGES)
def test_messages_are_joined_alike_in_every_format(tmp_path, made_by):
    frame = read_format(*made_by(tmp_path)).frame
    assert set(frame["query"]) == {JOINED, COLOUR}
    assert set(frame["response"]) == {"4"}


def test_messages_in_parquet_and_in_llmrouters_questions(tmp_path):
    rows = [{**row, "query": CHAT if row["query"] is CHAT else SAID} for row in long_rows(CHAT, "4")]
    plain = [[{"role": turn["role"], "content": str(turn["content"])} for turn in row["query"]] for row in rows]
    pd.DataFrame([{**row, "query": turns} for row, turns in zip(rows, plain, strict=True)]).to_parquet(
        tmp_path / "o.parquet"
    )
    assert set(read_format("long", tmp_path / "o.parquet").frame["query"]) == {f"Be brief.\n{CHAT[1]['content']}", "4"}
    folder = made.llmrouter(tmp_path / "data")
    for name in ("dcrouter_preprocessed/train.json", "query_data/default_query_train.jsonl"):
        text = (folder / name).read_text().replace(f'"{SUM}"', json.dumps(CHAT))
        (folder / name).write_text(text)
    assert JOINED in set(read_format("llmrouter", folder).frame["query"])


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
    reasons = {row["row"]: row["reason"] for row in provenance(table)["rejected"]["rows"]}
    assert "score is 'maybe', but must be a number in [0, 1]" in reasons["3"]
    assert "a second outcome of 'large'" in reasons["6"]
    assert provenance(table)["counts"]["missing"] == 2
    assert provenance(table)["counts"]["partial_queries"] == {"test": 2}


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


def test_a_column_that_is_mapped_stands_in_some_file(tmp_path):
    """Not in every one: rows without it are as if it were empty."""
    rows = [{"query": SUM, "model": model, "score": 1, "usd": 2} for model in "ab"]
    write(tmp_path / "o" / "1.jsonl", rows)
    write(tmp_path / "o" / "2.jsonl", [{"query": COLOUR, "model": "a", "score": 1}])
    assert read_format("long", tmp_path / "o", {"cost": "usd"}).frame["cost"].tolist() == [2.0, 2.0, None]
    with pytest.raises(
        InputError, match=r"--columns: cost is 'usdd', but no column of .* is called so; did you mean usd"
    ):
        read_format("long", tmp_path / "o", {"cost": "usdd"})


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
