"""Tokens that a prefix cache serves, exactly: they follow from the route and the layout of the prompts.

A model that was called before on a route has seen the start of its new prompt, up to the first token in which that
differs from each of its earlier prompts on the route. The cache is taken to keep every prompt whole from hop to hop,
and to know nothing of other routes or queries. Blocks, least lengths and ends of life are the server's own affair.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from hierrouter_jax.bridge.backends import Backend, NoTokenizer, Tokenizing
from hierrouter_jax.bridge.fitting import fitted_prompts, hop_contexts
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import OutcomeTable, Prompt

_QUERIES_AT_ONCE = 256


def cached_tokens(table: OutcomeTable, backends: Sequence[Backend], layout: HopPrompt) -> Int[np.ndarray, "Q N"]:
    """Of each hop's prompt, the longest prefix in tokens that an earlier prompt of the same model on the route shares.

    Args:
      table: table with all responses.
      backends: backends of the pool, in action order.
      layout: layout of the prompts.
    Returns:
      At most `tokens_in`; 0 for members that state no `price_cached_in`, as nobody asks.
    Raises:
      InputError: if a member states a price of cached tokens, but cannot tell the tokens of a prompt.
    """
    cached = np.zeros(table.tokens_in.shape, dtype=np.int32)
    for model, backend in enumerate(backends):
        if backend.price.price_cached_in is None:
            continue
        for start in range(0, table.num_queries, _QUERIES_AT_ONCE):
            rows = slice(start, start + _QUERIES_AT_ONCE)
            cached[rows] += _cached_by(table.select(np.arange(table.num_queries)[rows]), model, backend, layout)
    return np.minimum(cached, table.tokens_in)


def check_tokens_known(backends: Sequence[Backend]) -> None:
    """Refuse members that state a price of cached tokens, but cannot tell the tokens of a prompt.

    Raises:
      InputError: naming the member.
    """
    for backend in backends:
        if backend.price.price_cached_in is not None:
            _encoded(backend, [""])


def shared_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of tokens at the start that two prompts share."""
    length = min(len(one), len(other))
    differs = np.flatnonzero(np.asarray(one[:length]) != np.asarray(other[:length]))
    return int(differs[0]) if differs.size else length


def _cached_by(table: OutcomeTable, model: int, backend: Backend, layout: HopPrompt) -> Int[np.ndarray, "Q N"]:
    """`cached_tokens` of one model's hops; 0 elsewhere."""
    tree, prompts = table.tree, dict[tuple[int, int], Prompt]()
    for stage in range(tree.horizon):
        hops = slice(tree.stage_start(stage + 1) + model, tree.stage_start(stage + 2), tree.num_models)
        cells, contexts = hop_contexts(table, table.available[:, hops], stage, model)
        prompts |= zip(cells, fitted_prompts(layout, contexts, backend)[0], strict=True)
    nodes = {node for _, node in prompts}
    earlier = {node: [before for before in tree.path(node)[:-1] if before in nodes] for node in nodes}
    again = [(row, node) for row, node in prompts if earlier[node]]
    needed = dict.fromkeys(prompts[row, at] for row, node in again for at in (node, *earlier[node]))
    ids = dict(zip(needed, _encoded(backend, list(needed)) if needed else (), strict=True))
    cached = np.zeros(table.tokens_in.shape, dtype=np.int32)
    for row, node in again:
        mine = ids[prompts[row, node]]
        cached[row, node] = max(shared_prefix(mine, ids[prompts[row, before]]) for before in earlier[node])
    return cached


def _encoded(backend: Backend, prompts: list[Prompt]) -> list[list[int]]:
    try:
        if isinstance(backend, Tokenizing):
            return backend.encode(prompts)
        why = "its workers do not tell the tokens of a prompt; collect without --ray"
    except NoTokenizer:
        why = "it has no tokenizer; name a hub id or folder with one as source"
    raise InputError(f"model {backend.name!r}: price_cached_in needs the tokens of its prompts, but {why}")
