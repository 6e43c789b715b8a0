"""Outcomes of several hops: the models that a row's `route` names, and the tree that the rows of a query span."""

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.coverage import decision_contexts
from hierrouter_jax.outcomes.ngrams import encoder_work
from hierrouter_jax.outcomes.table import Context, Query
from hierrouter_jax.outcomes.texts import NotText, as_text, json_value

ARROW = ">"  # between the models of a route that is written as a text
_MOST_CELLS = 2**28  # of a column [Q, N]; with more, the table would not fit an ordinary machine


class QueryEncoder(Protocol):
    """What embeds contexts; `spec` builds it again."""

    @property
    def spec(self) -> dict[str, Any]: ...

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]: ...


def read_route(value: Any) -> tuple[str, ...]:
    """The models that were called, this row's the last.

    Args:
      value: a list of names; or a text: such a list as JSON, or names with `>` between them.

    Raises:
      ValueError: if it is neither, or a name is empty.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json_value(value)
        except ValueError:
            raise ValueError(f"{value!r:.40} is no list in JSON") from None
    names = value.split(ARROW) if isinstance(value, str) else value
    if not isinstance(names, Sequence | np.ndarray) or not len(names):
        raise ValueError(f"{value!r:.40} is neither a list of models nor a text as 'first {ARROW} second'")
    try:
        route = tuple(as_text(name).strip() for name in names)
    except NotText as error:
        raise ValueError(f"a model's name {error}") from None
    if not all(route):
        raise ValueError(f"{value!r:.40} holds an empty name")
    return route


def with_prefixes(rows: list[dict[str, Any]]) -> tuple[list[int], list[tuple[int, tuple[str, ...]]]]:
    """Which rows stand on a whole route: each earlier hop of the same query has an outcome.

    Args:
      rows: outcomes with `query_id`, `route` and `score`; None where the outcome is not there.

    Returns:
      Indices of the rows that do, in their order; and of each other one its index and the first hop that is missing.
    """
    scored = {(row["query_id"], row["route"]) for row in rows if row["score"] is not None}
    whole, orphans = [], []
    for index, row in enumerate(rows):
        prefixes = (row["route"][:hops] for hops in range(1, len(row["route"])))
        gap = next((prefix for prefix in prefixes if (row["query_id"], prefix) not in scored), None)
        whole.append(index) if gap is None else orphans.append((index, gap))
    return whole, orphans


def spanned_tree(routes: Sequence[tuple[str, ...]], queries: int) -> tuple[list[str], HopTree]:
    """The models that the routes name, in order of name, and the tree of their longest.

    Raises:
      InputError: if a table of that tree would be too large.
    """
    models = sorted({model for route in routes for model in route})
    hops = max(map(len, routes))
    nodes = sum(len(models) ** hop for hop in range(hops + 1))
    if nodes * queries > _MOST_CELLS:
        raise InputError(
            f"routes of {hops} hops over {len(models)} models make a tree of {nodes:,} nodes, too "
            f"large for {queries:,} queries; import fewer models, shorter routes or fewer queries"
        )
    return models, HopTree(len(models), hops)


def prompts(frame: pd.DataFrame) -> pd.Series:
    """What each hop read, for counting its tokens: the query and the responses before it, one line break between.

    None where an earlier response is not known.
    """
    responses = dict(zip(zip(frame["query_id"], frame["route"], strict=True), frame["response"], strict=True))

    def prompt(query_id: str, query: str, route: tuple[str, ...]) -> str | None:
        earlier = [responses.get((query_id, route[:hops])) for hops in range(1, len(route))]
        known = [text for text in earlier if text is not None]
        return "\n".join([query, *known]) if len(known) == len(earlier) else None

    return pd.Series(
        [prompt(*row) for row in zip(frame["query_id"], frame["query"], frame["route"], strict=True)],
        index=frame.index,
        dtype=object,
    )


def embed(
    encoder: QueryEncoder,
    tree: HopTree,
    queries: Sequence[Query],
    response: np.ndarray,
    available: Bool[np.ndarray, "Q N"],
) -> tuple[Float[np.ndarray, "Q D E"], list[float] | None]:
    """Embeddings of the contexts at decision nodes, zero where there is none; and what `encoder_work` says of them.

    Args:
      encoder: encoder of contexts.
      tree: tree of the routes.
      queries: the Q queries.
      response: texts of the hops, [Q, N] str.
      available: whether a hop was run, [Q, N] bool.
    """
    rows, nodes, contexts = decision_contexts(tree, queries, response, available)
    index = {context: at for at, context in enumerate(dict.fromkeys(contexts))}
    vectors = encoder.encode(list(index))
    embedding = np.zeros((len(queries), tree.num_decision_nodes, vectors.shape[-1]), dtype=np.float32)
    embedding[rows, nodes] = vectors[[index[context] for context in contexts]]
    return embedding, encoder_work(encoder, list(index))
