"""Logs made from an outcome table: episodes that a stochastic policy would have served, with what really came."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.exploration import sample
from hierrouter_jax.outcomes.table import OutcomeTable

START, GAP = 1_700_000_000.0, 1.0  # time of the first request in seconds since 1970, and seconds between two


class Routes(NamedTuple):
    """Routes of E episodes through the tree of a table, of at most L hops.

    Attributes:
      query: row of the table that each episode asks, [E].
      node: node that each decision was made at, [E, L]; behind the end the node that answers.
      action: index of the action drawn, [E, L]; M is STOP; 0 behind the end.
      taken: whether the decision was made, [E, L].
      answer: node whose response answers, [E].
    """

    query: Int[np.ndarray, " E"]
    node: Int[np.ndarray, "E L"]
    action: Int[np.ndarray, "E L"]
    taken: Bool[np.ndarray, "E L"]
    answer: Int[np.ndarray, " E"]


def legal_actions(table: OutcomeTable, allow_stop: bool) -> Bool[np.ndarray, "Q D A"]:
    """Actions that an episode may take: models whose hop the table holds, and STOP after the first hop.

    A node without any such model is no decision: the episode ends when it comes there.
    """
    tree = table.tree
    nodes = np.arange(tree.num_decision_nodes)
    models = table.available[:, tree.child(nodes[:, None], np.arange(tree.num_models))]
    stop = models.any(axis=-1) & (nodes > 0) & allow_stop
    return np.concatenate([models, stop[..., None]], axis=-1)


def draw_routes(
    table: OutcomeTable,
    probs: Float[np.ndarray, "Q D A"],
    queries: Int[np.ndarray, " K"],
    episodes: int,
    rng: np.random.Generator,
    allow_stop: bool = True,
) -> Routes:
    """Routes of independent episodes: a query drawn evenly with replacement, then the actions of a policy.

    Args:
      probs: probabilities of the actions at every decision node, 0 where no hop is; rows of decisions sum to 1.
      queries: rows of the table that requests ask.
      episodes: number of episodes E.
      rng: generator, which is moved on.
      allow_stop: whether an episode may stop before the horizon.

    Raises:
      InputError: if there is no query, or one of which the table holds no hop, or if an action that cannot be taken
        has a probability above 0.
    """
    tree, legal = table.tree, legal_actions(table, allow_stop)
    _check(table, probs, legal, queries)
    query = np.asarray(queries)[rng.integers(len(queries), size=episodes)]
    node = np.zeros((episodes, tree.horizon), dtype=np.int64)
    action, taken = np.zeros_like(node), np.zeros(node.shape, dtype=bool)
    here, going = np.zeros(episodes, dtype=np.int64), np.ones(episodes, dtype=bool)
    for stage in range(tree.horizon):
        node[:, stage] = here
        going = going & legal[query, np.minimum(here, tree.num_decision_nodes - 1)].any(axis=-1)
        rows = np.flatnonzero(going)
        drawn = sample(probs[query[rows], here[rows]], rng)
        action[rows, stage], taken[rows, stage] = drawn, True
        going[rows] = drawn < tree.num_models
        here = np.where(going, tree.child(here, action[:, stage]), here)
    return Routes(query, node, action, taken, here)


def simulate(
    table: OutcomeTable,
    probs: Float[np.ndarray, "Q D A"],
    queries: Int[np.ndarray, " K"],
    episodes: int,
    rng: np.random.Generator,
    allow_stop: bool = True,
    policy: str = "simulated",
    explore: str = "softmax:1.0",
    feedback: float = 1.0,
    fingerprint: str = "",
) -> Episodes:
    """Episodes that a policy would have served on a table, with everything that its decision log would hold.

    Args:
      probs: probabilities of the actions at every decision node of every query; those of a decision sum to 1.
      queries: rows of the table that requests ask, each episode one of them, evenly and with replacement.
      episodes: number of episodes E.
      rng: generator, which is moved on.
      allow_stop: whether the mask lets an episode stop before the horizon.
      policy, explore: what the log says of who served.
      feedback: probability that an episode's quality comes back, whatever it is.
      fingerprint: fingerprint of the whole table, which the log names; empty where nobody needs it.

    Raises:
      InputError: as `draw_routes`.
    """
    tree = table.tree
    routes = draw_routes(table, probs, queries, episodes, rng, allow_stop)
    query, answer, taken = routes.query, routes.answer, routes.taken
    mask = legal_actions(table, allow_stop)
    decisions = query[:, None], np.minimum(routes.node, tree.num_decision_nodes - 1)
    entered = np.where(taken & (routes.action < tree.num_models), tree.child(routes.node, routes.action), 0)

    def hops(values: np.ndarray) -> np.ndarray:
        """Values of the nodes that were entered; 0 elsewhere, as at the root."""
        return np.where(entered > 0, values[query[:, None], entered], 0)

    its_probs = np.asarray(probs, dtype=np.float64)[decisions] * taken[..., None]
    its_probs /= np.where(taken, its_probs.sum(axis=-1), 1.0)[..., None]  # in double precision, as a log holds them
    own = np.take_along_axis(its_probs, routes.action[..., None], axis=-1)[..., 0]
    cost = hops(table.cost.astype(np.float64))
    stopped = (taken & (routes.action == tree.num_models)).any(axis=1)
    full = tree.stages[answer] == tree.horizon
    names, shape = np.array([one.task for one in table.queries], dtype=object), (episodes, tree.horizon)
    quality = table.quality[query, answer].astype(np.float64)
    time = START + GAP * np.arange(episodes)
    seconds = np.zeros(shape) if table.latency is None else hops(table.latency).astype(np.float64)
    unknown = rng.random(episodes) >= feedback
    embedding = table.context_embedding[decisions]
    embedding[~taken] = 0
    return Episodes(
        candidates=table.model_names,
        encoder=table.encoder,
        episode_id=np.array([f"{number:08d}" for number in range(episodes)], dtype=object),
        time=time,
        policy=np.full(episodes, policy, dtype=object),
        table=np.full(episodes, fingerprint, dtype=object),
        explore=np.full(episodes, explore, dtype=object),
        end=np.where(stopped, "stop", np.where(full, "horizon", "max_hops")).astype(object),
        max_hops=np.full(episodes, tree.horizon),
        cost_weight=np.full(episodes, np.nan),
        budget=np.full(episodes, np.nan),
        task=names[query],
        settings=np.full(episodes, "{}", dtype=object),
        quality=np.where(unknown, np.nan, quality),
        quality_time=np.where(unknown, np.nan, time + seconds.sum(axis=1)),
        taken=taken,
        mask=mask[decisions] & taken[..., None],
        probs=its_probs,
        action=routes.action,
        propensity=np.where(taken, own, 1.0),
        embedding=embedding,
        charges=np.full((*shape, tree.num_models), np.nan),
        spent=np.where(taken, np.cumsum(cost, axis=1) - cost, 0.0),
        cost=cost,
        tokens_in=hops(table.tokens_in).astype(np.int64),
        tokens_out=hops(table.tokens_out).astype(np.int64),
        seconds=seconds,
    )


def _check(
    table: OutcomeTable,
    probs: Float[np.ndarray, "Q D A"],
    legal: Bool[np.ndarray, "Q D A"],
    queries: Int[np.ndarray, " K"],
) -> None:
    if not len(queries):
        raise InputError("the table holds no query to ask, but episodes need at least one")
    if probs.shape != legal.shape:
        raise InputError(f"probs: shape is {probs.shape}, but {legal.shape} is needed")
    unanswered = ~table.answered[queries]
    if unanswered.any():
        name = table.queries[queries[unanswered.argmax()]].id
        raise InputError(f"queries: the table holds no hop of {name!r}, so that no episode can ask it")
    decided = legal[queries].any(axis=-1)
    some = np.asarray(probs)[queries]
    wrong = (decided & (abs(some.sum(axis=-1) - 1) > 1e-4)) | ((some > 0) & ~legal[queries]).any(axis=-1) & decided
    if wrong.any():
        row, node = np.argwhere(wrong)[0]
        raise InputError(
            f"probs of query {table.queries[queries[row]].id!r} at node {node} are {some[row, node].tolist()}, but "
            "must sum to 1 over the actions that can be taken"
        )
