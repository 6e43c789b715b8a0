"""The neural models inside encoders: mean-pooled hidden states of any Hugging Face model, and sentence embeddings."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from transformers import AutoModel

from hierrouter_jax.bridge.encoders.cache import EmbeddingCache
from hierrouter_jax.bridge.encoders.parts import PartsEncoder, Truncation, check_parts, check_truncation, keep_ends
from hierrouter_jax.bridge.pool import resolve_commit, resolve_source
from hierrouter_jax.bridge.pretrained import check_dtype, from_pretrained, loading, padding_tokenizer
from hierrouter_jax.errors import InputError


def weights_identity(model: torch.nn.Module, tokenizer: Any, settings: str) -> str:
    """SHA-256 of a model's weights, its tokenizer's vocabulary, and settings.

    A hub model and a copy of it in a folder have the same one.
    """
    digest = hashlib.sha256(settings.encode())
    digest.update(repr(sorted(tokenizer.get_vocab().items())).encode())
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name}:{weight.dtype}:{tuple(weight.shape)};".encode())
        flat = weight.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()


def dense_weights(model: torch.nn.Module) -> int:
    """Weights that every token is multiplied by: all but tables that are looked up. Attention's own products are left
    out: below a thousand tokens they are few beside these."""
    looked_up = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    return sum(weight.numel() for weight in model.parameters() if id(weight) not in looked_up)


def best_device() -> str:
    """The GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


_WHOLE = ("context",)
_UNLIMITED = 10**9


def transformers_encoder(
    source: str,
    max_tokens: int = 512,
    truncation: Truncation = "left",
    batch_size: int = 64,
    parts: Sequence[str] = _WHOLE,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    revision: str | None = None,
    cache: EmbeddingCache | None = None,
) -> PartsEncoder:
    """The mean of a model's last hidden states over the tokens of each part of a context.

    Args:
      source: a hub id, a folder, or `package:reader`; the source of a pool member gives its hidden states.
      max_tokens: longer texts are cut.
      truncation: place of the cut: `left` keeps the end (of a whole context, the latest responses), `right` the
        beginning, `middle` both.
      batch_size: texts that are embedded at once.
      parts: what is embedded apart: `query`, `latest`, `earlier`, the whole `context` in one, the `task`'s name.
      dtype: precision of the weights while they run; an embedding in half precision depends on its batch by rounding.
      revision: branch, tag or commit of a hub model; in the spec, and so in a table, it is the commit that was loaded.
      cache: store of embeddings; none by default.

    Raises:
      InputError: if the source cannot be loaded or a setting makes no sense.
    """
    check_parts(parts)
    spec = {"kind": "transformers", "source": source, "max_tokens": max_tokens, "truncation": truncation}
    # Left out at their defaults, so that specs written before these settings were known stay the same.
    if tuple(parts) != _WHOLE:
        spec["parts"] = list(parts)
    if dtype != "float32":
        spec["dtype"] = dtype
    model = MeanPooled(source, max_tokens, truncation, dtype, revision)
    if (commit := model.commit or revision) is not None:
        spec["revision"] = commit
    return PartsEncoder(model, spec, parts, batch_size, cache)


class MeanPooled:
    """Texts as the mean of a model's last hidden states over their tokens; a `TextModel`.

    Attributes:
      commit: commit of a hub model; None of a folder.
    """

    def __init__(
        self, source: str, max_tokens: int, truncation: Truncation, dtype: str, revision: str | None = None
    ) -> None:
        check_truncation(truncation)
        if max_tokens < 2:
            raise InputError(f"max_tokens is {max_tokens}, but must be at least 2")
        check_dtype(dtype)
        self._max_tokens, self._truncation = max_tokens, truncation
        path = resolve_source(source)
        with loading("encoder", source):
            self.commit = resolve_commit(source, revision)
            revision = self.commit or revision
            side = "right" if truncation == "middle" else truncation
            self._tokenizer = padding_tokenizer(path, "right", truncation_side=side, revision=revision)
            model = from_pretrained(AutoModel, path, dtype=getattr(torch, dtype), revision=revision).eval()
        self._model = model.to(best_device())
        self._identity: str | None = None
        self.size: int = self._model.config.get_text_config().hidden_size

    @property
    def identity(self) -> str:
        if self._identity is None:
            settings = f"{type(self._model).__name__}/mean/{self._max_tokens}/{self._truncation}"
            self._identity = weights_identity(self._model, self._tokenizer, settings)
        return self._identity

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "B H"]:
        longest = _UNLIMITED if self._truncation == "middle" else self._max_tokens
        inputs = self._tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True, max_length=longest)
        features = keep_ends(inputs, self._max_tokens) if self._truncation == "middle" else inputs
        features = {name: value.to(self._model.device) for name, value in features.items()}
        weight = features["attention_mask"][:, :, None].float()
        hidden = self._model(**features).last_hidden_state.float()
        return ((hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)).cpu().numpy()

    def exceeds(self, texts: Sequence[str]) -> Bool[np.ndarray, " B"]:
        return self._lengths(texts) > self._max_tokens

    def multiply_adds(self, texts: Sequence[str]) -> Float[np.ndarray, " B"]:
        return np.minimum(self._lengths(texts), self._max_tokens) * float(dense_weights(self._model))

    def _lengths(self, texts: Sequence[str]) -> Int[np.ndarray, " B"]:
        return np.array([len(ids) for ids in self._tokenizer(list(texts), verbose=False).input_ids])


DEFAULT_SOURCE = "sentence-transformers/all-mpnet-base-v2"


def sentence_encoder(
    source: str = DEFAULT_SOURCE,
    parts: Sequence[str] = ("query", "latest"),
    truncation: Truncation = "middle",
    max_tokens: int | None = None,
    batch_size: int = 64,
    revision: str | None = None,
    cache: EmbeddingCache | None = None,
) -> PartsEncoder:
    """A sentence embedding of each part of a context: by default of the query and of the latest response.

    Args:
      source: a hub id, or a folder that sentence-transformers saved.
      parts: what is embedded apart: `query`, `latest` response, mean of the `earlier` ones, the whole
        `context`, or the name of the `task`.
      truncation: place where a text that is too long is cut: `middle` keeps its head and its tail, where the question
        and the final answer are; `right` is what the library does by itself.
      max_tokens: longer texts are cut; by default at what the model was made for, and never more than that.
      batch_size: texts that are embedded at once.
      revision: branch, tag or commit of a hub model; in the spec, and so in a table, it is the commit that was loaded.
      cache: store of embeddings; none by default.

    Raises:
      InputError: if the source cannot be loaded or a setting makes no sense.
    """
    check_parts(parts)
    model = SentenceModel(source, max_tokens, truncation, revision)
    spec = {
        "kind": "sentence-transformers",
        "source": source,
        "revision": model.commit or revision,
        "parts": list(parts),
        "truncation": truncation,
        "max_tokens": model.max_tokens,
    }
    return PartsEncoder(model, spec, parts, batch_size, cache)


class SentenceModel:
    """Texts as sentence-transformers embeds them, its cut of long texts apart; a `TextModel`.

    Attributes:
      max_tokens: longer texts are cut.
      commit: commit of a hub model; None of a folder.
    """

    def __init__(
        self, source: str, max_tokens: int | None, truncation: Truncation, revision: str | None = None
    ) -> None:
        check_truncation(truncation)
        name = resolve_source(source)
        with loading("encoder", source):
            # Its trainers come along and cost seconds: only where such a model is used.
            from sentence_transformers import SentenceTransformer

            if not Path(name).exists() and "/" not in name:  # as the library reads such a name
                name = f"{SentenceTransformer.default_huggingface_organization}/{name}"
            self.commit = resolve_commit(name, revision, os.environ.get("SENTENCE_TRANSFORMERS_HOME"))
            revision = self.commit or revision
            self._model: Any = from_pretrained(
                SentenceTransformer, name, device=best_device(), revision=revision
            ).eval()
        longest, size = self._model.max_seq_length, self._model.get_embedding_dimension()
        if longest is None or size is None:
            raise InputError(f"encoder: {source} does not say how many tokens it reads, or its embedding's size")
        self.max_tokens = int(longest if max_tokens is None else max_tokens)
        if not 2 <= self.max_tokens <= longest:
            raise InputError(f"encoder: max_tokens is {max_tokens}, but {source} reads 2 to {int(longest)}")
        self._identity: str | None = None
        self.size = int(size)
        self._truncation = truncation
        self._tokenizer = self._model.tokenizer
        self._prompt = self._model.prompts.get(self._model.default_prompt_name) or None
        self._tokenizer.truncation_side = "left" if truncation == "left" else "right"

    @property
    def identity(self) -> str:
        if self._identity is None:
            settings = f"{self._model}/{self._prompt}/{self.max_tokens}/{self._truncation}"
            self._identity = weights_identity(self._model, self._tokenizer, settings)
        return self._identity

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "B H"]:
        self._model.max_seq_length = _UNLIMITED if self._truncation == "middle" else self.max_tokens
        features = self._model.preprocess(list(texts), prompt=self._prompt)
        if self._truncation == "middle":
            features = keep_ends(features, self.max_tokens)
        features = {
            name: value.to(self._model.device) if isinstance(value, torch.Tensor) else value
            for name, value in features.items()
        }
        return self._model(features)["sentence_embedding"].float().cpu().numpy()

    def exceeds(self, texts: Sequence[str]) -> Bool[np.ndarray, " B"]:
        return self._lengths(texts) > self.max_tokens

    def multiply_adds(self, texts: Sequence[str]) -> Float[np.ndarray, " B"]:
        return np.minimum(self._lengths(texts), self.max_tokens) * float(dense_weights(self._model))

    def _lengths(self, texts: Sequence[str]) -> Int[np.ndarray, " B"]:
        prompted = [(self._prompt or "") + text for text in texts]
        return np.array([len(ids) for ids in self._tokenizer(prompted, verbose=False).input_ids])
