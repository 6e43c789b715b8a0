"""What an encoder is, and the one that embeds each part of a context by itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np
from jaxtyping import Bool, Float, Shaped
from tqdm import tqdm

from hierrouter_jax.bridge.encoders.cache import EmbeddingCache
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.coverage import decision_contexts
from hierrouter_jax.outcomes.ngrams import encoder_work
from hierrouter_jax.outcomes.table import Context, OutcomeTable


class Encoder(Protocol):
    """What embeds contexts.

    Attributes:
      spec: settings that build the same encoder again through `build_encoder`; plain JSON data.
      size: E, the size of an embedding.
    """

    @property
    def spec(self) -> dict[str, Any]: ...

    size: int

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        """Embeddings, float32; that of a context depends on nothing else."""
        ...

    def truncated(self, contexts: Sequence[Context]) -> Bool[np.ndarray, " B"] | None:
        """Of which contexts the embedding does not read every token; None where that is not known."""
        ...


class TextModel(Protocol):
    """A neural model that embeds single texts.

    Attributes:
      size: H, the size of a text's embedding.
      identity: names weights, tokenizer and truncation; equal identities embed alike.
    """

    size: int

    @property
    def identity(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "B H"]:
        """Embeddings of one batch of texts, none of them blank; float32."""
        ...

    def exceeds(self, texts: Sequence[str]) -> Bool[np.ndarray, " B"]:
        """Which texts are longer than the model reads."""
        ...

    def multiply_adds(self, texts: Sequence[str]) -> Float[np.ndarray, " B"]:
        """Work of embedding each text: its tokens, cut as they are read, times the weights that each goes through."""
        ...


# Where a text that is too long is cut: at its beginning, at its end, or in its middle, so that head and tail are kept.
Truncation = Literal["left", "right", "middle"]


def check_truncation(truncation: str) -> None:
    """Refuse what is no place to cut."""
    if truncation not in get_args(Truncation):
        raise InputError(f"truncation is {truncation!r}, but must be left, right or middle")


def keep_ends(features: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """Cut tokenised texts in their middle, so that at most `max_tokens` are left of each.

    Half of them are of the head and half of the tail, an odd one of the head. The tokens that a tokenizer adds stand
    at the ends and so are kept.

    Args:
      features: a tokenizer's output with an `attention_mask` [B, T]; every other tensor [B, T] is of tokens too, what
        else there is stays.
      max_tokens: largest number of tokens, at least 2.
    Returns:
      The same features with tokens [B, min(T, max_tokens)], padded on the right.
    """
    import torch  # only neural encoders need it

    mask: Shaped[torch.Tensor, "B T"] = features["attention_mask"]
    head, tail = max_tokens - max_tokens // 2, max_tokens // 2
    rows = [row.nonzero()[:, 0] for row in mask]
    ends = [row if len(row) <= max_tokens else torch.cat([row[:head], row[-tail:]]) for row in rows]
    # Padding repeats the first token, under a mask of 0.
    where = torch.nn.utils.rnn.pad_sequence(ends, batch_first=True)
    counts = torch.tensor([len(row) for row in ends], device=mask.device)
    cut = {
        name: torch.gather(value, 1, where) if isinstance(value, torch.Tensor) and value.shape == mask.shape else value
        for name, value in features.items()
    }
    real = torch.arange(where.shape[1], device=mask.device) < counts[:, None]
    return {**cut, "attention_mask": real.to(mask.dtype)}


def count_truncated(encoder: Encoder, contexts: Sequence[Context]) -> dict[str, Any]:
    """How many contexts an encoder reads only in part; plain JSON data, for a table's settings.

    Returns:
      `contexts` given; how many of them are `truncated` and which `share`, None where the encoder cannot tell;
      `by_hops`, the same counts for contexts of 0, 1, ... responses.
    """
    cut = encoder.truncated(contexts)
    if cut is None:
        return {"contexts": len(contexts), "truncated": None, "share": None, "by_hops": []}
    hops = [len(context.responses) for context in contexts]
    by_hops = []
    for number in range(max(hops, default=-1) + 1):
        mine = [bool(flag) for flag, hop in zip(cut, hops, strict=True) if hop == number]
        by_hops.append({"hops": number, "contexts": len(mine), "truncated": sum(mine)})
    total = int(cut.sum())
    share = round(total / len(contexts), 4) if contexts else 0.0
    return {"contexts": len(contexts), "truncated": total, "share": share, "by_hops": by_hops}


_CONTEXTS_AT_ONCE = 4096


def embed_table(
    table: OutcomeTable, encoder: Encoder, progress: bool
) -> tuple[Float[np.ndarray, "Q D E"], dict[str, Any]]:
    """Embeddings of the contexts at decision nodes that the table holds, and of how many all could not be read.

    Returns:
      Embeddings, zero at nodes that the table does not hold, and what `count_truncated` and `encoder_work` say of the
      distinct contexts.
    """
    rows, nodes, contexts = decision_contexts(table.tree, table.queries, table.response, table.available)
    index = {context: at for at, context in enumerate(dict.fromkeys(contexts))}
    distinct = list(index)
    vectors = np.zeros((len(distinct), encoder.size), dtype=np.float32)
    with tqdm(total=len(distinct), desc="embed", unit="context", disable=not progress) as bar:
        for start in range(0, len(distinct), _CONTEXTS_AT_ONCE):
            chunk = distinct[start : start + _CONTEXTS_AT_ONCE]
            vectors[start : start + len(chunk)] = encoder.encode(chunk)
            bar.update(len(chunk))
    embedding = np.zeros((table.num_queries, table.tree.num_decision_nodes, encoder.size), dtype=np.float32)
    embedding[rows, nodes] = vectors[[index[context] for context in contexts]]
    return embedding, count_truncated(encoder, distinct) | {"multiply_adds": encoder_work(encoder, distinct)}


TASK = "task"  # its name as a text: for a router that is told what task a query is of

# The texts of each part. A part of several texts is their mean, one of none is zero.
PARTS: dict[str, Callable[[Context], Sequence[str]]] = {
    "context": lambda context: ["\n".join([context.query, *context.responses])],
    "query": lambda context: [context.query],
    "latest": lambda context: context.responses[-1:],
    "earlier": lambda context: context.responses[:-1],
    TASK: lambda context: [context.task],
}


class PartsEncoder:
    """Embeds the parts of a context apart and puts them side by side.

    Apart, because a model that reads some hundred tokens would see nothing but the query of a long context, and later
    hops would look alike. The part of a blank text, or of a response that is not there yet, is zero.

    Args:
      model: neural model that embeds texts.
      spec: settings that build this encoder.
      parts: names in `PARTS`.
      batch_size: texts at once; texts of like length share a batch.
      cache: texts that were embedded before, and where new ones go.

    Raises:
      InputError: if a part is unknown, occurs twice, or there is none.
    """

    def __init__(
        self,
        model: TextModel,
        spec: dict[str, Any],
        parts: Sequence[str],
        batch_size: int,
        cache: EmbeddingCache | None = None,
    ) -> None:
        check_parts(parts)
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}, but must be at least 1")
        self.spec, self.size = spec, model.size * len(parts)
        self._model, self._parts, self._batch_size, self._cache = model, parts, batch_size, cache

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        """Embeddings [B, parts x H]."""
        texts = self._texts(contexts)
        embedded = self._embed(list(dict.fromkeys(text for row in texts for part in row for text in part)))
        embedding = np.zeros((len(contexts), len(self._parts), self._model.size), dtype=np.float32)
        for row, parts in enumerate(texts):
            for number, part in enumerate(parts):
                for text in part:
                    embedding[row, number] += embedded[text] / len(part)
        return embedding.reshape(len(contexts), self.size)

    def truncated(self, contexts: Sequence[Context]) -> Bool[np.ndarray, " B"]:
        texts = self._texts(contexts)
        distinct = list(dict.fromkeys(text for row in texts for part in row for text in part if text.strip()))
        cut = dict(zip(distinct, self._model.exceeds(distinct) if distinct else (), strict=True))
        return np.array([any(cut.get(text, False) for part in row for text in part) for row in texts], dtype=bool)

    def multiply_adds(self, contexts: Sequence[Context]) -> Float[np.ndarray, " B"]:
        """Work of embedding each context anew, all parts of it."""
        texts = self._texts(contexts)
        distinct = list(dict.fromkeys(text for row in texts for part in row for text in part if text.strip()))
        work = dict(zip(distinct, self._model.multiply_adds(distinct) if distinct else (), strict=True))
        return np.array([sum(work.get(text, 0.0) for part in row for text in part) for row in texts], dtype=float)

    def _texts(self, contexts: Sequence[Context]) -> list[list[Sequence[str]]]:
        """Of each context the texts of each part."""
        return [[PARTS[part](context) for part in self._parts] for context in contexts]

    def _embed(self, texts: list[str]) -> dict[str, Float[np.ndarray, " H"]]:
        """The embedding of each text: zero if it is blank, from the cache, or batch by batch from the model."""
        vectors = {text: np.zeros(self._model.size, dtype=np.float32) for text in texts if not text.strip()}
        if self._cache is not None:
            vectors |= self._cache.get_many(self._model.identity, [text for text in texts if text not in vectors])
        missing = sorted((text for text in texts if text not in vectors), key=len)
        for start in range(0, len(missing), self._batch_size):
            batch = missing[start : start + self._batch_size]
            new = dict(zip(batch, self._model.embed(batch), strict=True))
            if self._cache is not None:
                self._cache.put_many(self._model.identity, new)
            vectors |= new
        return vectors


def check_parts(parts: Sequence[str]) -> None:
    """Refuse parts that are unknown, doubled or none."""
    if isinstance(parts, str) or not parts:
        raise InputError(f"parts is {parts!r}, but must be a list of some of {', '.join(PARTS)}")
    for part in parts:
        if part not in PARTS:
            raise InputError(f"parts: {part!r} is unknown; {nearest(str(part), PARTS)}")
    if len(set(parts)) < len(parts):
        raise InputError(f"parts is {list(parts)}, but each part can be there once")
