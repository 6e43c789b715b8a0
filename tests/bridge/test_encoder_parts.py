"""Parts of a context are embedded apart, long texts keep both ends, and no text is embedded twice."""

import json
import sqlite3

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.bridge.encoders import build_encoder, count_truncated
from hierrouter_jax.bridge.encoders.cache import EmbeddingCache
from hierrouter_jax.bridge.encoders.neural import MeanPooled
from hierrouter_jax.bridge.encoders.parts import PartsEncoder, keep_ends
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Context


class Counting:
    """A `TextModel` whose embedding is (length, 1), and that notes what it embeds."""

    size = 2
    identity = "counting"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def embed(self, texts):
        self.batches.append(list(texts))
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)

    def exceeds(self, texts):
        return np.array([len(text) > 5 for text in texts])


def parts_encoder(*parts: str) -> PartsEncoder:
    return PartsEncoder(Counting(), {}, parts, batch_size=8)


def test_parts_by_hand():
    """Query, latest response and the mean of the earlier ones; zero where there is none, or nothing in it."""
    contexts = [
        Context("one"),
        Context("one", ("seven.",)),
        Context("one", ("1", "333", "")),
        Context("one", ("a", "b")),
    ]
    embedded = parts_encoder("query", "latest", "earlier").encode(contexts)
    np.testing.assert_array_equal(
        embedded, [[3, 1, 0, 0, 0, 0], [3, 1, 6, 1, 0, 0], [3, 1, 0, 0, 2, 1], [3, 1, 1, 1, 1, 1]]
    )
    whole = parts_encoder("context").encode(contexts)
    np.testing.assert_array_equal(whole, [[3, 1], [10, 1], [10, 1], [7, 1]])


def test_each_distinct_text_is_embedded_once_with_texts_of_its_length():
    model = Counting()
    PartsEncoder(model, {}, ("query", "latest"), batch_size=2).encode(
        [Context("4444"), Context("4444", ("22",)), Context("333", ("4444",)), Context("1", ("22",))]
    )
    assert model.batches == [["1", "22"], ["333", "4444"]]


def test_truncated_contexts_are_counted_by_hops():
    contexts = [Context("123456"), Context("1", ("123456",)), Context("1", ("123456", "2")), Context("1", ("1", "2"))]
    assert count_truncated(parts_encoder("query", "latest"), contexts) == {
        "contexts": 4,
        "truncated": 2,
        "share": 0.5,
        "by_hops": [
            {"hops": 0, "contexts": 1, "truncated": 1},
            {"hops": 1, "contexts": 1, "truncated": 1},
            {"hops": 2, "contexts": 2, "truncated": 0},
        ],
    }
    assert count_truncated(parts_encoder("query", "earlier"), contexts)["truncated"] == 2
    assert count_truncated(NGramEncoder(size=8), contexts)["truncated"] == 0
    assert count_truncated(build_encoder({"kind": "tests.bridge.test_encoders:Lengths"}), contexts)["share"] is None


def test_kept_ends_by_hand():
    """Five tokens of 1 to 9: three of the head and two of the tail; 1 to 4 stay, and so does what is no token."""
    ids = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0, 0, 0, 0, 0]])
    cut = keep_ends({"input_ids": ids, "attention_mask": (ids > 0).long(), "prompt_length": 3}, 5)
    assert cut["input_ids"].tolist() == [[1, 2, 3, 8, 9], [1, 2, 3, 4, 1]]
    assert cut["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert cut["prompt_length"] == 3


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(2, 14), st.booleans())
def test_ends_are_kept_whichever_side_is_padded(lengths, max_tokens, left):
    width = max(lengths)
    rows = [list(range(1, n + 1)) for n in lengths]
    ids = torch.tensor([[0] * (width - len(r)) + r if left else r + [0] * (width - len(r)) for r in rows])
    cut = keep_ends({"input_ids": ids, "attention_mask": (ids > 0).long()}, max_tokens)
    for row, kept, mask in zip(rows, cut["input_ids"], cut["attention_mask"], strict=True):
        middle = len(row) - max_tokens
        head = max_tokens - max_tokens // 2
        assert kept[mask.bool()].tolist() == (row if middle <= 0 else row[:head] + row[head + middle :])


def test_a_second_encoder_embeds_nothing_that_is_in_the_cache(model_folder, tmp_path, monkeypatch):
    folder, file = model_folder(), tmp_path / "new" / "embeddings.sqlite"
    spec = {"kind": "transformers", "source": str(folder), "parts": ["query", "latest"], "truncation": "middle"}
    contexts = [Context("a?", ("b",)), Context("a?"), Context("long" * 9, ("a?",))]
    first = build_encoder(spec, cache=file).encode(contexts)
    with monkeypatch.context() as patch:
        patch.setattr(MeanPooled, "embed", None)
        np.testing.assert_array_equal(build_encoder(spec, cache=file).encode(contexts), first)
    assert EmbeddingCache(file).num_texts == 3
    build_encoder({**spec, "truncation": "left"}, cache=file).encode(contexts[:2])
    build_encoder({**spec, "source": str(model_folder(seed=1))}, cache=file).encode(contexts[:1])
    assert EmbeddingCache(file).num_texts == 7


def test_the_same_weights_in_another_folder_are_the_same_model(model_folder):
    one, copy, other = (MeanPooled(str(model_folder(seed=seed)), 99, "left", "float32") for seed in (3, 3, 4))
    assert one.identity == copy.identity != other.identity


def test_a_file_that_is_no_embedding_cache_is_refused(tmp_path):
    (tmp_path / "text").write_text("not a data base, whatever its name may say" * 9)
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE calls (key BLOB)")
    for name in ("text", "other"):
        with pytest.raises(InputError, match="embedding cache"):
            EmbeddingCache(tmp_path / name)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"parts": ["query", "last"]}, "parts: 'last' is unknown; did you mean latest?"),
        ({"parts": []}, r"parts is \[\], but must be a list"),
        ({"parts": "query"}, "parts is 'query', but must be a list"),
        ({"parts": ["query", "query"]}, "each part can be there once"),
        ({"truncation": "end"}, "truncation is 'end'"),
        ({"max_tokens": 1}, "max_tokens is 1"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_a_bad_setting_is_one_sentence(model_folder, settings, words):
    with pytest.raises(InputError, match=words):
        build_encoder({"kind": "transformers", "source": str(model_folder()), **settings})


def test_hidden_states_of_a_pool_member_are_a_mean_over_its_tokens(model_folder):
    """In half precision too: close to, and not equal to, single precision."""
    spec = {"kind": "transformers", "source": str(model_folder()), "parts": ["query", "latest"]}
    single, half = build_encoder(spec), build_encoder({**spec, "dtype": "bfloat16"})
    assert single.size == half.size == 64
    assert json.loads(json.dumps(half.spec)) == half.spec
    contexts = [Context("What is 1+2?", ("3",))]
    np.testing.assert_allclose(half.encode(contexts), single.encode(contexts), atol=0.1)
    assert half.spec["dtype"] == "bfloat16"
    assert "dtype" not in single.spec
