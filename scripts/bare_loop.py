"""Collection of calls beside a bare `generate` loop on the same prompts, in turns."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hierrouter_jax.bridge.backends import Backend, load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import Verdict
from hierrouter_jax.bridge.pool import PoolConfig
from hierrouter_jax.bridge.prompts import as_text
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import OutcomeTable
from scripts.measure import ratio


def beside_collection(pool: PoolConfig, table: OutcomeTable, batch_size: int, rounds: int) -> dict[str, Any]:
    """Tokens a second of the persona that may write most, over the first hop of every query: collected, and bare.

    Both read the same prompts in batches of the same size, sorted by length; the bare loop is transformers'
    `generate` and nothing else. What collecting adds is the tree, the store on disk and the table.

    Returns:
      Both rates of every round, and collection's over the bare loop's with its 95 % interval.
    """
    alone = replace(pool, models=(max(pool.models, key=lambda model: model.max_new_tokens),))
    backends = load_backends(alone)
    prompts = sorted((as_text(alone.prompt(query.text)) for query in table.queries), key=len)
    bare = BareLoop(alone, prompts, batch_size)
    ours, theirs = [], []
    for _ in range(rounds + 1):  # the first one warms up
        ours.append(_collected(backends, table, alone, batch_size))
        theirs.append(bare())
    value, interval = ratio(ours[1:], theirs[1:])
    return {"collection": ours[1:], "bare_loop": theirs[1:], "ratio": value, "interval": list(interval)}


def _collected(backends: Sequence[Backend], table: OutcomeTable, pool: PoolConfig, batch_size: int) -> float:
    """Tokens written a second by a collection that starts from an empty store."""
    started = time.perf_counter()
    made = collect(
        table.queries,
        backends,
        HopTree(1, 1),
        NGramEncoder(size=16),
        pool.prompt,
        lambda responses, queries: [Verdict(0.0, "", "not graded")] * len(responses),
        CallCache(None),
        batch_size,
        progress=False,
    )
    return float(made.tokens_out.sum() / (time.perf_counter() - started))


class BareLoop:
    """`generate` over batches of chat prompts.

    Args:
      pool: whose first member is asked.
      prompts: in order.
      batch_size: prompts a batch.
    """

    def __init__(self, pool: PoolConfig, prompts: Sequence[str], batch_size: int) -> None:
        (member,) = pool.models
        self._limit, self._batch_size = member.max_new_tokens, batch_size
        self._tokenizer = AutoTokenizer.from_pretrained(member.source, padding_side="left")
        self._model: Any = AutoModelForCausalLM.from_pretrained(member.source, dtype=torch.float32).eval()
        system = [{"role": "system", "content": member.system}] if member.system else []
        turns = [[*system, {"role": "user", "content": prompt}] for prompt in prompts]
        self._texts = [
            self._tokenizer.apply_chat_template(t, add_generation_prompt=True, tokenize=False) for t in turns
        ]

    @torch.inference_mode()
    def __call__(self) -> float:
        """Tokens written a second."""
        started, written = time.perf_counter(), 0
        for start in range(0, len(self._texts), self._batch_size):
            batch = self._texts[start : start + self._batch_size]
            inputs = self._tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
            said = self._model.generate(**inputs, max_new_tokens=self._limit, do_sample=False)
            new = said[:, inputs["input_ids"].shape[1] :]
            written += sum(_length(row, self._model.generation_config.eos_token_id) for row in new)
            self._tokenizer.batch_decode(new, skip_special_tokens=True)
        return written / (time.perf_counter() - started)


def _length(row: torch.Tensor, end: int | list[int]) -> int:
    """Tokens up to and with the first end token."""
    ended = np.flatnonzero(np.isin(row.numpy(), end))
    return int(ended[0]) + 1 if ended.size else len(row)
