"""What is wrong with a row is noted, and the others stay."""

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import read_format
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
