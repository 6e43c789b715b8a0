"""Opponents that decide anew after every hop from what they predict: a plan by backward induction, cascade routing."""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.baselines.problem import Policy, Problem, chosen_on_validation, ending_best, walk
from hierrouter_jax.baselines.regressors import (
    Predict,
    Regressor,
    is_network,
    logistic,
    neighbours,
    perceptron,
    reduced_rank,
    ridge,
)
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.outcomes.ties import first_best

ALPHAS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)  # for features of unit spread
FAMILIES: dict[str, tuple[Regressor, ...]] = {
    "knn": tuple(partial(neighbours, k=k) for k in (5, 10, 20, 50, 100, 200)),
    "linear": tuple(partial(ridge, alpha=alpha) for alpha in ALPHAS),
    "logistic": tuple(partial(logistic, inverse=inverse) for inverse in (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)),
    "mlp": tuple(partial(perceptron, width=width, alpha=a) for width in (32, 128) for a in (1.0, 10.0, 100.0)),
    "matrix-factorisation": tuple(
        partial(reduced_rank, alpha=alpha, rank=rank) for alpha in (100.0, 1e3) for rank in (1, 2, 3)
    ),
}


def fit_predicted_best(problem: Problem, family: str) -> Policy:
    """The model whose predicted quality, less the weighed predicted cost, is highest.

    Qualities are predicted by each configuration of the family, whichever has the best return on validation; costs by
    a ridge regression of their own, the same for every family. No cost weight changes either prediction.
    """
    train, first = problem.train, problem.train.tree.stage_slice(1)
    known = train.available[:, first]

    def qualities() -> list:
        x, y = problem.features(train), train.quality[:, first].astype(np.float64)
        drawn = {"seed": problem.seed} if family == "mlp" else {}
        return [regressor(x, y, known, **drawn).predict for regressor in FAMILIES[family]]

    def costs():
        x, y = problem.features(train), train.cost[:, first].astype(np.float64)
        fits = [ridge(x, y, known, alpha).predict for alpha in ALPHAS]
        held, here = problem.validation, problem.validation.available[:, first]
        errors = [
            np.square(np.where(here, predict(problem.features(held)) - held.cost[:, first], 0.0)).sum()
            for predict in fits
        ]
        return fits[int(np.nanargmin(errors))] if np.isfinite(errors).any() else fits[-1]

    predict_cost = problem.once("first costs", costs)

    def scores(predict, table: OutcomeTable) -> Float[np.ndarray, "Q N"]:
        x = problem.features(table)
        values = np.full(table.quality.shape, -np.inf)
        values[:, first] = predict(x) - problem.weight * np.maximum(predict_cost(x), 0.0)
        return np.nan_to_num(values, nan=-np.inf)

    calls = train.tree.stages == 1
    return chosen_on_validation(
        problem,
        [
            lambda table, predict=predict: ending_best(scores(predict, table), table, calls, problem.route_order)
            for predict in problem.once(family, qualities)
        ],
    )


_SMOOTHERS: tuple[Regressor, ...] = (
    partial(ridge, alpha=100.0),
    partial(ridge, alpha=1e3),
    partial(ridge, alpha=1e4),
    partial(neighbours, k=20),
    partial(neighbours, k=50),
)
PLANNERS: tuple[Regressor, ...] = (*_SMOOTHERS, partial(perceptron, width=64, alpha=1.0, passes=30))
ROUTERS: tuple[Regressor, ...] = (*_SMOOTHERS, partial(ridge, alpha=10.0))


def fit_plan(problem: Problem, allow_stop: bool) -> Policy:
    """Predict-then-plan: predict the return of every action at every node from its context, from the last hop back.

    Fitted Q iteration (Ernst, Geurts and Wehenkel, 2005) on the complete tree. At the last decision the targets are
    the children's outcomes; at an earlier one, what the plan then gets from the child on: the plan's later action is
    chosen by predictions made without the query itself, and valued by the query's own outcome, so that no target is
    a maximum over noise. The plan knows at each node what a deployed router does: the context so far. Regressors are
    ridge and nearest neighbours for each node, and a network for each stage; validation chooses.

    Args:
      allow_stop: whether the plan may end before the horizon.
    """
    return chosen_on_validation(problem, [plan(problem, regressor, allow_stop) for regressor in PLANNERS])


def plan(problem: Problem, regressor: Regressor, allow_stop: bool) -> Policy:
    """The plan that one regressor makes."""
    train, tree = problem.train, problem.train.tree
    worth = train.quality.astype(np.float64)  # of going on from each node, at the end the answer's own quality
    predict: dict[int, Predict] = {}
    for stage in reversed(range(tree.horizon)):
        nodes = range(tree.num_decision_nodes)[tree.stage_slice(stage)]
        targets, legal = map(
            np.stack, zip(*(_targets(problem, worth, node, allow_stop) for node in nodes), strict=True)
        )
        fitted, held_out = _fit_stage(problem, regressor, nodes, targets, legal)
        predict |= dict(zip(nodes, fitted, strict=True))
        if stage:  # nothing is decided before the root
            seen = np.maximum(np.nan_to_num(held_out(), nan=-np.inf), -1e30)
            action = first_best(np.where(legal, seen, -np.inf), problem.tie_order)
            worth[:, nodes] = np.take_along_axis(targets, action[..., None], axis=-1)[..., 0].T

    def policy(table: OutcomeTable) -> Float[np.ndarray, "Q N"]:
        def scores(node: int, rows: Int[np.ndarray, " R"]) -> Float[np.ndarray, "R A"]:
            return predict[node](problem.features(table, node, rows))

        return walk(table, scores, allow_stop, problem.tie_order)

    return policy


def _targets(
    problem: Problem, worth: Float[np.ndarray, "Q N"], node: int, allow_stop: bool
) -> tuple[Float[np.ndarray, "Q A"], Bool[np.ndarray, "Q A"]]:
    """What each action at a node returns on the training queries, STOP last, and which are legal."""
    train, tree = problem.train, problem.train.tree
    children = tree.child(node, np.arange(tree.num_models))
    models = train.available[:, children]
    stop = train.available[:, node] & (~models.any(axis=1) | (allow_stop and node > 0))
    entered = worth[:, children] - problem.weight * train.cost[:, children]
    target = np.concatenate([entered, train.quality[:, node, None]], axis=1)
    return np.where(np.isfinite(target), target, 0.0), np.concatenate([models, stop[:, None]], axis=1)


def _fit_stage(
    problem: Problem,
    regressor: Regressor,
    nodes: range,
    targets: Float[np.ndarray, "S Q A"],
    legal: Bool[np.ndarray, "S Q A"],
) -> tuple[list[Predict], Callable[[], Float[np.ndarray, "S Q A"]]]:
    """A predictor for each node of a stage, and predictions of the training queries made without themselves.

    Ridge and neighbours are fitted node by node; a network once a stage, a mark telling it the node.
    """
    xs = [problem.features(problem.train, node) for node in nodes]
    if not is_network(regressor):
        fits = [regressor(x, y, known) for x, y, known in zip(xs, targets, legal, strict=True)]
        return [fit.predict for fit in fits], lambda: np.stack([fit.held_out() for fit in fits])

    def marked(x: Float[np.ndarray, "R F"], index: int) -> Float[np.ndarray, "R G"]:
        return np.concatenate([x, np.tile(np.eye(len(nodes))[index], (len(x), 1))], axis=1)

    rows = np.concatenate([marked(x, index) for index, x in enumerate(xs)])
    size, actions = problem.train.num_queries, targets.shape[-1]
    group = np.tile(np.arange(size), len(nodes))
    fit = regressor(rows, targets.reshape(-1, actions), legal.reshape(-1, actions), seed=problem.seed, group=group)
    predict = [lambda x, index=index: fit.predict(marked(x, index)) for index in range(len(nodes))]
    return predict, lambda: fit.held_out().reshape(len(nodes), size, actions)


def fit_cascade_routing(problem: Problem) -> Policy:
    """Cascade routing: before every hop, estimate every way to go on, follow the best for one hop, estimate anew.

    After Dekoninck, Baader and Vechev, "A Unified Approach to Routing and Cascading for LLMs" (arXiv 2410.10347):
    qualities and costs of the remaining "supermodels" are estimated from what is known so far, the one of best
    quality less weighed cost is chosen, its first model is run, and it stops where running none is best. There a
    supermodel's answer is the best of its models'; here a later model reads the earlier answers and the last answer
    counts, so the quality of a sequence is estimated directly, from the training queries' outcomes at its end, and
    the correction for a maximum over noisy estimates has no place. Estimates are ridge or nearest neighbours on
    the context so far. Against predict-then-plan it commits to whole sequences: at a hop it doesn't reckon with
    what it will have learned by the next. No cost weight changes the estimates.
    """
    estimates = problem.once(
        "cascade routing", lambda: [_sequence_estimates(problem, regressor) for regressor in ROUTERS]
    )
    return chosen_on_validation(problem, [partial(_route, problem, estimate) for estimate in estimates])


def _sequence_estimates(problem: Problem, regressor: Regressor) -> dict[int, Predict]:
    """For each decision node, a predictor of quality and cost to come of ending at every node from it on."""
    train, estimates = problem.train, {}
    spent = accumulate_cost(train.cost.astype(np.float64), train.tree)
    for node in range(train.tree.num_decision_nodes):
        below = _below(train.tree, node)
        y = np.concatenate([train.quality[:, below], spent[:, below] - spent[:, node, None]], axis=1)
        known = np.tile(train.available[:, below], 2)
        estimates[node] = regressor(problem.features(train, node), y, known).predict
    return estimates


def _route(problem: Problem, estimates: dict[int, Predict], table: OutcomeTable) -> Float[np.ndarray, "Q N"]:
    tree = table.tree

    def scores(node: int, rows: Int[np.ndarray, " R"]) -> Float[np.ndarray, "R A"]:
        below = _below(tree, node)
        quality, cost = np.split(estimates[node](problem.features(table, node, rows)), 2, axis=1)
        value = np.nan_to_num(quality - problem.weight * np.maximum(cost, 0.0), nan=-np.inf)
        first = np.array([tree.route(n)[tree.stages[node]] if n != node else tree.num_models for n in below])
        return np.stack([value[:, first == action].max(axis=1) for action in range(tree.num_models + 1)], axis=1)

    return walk(table, scores, True, problem.tie_order)


def _below(tree: HopTree, node: int) -> Int[np.ndarray, " B"]:
    """A node and all that come after it."""
    below, last = [node], [node]
    for _ in range(tree.horizon - tree.stages[node]):
        last = [tree.child(n, action) for n in last for action in range(tree.num_models)]
        below += last
    return np.array(below)
