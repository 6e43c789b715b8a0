"""Collection: run the whole pool over every route of every query, once, into an outcome table."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from hierrouter_jax.bridge.backends import Backend, Generation
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.encoders import Encoder
from hierrouter_jax.bridge.grading import Grader
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.context import Context
from hierrouter_jax.outcomes.table import OutcomeTable, Query

_CONTEXTS_AT_ONCE = 4096


def collect(
    queries: Sequence[Query],
    backends: Sequence[Backend],
    tree: HopTree,
    encoder: Encoder,
    prompt: HopPrompt,
    grader: Grader,
    cache: CallCache,
    batch_size: int = 512,
    money_unit: str = "price units",
    progress: bool = True,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> OutcomeTable:
    """Every hop of every route, breadth-first.

    Identical calls of a model are made once. A finished batch is in the cache before the next one starts, so a
    collection that is killed and run again repeats at most one batch.

    Args:
      queries: with unique ids.
      backends: the pool, in action order.
      tree: of as many models and the wanted horizon.
      encoder: embeds each distinct context once.
      prompt: layout of a hop's prompt.
      grader: judges each distinct response to a query once, all of them in one call after the last hop;
        `grading.one_by_one` makes one of a function.
      cache: calls that were made before, and where new ones go.
      batch_size: calls between two writes to the cache; fewer where memory is short.
      money_unit: of the backends' prices.
      progress: whether to show a bar with rate and time left.
      settings: where the queries are from, kept in the table's settings.
    Returns:
      A complete table; at each node `details` holds the `finish_reason`, `stop` or `length`, and of the verdict what
      was `extracted` and the `reason`; `settings` says how it was made.
    Raises:
      InputError: before any call, if the queries or the pool are no good; or whatever a backend or grader refuses.
    """
    table = _blank(queries, backends, tree, encoder, money_unit)
    hops = table.quality[:, 1:].size
    calls = 0
    with tqdm(total=hops, unit="hop", disable=not progress, smoothing=0.1) as bar:
        for stage in range(tree.horizon):
            for model, backend in enumerate(backends):
                bar.set_description(f"hop {stage + 1}, {backend.name}")
                cells = _cells_by_prompt(table, stage, model, prompt)
                calls += len(cells)
                for answered in _ask(backend, list(cells), cache, batch_size):
                    bar.update(sum(_fill(table, cells[text], generation) for text, generation in answered.items()))
    made = {
        "prompt": asdict(prompt),
        "models": {backend.name: backend.identity for backend in backends},
        "hops": hops,
        "calls": calls,
        "hops_per_call": round(hops / calls, 3),
        "finish_reasons": dict(sorted(Counter(table.details["finish_reason"][:, 1:].ravel().tolist()).items())),
    }
    quality, extracted, reason = _grade(queries, table.response, grader)
    return replace(
        table,
        quality=quality,
        context_embedding=_embed(queries, table.response, tree, encoder, progress),
        settings={**settings, **made, "verdicts": _count_verdicts(queries, reason)},
        details={**table.details, "extracted": extracted, "reason": reason},
    )


def _blank(
    queries: Sequence[Query], backends: Sequence[Backend], tree: HopTree, encoder: Encoder, money_unit: str
) -> OutcomeTable:
    """The table before any call, its arrays to be filled in; making it checks the queries and the pool."""
    if not queries:
        raise InputError("there are no queries to collect outcomes for")
    shape = (len(queries), tree.num_nodes)
    return OutcomeTable(
        tree=tree,
        pool=tuple(backend.price for backend in backends),
        queries=tuple(queries),
        context_embedding=np.zeros((len(queries), tree.num_decision_nodes, 1), dtype=np.float32),
        quality=np.zeros(shape, dtype=np.float32),
        tokens_in=np.zeros(shape, dtype=np.int32),
        tokens_out=np.zeros(shape, dtype=np.int32),
        available=np.ones(shape, dtype=bool),
        response=np.full(shape, "", dtype=object),
        encoder=encoder.spec,
        money_unit=money_unit,
        latency=np.zeros(shape, dtype=np.float32),
        details={"finish_reason": np.full(shape, "", dtype=object)},
    )


def _cells_by_prompt(
    table: OutcomeTable, stage: int, model: int, prompt: HopPrompt
) -> dict[str, list[tuple[int, int]]]:
    """The distinct prompts of a model at a stage, each with the (query, node) cells that its answer fills."""
    cells: dict[str, list[tuple[int, int]]] = {}
    decision_nodes = table.tree.stage_slice(stage)
    for parent in range(decision_nodes.start, decision_nodes.stop):
        path = list(table.tree.path(parent))
        node = table.tree.child(parent, model)
        for row, query in enumerate(table.queries):
            cells.setdefault(prompt(query.text, table.response[row, path].tolist()), []).append((row, node))
    return cells


def _ask(backend: Backend, prompts: list[str], cache: CallCache, batch_size: int) -> Iterator[dict[str, Generation]]:
    """Generations by prompt: first those in the cache, then batch by batch, each kept before it is handed on."""
    known = cache.get_many(backend.identity, prompts)
    yield known
    missing = sorted((text for text in prompts if text not in known), key=len)
    for start in range(0, len(missing), batch_size):
        batch = missing[start : start + batch_size]
        answered = dict(zip(batch, backend.generate(batch), strict=True))
        cache.put_many(backend.identity, answered)
        yield answered


def _fill(table: OutcomeTable, cells: list[tuple[int, int]], generation: Generation) -> int:
    """Write a generation into all of its cells; returns how many they are."""
    assert table.latency is not None  # _blank made room for it
    where = tuple(np.array(cells).T)
    table.response[where] = generation.text
    table.tokens_in[where] = generation.tokens_in
    table.tokens_out[where] = generation.tokens_out
    table.latency[where] = generation.latency
    table.details["finish_reason"][where] = generation.finish_reason
    return len(cells)


def _grade(
    queries: Sequence[Query], response: np.ndarray, grader: Grader
) -> tuple[Float[np.ndarray, "Q N"], np.ndarray, np.ndarray]:
    """Quality, extracted answer and reason [Q, N] of every node; each distinct response to a query is judged once."""
    pairs = [(row, text) for row in range(len(queries)) for text in dict.fromkeys(response[row, 1:].tolist())]
    verdicts = grader([text for _, text in pairs], [queries[row] for row, _ in pairs])
    if len(verdicts) != len(pairs):
        raise InputError(f"the grader gave {len(verdicts)} verdicts for {len(pairs)} responses")
    by_pair = dict(zip(pairs, verdicts, strict=True))
    quality = np.zeros(response.shape, dtype=np.float32)
    extracted, reason = np.full(response.shape, "", dtype=object), np.full(response.shape, "", dtype=object)
    for row in range(len(queries)):
        judged = [by_pair[row, text] for text in response[row, 1:].tolist()]
        quality[row, 1:] = [verdict.quality for verdict in judged]
        extracted[row, 1:] = [verdict.extracted for verdict in judged]
        reason[row, 1:] = [verdict.reason for verdict in judged]
    return quality, extracted, reason


def _count_verdicts(queries: Sequence[Query], reason: np.ndarray) -> dict[str, dict[str, int]]:
    """Nodes by the class of their reason (what stands before a colon), for each task."""
    counts: dict[str, Counter[str]] = {}
    for query, reasons in zip(queries, reason[:, 1:].tolist(), strict=True):
        counts.setdefault(query.task, Counter()).update(text.partition(":")[0] for text in reasons)
    return {task: dict(sorted(count.items())) for task, count in counts.items()}


def _embed(
    queries: Sequence[Query], response: np.ndarray, tree: HopTree, encoder: Any, progress: bool
) -> Float[np.ndarray, "Q D E"]:
    paths = [list(tree.path(node)) for node in range(tree.num_decision_nodes)]
    contexts = [Context(query.text, tuple(response[row, path])) for row, query in enumerate(queries) for path in paths]
    rows = {context: row for row, context in enumerate(dict.fromkeys(contexts))}
    distinct = list(rows)
    embedding = np.zeros((len(distinct), encoder.size), dtype=np.float32)
    with tqdm(total=len(distinct), desc="embed", unit="context", disable=not progress) as bar:
        for start in range(0, len(distinct), _CONTEXTS_AT_ONCE):
            chunk = distinct[start : start + _CONTEXTS_AT_ONCE]
            embedding[start : start + len(chunk)] = encoder.encode(chunk)
            bar.update(len(chunk))
    return embedding[[rows[context] for context in contexts]].reshape(len(queries), len(paths), encoder.size)
