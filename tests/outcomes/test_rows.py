"""Files of rows: any text comes back as it was written, and what cannot be read is named with its place."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import build_table, read_format
from hierrouter_jax.outcomes.rows import read_queries, read_questions, read_rows
from hierrouter_jax.outcomes.store import load_table, save_table
from tests.outcomes.outcome_files import LengthEncoder

WRITTEN = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".json", ".parquet")


def write(path: Path, rows: list[dict], mark: bool = False) -> Path:
    """Rows in the layout that the name says, as a library of that layout writes them."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if kind == "csv":
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        text = out.getvalue()
    else:
        text = json.dumps(rows) if kind == "json" else "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    data = b"\xef\xbb\xbf" * mark + text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(text=WRITTEN, gold=WRITTEN, mark=st.booleans())
def test_any_text_survives_a_file_of_queries(tmp_path_factory, suffix, text, gold, mark):
    folder = tmp_path_factory.getbasetemp()
    row = {"id": "x", "text": text, "gold": gold, "split": "test"}
    (query,) = read_queries(write(folder / f"any{suffix}", [row], mark))
    assert (query.id, query.text, query.gold) == ("x", text, gold)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@given(texts=st.lists(WRITTEN, min_size=1, max_size=3, unique=True), response=WRITTEN)
def test_any_text_survives_the_way_to_a_table(tmp_path_factory, suffix, texts, response):
    folder = tmp_path_factory.getbasetemp()
    rows = [
        {"query": text, "model": model, "score": "1", "cost": "2", "response": response, "gold": text}
        for text in texts
        for model in "ab"
    ]
    table = build_table(read_format("long", write(folder / f"outcomes{suffix}", rows)), LengthEncoder())
    save_table(table, folder / f"table{suffix}")
    loaded = load_table(folder / f"table{suffix}")
    assert {query.text for query in loaded.queries} == set(texts)
    assert all(query.gold == query.text for query in loaded.queries)
    assert set(loaded.response[:, 1:].ravel()) == {response}


AS_WRITTEN = (
    "007", "02134", "2", "2.50", "1e3", "1,234", "12345678901234567890", "0.1000000000000000055", "NA", "nan", "None",
    "null", "TRUE", "false", "inf", "-0", "+5", " padded ", "1_000", "0x1F", "2020-01-01", "$5", "50%", "#1",
)  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_taken_for_a_number_a_date_or_a_gap(tmp_path, suffix):
    rows = [{"id": gold, "text": gold, "task": gold, "gold": gold, "split": "test"} for gold in AS_WRITTEN]
    queries = read_queries(write(tmp_path / f"q{suffix}", rows))
    for field in ("id", "text", "task", "gold"):
        assert tuple(getattr(query, field) for query in queries) == AS_WRITTEN


def test_numbers_of_json_stay_as_they_are_written(tmp_path):
    golds = ["7", "2.50", "1e3", "-0.0", "12345678901234567890", "1E+2", "0.30000000000000004000"]
    (tmp_path / "q.jsonl").write_text("".join(f'{{"text": "t", "gold": {gold}, "split": "test"}}\n' for gold in golds))
    assert [query.gold for query in read_queries(tmp_path / "q.jsonl")] == golds


def test_a_lone_carriage_return_is_a_character(tmp_path):
    (tmp_path / "q.csv").write_bytes(b'text,task\r\na\rb,c\r\n"d\r\ne\rf","g\nh"\r\n')
    assert [(q.text, q.task) for q in read_questions(tmp_path / "q.csv")] == [("a\rb", "c"), ("d\r\ne\rf", "g\nh")]


def test_what_a_row_leaves_out_is_as_if_no_row_had_it(tmp_path):
    (tmp_path / "q.jsonl").write_text(
        '{"id": "a", "text": "t", "gold": "1", "split": "test", "task": "sums", "group": "g", "unseen": true}\n\n'
        '{"text": "u", "gold": "", "split": "train", "id": null, "unseen": null}\n'
    )
    first, second = read_queries(tmp_path / "q.jsonl")
    assert (first.id, first.task, first.group, first.unseen) == ("a", "sums", "g", True)
    assert (second.id, second.task, second.group, second.unseen, second.gold) == (
        "query-00002",
        "queries",
        "",
        False,
        "",
    )


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("q.csv", b"text\ncaf\xe9\n", "line 2: byte 0xe9 is not UTF-8"),
        ("q.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', "line 2: byte 0xff is not UTF-8"),
        ("q.json", b'[\n{"text": "\x80"}]', "line 2: byte 0x80 is not UTF-8"),
        ("q.csv", "text\na\n".encode("utf-16"), "line 1: is UTF-16 or UTF-32"),
        ("q.csv", b"text,text\na,b\n", "column 'text' occurs twice"),
        ("q.csv", b"text,id\na,b,c\n", "row 0: has 3 values, but the header names 2 columns"),
        ("q.csv", b'text\n"a\n', "line 2: not valid CSV"),
        ("q.csv", b"", "holds no queries"),
        ("q.csv", b"text\n", "holds no queries"),
        ("q.csv", b"query\na\n", "column 'text' is missing; text is needed, its columns are query"),
        ("q.jsonl", b'{"text": "a"}\n[1]\n', "row 1: is [1], but must be an object"),
        ("q.jsonl", b'{"text": "a"}\n{"text": \n', "row 1: not valid JSON"),
        ("q.jsonl", b'{"text": ["a", 3]}\n', "row 0: text holds 3, but must be text or a list of messages"),
        ("q.jsonl", b'{"text": ""}\n', "row 0: text is empty"),
        ("q.jsonl", b'{"text": "a"}\n{"id": "b"}\n', "row 1: text is empty"),
        ("q.json", b'["a"]', "row 0: is 'a', but must be an object"),
        ("q.json", b'[{"text": "a"}', "not valid JSON"),
        ("q.parquet", b"PAR1", "cannot be read"),
        ("q.jsonl.gz", b"no gzip", "cannot be read"),
        ("q.xlsx", b"", "is no .jsonl, .json, .csv or .parquet file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_questions(tmp_path / name)
    assert f"{tmp_path / name}: {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rejected_rows_leave_the_others(tmp_path):
    (tmp_path / "o.csv").write_text(",a,b\n0,1,2\n1,1,2,3\n2,4\n")
    seen: list[tuple[int, str]] = []
    rows = read_rows(tmp_path / "o.csv", lambda row, reason: seen.append((row, reason)))
    assert rows.columns == ("a", "b")
    assert rows.rows == ((0, {"a": "1", "b": "2"}), (2, {"a": "4"}))
    assert seen == [(1, "has 4 values, but the header names 3 columns")]


def test_an_object_a_line_is_read_from_json_too(tmp_path):
    (tmp_path / "q.json").write_text('{"text": "a"}\n{"text": "b"}\n')
    assert [query.text for query in read_questions(tmp_path / "q.json")] == ["a", "b"]


@pytest.mark.parametrize(
    ("said", "unseen"),
    [("true", True), ("no", False), ("false", False), ("YES", True), ("0", False), ("1", True), ("", False)],
)
def test_unseen_is_read_as_it_is_said(tmp_path, said, unseen):
    (tmp_path / "q.csv").write_text(f"text,gold,split,unseen\na,x,test,{said}\n")
    assert read_queries(tmp_path / "q.csv")[0].unseen is unseen


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('"gold": null, "split": "test"', "gold is missing"),
        ('"gold": "x"', "split is missing"),
        ('"gold": "x", "split": "tset"', "split is 'tset', but must be one of train, validation, test"),
        ('"gold": "x", "split": "test", "unseen": "perhaps"', "unseen is 'perhaps', but must be true or false"),
    ],
)
def test_a_query_that_is_not_whole_is_refused(tmp_path, row, said):
    whole = '{"text": "a", "gold": "x", "split": "test"}\n'
    (tmp_path / "q.jsonl").write_text(f'{whole}{{"text": "a", {row}}}\n')
    with pytest.raises(InputError, match=f"row 1: {said}"):
        read_queries(tmp_path / "q.jsonl")


def test_an_id_that_occurs_twice_is_named_by_its_own_row(tmp_path):
    """Blank lines count as rows, as everywhere."""
    (tmp_path / "q.jsonl").write_text('\n{"id": "a", "text": "t"}\n\n\n{"id": "a", "text": "u"}\n')
    with pytest.raises(InputError, match=r"q\.jsonl: row 4: id 'a' occurs twice"):
        read_questions(tmp_path / "q.jsonl")
