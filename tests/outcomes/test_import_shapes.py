"""Shapes that outcome files take: messages, saved indexes, missing files, stated costs, one split alone."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.cli.import_ import import_notes
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import ImportOptions, build_table, read_format
from hierrouter_jax.outcomes.importers.records import Price
from hierrouter_jax.outcomes.importers.tokens import WordCounter
from hierrouter_jax.outcomes.importers.wide import is_index
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.outcomes import outcome_files as made
from tests.outcomes.outcome_files import CITY, COLOUR, SUM, LengthEncoder, write


def table_of(format, path, prices=None, **options) -> OutcomeTable:
    return build_table(read_format(format, path), LengthEncoder(), None, prices, options=ImportOptions(**options))


def notes(table: OutcomeTable) -> str:
    return "\n".join(table.settings["import"]["notes"])


CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": SUM}]}]
SAID = [{"role": "assistant", "content": "4"}]
JOINED = f"Be brief.\n{SUM}"


def long_rows(query, response) -> list[dict]:
    return [
        {"query": text, "model": model, "score": 1, "cost": 1, "response": response}
        for text in (query, COLOUR)
        for model in "ab"
    ]


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


@pytest.mark.parametrize("part", [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "audio"}, 3])
def test_a_prompt_with_more_than_text_is_rejected(tmp_path, part):
    rows = long_rows([{"role": "user", "content": [part]}], "x")
    (rejected, *_) = read_format("long", write(tmp_path / "o.jsonl", rows)).rejected
    assert rejected.reason.startswith("query holds ")


@pytest.mark.parametrize(
    "name",
    [
        "Unnamed: 0",
        "Unnamed: 0.1",
        "Unnamed: 12",
        "index",
        "idx",
        "level_0",
        "level_1",
        "__index_level_0__",
        "Index",
        "id",
    ],
)
def test_a_saved_index_is_no_model(tmp_path, name):
    assert is_index(name)
    grid = f"{name},prompt,weak,strong\n0,{SUM},True,False\n1,{CITY},1,0\n"
    for header in (name, ""):
        write(tmp_path / "mmlu_x.csv", grid.replace(name, header, 1))
        records = read_format("routellm", tmp_path)
        assert set(records.frame["model"]) == {"weak", "strong"}
        assert not records.notes[1:]


@pytest.mark.parametrize("name", ["gpt-4", "index-7b", "Unnamed", "level-5", "llama_level_x", "0", "a: 1"])
def test_a_model_is_no_saved_index(name):
    assert not is_index(name)


def test_columns_that_are_no_models_are_noted(tmp_path):
    path = write(tmp_path / "w.csv", made.ROUTERBENCH.replace("sample_id,", "sample_id,length,", 1))
    path.write_text(path.read_text().replace("sums.1,", "sums.1,87,").replace("cities.1,", "cities.1,12,"))
    records = read_format("routerbench", path)
    assert set(records.frame["model"]) == {"a", "b"}
    why = "no column NAME|model_response or NAME|total_cost"
    assert f"w.csv: no models, as there is {why} of theirs: length" in records.notes
    path.unlink()
    write(tmp_path / "mmlu_x.csv", f"prompt,subject,weak\n{SUM},sums,1\n{CITY},cities,0\n")
    assert "mmlu_x.csv: no models, as there is no score of theirs: subject" in read_format("routellm", tmp_path).notes


def test_predictions_without_results_leave_the_others(tmp_path):
    folder = made.opencompass(tmp_path)
    (folder / "run/results/a/cities.json").unlink()
    (folder / "Colours/predictions/b.json").write_text("{")
    records = read_format("opencompass", folder)
    assert set(records.frame["query_id"]) == {"Sums-0", "Colours-0", "Colours-1", "cities-0"}
    missed = "run/predictions/a/cities.json: its results, run/results/a/cities.json, are missing; left out"
    assert missed in records.notes
    assert any(note.startswith("Colours/predictions/b.json: not valid JSON (") for note in records.notes)
    for file in folder.rglob("results"):
        file.rename(file.with_name("elsewhere"))
    (folder / "Sums/a.json").unlink()
    (folder / "Sums/b.json").unlink()
    for file in folder.rglob("elsewhere/**/*.json"):
        file.unlink()
    with pytest.raises(InputError, match=r"no outcome can be read .*predictions/a.*: its results, .* are missing\)$"):
        read_format("opencompass", folder)


def test_results_without_predictions_are_named(tmp_path):
    folder = made.opencompass(tmp_path)
    (folder / "run/predictions/a/cities.json").unlink()
    assert (
        "run/results/a/cities.json: its predictions are missing; left out" in read_format("opencompass", folder).notes
    )
    write(tmp_path / "alone/results/m/t.json", {"details": {"0": {"correct": True}}})
    with pytest.raises(InputError, match=r"the first: results/m/t\.json: its predictions are missing"):
        read_format("opencompass", tmp_path / "alone")


def test_results_may_be_packed_where_predictions_are_not(tmp_path):
    folder = made.opencompass(tmp_path)
    for file in (folder / "run/results").rglob("*.json"):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert "cities-0" in set(read_format("opencompass", folder).frame["query_id"])


@pytest.mark.parametrize("gone", ["dcrouter_preprocessed/test.json", "query_data/default_query_test.jsonl"])
def test_llmrouter_goes_on_without_a_split(tmp_path, gone):
    folder = made.llmrouter(tmp_path / "data")
    (folder / gone).unlink()
    records = read_format("llmrouter", folder)
    assert set(records.frame["split"]) == {"train"}
    assert any("no test queries are read" in note for note in records.notes)


def test_a_broken_file_leaves_llmrouterbenchs_others(tmp_path):
    folder = made.llmrouterbench(tmp_path)
    write(folder / "sums/test/c/broken.json", "{")
    records = read_format("llmrouterbench", folder)
    assert set(records.frame["model"]) == {"a", "b"}
    assert any(note.startswith("sums/test/c/broken.json: not valid JSON") for note in records.notes)


def test_a_stated_cost_needs_no_tokenizer(tmp_path):
    """SUM is 6 words and marks, COLOUR 9; without text nothing is counted, and no number is asked for."""
    rows = long_rows(SUM, "four words, a mark.")
    rows[1] |= {"response": None}
    rows[3] |= {"response": ""}
    table = table_of("long", write(tmp_path / "o.jsonl", rows))
    np.testing.assert_array_equal(table.cost, [[0, 1, 1], [0, 1, 1]])
    np.testing.assert_array_equal(table.tokens_in, [[0, 6, 6], [0, 9, 9]])
    np.testing.assert_array_equal(table.tokens_out, [[0, 6, 0], [0, 6, 0]])
    assert table.settings["import"]["cost"] == (
        "cost is as the source states it for each outcome; tokens that it does not state are counted by words"
    )
    np.testing.assert_allclose([table.pool[0].price_in, table.pool[1].price_in], [2 / 27, 2 / 15])


def test_costs_of_zero_are_said(tmp_path):
    rows = [row | {"cost": 0} for row in long_rows(SUM, "x")]
    free = table_of("long", write(tmp_path / "o.jsonl", rows))
    assert any("every cost is 0" in note for note in import_notes(free.settings["import"]))
    rows = [row | {"cost": None} for row in rows]
    write(tmp_path / "o.jsonl", rows)
    records = read_format("long", tmp_path / "o.jsonl")
    free = build_table(records, LengthEncoder(), WordCounter(), dict.fromkeys("ab", Price(0, 0)), "dollars")
    assert any("every cost is 0" in note for note in import_notes(free.settings["import"]))
    dear = build_table(records, LengthEncoder(), WordCounter(), {"a": Price(0, 0), "b": Price(0, 1)}, "dollars")
    assert not any("every cost is 0" in note for note in import_notes(dear.settings["import"]))


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_source_without_training_queries_is_refused(tmp_path, split):
    path = write(tmp_path / "o.jsonl", [row | {"split": split} for row in long_rows(SUM, "x")])
    with pytest.raises(InputError, match=f"holds no training query, only {split}; --resplit draws splits anew"):
        table_of("long", path)
    assert table_of("long", path, resplit=True).num_queries == 2


def test_a_row_without_a_query_says_so(tmp_path):
    rows = [*long_rows(SUM, "x"), {"model": "a", "score": 1, "cost": 1}, {"query": " ", "model": "a", "score": 1}]
    records = read_format("long", write(tmp_path / "o.jsonl", rows))
    assert [(row.row, row.reason) for row in records.rejected] == [("4", "query is empty"), ("5", "query is empty")]


def test_half_a_pair_is_replaced_and_noted(tmp_path):
    rows = long_rows("Name \ud83d, please.", "half \udc00")
    records = read_format("long", write(tmp_path / "o.jsonl", rows))
    assert set(records.frame["query"]) == {"Name \ufffd, please.", COLOUR}
    assert set(records.frame["response"]) == {"half \ufffd"}
    assert records.notes[0].startswith("4 outcomes hold U+FFFD")
