"""Collection and the bare loop that it is timed beside do the same work."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig, Sampling
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from scripts import bare_loop
from tests.pool_files import written
from tests.tables import random_table

TEMPLATE = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}a:"


@pytest.fixture
def member(model_folder):
    folder = model_folder(seed=3)  # with its own penalty it would say something else
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return ModelConfig("chatty", str(folder), 60, base_rate=1.0, chat=True, system="Be brief.")


def test_both_write_the_same_tokens(member, tmp_path, monkeypatch):
    """Every measurement takes one second of this clock, so that a rate is a number of tokens."""
    table = random_table(queries=5)
    save_table(replace(table, queries=(*table.queries[:4], replace(table.queries[0], id="again"))), tmp_path / "table")
    shorter = replace(member, name="shorter", max_new_tokens=2)
    pool = written(PoolConfig((shorter, member)), tmp_path / "pool.yaml")
    monkeypatch.setattr(bare_loop, "time", SimpleNamespace(perf_counter=count().__next__))
    bare_loop.main(tmp_path / "table", str(pool), batch_size=3, rounds=2, out=tmp_path / "bare.json")
    said = read_json(tmp_path / "bare.json")
    collected, bare = said["results"]
    assert collected["runs"] == bare["runs"]
    assert len(set(bare["runs"])) == 1
    assert 4 < bare["runs"][0] < 4 * 60
    assert said["ratios"] == {"collection_over_bare_loop": 1.0}


@pytest.mark.parametrize("change", [{"chat": False, "system": ""}, {"stop": ("x",)}, {"sampling": Sampling(0.5)}])
def test_what_the_bare_loop_does_not_do_is_refused(member, change):
    with pytest.raises(SystemExit, match=f"model 'chatty': the bare loop knows only {next(iter(change))}"):
        bare_loop.BareLoop(PoolConfig((replace(member, **change),)), ["a"], 2)
