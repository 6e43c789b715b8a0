"""How ties are broken everywhere: by price, then by accuracy on training queries, never by place in the pool."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.outcomes.pricing import PricedModel, accumulate_cost
from hierrouter_jax.outcomes.table import OutcomeTable

_EQUAL = 1e-9  # difference of scores that is rounding


def price_order(pool: Sequence[PricedModel]) -> tuple[int, ...]:
    """Actions by price alone, as `tie_order` where no training queries are at hand: STOP first, then the cheapest."""
    models = sorted(
        range(len(pool)), key=lambda model: (pool[model].price_in + pool[model].price_out, pool[model].name)
    )
    return (len(pool), *models)


def tie_order(train: OutcomeTable) -> tuple[int, ...]:
    """Actions in the order in which they win ties: STOP, which costs nothing, then models.

    Models come by the mean cost of calling them once, the cheapest first; equally dear ones by their accuracy alone,
    then by the mean quality of all answers that they give. Names decide only between models that are equal in all.

    Args:
      train: the training queries.
    """
    tree, models = train.tree, range(train.tree.num_models)
    first = tree.stage_slice(1)
    cost = _rounded(_means(train.cost[:, first], train.available[:, first], np.inf))
    accuracy = _rounded(_means(train.quality[:, first], train.available[:, first], 0.0))
    last = np.where(tree.stages > 0, tree.last_model(np.arange(tree.num_nodes)), -1)
    count = [train.available[:, last == model].sum() for model in models]
    total = [
        train.quality[:, last == model][train.available[:, last == model]].sum(dtype=np.float64) for model in models
    ]
    overall = _rounded(np.array(total) / np.maximum(count, 1))
    names = train.model_names
    ranked = sorted(models, key=lambda m: (cost[m], -accuracy[m], -overall[m], names[m]))
    return (tree.num_models, *ranked)


def route_order(train: OutcomeTable) -> Int[np.ndarray, " N"]:
    """Nodes in the order in which they win ties: the cheapest route first, then the one that is right most often.

    Both are means over the queries that hold the route; routes that are equal in both come by their length, then by
    their models in `tie_order`.
    """
    tree = train.tree
    rank = {model: place for place, model in enumerate(tie_order(train))}
    models = np.zeros(tree.num_nodes, dtype=np.int64)
    for node in range(1, tree.num_nodes):
        models[node] = models[tree.parent(node)] * (tree.num_models + 1) + rank[int(tree.last_model(node))]
    cost = _rounded(_means(accumulate_cost(train.cost, tree), train.available, np.inf))
    accuracy = _rounded(_means(train.quality, train.available, 0.0))
    return np.lexsort((models, tree.stages, -accuracy, cost))


def first_best(
    scores: Float[np.ndarray, "*B A"], order: Sequence[int] | Int[np.ndarray, " A"]
) -> Int[np.ndarray, "*B"]:
    """Index of the best score along the last axis; of equal ones, but for rounding, the first in `order`."""
    places = np.asarray(order)
    ranked = scores[..., places]
    return places[(ranked >= ranked.max(axis=-1, keepdims=True) - _EQUAL).argmax(axis=-1)]


def reordered(table: OutcomeTable, models: Sequence[int]) -> OutcomeTable:
    """The same outcomes with the pool in another order.

    Args:
      table: table of the outcomes in the present order.
      models: present index of the model at each place of the new order.
    """
    tree = table.tree
    node = np.zeros(tree.num_nodes, dtype=np.int64)  # where each node of the new order lies now
    for new in range(1, len(node)):
        node[new] = tree.child(node[tree.parent(new)], models[tree.last_model(new)])
    return replace(
        table,
        pool=tuple(table.pool[model] for model in models),
        context_embedding=table.context_embedding[:, node[: tree.num_decision_nodes]],
        **table.columns((slice(None), node)),
    )


def _means(
    values: Float[np.ndarray, "Q N"], known: Bool[np.ndarray, "Q N"], otherwise: float
) -> Float[np.ndarray, " N"]:
    """The mean of each column over the rows where it is known."""
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), otherwise)


def _rounded(means: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """To ten digits of the largest, so that the order in which rows were added up decides nothing."""
    largest = np.abs(means[np.isfinite(means)]).max(initial=0.0) or 1.0
    return np.round(means / largest, 10)
