"""Kept calls in their committed form: whole, small, added to and never rewritten, and enough to go on from."""

import hashlib
import os
import signal
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.cache import CallCache, call_key
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.paid_calls import other_models, read_calls, write_new_calls
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import Turn

ONE = Generation("grüße\n", 3, 7, "stop", 0.1)
TWO = Generation("", 1, 40, "length", 1 / 3, -2.5)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def filled(**answers: Generation) -> CallCache:
    cache = CallCache(None)
    cache.put_many("model", answers)
    return cache


def test_the_columns_of_a_shard_by_hand(tmp_path):
    assert write_new_calls(filled(x=ONE), tmp_path) == 1
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("calls-00000-")
    assert pq.read_table(path).to_pylist() == [
        {"key": call_key("model", "x"), "model": "model", **ONE._asdict()},
    ]


@given(
    calls=st.dictionaries(
        st.tuples(st.sampled_from(["a", "b", "openai/x/{}"]), st.text(st.characters(codec="utf-8"), max_size=20)),
        st.builds(
            Generation,
            st.text(st.characters(codec="utf-8"), max_size=200),
            st.integers(0, 2**31 - 1),
            st.integers(0, 2**31 - 1),
            st.sampled_from(["stop", "length", "content_filter"]),
            st.floats(0, 1e6),
            st.none() | st.floats(-1e6, 0),
        ),
        min_size=1,
        max_size=12,
    ),
    cuts=st.integers(1, 4),
)
def test_every_call_comes_back_as_it_was(tmp_path_factory, calls, cuts):
    folder, cache = tmp_path_factory.mktemp("shards"), CallCache(None)
    items = list(calls.items())
    for start in range(cuts):  # several writes
        for (identity, prompt), answer in items[start::cuts]:
            cache.put_many(identity, {prompt: answer})
        write_new_calls(cache, folder)
    back = CallCache(None)
    assert read_calls(folder, back) == (len(calls), len(calls))
    assert back.kept_calls() == cache.kept_calls()
    for (identity, prompt), answer in items:
        assert back.get_many(identity, [prompt]) == {prompt: answer}
    for identity in {identity for identity, _ in calls}:
        assert back.spent(identity) == cache.spent(identity)


def test_a_chat_comes_back_too(tmp_path):
    cache, chat = CallCache(None), (Turn("user", "1"), Turn("assistant", "2"), Turn("user", "3"))
    cache.put_many("a", {chat: ONE, "3": TWO})
    write_new_calls(cache, tmp_path)
    back = CallCache(None)
    read_calls(tmp_path, back)
    assert back.get_many("a", [chat, "3"]) == {chat: ONE, "3": TWO}


def test_shards_are_added_to_and_never_rewritten(tmp_path):
    cache = filled(x=ONE)
    assert write_new_calls(cache, tmp_path) == 1
    first = content(tmp_path)
    assert write_new_calls(cache, tmp_path) == 0
    assert content(tmp_path) == first
    cache.put_many("other", {"x": TWO, "y": ONE})
    assert write_new_calls(cache, tmp_path) == 2
    second = content(tmp_path)
    assert len(second) == 2
    assert first.items() < second.items()


def test_each_shard_stays_under_its_size(tmp_path):
    rng = np.random.default_rng(0)
    texts = ["".join(map(chr, rng.integers(33, 127, 200))) for _ in range(400)]  # random text hardly packs
    cache = filled(**{f"p{row}": ONE._replace(text=text) for row, text in enumerate(texts)})
    assert write_new_calls(cache, tmp_path, most=20_000) == 400
    sizes = [len(data) for data in content(tmp_path).values()]
    assert len(sizes) > 3
    assert max(sizes) < 20_000
    back = CallCache(None)
    assert read_calls(tmp_path, back) == (400, 400)
    assert back.kept_calls() == cache.kept_calls()


def test_a_row_that_no_file_may_hold_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"one row takes [\d,]+ bytes, but a file may take 2,000"):
        write_new_calls(filled(x=ONE._replace(text="".join(map(chr, range(5000))))), tmp_path / "shards", most=2000)
    assert not (tmp_path / "shards").exists()


def test_the_cache_keeps_its_own_answer_and_forgets_failures(tmp_path):
    write_new_calls(filled(x=ONE, y=ONE), tmp_path)
    cache = filled(x=TWO)
    cache.put_many("model", {"y": Failure("down")})
    assert read_calls(tmp_path, cache) == (2, 1)
    assert cache.get_many("model", ["x", "y"]) == {"x": TWO, "y": ONE}
    assert cache.failures() == []
    assert read_calls(tmp_path, cache) == (2, 0)


def test_failures_are_not_written(tmp_path):
    cache = filled(x=ONE)
    cache.put_many("model", {"y": Failure("down")})
    assert write_new_calls(cache, tmp_path) == 1


def test_two_machines_that_add_to_copies_merge(tmp_path):
    """Both add after the same first shard, and one call twice: all files fit beside each other, the earlier counts."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, prompt in ((one, "mine"), (other, "yours")):
        cache = filled(x=ONE)
        write_new_calls(cache, folder)
        cache.put_many("model", {prompt: ONE, "both": ONE if folder is one else TWO})
        write_new_calls(cache, folder)
    merged = content(one) | content(other)
    assert len(merged) == 3
    for name, data in merged.items():
        (one / name).write_bytes(data)
    back = CallCache(None)
    assert read_calls(one, back) == (5, 4)
    assert back.get_many("model", ["x", "mine", "yours"]).keys() == {"x", "mine", "yours"}
    assert write_new_calls(back, one) == 0


def test_calls_of_an_old_file_that_names_no_model(tmp_path):
    cache = CallCache(None)
    cache.keep([call._replace(identity=None) for call in filled(x=ONE).kept_calls()])
    write_new_calls(cache, tmp_path)
    back = CallCache(None)
    read_calls(tmp_path, back)
    assert back.get_many("model", ["x"]) == {"x": ONE}
    assert back.kept_calls()[0].identity is None


@pytest.mark.parametrize(
    "leftover", [".calls-00000-12345678.parquet.abc.parquet", "README.md", ".gitignore", "calls-1-x.parquet"]
)
def test_other_files_of_the_folder_mean_nothing(tmp_path, leftover):
    """The first is what a kill leaves of a shard that was under way."""
    write_new_calls(filled(x=ONE), tmp_path)
    (tmp_path / leftover).write_bytes(b"PAR1 cut off")
    back = CallCache(None)
    assert read_calls(tmp_path, back) == (1, 1)
    assert write_new_calls(filled(x=ONE, y=TWO), tmp_path) == 1


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


@pytest.mark.parametrize("damage", [cut, flipped, lambda data: b"", lambda data: data + b"\n"])
def test_a_damaged_shard_is_named(tmp_path, damage):
    write_new_calls(filled(x=ONE, y=TWO), tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    cache = CallCache(None)
    for use in (lambda: read_calls(tmp_path, cache), lambda: write_new_calls(filled(z=ONE), tmp_path)):
        with pytest.raises(InputError, match="was changed or cut off after it was written") as caught:
            use()
        assert str(caught.value).startswith(str(path))
    assert cache.num_calls == 0


def test_a_file_of_other_columns_is_named(tmp_path):
    write_new_calls(filled(x=ONE), tmp_path)
    (path,) = tmp_path.iterdir()
    path.unlink()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink)
    data = sink.getvalue().to_pybytes()
    (tmp_path / f"calls-00000-{hashlib.sha256(data).hexdigest()[:8]}.parquet").write_bytes(data)
    with pytest.raises(InputError, match="columns are a, but must be key, model, text"):
        read_calls(tmp_path, CallCache(None))


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: folder.mkdir(), lambda folder: folder.touch()])
def test_a_folder_without_calls_is_refused(tmp_path, make):
    """A mistyped name must not have everything made again in silence."""
    make(tmp_path / "typo")
    with pytest.raises(InputError, match=r"typo: holds no calls; 'hierrouter calls OUT .*typo' writes"):
        read_calls(tmp_path / "typo", CallCache(None))


@pytest.fixture
def run(queries, backends, encoder):
    def run(cache):
        arguments = queries, backends, HopTree(3, 3), encoder, HopPrompt(), one_by_one(exact_match), cache
        return collect(*arguments, batch_size=2, progress=False)

    return run


@pytest.mark.parametrize(("dying", "batches"), [(0, 0), (0, 2), (1, 0), (1, 3), (2, 1), (2, 4), (2, 6)])
def test_a_collection_goes_on_from_the_committed_form_alone(
    run, backends, killed, programmed, tmp_path, dying, batches
):
    """On a fresh machine with an empty cache no committed call is made again, and the table is the undisturbed one."""
    whole = run(CallCache(None))
    for backend in backends:
        backend.asked.clear()
    backends[dying].survives = batches
    with pytest.raises(killed):
        run(cache := CallCache(tmp_path / "calls.sqlite"))
    written = write_new_calls(cache, tmp_path / "committed")
    committed = Counter((backend.name, prompt) for backend in backends for batch in backend.asked for prompt in batch)
    assert written == len(committed)
    backends[dying].survives = float("inf")
    for backend in backends:
        backend.asked.clear()
    fresh = CallCache(tmp_path / "fresh" / "calls.sqlite")
    if written:
        read_calls(tmp_path / "committed", fresh)
    resumed = run(fresh)
    again = Counter((backend.name, prompt) for backend in backends for batch in backend.asked for prompt in batch)
    assert not committed & again
    assert len(committed) + len(again) == whole.settings["calls"]
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.settings == whole.settings
    np.testing.assert_array_equal(resumed.latency, whole.latency)
    assert write_new_calls(fresh, tmp_path / "committed") == len(again)


def write_for_ever(folder: Path) -> None:
    cache, number = filled(), 0
    while True:
        number += 1
        cache.put_many("model", {f"{number}": ONE, f"{number} again": TWO})
        write_new_calls(cache, folder)


@pytest.mark.filterwarnings("ignore:os.fork")
def test_a_kill_while_shards_are_written_leaves_only_whole_ones(tmp_path):
    """Ten kills at other moments; what is there can be read, and the next writer goes on."""
    for kill in range(10):
        folder = tmp_path / str(kill)
        process = get_context("fork").Process(target=write_for_ever, args=(folder,))
        process.start()
        while not folder.is_dir() or len(list(folder.glob("calls-*"))) <= kill:
            time.sleep(0.001)
        time.sleep(0.0007 * kill)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        back = CallCache(None)
        held, new = read_calls(folder, back)
        assert held == new == 2 * len([name for name in content(folder) if name.startswith("calls-")]) > 0
        assert write_new_calls(back, folder) == 0


def test_models_of_a_table_that_are_others_now(run, backends, programmed):
    """Of one the identity is another; one is not in the table at all."""
    table = run(CallCache(None))
    assert other_models(table, backends) == []
    backends[1].identity = "programmed/retrained"
    assert other_models(table, [*backends, programmed("stranger", str)]) == ["calculator"]
