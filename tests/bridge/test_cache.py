"""What was put into the cache is there for the next process, for the same model only."""

import functools
import hashlib
import sqlite3
import threading

import pytest

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.cache import CallCache, call_key
from hierrouter_jax.bridge.encoders.cache import EmbeddingCache
from hierrouter_jax.bridge.grading.parallel import VerdictCache
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Turn

ONE = Generation("grüße\n", 3, 7, "stop", 0.1)
TWO = Generation("", 1, 40, "length", 1 / 3)


def test_what_was_put_is_on_disk_for_others_at_once(tmp_path):
    writer = CallCache(tmp_path / "new" / "calls.sqlite")
    writer.put_many("a", {"x": ONE, "y": TWO})
    reader = CallCache(tmp_path / "new" / "calls.sqlite")  # the writer is still open, and may die now
    assert reader.get_many("a", ["y", "never", "x"]) == {"x": ONE, "y": TWO}
    assert reader.num_calls == 2


def test_models_do_not_share_calls():
    cache = CallCache(None)
    cache.put_many("a", {"bx": ONE})
    assert cache.get_many("ab", ["x"]) == {}
    assert cache.get_many("b", ["bx"]) == {}


def test_more_prompts_than_a_statement_holds():
    cache = CallCache(None)
    prompts = [f"prompt {row}" for row in range(1201)]
    cache.put_many("a", {prompt: ONE._replace(tokens_in=row) for row, prompt in enumerate(prompts)})
    found = cache.get_many("a", prompts)
    assert [found[prompt].tokens_in for prompt in prompts] == list(range(1201))


class BrokenIndex:
    """A connection whose file finds rows of other keys, as one that was copied while in use may."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, *values) -> sqlite3.Cursor:
        everything, finds, _ = statement.partition(" WHERE key IN ")
        return self._connection.execute(everything) if finds else self._connection.execute(statement, *values)


def test_a_broken_index_gives_no_call_that_was_not_sought():
    cache = CallCache(None)
    cache.put_many("a", {"x": ONE, "y": TWO})
    cache._connection = BrokenIndex(cache._connection)
    assert cache.get_many("a", ["y", "never"]) == {"y": TWO}


def test_a_batch_is_kept_whole_or_not_at_all():
    cache = CallCache(None)
    with pytest.raises(InputError):
        cache.put_many("a", {"x": ONE, "y": ONE._replace(text=object())})
    assert cache.num_calls == 0
    cache.put_many("a", {"x": ONE})
    assert cache.num_calls == 1


def test_other_files_are_refused_and_left_alone(tmp_path):
    text, other, later = (tmp_path / name for name in ("text", "other", "later"))
    text.write_text("not a database, but long enough to look like one " * 50)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE calls (mine TEXT)")
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 99")
    for path in (text, other, later, tmp_path):
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(InputError) as caught:
            CallCache(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("kind", [CallCache, EmbeddingCache, VerdictCache])
def test_a_file_that_another_process_is_making_is_waited_for(tmp_path, monkeypatch, kind):
    """It begins to write just before this one turns on the write-ahead log, and is done a fifth of a second later."""
    path, connect, others = tmp_path / "new.sqlite", sqlite3.connect, []

    class Late(sqlite3.Connection):
        def execute(self, statement, *values):
            if "journal_mode" in statement and not others:
                others.append(connect(path, isolation_level=None, check_same_thread=False))
                others[0].execute("BEGIN IMMEDIATE")
                threading.Timer(0.2, others[0].execute, ["COMMIT"]).start()
            return super().execute(statement, *values)

    monkeypatch.setattr(sqlite3, "connect", functools.partial(connect, factory=Late))
    cache = kind(path)
    assert cache._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    cache.close()
    others[0].close()


def test_a_key_is_the_digest_of_model_and_prompt_with_their_border():
    """Another digest would make every call that was paid for anew."""
    assert call_key("model", "prompt") == hashlib.sha256(b"5:modelprompt").digest()
    chat = (Turn("user", "1?"), Turn("assistant", "2"))
    assert call_key("m", chat) == hashlib.sha256(b'1:m\0[["user", "1?"], ["assistant", "2"]]').digest()


def test_what_was_spent_failed_and_kept_by_hand():
    cache = CallCache(None)
    cache.put_many("a", {"x": ONE, "y": TWO, "z": Failure("slow")})
    cache.put_many("a", {"z": Failure("away")})
    cache.put_many("b", {"x": TWO})
    assert cache.spent("a") == (2, 3 + 1, 7 + 40)
    assert cache.failed("a", ["x", "z"]) == {"z"}
    ((identity, reason, attempts, _),) = cache.failures()
    assert (identity, reason, attempts) == ("a", "away", 2)
    kept = {(call.key, call.identity, call.generation) for call in cache.kept_calls()}
    assert kept == {(call_key(m, p), m, g) for m, p, g in (("a", "x", ONE), ("a", "y", TWO), ("b", "x", TWO))}
    other = CallCache(None)
    other.put_many("a", {"x": TWO})
    assert other.keep(cache.kept_calls()) == 2
    assert other.get_many("a", ["x", "y"]) == {"x": TWO, "y": TWO}
