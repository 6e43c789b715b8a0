"""How long calls took is kept beside the table, over all runs of a collection, and never in it."""

import json
from dataclasses import replace

import pytest

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.collect.summary import Block, Timing, read_timing
from hierrouter_jax.errors import InputError
from tests.bridge.conftest import Killed
from tests.bridge.timed_runs import SECONDS, collected, pool


def test_each_block_holds_its_calls_tokens_and_seconds(tmp_path):
    table = collected(tmp_path, pool("a", "b"))
    blocks = {(block.hop, block.model): block for block in read_timing(tmp_path / "timing.json")}
    assert set(blocks) == {(1, "a"), (1, "b"), (2, "a"), (2, "b")}
    assert sum(block.calls for block in blocks.values()) == table.settings["calls"]
    for (hop, name), block in blocks.items():
        if hop == 1:
            node = 1 + "ab".index(name)
            assert (block.calls, block.tokens_in) == (4, table.tokens_in[:, node].sum())
            assert block.tokens_out == table.tokens_out[:, node].sum()
        assert block.calls * SECONDS <= block.seconds < block.calls * SECONDS + 1


def test_a_run_that_is_cut_short_is_added_up_and_the_table_is_the_same(tmp_path):
    collected(tmp_path / "whole", pool("a", "b"))
    for survives in (1, 2, 1):
        backends = pool("a", "b")
        for backend in backends:
            backend.survives = survives
        with pytest.raises(Killed):
            collected(tmp_path / "cut", backends)
    collected(tmp_path / "cut", pool("a", "b"))
    whole, cut = (read_timing(tmp_path / name / "timing.json") for name in ("whole", "cut"))
    assert [(b.hop, b.model, b.calls, b.tokens_in, b.tokens_out) for b in cut] == [
        (b.hop, b.model, b.calls, b.tokens_in, b.tokens_out) for b in whole
    ]
    for name in ("nodes/part-00000.parquet", "queries.parquet", "embeddings.safetensors", "table.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_run_without_a_call_changes_nothing(tmp_path):
    collected(tmp_path, pool("a"))
    before = (tmp_path / "timing.json").read_bytes()
    collected(tmp_path, pool("a"))
    assert (tmp_path / "timing.json").read_bytes() == before


def test_times_of_a_model_that_was_changed_are_forgotten(tmp_path):
    collected(tmp_path, pool("a"), horizon=1)
    changed = pool("a")
    changed[0].identity = "another"
    collected(tmp_path, changed, queries=3, horizon=1)
    (block,) = read_timing(tmp_path / "timing.json")
    assert (block.identity, block.calls) == ("another", 3)


class Meter:
    seconds = 0.0


def test_seconds_until_a_server_answered_do_not_count():
    """Of 10 seconds with a call under way, the server took 7 to start."""
    (backend,), meter, timing = pool("a"), Meter(), Timing()
    with timing.block(1, backend, meter) as count:
        count({"x": Generation("y", 3, 2, "stop", 0.0), "z": Failure("lost")})
        meter.seconds, backend.downtime = 10.0, 7.0
    (block,) = timing._blocks.values()
    assert (block.calls, block.tokens_in, block.tokens_out, block.seconds) == (2, 3, 2, 3.0)


def test_long_blocks_are_kept_while_they_last(tmp_path, monkeypatch):
    monkeypatch.setattr("hierrouter_jax.bridge.collect.summary._SAVE_SECONDS", 0.0)
    (backend,), meter, timing = pool("a"), Meter(), Timing(tmp_path / "timing.json")
    with timing.block(1, backend, meter) as count:
        for seconds in (1.0, 2.5):
            meter.seconds = seconds
            count({"x": Generation("y", 3, 2, "stop", 0.0)})
            (block,) = read_timing(tmp_path / "timing.json")
            assert block.seconds == seconds


BLOCK = {"hop": 1, "model": "a", "identity": "a", "calls": 2, "tokens_in": 3, "tokens_out": 4, "seconds": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hop": "1"}, "hop is '1', but must be a whole number"),
        ({"calls": 2.5}, "calls is 2.5, but must be a whole number"),
        ({"seconds": "1"}, "seconds is '1', but must be a number"),
        ({"second": 1}, "second is not a field; did you mean seconds"),
    ],
)
def test_a_block_of_a_wrong_value_is_named(tmp_path, change, words):
    path = tmp_path / "timing.json"
    path.write_text(json.dumps({"blocks": [BLOCK]}))
    assert read_timing(path) == (Block(**BLOCK),)
    path.write_text(json.dumps({"blocks": [BLOCK, BLOCK | change]}))
    with pytest.raises(InputError, match=rf"timing\.json: blocks\[1\]: {words}"):
        read_timing(path)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"blocks": [{"hop": 1}]}', '{"blocks": [{"hops": 1}]}', "1", "{", '{"blocks": 1}']
)
def test_what_is_no_timing_is_refused(tmp_path, text):
    path = tmp_path / "timing.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"timing\.json: "):
        Timing(path)


def test_the_file_is_plain_json(tmp_path):
    collected(tmp_path, pool("a"), horizon=1)
    (block,) = json.loads((tmp_path / "timing.json").read_text())["blocks"]
    assert set(block) == {"hop", "model", "identity", "calls", "tokens_in", "tokens_out", "seconds"}


def test_settings_tell_of_size_tokens_and_truncation(run_pair, pair):
    """Of 1,000 parameters 250 are embeddings; the table's pool and its settings count a token's operations alike."""
    pair[0].parameters, pair[0].price = 1000, replace(pair[0].price, parameters=1000, flops_per_token=2 * 750)
    table = run_pair(pair)
    of_ok, of_no = table.settings["compute"]["ok"], table.settings["compute"]["no"]
    assert of_ok["parameters"] == 1000
    assert of_ok["flops_per_token"] == table.pool[0].flops_per_token == 1500
    assert of_ok["flops"] == 1500 * (of_ok["tokens_in"] + of_ok["tokens_out"])
    assert of_no["flops"] is None
    assert of_ok["tokens_in"] + of_no["tokens_in"] == table.tokens_in.sum()
    assert table.settings["trimmed_hops"] == 0
    assert table.settings["encoder"]["contexts"] == 9
