"""Encoders: what turns a context into the embedding that the router reads; chosen by a spec that travels in tables."""

import json
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float
from transformers import AutoModel, AutoTokenizer

from hierrouter_jax.bridge.backends import loading
from hierrouter_jax.bridge.pool import resolve_source
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.context import Context
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.plugins import IMPORT_PATH, is_import_path, load_object


class Encoder(Protocol):
    """What embeds contexts.

    Attributes:
      spec: builds the same encoder again through `build_encoder`; plain JSON data.
      size: E.
    """

    @property
    def spec(self) -> dict[str, Any]: ...

    size: int

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        """Embeddings, float32; that of a context depends on nothing else."""
        ...


class TransformersEncoder:
    """The mean of a Hugging Face encoder's last hidden states over the tokens of query and responses.

    Args:
      source: a hub id or a folder.
      max_tokens: longer contexts are cut.
      truncation: which end is cut: `left` keeps the latest responses, `right` the query.
      batch_size: contexts at once.

    Raises:
      InputError: if the source cannot be loaded.
    """

    def __init__(
        self,
        source: str,
        max_tokens: int = 512,
        truncation: Literal["left", "right"] = "left",
        batch_size: int = 64,
    ) -> None:
        if truncation not in ("left", "right"):
            raise InputError(f"truncation is {truncation!r}, but must be left or right")
        self._source, self._max_tokens, self._truncation, self._batch_size = source, max_tokens, truncation, batch_size
        path = resolve_source(source)
        with loading("encoder", source):
            self._tokenizer = AutoTokenizer.from_pretrained(path, truncation_side=truncation, padding_side="right")
            model = AutoModel.from_pretrained(path, dtype=torch.float32).eval()
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.convert_ids_to_tokens(0)
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu")
        self.size: int = self._model.config.get_text_config().hidden_size

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "kind": "transformers",
            "source": self._source,
            "max_tokens": self._max_tokens,
            "truncation": self._truncation,
        }

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        texts = ["\n".join([context.query, *context.responses]) for context in contexts]
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        embedding = np.zeros((len(texts), self.size), dtype=np.float32)
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            embedding[rows] = self._encode_batch([texts[row] for row in rows])
        return embedding

    @torch.inference_mode()
    def _encode_batch(self, texts: list[str]) -> np.ndarray:
        inputs = self._tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=self._max_tokens
        ).to(self._model.device)
        weight = inputs["attention_mask"][:, :, None].float()
        hidden = self._model(**inputs).last_hidden_state.float()
        return ((hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)).cpu().numpy()


class ImportedEncoder:
    """A user's own encoder: any importable class with `size` and `encode`.

    Args:
      path: `package.module:Class` or `path/to/file.py:Class`.
      settings: arguments of the class.

    Raises:
      InputError: if it cannot be imported or made, or lacks `size` or `encode`.
    """

    def __init__(self, path: str, **settings: Any) -> None:
        self.spec = {"kind": path, **settings}
        try:
            self._encoder = load_object(path)(**settings)
            self.size = int(self._encoder.size)
            self._encode = self._encoder.encode
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(
                f"encoder {path!r} cannot be used ({error}); it must be a class with size and encode, by import path"
            ) from None

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        embedding = np.asarray(self._encode(contexts), dtype=np.float32)
        if embedding.shape != (len(contexts), self.size):
            raise InputError(
                f"encoder {self.spec['kind']!r}: encode returned shape {embedding.shape} for {len(contexts)} contexts, "
                f"but its size is {self.size}"
            )
        return embedding


_KINDS: dict[str, Any] = {
    "ngrams": NGramEncoder,
    "transformers": TransformersEncoder,
}


def build_encoder(spec: dict[str, Any]) -> Encoder:
    """The encoder that a spec asks for: `kind` (ngrams, transformers or an import path) and its settings.

    An import path runs the code it names: build no encoder from a table or a policy that you do not trust.

    Raises:
      InputError: if the kind is unknown or a setting is none of its settings.
    """
    settings = dict(spec)
    kind = settings.pop("kind", None)
    if is_import_path(str(kind)):
        return ImportedEncoder(str(kind), **settings)
    if kind not in _KINDS:
        raise InputError(f"encoder: kind {kind!r} is unknown; {nearest(str(kind), (*_KINDS, IMPORT_PATH))}")
    try:
        return _KINDS[kind](**settings)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"encoder of kind {kind}: {error}") from None


def same_spec(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two specs build the same encoder; one of them may have been through JSON."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
