"""Encoders are built from their spec, and embed a context by itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.bridge.encoders import build_encoder, same_spec, whole_spec
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Context

CONTEXTS = [Context("a"), Context("What is 1+2?", ("3",)), Context("b" * 40, ("long" * 9, "three"))]


class Lengths:
    """A user's own encoder."""

    size = 2

    def __init__(self, factor: float = 1.0, width: int = 2) -> None:
        self.factor, self.width = factor, width

    def encode(self, contexts):
        return [[self.factor * len(c.query), len(c.responses)][: self.width] for c in contexts]


class Reader(Lengths):
    """One that reads a file, and whose first argument is called as one of ours."""

    def __init__(self, path: str, key: str = "factor") -> None:
        settings = json.loads(Path(path).read_text()) if path else {"factor": 1.0}
        super().__init__(settings[key])


@pytest.fixture
def specs(model_folder):
    return [
        {"kind": "ngrams", "size": 64},
        {"kind": "transformers", "source": str(model_folder()), "batch_size": 2},
        {"kind": f"{__name__}:Lengths", "factor": 0.5},
    ]


def test_a_context_is_embedded_by_itself_and_the_spec_rebuilds_the_encoder(specs):
    for spec in specs:
        encoder = build_encoder(spec)
        together = encoder.encode(CONTEXTS)
        assert together.shape == (len(CONTEXTS), encoder.size)
        assert together.dtype == np.float32
        again = build_encoder(encoder.spec)
        assert same_spec(again.spec, encoder.spec)
        for row, context in enumerate(CONTEXTS):
            np.testing.assert_allclose(again.encode([context])[0], together[row], atol=1e-5)
        assert len(np.unique(together, axis=0)) == len(CONTEXTS)


def test_own_encoder_gets_its_settings(specs):
    np.testing.assert_array_equal(build_encoder(specs[2]).encode(CONTEXTS), [[0.5, 0], [6, 1], [20, 2]])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"kind": "ngram"}, "kind 'ngram' is unknown; did you mean ngrams?"),
        ({}, "kind None is unknown; known are ngrams, sentence-transformers, transformers, an import path"),
        ({"kind": "ngrams", "sise": 8}, "encoder of kind ngrams: .*sise"),
        ({"kind": "ngrams", "size": 7}, "must be a positive multiple of 4, not 7"),
        ({"kind": "transformers"}, "encoder of kind transformers: .*source"),
        ({"kind": "transformers", "source": "./nowhere"}, "./nowhere: no such folder"),
        ({"kind": "transformers", "source": "x", "truncation": "mid"}, "'mid', but must be left, right or middle"),
        ({"kind": "no_such_module:Class"}, "no_such_module:Class: no_such_module cannot be imported"),
        ({"kind": "json:Nothing"}, "json:Nothing: json has no 'Nothing'"),
        ({"kind": "json:JSONEncoder"}, "'json:JSONEncoder' cannot be used"),
        ({"kind": "no_such_file.py:Class"}, "no_such_file.py is no file"),
        ({"kind": f"{__name__}:Reader"}, r"^encoder '.*:Reader' cannot be used \(.*'path'\); it must be a class with"),
        ({"kind": f"{__name__}:Reader", "path": "none"}, r"cannot be used \(.* No such file .*\); it must be a class"),
        ({"kind": f"{__name__}:Reader", "path": "", "key": "b"}, r"cannot be used \('b'\); it must be a class"),
    ],
)
def test_a_bad_spec_is_one_sentence(spec, words):
    with pytest.raises(InputError, match=words) as caught:
        build_encoder(spec)
    assert "\n" not in str(caught.value)


def test_own_encoder_may_have_an_argument_called_path(tmp_path):
    (tmp_path / "settings.json").write_text('{"factor": 0.5}')
    encoder = build_encoder({"kind": f"{__name__}:Reader", "path": str(tmp_path / "settings.json")})
    np.testing.assert_array_equal(encoder.encode(CONTEXTS[:1]), [[0.5, 0]])
    assert encoder.spec["path"] == str(tmp_path / "settings.json")


def test_own_encoder_of_another_size_is_refused():
    encoder = build_encoder({"kind": f"{__name__}:Lengths", "width": 1})
    with pytest.raises(InputError, match=r"shape \(3, 1\) for 3 contexts, but its size is 2"):
        encoder.encode(CONTEXTS)


def test_a_spec_is_filled_with_the_defaults_of_its_kind():
    whole = whole_spec({"kind": "transformers", "source": "x", "max_tokens": 9})
    assert whole == {
        "kind": "transformers",
        "source": "x",
        "max_tokens": 9,
        "truncation": "left",
        "batch_size": 64,
        "parts": ("context",),
        "dtype": "float32",
        "revision": None,
    }
    assert whole_spec({"kind": "ngrams"}) == {"kind": "ngrams"}


def test_specs_are_the_same_through_json():
    assert same_spec({"kind": "k", "parts": ("a", "b")}, {"parts": ["a", "b"], "kind": "k"})
    assert not same_spec({"kind": "k"}, {"kind": "k", "size": 1})
