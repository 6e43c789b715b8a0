"""What is wrong with a row is noted, and the others stay."""

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import read_format
from hierrouter_jax.outcomes.importers.records import WHOLE, Gatherer, digest, missing, place, source_files, stem
from tests.outcomes.outcome_files import COLOUR, SUM, long_rows, write


@pytest.mark.parametrize("part", [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "audio"}, 3])
def test_a_prompt_with_more_than_text_is_rejected(tmp_path, part):
    rows = long_rows([{"role": "user", "content": [part]}], "x")
    (rejected, *_) = read_format("long", write(tmp_path / "o.jsonl", rows)).rejected
    assert rejected.reason.startswith("query holds ")


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


def test_a_pickle_is_refused_with_the_way_out(tmp_path):
    write(tmp_path / "routerbench_0shot.pkl", "cos\nsystem\n(S'touch owned'\ntR.")
    for path in (tmp_path, tmp_path / "routerbench_0shot.pkl"):
        with pytest.raises(InputError, match=r"is a pickle, which runs code.*read_pickle\('routerbench_0shot.pkl'\)"):
            read_format("routerbench", path)


def test_files_are_found_by_their_patterns_and_named_without_suffixes(tmp_path):
    for name in ("b.csv", "a.csv.gz", "sub/c.csv"):
        write(tmp_path / name, "x")
    assert [path.name for path in source_files(tmp_path, "*.csv", "*.csv.gz")] == ["a.csv.gz", "b.csv"]
    assert source_files(tmp_path / "b.csv", "*.json") == [tmp_path / "b.csv"]
    assert [stem(path) for path in source_files(tmp_path, "**/*.csv", "*.gz")] == ["a", "b", "c"]
    with pytest.raises(InputError, match=r"holds no \*.json or \*.yaml"):
        source_files(tmp_path, "*.json", "*.yaml")
    with pytest.raises(InputError, match="no such file or folder"):
        source_files(tmp_path / "none", "*.json")


def test_a_file_is_known_by_its_size_and_digest(tmp_path):
    known = digest(write(tmp_path / "x", "abc"))
    assert known["bytes"] == 3
    assert known["sha256"].startswith("ba7816bf8f01cfea")


@pytest.mark.parametrize(
    ("value", "gone"), [(None, True), (float("nan"), True), ("", True), (0, False), (" ", False), (False, False)]
)
def test_what_is_an_empty_cell(value, gone):
    assert missing(value) is gone


def test_a_fault_of_a_whole_file_names_no_row():
    assert place("o.csv", "7") == "o.csv row 7"
    assert place("o.csv", WHOLE) == "o.csv"


def test_a_gatherer_takes_outcomes_and_notes_what_is_wrong(tmp_path):
    rows = Gatherer(tmp_path)
    outcome = {
        "query_id": 1,
        "query": SUM,
        "task": "t",
        "model": "a",
        "score": "true",
        "tokens_in": "7",
        "split": "dev",
    }
    rows.add(tmp_path / "o.csv", 0, outcome)
    for number, change in enumerate(
        ({"model": " "}, {"split": "x"}, {"tokens_in": 1.5}, {"cost": -1}, {"query": "else"}, {"gold": b"\xe9"}, {}), 1
    ):
        rows.add(tmp_path / "o.csv", number, outcome | {"model": "b" if change else "a"} | change)
    records = rows.records([tmp_path / "o.csv"], money_unit="cents")
    assert records.frame[["query_id", "score", "tokens_in", "split"]].to_numpy().tolist() == [
        ["1", 1.0, 7, "validation"]
    ]
    assert [row.reason for row in records.rejected] == [
        "model is empty",
        "split is 'x', but must be one of train, validation, test",
        "tokens_in is 1.5, but must be a whole number",
        "cost is -1, but must be a number of at least 0",
        "query '1' has another text in an earlier row",
        "gold holds the byte 0xe9, which is not UTF-8",
        "a second outcome of 'a' for query '1'; the first is kept",
    ]
    assert (records.money_unit, list(records.files)) == ("cents", ["o.csv"])
