"""What `hierrouter route` is asked: a query, lines, or a file whose queries may be of several lines."""

import gzip
import io
import json

import pytest

from hierrouter_jax.cli.route import questions_of
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query


def test_a_query_a_text_file_and_standard_input(tmp_path, monkeypatch):
    lines = tmp_path / "lines.txt"
    lines.write_text("What is 2+2?\nAnd 3*3?\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("one\u2028more\r\ntwo\n\n".encode())))
    assert questions_of("What is 2+2?") == ["What is 2+2?"]
    assert questions_of(str(lines)) == ["What is 2+2?", "And 3*3?"]
    assert questions_of("-") == ["one\u2028more", "two"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfone\ncaf\xe9")))
    with pytest.raises(InputError, match="standard input: line 2: byte 0xe9 is not UTF-8"):
        questions_of("-")
    monkeypatch.setattr("sys.stdin", io.StringIO("one"))  # as a notebook has it
    assert questions_of("-") == ["one"]


def test_queries_of_several_lines(tmp_path):
    path = tmp_path / "queries.jsonl"
    path.write_text("".join(json.dumps({"id": f"a{n}", "text": f"def f():\n    # {n}"}) + "\n" for n in range(2)))
    expected = [Query(f"a{n}", f"def f():\n    # {n}", "", "", "test") for n in range(2)]
    assert list(questions_of(str(path))) == expected


def test_bad_files_are_named(tmp_path):
    def refused(text: str, name: str = "q.jsonl") -> str:
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError) as caught:
            questions_of(str(tmp_path / name))
        return str(caught.value)

    assert "column 'text' is missing" in refused('{"query": "a"}\n')
    assert "row 1: text is empty" in refused('{"text": "a"}\n{"text": " "}\n')
    assert "row 1: id 'x' occurs twice" in refused('{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n')
    assert "holds no quer" in refused("", "empty.txt")


@pytest.mark.parametrize("name", ["q.json", "q.JSON", "q.jsonl.gz", "q.csv"])
def test_a_path_that_exists_is_a_file(tmp_path, name):
    text = "text\na query\n" if name == "q.csv" else '{"text": "a query"}\n'
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    (question,) = questions_of(str(tmp_path / name))
    assert isinstance(question, Query)
    assert question.text == "a query"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("q.md", b"a query\n", "is neither a .txt nor a .jsonl, .json, .csv or .parquet file"),
        ("query", b"a query\n", "is neither a .txt nor a"),
        ("folder", None, "is a folder, so no queries are read; a query of this text is given on standard input"),
        ("q.txt", b"a\ncaf\xe9\n", "line 2: byte 0xe9 is not UTF-8"),
        ("q.txt", b"a\n\nb\n", "line 2 is empty, but must hold a query"),
        ("q.txt", b"\n\n", "holds no query"),
        ("missing.txt", ..., "no such file"),
        ("missing.json", ..., "no such file"),
        ("missing.parquet", ..., "no such file"),
        ("missing.jsonl.gz", ..., "no such file"),
    ],
)
def test_what_is_no_file_of_queries_is_refused(tmp_path, name, data, said):
    path = tmp_path / name
    path.mkdir() if data is None else None if data is ... else path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        questions_of(str(path))
    assert f"{path}: {said}" in str(caught.value)


@pytest.mark.parametrize(
    "query", ["a\nb.txt", "x" * 5000, "What is 2+2?", "a\x00b", "/no/such/place", "def f():\n  .csv"]
)
def test_what_is_no_path_is_a_query(query):
    assert questions_of(query) == [query]


def test_a_text_file_keeps_its_lines(tmp_path):
    path = tmp_path / "q.txt"
    path.write_bytes("\ufeffone\x0b\x0c\x1c\x85\u2028\u2029line\r\n \ufeffsecond\rline\n".encode())
    assert questions_of(str(path)) == ["one\x0b\x0c\x1c\x85\u2028\u2029line", " \ufeffsecond\rline"]


def test_an_argument_of_other_bytes_is_refused():
    with pytest.raises(InputError, match="the query is not UTF-8"):
        questions_of(b"caf\xe9".decode("utf-8", "surrogateescape"))
