"""Encoders from their specs."""

import json
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.bridge.encoders.cache import EmbeddingCache
from hierrouter_jax.bridge.encoders.parts import Encoder
from hierrouter_jax.errors import InputError, nearest, reason_of
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Context
from hierrouter_jax.plugins import IMPORT_PATH, is_import_path, load_object


class ImportedEncoder:
    """Any importable class with `size` and `encode`, and `truncated` if it can tell.

    Args:
      path: `package.module:Class` or `path/to/file.py:Class`.
      settings: arguments of the class.

    Raises:
      InputError: if it cannot be imported or made, or lacks `size` or `encode`.
    """

    def __init__(self, path: str, /, **settings: Any) -> None:
        self.spec = {"kind": path, **settings}
        try:
            self._encoder = load_object(path)(**settings)
            self.size = int(self._encoder.size)
            self._encode = self._encoder.encode
        except InputError:
            raise
        except Exception as error:  # whatever the user's code raises while it is made
            raise InputError(
                f"encoder {path!r} cannot be used ({reason_of(error)}); it must be a class with size and encode, by "
                "import path"
            ) from error

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        embedding = np.asarray(self._encode(contexts), dtype=np.float32)
        if embedding.shape != (len(contexts), self.size):
            raise InputError(
                f"encoder {self.spec['kind']!r}: encode returned shape {embedding.shape} for {len(contexts)} contexts, "
                f"but its size is {self.size}"
            )
        return embedding

    def truncated(self, contexts: Sequence[Context]) -> Bool[np.ndarray, " B"] | None:
        tell = getattr(self._encoder, "truncated", None)
        return None if tell is None else np.asarray(tell(contexts), dtype=bool)

    def multiply_adds(self, contexts: Sequence[Context]) -> Float[np.ndarray, " B"] | None:
        tell = getattr(self._encoder, "multiply_adds", None)
        return None if tell is None else np.asarray(tell(contexts), dtype=float)


_NEURAL = {"sentence-transformers": "sentence_encoder", "transformers": "transformers_encoder"}
_KINDS = ("ngrams", *_NEURAL)


def _maker(kind: str) -> Any:
    """What makes encoders of a kind; only neural ones need torch and transformers, which take seconds to import."""
    if kind == "ngrams":
        return NGramEncoder
    from hierrouter_jax.bridge.encoders import neural

    return getattr(neural, _NEURAL[kind])


def build_encoder(spec: dict[str, Any], cache: Path | None = None) -> Encoder:
    """The encoder that a spec asks for: `kind` and its settings.

    Kinds are ngrams, sentence-transformers, transformers or an import path. An import path runs the code it names:
    build no encoder from a table or a policy that you do not trust.

    Args:
      spec: plain JSON data, as `Encoder.spec` gives it.
      cache: file in which neural encoders keep the embedding of every text; None embeds anew each time.

    Raises:
      InputError: if the kind is unknown or a setting is none of its settings.
    """
    settings = dict(spec)
    kind = settings.pop("kind", None)
    if is_import_path(str(kind)):
        return ImportedEncoder(str(kind), **settings)
    if kind not in _KINDS:
        raise InputError(f"encoder: kind {kind!r} is unknown; {nearest(str(kind), (*_KINDS, IMPORT_PATH))}")
    if kind in _NEURAL:
        settings["cache"] = None if cache is None else EmbeddingCache(cache)
    try:
        return _maker(kind)(**settings)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"encoder of kind {kind}: {error}") from None


def whole_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec with the defaults of the settings that it leaves out, as far as they are known without loading a model."""
    known = signature(_maker(spec["kind"])).parameters.values() if spec.get("kind") in _NEURAL else ()
    return {**{p.name: p.default for p in known if p.default is not p.empty and p.name != "cache"}, **spec}


def same_spec(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two specs build the same encoder; one of them may have been through JSON."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
