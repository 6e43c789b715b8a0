"""Collection of calls beside a bare `generate` loop on the same prompts, in turns.

    python -m scripts.bare_loop small-coders --rounds 8

Seconds mean something on a machine that does nothing else meanwhile.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from hierrouter_jax.bridge.backends import Backend, load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import Verdict
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig, load_pool, resolve_source
from hierrouter_jax.config import config_path
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable, Prompt, Query, Turn
from scripts.measure import ratio, result, write


def main(
    table: Path,
    pool: str = "pool/smollm2.yaml",
    batch_size: int = 32,
    rounds: int = 8,
    out: Path = Path("runs/bench/bare_loop.json"),
) -> None:
    """Time both, print their rates and the ratio, and write them as JSON.

    Args:
      table: folder of an outcome table, of which only the queries are read.
      pool: preset or YAML file; its persona that may write most is asked.
      batch_size: calls at once.
      rounds: turns of each, after one that warms up.
      out: file of the result.
    """
    if rounds < 1:
        raise SystemExit(f"--rounds is {rounds}, but must be at least 1")
    timed = beside_collection(load_pool(config_path(pool)), load_table(table), batch_size, rounds)
    results = [result(name, timed[name], "tokens/s") for name in ("collection", "bare_loop")]
    write(out, results, {"collection_over_bare_loop": (timed["ratio"], timed["interval"])})


def beside_collection(pool: PoolConfig, table: OutcomeTable, batch_size: int, rounds: int) -> dict[str, Any]:
    """Tokens a second of the persona that may write most, over the first hop of each query: collected, and bare.

    Both read the same prompts in batches of the same size, sorted by length; the bare loop is transformers'
    `generate` and nothing else. What collecting adds is the tree, the store on disk and the table.

    Returns:
      Both rates of every round, and collection's over the bare loop's with its 95 % interval.
    """
    alone = replace(pool, models=(max(pool.models, key=lambda model: model.max_new_tokens),))
    backends = load_backends(alone)
    queries = list({(query.text, query.shots): query for query in table.queries}.values())  # each is asked once
    bare = BareLoop(alone, [alone.prompt(query.text, shots=query.shots) for query in queries], batch_size)
    ours, theirs = [], []
    for _ in range(rounds + 1):  # the first one warms up
        ours.append(_collected(backends, queries, alone, batch_size))
        theirs.append(bare())
    value, interval = ratio(ours[1:], theirs[1:])
    return {"collection": ours[1:], "bare_loop": theirs[1:], "ratio": value, "interval": list(interval)}


def _collected(backends: Sequence[Backend], queries: Sequence[Query], pool: PoolConfig, batch_size: int) -> float:
    """Tokens written a second by a collection that starts from an empty store."""
    started = time.perf_counter()
    made = collect(
        queries,
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
    """`generate` over batches of chat prompts of like length, greedily, on the device that the backend takes.

    Args:
      pool: whose only member is asked.
      prompts: all of them.
      batch_size: prompts a batch.

    Raises:
      SystemExit: if the member is asked in a way that this loop does not know.
    """

    def __init__(self, pool: PoolConfig, prompts: Sequence[Prompt], batch_size: int) -> None:
        (member,) = pool.models
        _check_plain(member)
        self._limit, self._batch_size = member.max_new_tokens, batch_size
        source, revision = resolve_source(member.source), member.revision or "main"
        self._tokenizer = AutoTokenizer.from_pretrained(
            source, revision=revision, padding_side="left", trust_remote_code=False
        )
        model: Any = AutoModelForCausalLM.from_pretrained(
            source, revision=revision, dtype=getattr(torch, member.dtype), trust_remote_code=False
        )
        self._model, ends = model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), model.generation_config
        # Without the model's own penalties, which the backend does not obey either.
        model.generation_config = GenerationConfig(
            eos_token_id=ends.eos_token_id, pad_token_id=self._tokenizer.pad_token_id
        )
        system = [Turn("system", member.system)] if member.system else []
        asked = [(Turn("user", prompt),) if isinstance(prompt, str) else prompt for prompt in prompts]
        messages = [[turn._asdict() for turn in (*system, *turns)] for turns in asked]
        texts = [self._tokenizer.apply_chat_template(m, add_generation_prompt=True, tokenize=False) for m in messages]
        self._texts = sorted(texts, key=len)

    @torch.inference_mode()
    def __call__(self) -> float:
        """Tokens written a second."""
        started, written = time.perf_counter(), 0
        for start in range(0, len(self._texts), self._batch_size):
            batch = self._texts[start : start + self._batch_size]
            inputs = self._tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
            inputs = inputs.to(self._model.device)
            said = self._model.generate(**inputs, max_new_tokens=self._limit, do_sample=False)
            new = said[:, inputs["input_ids"].shape[1] :].cpu()
            written += sum(_length(row, self._model.generation_config.eos_token_id) for row in new)
            self._tokenizer.batch_decode(new, skip_special_tokens=True)
        return written / (time.perf_counter() - started)


def _check_plain(member: ModelConfig) -> None:
    """A ratio is fair only where both do the same."""
    plain = ModelConfig(
        member.name, member.source, member.max_new_tokens, member.dtype, chat=True, system=member.system
    )
    for name in ("kind", "chat", "sampling", "stop", "quantization", "device_map"):
        if getattr(member, name) != getattr(plain, name):
            raise SystemExit(f"model {member.name!r}: the bare loop knows only {name}: {getattr(plain, name)!r}")


def _length(row: torch.Tensor, end: int | list[int]) -> int:
    """Tokens up to and with the first end token."""
    ended = np.flatnonzero(np.isin(row.numpy(), end))
    return int(ended[0]) + 1 if ended.size else len(row)


if __name__ == "__main__":
    auto_cli(main)
