"""Whichever byte of a database of calls, verdicts or embeddings, or of a leaderboard's fit changes: no wrong value."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierrouter_jax import sums
from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.cache import CallCache, call_key
from hierrouter_jax.bridge.encoders.cache import EmbeddingCache
from hierrouter_jax.bridge.grading.parallel import VerdictCache
from hierrouter_jax.bridge.grading.verdict import Verdict
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome
from hierrouter_jax.studies.leaderboard.result import Judged, load, save
from tests.fuzz.engine import SECONDS, no_hang, while_time

COUNT = 1000 if SECONDS else 250
TEXTS = [f"text {number} " * 20 for number in range(48)]


def calls_of(path: Path) -> dict[Any, Any]:
    """All that a cache of calls gives, by what asks for it; a call that is not there will be made again."""
    cache = CallCache(path)
    try:
        found: dict[Any, Any] = dict(cache.get_many("model", TEXTS))
        found |= {call.key: call for call in cache.kept_calls()}
        found |= {one.reason: (one.identity, one.attempts) for one in cache.failures()}
        return found | dict.fromkeys(cache.failed("model", ["away"]), "failed")
    finally:
        cache.close()


def verdicts_of(path: Path) -> dict[Any, Any]:
    cache = VerdictCache(path)
    try:
        return {text: verdict for text in TEXTS if (verdict := cache.get(call_key("grader", text)))}
    finally:
        cache.close()


def embeddings_of(path: Path) -> dict[Any, Any]:
    cache = EmbeddingCache(path)
    try:
        return {text: vector.tolist() for text, vector in cache.get_many("encoder", TEXTS).items()}
    finally:
        cache.close()


def write_calls(path: Path) -> None:
    cache = CallCache(path)
    answers = {text: Generation(text.upper(), 3, 7, "stop", 1, -0.5) for text in TEXTS}
    cache.put_many("model", answers | {"away": Failure("no answer")})
    cache.put_many("model", {"away": Failure("no answer")})
    cache.close()


def write_verdicts(path: Path) -> None:
    cache = VerdictCache(path)
    for number, text in enumerate(TEXTS):
        cache.put(call_key("grader", text), Verdict(number % 2, text, "right"))
    cache.close()


def write_embeddings(path: Path) -> None:
    cache = EmbeddingCache(path)
    cache.put_many("encoder", {text: np.arange(16, dtype=np.float32) + len(text) for text in TEXTS})
    cache.close()


KINDS = {
    "calls": (write_calls, calls_of),
    "verdicts": (write_verdicts, verdicts_of),
    "embeddings": (write_embeddings, embeddings_of),
}


@pytest.mark.fuzzed("databases")
@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_of_a_database_is_refused_or_gives_no_other_value(kind, tmp_path):
    """What is still given is as before; what can no longer be found is made, graded or embedded again."""
    write, read = KINDS[kind]
    path = tmp_path / "one.sqlite"
    write(path)
    whole, before = path.read_bytes(), read(path)
    assert len(before) >= len(TEXTS)
    seen = {"refused": 0, "less": 0, "unchanged": 0}

    def once(number: int) -> None:
        rng = np.random.default_rng(number)
        for _ in range(COUNT):
            at, change = int(rng.integers(len(whole))), int(rng.integers(1, 256))
            for left in tmp_path.iterdir():
                left.unlink()
            path.write_bytes(whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :])
            try:
                with no_hang():
                    after = read(path)
            except InputError as error:
                message = str(error)
                assert str(path) in message, f"byte {at} xor {change}: refused as {message}"
                seen["refused"] += 1
            else:
                assert after.items() <= before.items(), f"byte {at} xor {change}: other values"
                seen["unchanged" if after == before else "less"] += 1

    while_time(once)
    print(kind, seen)
    assert seen["refused"]


CHANGES = {
    "calls": "UPDATE calls SET text = 'other' WHERE text LIKE 'TEXT 3%'",
    "verdicts": "UPDATE verdicts SET quality = 1 - quality",
    "embeddings": "UPDATE texts SET vector = zeroblob(64)",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_sqlite_itself_finds_in_order_is_refused(kind, tmp_path, monkeypatch):
    """The planted fault: the database's own check passes, and without the sums of the rows the value is taken."""
    write, read = KINDS[kind]
    path = tmp_path / "one.sqlite"
    write(path)
    before = read(path)
    with sqlite3.connect(path) as connection:
        connection.execute(CHANGES[kind])
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with pytest.raises(InputError, match="not what was written") as caught:
        read(path)
    monkeypatch.setattr(sums, "row_sum", lambda *_: None)
    for module in ("bridge.cache", "bridge.encoders.cache", "bridge.grading.parallel"):
        monkeypatch.setattr(f"hierrouter_jax.{module}.checked_rows", lambda *told: (row[:-1] for row in told[-1]))
    assert read(path) != before
    monkeypatch.undo()
    while True:  # what the message says takes the row out
        statement = str(caught.value).partition('"')[2].rpartition('"')[0]
        with sqlite3.connect(path) as connection:
            assert connection.execute(statement).rowcount == 1
        try:
            after = read(path)
        except InputError as error:
            caught.value.args = error.args
        else:
            break
    assert after.items() < before.items()


def test_calls_of_a_file_without_sums_are_kept_and_get_sums(tmp_path):
    """They were paid for; what earlier versions of the file held is taken as it is."""
    path = tmp_path / "one.sqlite"
    write_calls(path)
    before = calls_of(path)
    with sqlite3.connect(path) as connection:
        for table in ("calls", "failures"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN sum")
        connection.execute("PRAGMA user_version = 3")
    assert calls_of(path) == before
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE calls SET tokens_out = 8")
    with pytest.raises(InputError, match="not what was written"):
        calls_of(path)


@pytest.mark.parametrize("kind", ["verdicts", "embeddings"])
def test_verdicts_and_embeddings_of_a_file_without_sums_are_made_again(kind, tmp_path):
    write, read = KINDS[kind]
    path = tmp_path / "one.sqlite"
    write(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"ALTER TABLE {'texts' if kind == 'embeddings' else kind} DROP COLUMN sum")
        connection.execute("PRAGMA user_version = 1")
    assert read(path) == {}
    write(path)
    assert len(read(path)) == len(TEXTS)


def test_a_flipped_byte_of_a_fit_has_it_fitted_anew(tmp_path):
    """A result that is not what was written counts as missing: the leaderboard fits it again, to the same values."""
    path = tmp_path / "one.safetensors"
    outcome = PolicyOutcome(*(np.linspace(0, at, 6).reshape(1, 6) for at in range(5)))
    judged = Judged(outcome, np.ones((1, 6)), {"kind": "learned", "tried": 3})
    save(path, judged, "identity")
    whole, anew = path.read_bytes(), 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 + at % 255)]) + whole[at + 1 :])
        back = load(path, "identity")
        assert back is None or repr(back) == repr(judged), at
        anew += back is None
    assert anew > 0.9 * len(whole)
