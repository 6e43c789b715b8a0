"""A forecast from a pilot: its lengths, shared calls and times, by hand and against a collection that is then run."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from hierrouter_jax.bridge.collect.summary import Block, read_timing
from hierrouter_jax.bridge.forecast import (
    Assumptions,
    Measured,
    MeasuredCalls,
    Rate,
    StatedSize,
    forecast_collection,
    query_questions,
    read_measured,
)
from hierrouter_jax.bridge.forecast.measured import Work, seconds
from hierrouter_jax.bridge.forecast.sizes import pool_size, template_tokens
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig, Sampling
from hierrouter_jax.bridge.prompts import HopPrompt, OwnPrompt
from hierrouter_jax.cli.configs import CollectConfig
from hierrouter_jax.cli.forecast import print_forecast
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import write_json
from hierrouter_jax.outcomes.table import Query
from tests.bridge.timed_runs import Sleepy, collected, pool
from tests.bridge.tiny_gguf import num_parameters, write_gguf

TAKEN = Assumptions(
    device="a slide rule",
    peak_flops=1.0,
    reading_utilisation=0.5,
    writing_utilisation=0.25,
    response_tokens={"task": 6},
    characters_per_token=1.0,
    sizes={name: StatedSize(100, 1, 1) for name in ("none/a", "none/b", "none/c")},
)
MEMBERS = tuple(ModelConfig(name, f"none/{name}", max_new_tokens=60, base_rate=1.0) for name in "ab")
POOL = PoolConfig(MEMBERS)


def queries(count: int) -> list[Query]:
    return [Query(f"q{row}", f"{'word ' * row}{row}", "task", "a", "test") for row in range(count)]


def calls(model: str, hop: int, tokens: float, took: float, hops: int = 10, distinct: int = 10) -> MeasuredCalls:
    timed = 4
    return MeasuredCalls(hop, model, hops, distinct, {"task": tokens}, tokens, timed, timed * took, 40, 20)


MEASURED = Measured(
    "pilot",
    5,
    (calls("a", 1, 4, 0.5), calls("b", 1, 8, 2.0), calls("a", 2, 3, 1.0, 10, 5), calls("b", 2, 5, 3.0, 10, 5)),
)


def test_lengths_shared_calls_and_seconds_by_hand():
    """Two questions; at hop 2 half of the four calls of each model are shared; a prompt then shows 6 tokens more."""
    forecast = forecast_collection(query_questions(queries(2)), POOL, 2, TAKEN, measured=MEASURED)
    bare = [len("0\n"), len("word 1\n")]
    assert [(c.expected_calls, c.expected.tokens_out) for c in forecast.calls] == [(2, 8), (2, 16), (2, 6), (2, 10)]
    assert [c.expected.tokens_in for c in forecast.calls[:2]] == [sum(bare)] * 2
    assert [c.expected.tokens_in for c in forecast.calls[2:]] == [sum(n + 1 + 6 for n in bare)] * 2
    assert [c.expected.hours * 3600 for c in forecast.calls] == pytest.approx([2 * 0.5, 2 * 2.0, 2 * 1.0, 2 * 3.0])
    assert [c.most for c in forecast.calls] == [2, 2, 4, 4]
    # At its cap of 60 a response of hop 1 is 15 and 7.5 times as long.
    assert [c.at_cap.hours * 3600 for c in forecast.calls[:2]] == pytest.approx([2 * 0.5 * 15, 2 * 2.0 * 7.5])
    assert forecast.total()["expected_calls"] == 8
    assert forecast.notes == tuple(f"{n}: tokens are characters / 1, as its tokenizer is not here" for n in "ab")


def test_a_hop_that_was_not_measured_is_taken_to_be_as_the_last_one_and_says_so():
    forecast = forecast_collection(query_questions(queries(2)), POOL, 3, TAKEN, measured=MEASURED)
    third = forecast.calls[-2]
    assert (third.hop, third.model, third.most, third.expected_calls) == (3, "a", 8, 4)
    assert third.expected.hours * 3600 == pytest.approx(4 * 1.0)
    assert forecast.notes[-2:] == tuple(
        f"{n}: calls after hop 2 were not measured, and are taken to be as there" for n in "ab"
    )


def test_models_beside_the_pool_and_those_that_were_not_timed():
    beside = tuple(ModelConfig(name, "none/c", max_new_tokens=60, base_rate=1.0) for name in ("large", "larger"))
    measured = replace(MEASURED, calls=(*MEASURED.calls, calls("large", 0, 7, 9.0)))
    pool = replace(POOL, external=beside)
    forecast = forecast_collection(query_questions(queries(2)), pool, 2, TAKEN, measured=measured)
    assert forecast.calls[-2].expected.hours * 3600 == pytest.approx(2 * 9.0)
    assert forecast.calls[-2].expected.tokens_out == 2 * 7
    assert forecast.calls[-1].expected.tokens_out == 2 * 6
    assert forecast.notes[-1] == "larger: no call was timed, so that its lengths and hours are assumed"


def test_another_mix_of_tasks_takes_longer_or_shorter_as_it_writes():
    """Of the pilot's half a second for 4 tokens on average, 12 tokens are taken to need three times as long."""
    known = MeasuredCalls(1, "a", 10, 10, {"short": 2.0, "long": 12.0}, 4.0, 4, 2.0, 40, 16)
    asked = [replace(query, task="long") for query in queries(2)]
    measured = Measured("pilot", 5, (known, calls("b", 1, 8, 2.0)))
    first = forecast_collection(query_questions(asked), POOL, 1, TAKEN, measured=measured).calls[0]
    assert (first.expected.tokens_out, first.expected.hours * 3600) == (24, pytest.approx(3.0))
    assert measured.response_tokens("a", 1, "new task") == 4.0


@pytest.mark.parametrize(("model", "expected"), [("a", 100 / 50 + 20 / 4), ("b", (8 / 0.5 + 3 / 0.25) / 1.0)])
def test_a_rate_of_a_member_counts_instead_of_the_device(model, expected):
    taken = replace(TAKEN, rates={"a": Rate(read=50, written=4)})
    assert seconds(Work(2, 100, 20, 8, 3), model, 1, taken, None) == expected


@pytest.mark.parametrize(("count", "expected"), [(4, 8.0), (16, 16.0), (32, 32.0), (1, 4.0)])
def test_empty_slots_fill_before_time_grows_with_the_number_of_calls(count, expected):
    """Four calls took 8 s on 16 slots: four times as many 16 s, twice the root of it; and from there in proportion."""
    measured = Measured("pilot", 4, (calls("a", 1, 5, 2.0),))
    assert seconds(Work(count, 0, 5 * count, 0, 0), "a", 1, TAKEN, measured, slots=16) == pytest.approx(expected)


def test_a_table_is_read_as_it_was_collected(tmp_path):
    """Model a answers every prompt alike, so that its responses' followers share calls; b says the prompt's length."""
    backends = pool("a", "b")
    backends[0]._rule = lambda prompt: "same"
    table = collected(tmp_path, backends, queries=3)
    blocks = {(block.hop, block.model): block for block in read_timing(tmp_path / "timing.json")}
    measured = read_measured(tmp_path, POOL)
    assert measured.queries == 3
    for one in measured.calls:
        block = blocks[one.hop, one.model]
        assert (one.timed, one.seconds, one.tokens_in) == (block.calls, block.seconds, block.tokens_in)
        assert one.calls == block.calls
        assert one.hops == 3 * 2 ** (one.hop - 1)
        nodes = np.arange(7)[table.tree.stage_slice(one.hop)]["ab".index(one.model) :: 2]
        assert one.mean_tokens == pytest.approx(table.tokens_out[:, nodes].mean())
        assert one.response_tokens == {"task": pytest.approx(table.tokens_out[:, nodes].mean())}


def test_responses_that_are_alike_share_calls(tmp_path):
    backends = pool("a", "b")
    for backend in backends:
        backend._rule = lambda prompt: "same"
    collected(tmp_path, backends, queries=3)
    measured = read_measured(tmp_path, POOL)
    assert [(one.hop, one.calls_per_hop) for one in measured.calls] == [(1, 1.0), (1, 1.0), (2, 0.5), (2, 0.5)]


LAYOUTS = [
    HopPrompt(responses="last"),
    HopPrompt(responses="last", response="{number}. {response}"),
    HopPrompt(responses="none"),
    HopPrompt(members={"b": OwnPrompt(fresh="a")}),
]


@pytest.mark.parametrize("prompt", LAYOUTS)
def test_calls_are_those_whose_prompts_show_something_else(tmp_path, prompt):
    """As many as the collection made, which answers equal prompts from its cache, be they of an earlier hop."""
    backends = pool("a", "b")
    backends[0]._rule = lambda prompt: "same"
    collected(tmp_path, backends, queries=2, horizon=3, prompt=prompt)
    blocks = {(block.hop, block.model): block.calls for block in read_timing(tmp_path / "timing.json")}
    measured = read_measured(tmp_path, replace(POOL, prompt=prompt))
    assert {(one.hop, one.model): one.calls for one in measured.calls} == {key: n for key, n in blocks.items() if n}
    forecast = forecast_collection(
        query_questions(queries(2)), replace(POOL, prompt=prompt), 3, TAKEN, measured=measured
    )
    assert not any("not measured" in note for note in forecast.notes)


def long_pool() -> PoolConfig:
    """Members a and b and, beside them, a-once: the endpoint of a with another limit and a longer window."""
    there = Endpoint(base_url="http://127.0.0.1:9/v1", model="m")
    member = ModelConfig("a", "none/a", max_new_tokens=60, base_rate=1.0, kind="openai", endpoint=there, positions=2048)
    other = replace(member, name="b", stop=("end",))
    return PoolConfig((member, other), external=(replace(member, name="a-once", base_rate=2.0, positions=4096),))


@pytest.mark.parametrize(
    ("change", "called"),
    [
        ({}, 2),
        ({"endpoint": Endpoint(base_url="http://127.0.0.1:9/v1", model="m", timeout=9.0)}, 2),  # the same calls
        ({"system": "Work in few words."}, 5),  # another model, so that it answers all by itself
        ({"sampling": Sampling(temperature=0.7)}, 5),
    ],
)
def test_a_model_beside_the_pool_calls_for_what_a_shorter_limit_cut(tmp_path, change, called):
    """Of five questions the member's response to two is cut; the others are those that the longer limit gives too."""
    cut = Sleepy("a", lambda prompt: "cut" * 5 if prompt[-2] in "34" else "whole")
    collected(tmp_path, [Sleepy("b", lambda prompt: "whole"), cut], queries=5, horizon=1)  # not in the pool's order
    longer = Sleepy("a-once", lambda prompt: "now whole")
    collected(tmp_path / "external", [longer], queries=5, horizon=1)
    write_json(
        tmp_path / "timing.json",
        {"blocks": [asdict(b) for at in (".", "external") for b in read_timing(tmp_path / at / "timing.json")]},
    )
    pool = long_pool()
    pool = replace(pool, external=(replace(pool.external[0], chat=bool(change), **change),))
    pool = replace(pool, models=(replace(pool.models[0], chat=bool(change)), pool.models[1]))
    measured = read_measured(tmp_path, pool)
    once = measured.of("a-once", 0)
    assert (once.hops, once.calls) == (5, called)
    forecast = forecast_collection(query_questions(queries(10)), pool, 1, TAKEN, measured=measured)
    assert forecast.calls[-1].expected_calls == 2 * called


def test_a_model_beside_the_pool_that_had_nothing_to_call_for_needs_no_time(tmp_path):
    collected(tmp_path, [Sleepy(name, lambda prompt: "whole") for name in "ab"], queries=2, horizon=1)
    collected(tmp_path / "external", [Sleepy("a-once", lambda prompt: "whole")], queries=2, horizon=1)
    measured = read_measured(tmp_path, long_pool())
    once = measured.of("a-once", 0)
    assert (once.hops, once.calls, once.calls_per_hop, once.seconds_per_call) == (2, 0, 0.0, 0.0)
    forecast = forecast_collection(
        query_questions(queries(2)),
        long_pool(),
        1,
        TAKEN,
        measured=measured,
    )
    assert forecast.calls[-1].expected.hours == 0
    assert not any("a-once" in note and "timed" in note for note in forecast.notes)


@pytest.mark.parametrize(("concurrency", "few"), [(2, False), (3, True)])
def test_a_pilot_that_hardly_filled_the_slots_says_so(concurrency, few):
    """Four calls were timed at each hop: two slots were filled twice, three were not."""
    there = Endpoint(base_url="http://127.0.0.1:9/v1", model="m", concurrency=concurrency)
    members = tuple(replace(member, kind="openai", endpoint=there, positions=2048) for member in MEMBERS)
    forecast = forecast_collection(query_questions(queries(2)), PoolConfig(members), 2, TAKEN, measured=MEASURED)
    notes = [note for note in forecast.notes if "fewer timed calls than 2 x concurrency" in note]
    assert [note.partition(":")[0] for note in notes] == ["a, b"] * few


def test_the_forecast_of_a_larger_collection_is_near_what_it_takes(tmp_path):
    """Four queries as a pilot, twelve of the same kind then: calls sleep, so that seconds are known."""
    collected(tmp_path / "pilot", pool("a", "b"), queries=4)
    forecast = forecast_collection(
        query_questions(queries(12)), POOL, 2, TAKEN, measured=read_measured(tmp_path / "pilot", POOL)
    )
    collected(tmp_path / "whole", pool("a", "b"), queries=12)
    took = sum(block.seconds for block in read_timing(tmp_path / "whole/timing.json"))
    assert forecast.total()["expected"]["hours"] * 3600 == pytest.approx(took, rel=0.25)


def test_a_dry_run_says_what_was_measured(tmp_path, capsys):
    collected(tmp_path / "pilot", pool("a", "b"), queries=4)
    sizes = ", ".join(f"none/{name}: {{parameters: 100, layers: 1, width: 1}}" for name in "ab")
    (tmp_path / "taken.yaml").write_text(
        "device: abacus\npeak_flops: 1.0e+12\nreading_utilisation: 0.5\nwriting_utilisation: 0.05\n"
        f"sizes: {{{sizes}}}\n"
    )
    for as_json in (False, True):
        config = CollectConfig(horizon=2, assumptions=str(tmp_path / "taken.yaml"), measured=tmp_path / "pilot")
        print_forecast(queries(8), POOL, config, as_json)
    *text, line = capsys.readouterr().out.splitlines()
    said, printed = json.loads(line), "\n".join(text)
    assert said["measured"]["queries"] == 4
    assert said["total"]["expected"]["hours"] > 0
    for words in (
        "seconds, as measured in",
        "hop 2, b: ",
        "tokens/s in that time",
        "responses: task ",
        "as were measured",
    ):
        assert words in printed
    assert "Response tokens" not in printed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "timing.json").unlink(), r"timing.json: no such file, so nothing says how long"),
        (lambda folder: write_json(folder / "timing.json", {"blocks": []}), "holds no time of any call"),
        (lambda folder: write_json(folder / "timing.json", {}), "is not a collection's timing"),
        (lambda folder: (folder / "table.json").unlink(), r"table.json: no such file"),
    ],
)
def test_a_folder_that_tells_no_times_is_refused(tmp_path, change, words):
    collected(tmp_path, pool("a", "b"), queries=3)
    change(tmp_path)
    with pytest.raises(InputError, match=words):
        read_measured(tmp_path, POOL)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ({"name": "c"}, "no calls of the model 'c' were measured; it holds a, b"),
        ({"max_new_tokens": 61}, "model 'a' was measured with max_new_tokens 60, but has 61 in the pool"),
    ],
)
def test_another_pool_than_the_measured_one_is_refused(tmp_path, member, words):
    collected(tmp_path, pool("a", "b"), queries=3)
    with pytest.raises(InputError, match=words):
        read_measured(tmp_path, PoolConfig((replace(MEMBERS[0], **member), MEMBERS[1])))


def test_a_block_without_time_is_no_measurement(tmp_path):
    collected(tmp_path, pool("a", "b"), queries=3)
    blocks = [vars(replace_block(block)) for block in read_timing(tmp_path / "timing.json")]
    write_json(tmp_path / "timing.json", {"blocks": blocks})
    assert {one.model for one in read_measured(tmp_path, POOL).calls} == {"b"}


def replace_block(block: Block) -> Block:
    return replace(block, seconds=0.0) if block.model == "a" else block


def test_measured_is_of_a_dry_run(tmp_path, capsys):
    assert main(["collect", str(tmp_path / "t"), "--measured", str(tmp_path)]) == 2
    assert "--measured is of a forecast: add --dry_run" in capsys.readouterr().err


def test_a_gguf_member_is_counted_by_its_own_tokenizer_template_and_size(tmp_path, monkeypatch):
    """'ab ab' is two tokens of that file, the layout's line break a third; its template adds six and three."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write_gguf(tmp_path / "model.gguf")
    endpoint = Endpoint("http://localhost:1/v1", "m")
    shared = {"source": str(path), "max_new_tokens": 9, "kind": "openai", "endpoint": endpoint, "base_rate": 1.0}
    text, chat = (
        ModelConfig("text", **shared),
        ModelConfig("chat", **shared, chat=True, size_from={"tie_word_embeddings": True}),
    )
    taken = replace(TAKEN, template_tokens=1000)
    forecast = forecast_collection(
        query_questions([Query("q", "ab ab", "task", "1", "test")]), PoolConfig((text, chat)), 1, taken
    )
    assert [c.expected.tokens_in for c in forecast.calls] == [3, 3 + len("[user]") + len("[A]")]
    parameters = [forecast.sizes[name].parameters for name in ("text", "chat")]
    assert parameters == [num_parameters(False), num_parameters(True)]
    assert forecast.notes == ()
    assert template_tokens(replace(chat, source="none/a"), taken) == 1000
    assert pool_size(replace(chat, size_from="none/a"), taken) == taken.sizes["none/a"]
    with pytest.raises(InputError, match="the configuration of none/d is not on this machine"):
        pool_size(replace(chat, size_from="none/d"), taken)
