"""Hop trees of a log: the routes that were served of each query, in one partial tree."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.episodes import Episodes


@dataclass(frozen=True)
class LogTrees:
    """The E episodes of a log as routes in the partial hop trees of Q queries.

    Attributes:
      tree: hop tree of the log's pool, as deep as its longest episode.
      query: row of the query that each episode asked, [E].
      node: node that each decision was made at, [E, L]; 0 in padding.
      answer: node whose response answered, [E].
      context_query, context_node: row and node of each of the C contexts that some episode decided at, [C].
      embedding: embedding of each context, [C, X] float32.
      legal: actions that could be taken in some decision at each context, [C, A].
      tried: actions that were taken in some decision at each context, [C, A].
      quality: mean quality of the answers that were given at each node, [Q, N]; NaN where there is no feedback.
      cost: mean money of the hop into each node, [Q, N]; NaN where no episode came.
    """

    tree: HopTree
    query: Int[np.ndarray, " E"]
    node: Int[np.ndarray, "E L"]
    answer: Int[np.ndarray, " E"]
    context_query: Int[np.ndarray, " C"]
    context_node: Int[np.ndarray, " C"]
    embedding: Float[np.ndarray, "C X"]
    legal: Bool[np.ndarray, "C A"]
    tried: Bool[np.ndarray, "C A"]
    quality: Float[np.ndarray, "Q N"]
    cost: Float[np.ndarray, "Q N"]

    @property
    def num_queries(self) -> int:
        return len(self.quality)

    @property
    def stage(self) -> Int[np.ndarray, " C"]:
        """Number of hops done at each context."""
        return self.tree.stages[self.context_node]

    def context_at(self) -> Int[np.ndarray, "Q D"]:
        """Index of the context at each decision node of each query; -1 where no episode decided."""
        places = np.full((self.num_queries, self.tree.num_decision_nodes), -1)
        places[self.context_query, self.context_node] = np.arange(len(self.context_query))
        return places

    def only(self, mask: Bool[np.ndarray, " Q"]) -> "LogTrees":
        """The queries for which the mask is True, with their episodes and contexts."""
        number = np.cumsum(mask) - 1
        episodes, contexts = mask[self.query], mask[self.context_query]
        return replace(
            self,
            query=number[self.query[episodes]],
            node=self.node[episodes],
            answer=self.answer[episodes],
            context_query=number[self.context_query[contexts]],
            context_node=self.context_node[contexts],
            embedding=self.embedding[contexts],
            legal=self.legal[contexts],
            tried=self.tried[contexts],
            quality=self.quality[mask],
            cost=self.cost[mask],
        )


def log_trees(episodes: Episodes) -> LogTrees:
    """The trees of a log's episodes; those that asked one query share a tree.

    Two episodes ask one query if their first contexts are the same, and so are their contexts after the same hops. What
    the policy cannot tell apart is one query to it; where the models answered otherwise, the episodes get trees apart.
    """
    tree = HopTree(episodes.num_models, episodes.length)
    node, answer = _routes(episodes, tree)
    query = _queries(episodes, node)
    rows, stages = np.nonzero(episodes.taken)
    shape = int(query.max(initial=-1)) + 1, tree.num_nodes
    code = query[rows] * shape[1] + node[rows, stages]
    contexts, first, context = np.unique(code, return_index=True, return_inverse=True)
    legal = np.zeros((len(contexts), tree.num_models + 1), dtype=bool)
    np.logical_or.at(legal, context, episodes.mask[rows, stages])
    tried = np.zeros_like(legal)
    tried[context, episodes.action[rows, stages]] = True
    called = episodes.action[rows, stages] < tree.num_models
    entered = query[rows] * shape[1] + tree.child(node[rows, stages], episodes.action[rows, stages])
    cost = _means(entered[called], episodes.cost[rows, stages][called], shape)
    cost[:, 0] = 0.0
    has_quality = np.isfinite(episodes.quality)
    return LogTrees(
        tree=tree,
        query=query,
        node=node,
        answer=answer,
        context_query=contexts // shape[1],
        context_node=contexts % shape[1],
        embedding=episodes.embedding[rows[first], stages[first]],
        legal=legal,
        tried=tried,
        quality=_means((query * shape[1] + answer)[has_quality], episodes.quality[has_quality], shape),
        cost=cost,
    )


def _routes(episodes: Episodes, tree: HopTree) -> tuple[Int[np.ndarray, "E L"], Int[np.ndarray, " E"]]:
    """Node of every decision, and the node that answered."""
    node = np.zeros(episodes.taken.shape, dtype=np.int64)
    here = np.zeros(len(episodes), dtype=np.int64)
    for stage in range(tree.horizon):
        taken, action = episodes.taken[:, stage], episodes.action[:, stage]
        node[taken, stage] = here[taken]
        here = np.where(taken & (action < tree.num_models), tree.child(here, action), here)
    return node, here


def _queries(episodes: Episodes, node: Int[np.ndarray, "E L"]) -> Int[np.ndarray, " E"]:
    """Number of the query that each episode asked, in order of first appearance."""
    text = np.full(episodes.taken.shape, -1)
    numbers: dict[bytes, int] = {}
    text[episodes.taken] = [
        numbers.setdefault(one.tobytes(), len(numbers)) for one in episodes.embedding[episodes.taken]
    ]
    trees: list[dict[int, int]] = []
    alike: dict[int, list[int]] = {}
    query = np.zeros(len(episodes), dtype=np.int64)
    steps = zip(node.tolist(), text.tolist(), episodes.taken.sum(axis=1).tolist(), strict=True)
    for episode, (nodes, texts, length) in enumerate(steps):
        route = dict(zip(nodes[:length], texts[:length], strict=True))
        rows = alike.setdefault(texts[0], [])
        fits = (row for row in rows if all(trees[row].get(at, its) == its for at, its in route.items()))
        row = next(fits, len(trees))
        if row == len(trees):
            trees.append({})
            rows.append(row)
        trees[row] |= route
        query[episode] = row
    return query


def _means(
    code: Int[np.ndarray, " K"], values: Float[np.ndarray, " K"], shape: tuple[int, int]
) -> Float[np.ndarray, "Q N"]:
    """Mean of the values at each place; NaN where there is none."""
    count = np.bincount(code, minlength=shape[0] * shape[1])
    total = np.bincount(code, values, minlength=shape[0] * shape[1])
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)
