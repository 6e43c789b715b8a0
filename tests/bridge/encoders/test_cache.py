"""Embeddings that were made once are there for later runs, of the same weights only."""

import sqlite3

import numpy as np
import pytest

from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.encoders.cache import EmbeddingCache
from hierrouter_jax.bridge.encoders.neural import MeanPooled
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Context
from tests.bridge.test_cache import BrokenIndex


def num_texts(file):
    return sqlite3.connect(file).execute("SELECT count(*) FROM texts").fetchone()[0]


def test_a_second_encoder_embeds_nothing_that_is_in_the_cache(model_folder, tmp_path, monkeypatch):
    folder, file = model_folder(), tmp_path / "new" / "embeddings.sqlite"
    spec = {"kind": "transformers", "source": str(folder), "parts": ["query", "latest"], "truncation": "middle"}
    contexts = [Context("a?", ("b",)), Context("a?"), Context("long" * 9, ("a?",))]
    first = build_encoder(spec, cache=file).encode(contexts)
    with monkeypatch.context() as patch:
        patch.setattr(MeanPooled, "embed", None)
        np.testing.assert_array_equal(build_encoder(spec, cache=file).encode(contexts), first)
    assert num_texts(file) == 3
    build_encoder({**spec, "truncation": "left"}, cache=file).encode(contexts[:2])
    build_encoder({**spec, "source": str(model_folder(seed=1))}, cache=file).encode(contexts[:1])
    assert num_texts(file) == 7


def test_a_file_that_is_no_embedding_cache_is_refused(tmp_path):
    (tmp_path / "text").write_text("not a data base, whatever its name may say" * 9)
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE calls (key BLOB)")
    for name in ("text", "other"):
        with pytest.raises(InputError, match="embedding cache"):
            EmbeddingCache(tmp_path / name)


def test_vectors_are_kept_by_model_and_text(tmp_path):
    cache = EmbeddingCache(tmp_path / "embeddings.sqlite")
    cache.put_many("m", {"a": np.array([1.5, -2.0], dtype=np.float32), "b": np.array([0.0, 3.0], dtype=np.float32)})
    cache.close()
    again = EmbeddingCache(tmp_path / "embeddings.sqlite")
    assert {text: vector.tolist() for text, vector in again.get_many("m", ["b", "a", "c"]).items()} == {
        "a": [1.5, -2.0],
        "b": [0.0, 3.0],
    }
    assert again.get_many("other", ["a"]) == {}
    assert num_texts(tmp_path / "embeddings.sqlite") == 2


def test_a_broken_index_gives_no_vector_that_was_not_sought(tmp_path):
    cache = EmbeddingCache(tmp_path / "embeddings.sqlite")
    cache.put_many("m", {"a": np.array([1.5], dtype=np.float32), "b": np.array([3.0], dtype=np.float32)})
    cache._connection = BrokenIndex(cache._connection)
    assert {text: vector.tolist() for text, vector in cache.get_many("m", ["b", "never"]).items()} == {"b": [3.0]}
