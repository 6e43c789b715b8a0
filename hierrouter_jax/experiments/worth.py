"""Is routing worth it for these models, and is a second or third hop worth collecting?

The answer needs the one-hop outcomes only: every model once on every query.
"""

from typing import Any, Literal

import numpy as np

from hierrouter_jax.baselines import open_loop, oracle
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.outcome import PolicyOutcome, ending_at, policy_outcome
from hierrouter_jax.evaluation.statistics import paired_difference, proportion_interval
from hierrouter_jax.experiments.features import fit_features
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable

Answer = Literal["go", "sample", "no-go"]

# What the best deployable routers recover of the oracle's headroom on real data (arXiv 2608.08265: 7.5 to 14.4 %).
RECOVERED = 0.144
ONE_POINT = 0.01
# The share of hopeless queries that a second hop would have to repair for one point; above it a sample is not worth it.
LIKELY_REPAIR = 0.2
DEEPEST = 3
FEATURES = 64


def worth(table: OutcomeTable, split: str = "test", cost_weight: float = 0.0) -> dict[str, Any]:
    """Headroom of routing, what no choice can reach, and the price of depth, as plain data.

    Rules, declared here and ours. Routing: *go* where choosing by the predicted task beats the best single model with
    a 95 % interval above 0; *sample* where it does not, but 14.4 % of the oracle's headroom (lower bound) is a point or
    more, so that a better router may; else *no-go*. Another hop, where the table has it: the same on what it adds
    to the best route per predicted task. Where the table does not have it: *sample* where repairing a fifth of the
    queries that no model gets right (lower bound) adds a point, else *no-go*: nothing but a rewrite can help there.

    Args:
      table: of one hop or more; choices are made on its training split, the regularisation on its validation split.
      split: that everything is measured on.
      cost_weight: of return: quality less cost weight times cost over the training split's mean cost of a call.

    Raises:
      InputError: if a split is missing, or no query of a split has all of its one-hop outcomes.
    """
    train, validation, part = (_answered(table.split(name), name) for name in ("train", "validation", split))
    one_hop = [one.up_to(1) for one in (train, validation, part)]
    normaliser = float(one_hop[0].cost[:, 1:].mean()) or 1.0
    weight = cost_weight / normaliser
    single = _ending(one_hop[2], open_loop.best_sequence(one_hop[0], False, weight))
    best = ending_at(oracle.oracle_return(one_hop[2], weight, allow_stop=True), one_hop[2].tree)
    by_depth = [_task_sequence(train, validation, part, hops, weight) for hops in range(1, table.tree.horizon + 1)]
    ceiling = policy_outcome(one_hop[2], best)
    failed, queries = oracle.co_failure(one_hop[2])
    report = {
        "queries": queries,
        "left_out": table.split(split).num_queries - queries,
        "split": split,
        "cost_weight": cost_weight,
        "best_single": {"model": _single_name(one_hop[0], weight), **_means(single)},
        "task_sequence": {**_means(by_depth[0]), "headroom": _gain(by_depth[0], single, cost_weight, normaliser)},
        "oracle": {**_means(ceiling), "headroom": _gain(ceiling, single, cost_weight, normaliser)},
        "co_failure": {"value": failed / queries, "ci": list(proportion_interval(failed, queries))},
        "depth": [_depth(one_hop[2], hops) for hops in range(1, DEEPEST + 1)],
        "money_unit": table.money_unit,
    }
    for hops, (deeper, before) in enumerate(zip(by_depth[1:], by_depth, strict=False), start=2):
        if hops <= DEEPEST:
            report["depth"][hops - 1]["gain"] = _gain(deeper, before, cost_weight, normaliser)
    return report | {"answers": _answers(report)}


def _answered(part: OutcomeTable, name: str) -> OutcomeTable:
    """The queries that every model was asked: others cannot be compared."""
    rows = np.asarray(part.available[:, part.tree.stage_slice(1)].all(axis=1))
    if not rows.any():
        raise InputError(f"no {name} query has the one-hop outcome of every model, so nothing can be compared")
    return part.select(rows)


def _ending(part: OutcomeTable, node: int) -> PolicyOutcome:
    return policy_outcome(part, ending_at(np.full(part.num_queries, node), part.tree))


def _single_name(train: OutcomeTable, weight: float) -> str:
    return train.model_names[train.tree.last_model(open_loop.best_sequence(train, False, weight))]


def _task_sequence(
    train: OutcomeTable, validation: OutcomeTable, part: OutcomeTable, hops: int, weight: float
) -> PolicyOutcome:
    """Of 1 to `hops` hops, the best training sequence of the task that a query-only classifier predicts."""
    train, validation, part = (one.up_to(hops) for one in (train, validation, part))
    reduction = fit_features(train, FEATURES).reduction
    predicted = open_loop.fit_task_classifier(train, validation, reduction)(part)
    nodes = open_loop.best_per_task(train, False, weight)[predicted]
    rows = np.arange(part.num_queries)
    while (missing := ~part.available[rows, nodes]).any():  # a route that was not collected ends where it was
        nodes = np.where(missing, part.tree.parent(nodes), nodes)
    return policy_outcome(part, ending_at(nodes, part.tree))


def _means(outcome: PolicyOutcome) -> dict[str, float]:
    return {"accuracy": float(outcome.quality.mean()), "cost": float(outcome.cost.mean())}


def _gain(one: PolicyOutcome, other: PolicyOutcome, cost_weight: float, normaliser: float) -> dict[str, Any]:
    """The paired difference of return, which is that of quality where cost weighs nothing."""
    difference = paired_difference(one.returns(cost_weight, normaliser), other.returns(cost_weight, normaliser))
    return {"value": difference.value, "ci": list(difference.interval), "p_value": difference.p_value}


def _depth(one_hop: OutcomeTable, hops: int) -> dict[str, Any]:
    """What a full tree of this depth costs to collect, and a route of it to serve, from one-hop means.

    A hop is taken to read the query and every response before it, and to write as much as the first one did.

    Returns:
      `calls` and `collection_cost` of one query's tree, and the `route_cost` of the cheapest and of the mean route.
    """
    tree = HopTree(one_hop.tree.num_models, hops)
    reads, writes = (column[:, 1:].mean(axis=0) for column in (one_hop.tokens_in, one_hop.tokens_out))
    prices = np.array([(member.price_in, member.price_out) for member in one_hop.pool])
    hop, carried, spent = (np.zeros(tree.num_nodes) for _ in range(3))
    for node in range(1, tree.num_nodes):
        model, parent = tree.last_model(node), tree.parent(node)
        hop[node] = (reads[model] + carried[parent]) * prices[model, 0] + writes[model] * prices[model, 1]
        carried[node], spent[node] = carried[parent] + writes[model], spent[parent] + hop[node]
    routes = spent[tree.stage_slice(hops)]
    return {
        "hops": hops,
        "calls": tree.num_nodes - 1,
        "collection_cost": float(hop.sum()),
        "route_cost": {"cheapest": float(routes.min()), "mean": float(routes.mean())},
    }


def _answers(report: dict[str, Any]) -> dict[str, Answer]:
    headroom, lucky = report["task_sequence"]["headroom"]["ci"][0], report["oracle"]["headroom"]["ci"][0]
    answers: dict[str, Answer] = {
        "routing": "go" if headroom > 0 else "sample" if lucky * RECOVERED >= ONE_POINT else "no-go"
    }
    hopeless = report["co_failure"]["ci"][0]
    for depth in report["depth"][1:]:
        if "gain" in depth:
            answers[f"hop_{depth['hops']}"] = "go" if depth["gain"]["ci"][0] > 0 else "no-go"
        else:
            before = answers.get(f"hop_{depth['hops'] - 1}", "go")
            may_help = before == "go" and hopeless * LIKELY_REPAIR >= ONE_POINT
            answers[f"hop_{depth['hops']}"] = "sample" if may_help else "no-go"
    return answers
