"""Parts of a context are embedded apart, long texts keep both ends, and no text is embedded twice."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.bridge.encoders import build_encoder, count_truncated
from hierrouter_jax.bridge.encoders.parts import PartsEncoder, check_truncation, embed_table, keep_ends
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder, encoder_work
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

    def multiply_adds(self, texts):
        return np.array([10.0 * min(len(text), 5) for text in texts])


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


def test_work_is_that_of_every_part():
    """Ten a character that is read, five at most; a blank text takes none."""
    contexts = [Context("123456"), Context("1", (" ",)), Context("1", ("22", "333"))]
    assert parts_encoder("query", "latest").multiply_adds(contexts).tolist() == [50, 10, 40]
    assert parts_encoder("context").multiply_adds(contexts[2:]).tolist() == [50]
    assert encoder_work(parts_encoder("query", "latest"), contexts) == [50, 10, 40]


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
    assert (
        count_truncated(build_encoder({"kind": "tests.bridge.encoders.test_build:Lengths"}), contexts)["share"] is None
    )


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


def test_a_tables_contexts_are_embedded_once_each_where_it_holds_them(programmed, run_small):
    """Length of the query, and of the latest response; the first model's node is missing from the second tree."""
    table = run_small(
        [programmed(name, lambda prompt, name=name: f"by {name}") for name in ("a", "bcd")], HopTree(2, 2)
    )
    table.available[1, 1] = False
    encoder = parts_encoder("query", "latest")
    embedding, read = embed_table(table, encoder, progress=False)
    assert embedding[:, :, ::2].tolist() == [[[3, 0], [3, 4], [3, 6]], [[3, 0], [0, 0], [3, 6]]]
    assert read["contexts"] == 5
    assert [at["truncated"] for at in read["by_hops"]] == [0, 2]


@pytest.mark.parametrize("truncation", ["left", "right", "middle"])
def test_a_place_to_cut_is_one_of_three(truncation):
    assert check_truncation(truncation) is None
    with pytest.raises(InputError, match="truncation is 'end', but must be left, right or middle"):
        check_truncation("end")
