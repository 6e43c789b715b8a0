"""The default encoder is deterministic, blind to the rest of the batch, and tells contexts apart."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.random_projection import SparseRandomProjection

from hierrouter_jax.outcomes.ngrams import HASH_BUCKETS, NGramEncoder, encoder_work, murmur3
from hierrouter_jax.outcomes.table import Context

CONTEXTS = [
    Context("Compute 12+7."),
    Context("Compute 12+7.", ("19",)),
    Context("Compute 12+7-5.", ("19-5",)),
    Context("Compute 12+7-5.", ("19-5", "14")),
]


def test_an_embedding_depends_on_its_context_alone():
    together = NGramEncoder(size=64).encode(CONTEXTS)
    alone = np.concatenate([NGramEncoder(size=64).encode([context]) for context in CONTEXTS])
    np.testing.assert_array_equal(together, alone)
    assert together.shape == (4, 64)
    assert together.dtype == np.float32


def test_query_and_latest_response_are_apart():
    embedding = NGramEncoder(size=64).encode(CONTEXTS)
    assert not embedding[0, 32:].any()
    np.testing.assert_array_equal(embedding[0, :32], embedding[1, :32])
    assert np.abs(embedding[1, 32:] - embedding[2, 32:]).max() > 0.1


def test_a_folded_number_counts_as_a_number_whatever_its_value():
    folded, exact = NGramEncoder(size=64), NGramEncoder(size=64, fold_numbers=False)
    one, other = Context("q", ("12+7",)), Context("q", ("9+384",))
    np.testing.assert_array_equal(folded.encode([one]), folded.encode([other]))
    assert np.abs(exact.encode([one]) - exact.encode([other])).max() > 0.1


def test_the_spec_builds_the_same_encoder_again():
    encoder = NGramEncoder(size=32, fold_numbers=False, seed=5)
    settings = {name: value for name, value in encoder.spec.items() if name != "kind"}
    np.testing.assert_array_equal(NGramEncoder(**settings).encode(CONTEXTS), encoder.encode(CONTEXTS))


@pytest.mark.parametrize("size", [0, 6])
def test_a_size_that_four_parts_do_not_fit_is_refused(size):
    with pytest.raises(ValueError, match="multiple of 4"):
        NGramEncoder(size=size)


@given(st.text(max_size=60), st.booleans(), st.integers(0, 2))
@example("İstanbul ßß\u2028 \U0001f389 a  b", True, 0)
@settings(max_examples=60, deadline=None)
def test_the_numbers_are_those_of_scikit_learn(text, fold, seed):
    """Hashing, signs, lengths and projection, bit by bit; tables of earlier releases were embedded with its classes."""
    encoder = NGramEncoder(size=64, fold_numbers=fold, seed=seed)
    read = re.sub(r"\d+", "0", text) if fold else text
    form = {"n_features": HASH_BUCKETS, "dtype": np.float32}
    hashers = (
        HashingVectorizer(analyzer="char_wb", ngram_range=(1, 4), **form),
        HashingVectorizer(token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), **form),
    )
    projection = SparseRandomProjection(n_components=16, random_state=seed)
    projection.fit(np.zeros((1, HASH_BUCKETS), np.float32))
    parts = [np.asarray(projection.transform(hasher.transform([read])).todense()) for hasher in hashers]
    expected = np.concatenate(parts, axis=1, dtype=np.float32)
    np.testing.assert_array_equal(encoder.encode([Context(text)])[:, :32], expected)


@pytest.mark.parametrize(
    ("key", "digest"),
    [("", 0), ("a", 0x3C2569B2), ("hello", 0x248BFA47), ("hello, world", 0x149BBB7F)],  # published test vectors
)
def test_murmur3_by_its_test_vectors(key, digest):
    assert murmur3(key.encode()) % 2**32 == digest


def test_nothing_is_left_out_of_any_context():
    assert NGramEncoder(size=16).truncated([Context("a" * 100_000), Context("b")]).tolist() == [False, False]


def test_work_is_a_weight_a_distinct_gram():
    """The word ab, with a space on either side: nine distinct n-grams of one to four characters, and one word."""
    encoder = NGramEncoder(size=1024)
    query, answered = encoder.multiply_adds([Context("ab"), Context("ab", ("x", "ab"))])
    assert query == pytest.approx(10 * 256 / 128, rel=0.02)  # a bucket weighs in one of 128 of the 256 components
    assert answered == pytest.approx(2 * query)
    assert encoder_work(encoder, [Context("ab"), Context("ab", ("ab",))]) == pytest.approx([query, 2 * query])
    assert encoder_work(object(), [Context("ab")]) is None
