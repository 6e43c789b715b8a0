"""The outcome table on the host: what every pool member answered on every route of every query."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel, hop_costs, largest_charges


class Turn(NamedTuple):
    """One turn of a chat; role is `user` or `assistant`."""

    role: str
    content: str


class Context(NamedTuple):
    """A query and the responses to it so far.

    Attributes:
      query: text of the query.
      responses: texts of the responses, the oldest first.
      models: names of the models that gave them; empty where they do not matter.
      shots: turns of worked examples before the query, which the router does not read.
      task: task that the query is of, where it is known; only an encoder with a `task` part reads it.
    """

    query: str
    responses: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    shots: tuple[Turn, ...] = ()
    task: str = ""


# What a model reads: a text, which is one user turn in a chat, or the turns of a chat.
Prompt = str | tuple[Turn, ...]


SPLITS = ("train", "validation", "test")
RIGHT = 0.5  # an answer is right when its quality is at least this
_COLUMNS = ("quality", "tokens_in", "tokens_out", "available", "response", "latency", "stated_cost", "tokens_cached")


@dataclass(frozen=True)
class Query:
    """A query and how its answers are graded.

    Attributes:
      id: name that is unique in the table.
      text: text of the question: what the router reads, and the models after the shots.
      task: name of the task family.
      gold: the right answer.
      split: name of its split: train, validation or test.
      group: surface template or source; the queries of one group look alike.
      unseen: whether that group occurs in no training query.
      shots: turns of worked examples, which the models read first.
      question: id of the question that this row asks again, as a replicate; empty for its own.
      seed: number that is added to the seed of every member that samples; 0 but for replicates by seed.
    """

    id: str
    text: str
    task: str
    gold: str
    split: str
    group: str = ""
    unseen: bool = False
    shots: tuple[Turn, ...] = ()
    question: str = ""
    seed: int = 0


@dataclass(frozen=True)
class OutcomeTable:
    """Outcomes of Q queries over the N nodes (D of them decision nodes) of a hop tree.

    Attributes:
      tree: the tree of all routes.
      pool: the models, in action order.
      queries: the Q queries, in the order of the rows.
      context_embedding: data-independent encoding of query and responses so far, [Q, D, E] float32.
      quality: score of answering with the node's response, [Q, N] float32 in [0, 1]; 0 at the root.
      tokens_in, tokens_out: tokens metered by each model's own tokenizer, [Q, N] int32; 0 at the root.
      available: whether the hop was run, [Q, N] bool; a missing node is a masked action.
      response: text of the hop, [Q, N] str (object); empty at the root.
      encoder: description from which the encoder is built again for live routing.
      money_unit: meaning of a cost of 1.
      settings: generation settings and provenance, carried along as they are.
      latency: seconds that each hop took, [Q, N] float32, or None.
      task_names: names that `task` indexes; in order of first appearance unless given, and kept by every selection.
      details: further columns [Q, N] that travel with the table (prompt, finish_reason, grader detail).
      stated_cost: cost [Q, N] float64 in `money_unit`, where a source bills each hop outright; None where cost is
        tokens times prices. A table with it is not priced anew by its pool's prices.
      tokens_cached: tokens of `tokens_in` that a prefix cache of the same model serves, [Q, N] int32; 0 by default.

    Raises:
      InputError: if shapes disagree, a number is not finite, or a quality is outside [0, 1].
    """

    tree: HopTree
    pool: tuple[PricedModel, ...]
    queries: tuple[Query, ...]
    context_embedding: Float[np.ndarray, "Q D E"]
    quality: Float[np.ndarray, "Q N"]
    tokens_in: Int[np.ndarray, "Q N"]
    tokens_out: Int[np.ndarray, "Q N"]
    available: Bool[np.ndarray, "Q N"]
    response: np.ndarray
    encoder: dict[str, Any]
    money_unit: str = "price units"
    settings: dict[str, Any] = field(default_factory=dict)
    latency: Float[np.ndarray, "Q N"] | None = None
    task_names: tuple[str, ...] = ()
    details: dict[str, np.ndarray] = field(default_factory=dict)
    stated_cost: Float[np.ndarray, "Q N"] | None = None
    tokens_cached: Int[np.ndarray, "Q N"] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.tokens_cached is None:
            object.__setattr__(self, "tokens_cached", np.broadcast_to(np.int32(0), self.tokens_in.shape))
        names = self.task_names or tuple(dict.fromkeys(query.task for query in self.queries))
        object.__setattr__(self, "task_names", names)
        validate(self)

    @property
    def num_queries(self) -> int:
        return len(self.queries)

    @property
    def model_names(self) -> tuple[str, ...]:
        return tuple(member.name for member in self.pool)

    @cached_property
    def task(self) -> Int[np.ndarray, " Q"]:
        """Index into `task_names` of each query."""
        index = {name: i for i, name in enumerate(self.task_names)}
        return np.array([index[query.task] for query in self.queries], dtype=np.int32)

    @cached_property
    def question(self) -> Int[np.ndarray, " Q"]:
        """Number of the question that each row asks, in order of first appearance; rows of one are replicates."""
        numbers: dict[str, int] = {}
        rows = [numbers.setdefault(query.question or query.id, len(numbers)) for query in self.queries]
        return np.array(rows, dtype=np.int64)

    @cached_property
    def cost(self) -> Float[np.ndarray, "Q N"]:
        """Cost of entering each node, in `money_unit`; re-pricing never re-runs a model."""
        if self.stated_cost is not None:
            return self.stated_cost
        return hop_costs(self.tokens_in, self.tokens_out, self.pool, self.tree)

    @cached_property
    def charge(self) -> Float[np.ndarray, "Q N"] | None:
        """The most that entering each node can cost, in `money_unit`; None where a pool member's limit is unknown."""
        if self.stated_cost is not None:  # prices do not tell what would have been billed
            return None
        return largest_charges(self.tokens_in, self.pool, self.tree)

    @property
    def answered(self) -> Bool[np.ndarray, " Q"]:
        """Whether the table holds any hop of a query; on one of which it holds none, no policy can be judged."""
        return np.asarray(self.available[:, 1:].any(axis=1))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the outcomes (not of prices, embeddings or splits), so that two runs can be told to share them."""
        digest = hashlib.sha256(repr((self.tree, self.model_names)).encode())
        for query in self.queries:
            digest.update(repr((query.id, query.text, query.task, query.gold)).encode())
            if query.question or query.seed:
                digest.update(repr((query.question, query.seed)).encode())
            if query.shots:
                digest.update(repr([tuple(turn) for turn in query.shots]).encode())
        for array in (self.quality.astype("<f4"), self.tokens_in.astype("<i4"), self.tokens_out.astype("<i4")):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(np.packbits(self.available).tobytes())
        digest.update("\x00".join(self.response.ravel().tolist()).encode())
        return digest.hexdigest()[:32]

    def select(self, rows: np.ndarray) -> "OutcomeTable":
        """The table of some queries only (indices or a boolean mask). Neighbours share the memory of this table."""
        rows = np.arange(self.num_queries)[rows]
        neighbours = len(rows) > 0 and bool((np.diff(rows) == 1).all())
        part = slice(rows[0], rows[-1] + 1) if neighbours else rows
        return replace(
            self,
            queries=tuple(self.queries[row] for row in rows),
            context_embedding=self.context_embedding[part],
            **self.columns(part),
        )

    def up_to(self, hops: int) -> "OutcomeTable":
        """The table of the routes of at most `hops` hops: breadth-first, so the first nodes of this one."""
        tree = HopTree(self.tree.num_models, min(hops, self.tree.horizon))
        return replace(
            self,
            tree=tree,
            context_embedding=self.context_embedding[:, : tree.num_decision_nodes],
            **self.columns((slice(None), slice(tree.num_nodes))),
        )

    def columns(self, part: Any) -> dict[str, Any]:
        """A part of every [Q, N] column by its field; a column that the table lacks stays None."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return {name: None if column is None else column[part] for name, column in columns.items()} | {
            "details": {name: column[part] for name, column in self.details.items()}
        }

    def split(self, name: str) -> "OutcomeTable":
        """The queries of one split.

        Raises:
          InputError: if the split has no query.
        """
        rows = np.array([query.split == name for query in self.queries])
        if not rows.any():
            raise InputError(
                f"the outcome table holds no {name} queries; its splits are {sorted({q.split for q in self.queries})}"
            )
        return self.select(rows)


def validate(table: OutcomeTable) -> None:
    """Refuse a table whose arrays cannot be what they say.

    Raises:
      InputError: naming the field, and the query and node where one entry is at fault.
    """
    num_queries, nodes, decisions = table.num_queries, table.tree.num_nodes, table.tree.num_decision_nodes
    if len(table.pool) != table.tree.num_models:
        raise InputError(f"pool has {len(table.pool)} models but the hop tree is made for {table.tree.num_models}")
    if len(set(table.model_names)) != len(table.pool):
        raise InputError(f"pool: model names must be unique, not {list(table.model_names)}")
    ids = [query.id for query in table.queries]
    if len(set(ids)) != len(ids):
        raise InputError(f"queries: id {next(i for i in ids if ids.count(i) > 1)!r} occurs twice")
    for query in table.queries:
        if not query.text.strip():
            raise InputError(f"queries: {query.id!r} has an empty text")
        if query.split not in SPLITS:
            raise InputError(f"queries: {query.id!r} has split {query.split!r}; it must be one of {', '.join(SPLITS)}")
    _check_replicates(table.queries)
    for name, array in [*((name, getattr(table, name)) for name in _COLUMNS), *table.details.items()]:
        if array is not None and array.shape != (num_queries, nodes):
            raise InputError(f"{name}: shape is {array.shape} but {num_queries} queries x {nodes} nodes are needed")
    embedding = table.context_embedding
    if embedding.ndim != 3 or embedding.shape[:2] != (num_queries, decisions):
        raise InputError(
            f"context_embedding: shape is {embedding.shape} "
            f"but {num_queries} queries x {decisions} decision nodes x E are needed"
        )
    _refuse(table, "quality", np.logical_not((table.quality >= 0) & (table.quality <= 1)), "a number in [0, 1]")
    finite = np.isfinite(embedding.sum(axis=2, dtype=np.float64))  # a sum needs no copy of a large table
    _refuse(table, "context_embedding", ~finite, "finite")
    _refuse(table, "tokens_in", table.tokens_in < 0, "at least 0")
    _refuse(table, "tokens_out", table.tokens_out < 0, "at least 0")
    cached = table.tokens_cached
    _refuse(table, "tokens_cached", (cached < 0) | (cached > table.tokens_in), "from 0 to tokens_in")
    if table.latency is not None:
        _refuse(table, "latency", ~(table.latency >= 0), "at least 0")
    if table.stated_cost is not None:
        _refuse(table, "stated_cost", ~(np.isfinite(table.stated_cost) & (table.stated_cost >= 0)), "at least 0")
        _refuse(table, "stated_cost", np.pad(table.stated_cost[:, :1] != 0, ((0, 0), (0, nodes - 1))), "0 at the root")
    orphan = table.available[:, 1:] & ~table.available[:, table.tree.parent(np.arange(1, nodes))]
    _refuse(table, "available", np.pad(orphan, ((0, 0), (1, 0))), "false where the hop before it is missing")
    _refuse(table, "available", np.pad(~table.available[:, :1], ((0, 0), (0, nodes - 1))), "true at the root")


def _check_replicates(queries: tuple[Query, ...]) -> None:
    """Refuse rows of one question that do not lie in one split and group, or are not of one task."""
    first: dict[str, Query] = {}
    for query in queries:
        other = first.setdefault(query.question or query.id, query)
        for name in ("split", "task", "group"):
            if getattr(query, name) != getattr(other, name):
                raise InputError(
                    f"queries: {query.id!r} and {other.id!r} ask one question, but {name} is {getattr(query, name)!r} "
                    f"and {getattr(other, name)!r}; replicates stay together"
                )


def _refuse(table: OutcomeTable, name: str, wrong: Any, right: str) -> None:
    if wrong.any():
        query, node = np.argwhere(wrong)[0]
        value = np.asarray(getattr(table, name)[query, node])
        shown = value.item() if value.ndim == 0 else "not finite"
        raise InputError(
            f"{name}: query {table.queries[query].id!r}, node {node} is {shown}, but must be {right}"
            f" ({int(wrong.sum())} such entries)"
        )
