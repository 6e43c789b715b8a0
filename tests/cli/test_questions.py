"""What `hierrouter route` is asked: a query, lines, or a file whose queries may be of several lines."""

import io
import json

import pytest

from hierrouter_jax.cli.live import _read_questions
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query


def test_a_query_a_text_file_and_standard_input(tmp_path, monkeypatch):
    lines = tmp_path / "lines.txt"
    lines.write_text("What is 2+2?\nAnd 3*3?\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    assert _read_questions("What is 2+2?") == ["What is 2+2?"]
    assert _read_questions(str(lines)) == ["What is 2+2?", "And 3*3?"]
    assert _read_questions("-") == ["one", "two"]


def test_queries_of_several_lines(tmp_path):
    path = tmp_path / "queries.jsonl"
    path.write_text("".join(json.dumps({"id": f"a{n}", "text": f"def f():\n    # {n}"}) + "\n" for n in range(2)))
    expected = [Query(f"a{n}", f"def f():\n    # {n}", "", "", "test") for n in range(2)]
    assert list(_read_questions(str(path))) == expected


def test_bad_files_are_named(tmp_path):
    def refused(text: str, name: str = "q.jsonl") -> str:
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError) as caught:
            _read_questions(str(tmp_path / name))
        return str(caught.value)

    assert "column 'text' is missing" in refused('{"query": "a"}\n')
    assert "row 1: text is empty" in refused('{"text": "a"}\n{"text": " "}\n')
    assert "row 1: id 'x' occurs twice" in refused('{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n')
    assert "holds no quer" in refused("", "empty.txt")
