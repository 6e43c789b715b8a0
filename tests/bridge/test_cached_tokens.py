"""Tokens that a prefix cache serves: by hand in characters, through real tokenizers, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.bridge.backends import NoTokenizer, load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.cached_tokens import shared_prefix
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt, OwnPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import Query

QUERIES = [Query(split, "Is it?", "task", "ok", split) for split in ("train", "test")]


def run(backends, prompt=HopPrompt(), horizon=3):  # noqa: B008 (a layout is frozen)
    grader, tree = one_by_one(exact_match), HopTree(len(backends), horizon)
    return collect(QUERIES, backends, tree, NGramEncoder(), prompt, grader, CallCache(None), progress=False)


def priced(backend, cached: float | None = 0.0):
    """The backend with a price of cached tokens; a token is a character."""
    backend.price = replace(backend.price, price_cached_in=cached)
    backend.encode = lambda prompts: [[ord(letter) for letter in prompt] for prompt in prompts]
    return backend


def test_prefixes_by_hand(programmed, tmp_path):
    """a says "aa", b says "b". The query and a line's end are 7 tokens, with the answer of b 9, with that of a 10."""
    a, b = priced(programmed("a", lambda prompt: "aa")), programmed("b", lambda prompt: "b")
    table = run([a, b])
    wanted = {(0, 0): 7, (0, 1): 0, (1, 0): 0, (0, 1, 0): 7, (0, 0, 0): 10, (1, 0, 0): 9, (1, 1, 0): 0, (0, 0, 1): 0}
    assert {route: int(table.tokens_cached[0, table.tree.node(route)]) for route in wanted} == wanted
    assert not table.tokens_cached[:, :3].any()
    save_table(table, tmp_path / "cached")
    read = load_table(tmp_path / "cached")
    np.testing.assert_array_equal(read.tokens_cached, table.tokens_cached)
    assert read.pool == table.pool
    assert read.fingerprint == table.fingerprint
    plain = run([programmed("a", lambda prompt: "aa"), b])
    assert not plain.tokens_cached.any()
    save_table(plain, tmp_path / "plain")
    assert plain.fingerprint == table.fingerprint  # what follows from outcomes is none
    assert "tokens_cached" not in (tmp_path / "plain" / "nodes" / "part-00000.parquet").read_bytes().decode("latin-1")
    assert "price_cached_in" not in (tmp_path / "plain" / "table.json").read_text()


def test_the_layout_decides_what_is_shared(programmed):
    """What stands before the query is shared whole; a control's prompt is the same on every hop."""
    prompt = HopPrompt(opening="Work. ", responses="last", members={"twin": OwnPrompt(fresh="a")})
    table = run([priced(programmed(name, lambda prompt, name=name: f"{name}!")) for name in ("a", "twin")], prompt)
    node = table.tree.node
    assert table.tokens_cached[0, node((1, 1))] == table.tokens_in[0, node((1,))] == len("Work. Is it?\n")
    assert table.tokens_cached[0, node((0, 1, 0))] == len("Work. Is it?\n")
    assert table.tokens_cached[0, node((0, 0, 0))] == len("Work. Is it?\na!\n")  # the last response is the same


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_a_shared_prefix_is_the_longest_one(one, other):
    length = shared_prefix(one, other)
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]


def test_real_tokenizers_tell_their_tokens(model_folder):
    """Never more than is read, and what the tokenizer itself says of the two prompts."""
    member = ModelConfig("a", str(model_folder()), 6, base_rate=2.0, price_cached_in=0.5)
    (backend,) = load_backends(PoolConfig((member,)))
    assert backend.price.price_cached_in == 0.5
    table = run([backend])
    assert (table.tokens_cached <= table.tokens_in).all()
    assert table.tokens_cached[0].tolist() == [0, 0, *(len("Is it?\n"),), table.tokens_in[0, 2]]


def test_what_cannot_be_counted_is_refused_before_a_call(programmed):
    class Mute:
        def encode(self, prompts):
            raise NoTokenizer("no source")

    mute, dumb = priced(programmed("mute", str)), priced(programmed("dumb", str))
    mute.encode = Mute().encode
    del dumb.encode
    with pytest.raises(InputError, match=r"'mute': price_cached_in needs the tokens of its prompts, but it has no"):
        run([mute])
    with pytest.raises(InputError, match=r"'dumb': price_cached_in needs .* workers do not tell .* without --ray"):
        run([dumb])
    assert not mute.asked
    assert not dumb.asked
    for prices, why in (
        ({"base_rate": 1.0, "price_cached_in": 1.5}, "price_cached_in is 1.5, but .* which is 1.0"),
        ({"price_cached_in": 1.5}, "price_cached_in is 1.5, but .* is not stated"),
    ):
        with pytest.raises(InputError, match=why):
            ModelConfig("a", "source", 6, **prices)
