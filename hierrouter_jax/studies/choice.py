"""What a run exports: of its routers, their ensembles, a plan and the best fixed sequences, the best on validation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax._version import __version__
from hierrouter_jax.agents.fit_prior import classifier
from hierrouter_jax.baselines.problem import Problem, returns, walk
from hierrouter_jax.baselines.regressors import ridge
from hierrouter_jax.baselines.sequences import mean_returns, task_scores
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.bundle_logits import ENSEMBLE, MEMBER, PLAN, PRIOR, TASK_SEQUENCE
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable, single_precision
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.outcomes.ties import first_best, route_order
from hierrouter_jax.policies.prior import PriorWeights
from hierrouter_jax.studies.measures import problem_of
from hierrouter_jax.training.features import FittedFeatures
from hierrouter_jax.training.router import TrainedRouter, encoder_multiply_adds

_ALPHAS = (1e2, 1e3, 1e4)  # ridge penalties of the plan, for a training row each
_CERTAINTY = 10.0  # logit of an action that is certain; a sequence's actions are as likely as their tasks


@dataclass(frozen=True)
class Candidate:
    """A policy that a run may export.

    Attributes:
      name: name of the policy: a learner's, with `ensemble` after it for all its seeds together; or an opponent's.
      bundle: the policy itself, whose `kind` says what it is.
      validation_return: mean return of its greedy routes on the validation queries, at the run's cost weight.
    """

    name: str
    bundle: PolicyBundle
    validation_return: float

    @property
    def may_stop(self) -> bool:
        """Whether its routes may end before the horizon."""
        return self.bundle.may_stop


@single_precision
def candidates(table: OutcomeTable, routers: dict[str, TrainedRouter]) -> list[Candidate]:
    """Every policy that the run may export, the simplest first.

    Each is fitted on training queries and scored on validation queries as the exported bundle acts. There are plans and
    sequences of a fixed length beside routers of a fixed length, those that may stop beside routers that may. Beside
    routers that are told a cost weight or a budget, or keep a mean cost, there are none: they could not do the same.

    Raises:
      InputError: if no router can leave the learning wing.
    """
    able = {name: router for name, router in routers.items() if router.exportable and not router.diverged.all()}
    if not able:
        next(iter(routers.values())).bundle(table)  # says why not
    held = table.split("validation")
    named: list[tuple[str, PolicyBundle]] = []
    free = {name: r for name, r in able.items() if not (r.static.conditions or r.static.lagrangian)}
    for stop in sorted({router.may_stop for router in free.values()}):
        router = next(router for router in free.values() if router.may_stop == stop)
        named += computed_policies(table, router.features, float(router.hyper.reward.hop_cost), stop)
    for name, router in free.items():
        if (~router.diverged).sum() > 1:
            named.append((f"{name} ensemble", _ensemble(table, router)))
    named += [(name, router.bundle(table)) for name, router in able.items()]
    router = next(iter(able.values()))
    weight = float(router.hyper.reward.hop_cost) / router.features.cost_normaliser
    best: dict[str, Candidate] = {}
    for name, bundle in named:  # a plan is tuned on validation, too
        one = Candidate(name, bundle, returns(held, bundle_ends(bundle, held), weight))
        best[name] = max(best.get(name, one), one, key=lambda candidate: candidate.validation_return)
    return list(best.values())


def choose(rivals: list[Candidate]) -> Candidate:
    """The candidate of the best return on validation, the simplest of equals."""
    return max(rivals, key=lambda one: one.validation_return)


def named_candidate(rivals: list[Candidate], name: str) -> Candidate:
    """The candidate of that name.

    Raises:
      InputError: if there is none; the message says which there are.
    """
    for one in rivals:
        if one.name == name:
            return one
    raise InputError(f"policy {name!r} is none of the run's: {', '.join(one.name for one in rivals)}")


def choice_record(chosen: Candidate, rivals: list[Candidate]) -> dict[str, Any]:
    """`chosen` of `evaluation.json`: which policy it was, of what kind, and what each candidate reached."""
    return {
        "policy": chosen.name,
        "kind": chosen.bundle.kind,
        "candidates": [
            {"policy": one.name, "kind": one.bundle.kind, "validation_return": one.validation_return} for one in rivals
        ],
    }


def bundle_ends(bundle: PolicyBundle, table: OutcomeTable) -> Float[np.ndarray, "Q N"]:
    """Where the bundle's greedy routes end on each query of the table, run by its NumPy reader."""
    spent = accumulate_cost(table.cost.astype(np.float64), table.tree)

    def scores(node: int, rows: Int[np.ndarray, " R"]) -> Float[np.ndarray, "R A"]:
        return bundle.logits(table.context_embedding[rows, node], int(table.tree.stages[node]), spent[rows, node])

    return walk(table, scores, bundle.may_stop, bundle.ties)


def _ensemble(table: OutcomeTable, router: TrainedRouter) -> PolicyBundle:
    members = [router.bundle(table, seed) for seed in np.flatnonzero(~router.diverged).tolist()]
    seeds = [member.provenance["seed"] for member in members]
    weights = {f"{MEMBER}{i}/{name}": leaf for i, member in enumerate(members) for name, leaf in member.weights.items()}
    one = router.bundle(table)
    return replace(one, kind=ENSEMBLE, weights=weights, provenance={**one.provenance, "seed": None, "seeds": seeds})


def computed_policies(
    table: OutcomeTable, features: FittedFeatures, hop_cost: float, allow_stop: bool
) -> Iterator[tuple[str, PolicyBundle]]:
    """The sequences and the plan that need no training, by name; the plan once for each penalty that is tried.

    Args:
      table: the whole outcome table.
      features: what was fitted on its training split.
      hop_cost: cost weight of the return, per normalised cost.
      allow_stop: whether their routes may end before the horizon; names end in `+stop` then.
    """
    weight, suffix = hop_cost / features.cost_normaliser, "+stop" if allow_stop else ""
    problem = problem_of(table, features, weight)
    device = features.on_device(problem.train)

    def bundle(name: str, kind: str, weights: PriorWeights) -> tuple[str, PolicyBundle]:
        arrays = {f"prior/{key}": np.asarray(leaf, np.float32) for key, leaf in vars(weights).items()}
        origin = {"learner": name + suffix, "seed": None, "hierrouter_jax": __version__, "jax": jax.__version__}
        return name + suffix, PolicyBundle(
            pool=table.pool,
            horizon=table.tree.horizon,
            allow_stop=allow_stop,
            encoder=table.encoder,
            money_unit=table.money_unit,
            cost_normaliser=features.cost_normaliser,
            reduction=features.reduction,
            weights={key: arrays[key] for key in PRIOR},
            table_fingerprint=table.fingerprint,
            provenance=origin,
            cost_weight=hop_cost,
            tie_order=features.tie_order,
            encoder_multiply_adds=encoder_multiply_adds(table),
            kind=kind,
        )

    overall = mean_returns(problem.train, not suffix, weight)[None]
    yield bundle("best-sequence", TASK_SEQUENCE, _sequences(problem, overall, None))
    classifiers = _task_classifiers(device)
    by_task = task_scores(problem, fixed_length=not suffix)
    if suffix and problem.train.tree.horizon > 1:
        once = np.where(problem.train.tree.stages == 1, by_task, -np.inf)
        yield bundle("best-single-per-task", TASK_SEQUENCE, _sequences(problem, once, classifiers))
    yield bundle("task-sequence", TASK_SEQUENCE, _sequences(problem, by_task, classifiers))
    for alpha in _ALPHAS:
        yield bundle("predict-then-plan", PLAN, _plan(problem, device, classifiers, alpha, bool(suffix)))


def _task_classifiers(device: DeviceTable) -> tuple[np.ndarray, np.ndarray]:
    """Weights [L, F, T] and bias [L, T] of a classifier of the task at every stage, from the context so far."""
    fitted = []
    for stage in range(device.tree.horizon):
        nodes = device.tree.stage_slice(stage)
        there = device.available[:, nodes]
        features = device.features[:, nodes].astype(jnp.float32)
        fitted.append(classifier(features, there, device.task, device.num_tasks))
    return np.stack([kernel for kernel, _ in fitted]), np.stack([bias for _, bias in fitted])


def _sequences(
    problem: Problem, scores: Float[np.ndarray, "T N"], classifiers: tuple[np.ndarray, np.ndarray] | None
) -> PriorWeights:
    """The best sequence of each task as logits: an action is preferred as its tasks are likely at that stage."""
    tree = problem.train.tree
    features, actions = problem.transform(problem.train.context_embedding[:1, 0]).shape[-1], tree.num_models + 1
    blank = PriorWeights.zeros(tree.horizon, features, len(scores), actions)
    means = np.zeros(blank.means.shape, np.float32)
    for task, node in enumerate(first_best(scores, route_order(problem.train))):
        route = tree.route(int(node))
        for stage in range(tree.horizon):
            means[stage, task, route[stage] if stage < len(route) else tree.num_models] = _CERTAINTY
    weights = replace(blank, means=means)
    return weights if classifiers is None else replace(weights, task_kernel=classifiers[0], task_bias=classifiers[1])


def _plan(
    problem: Problem, device: DeviceTable, classifiers: tuple[np.ndarray, np.ndarray], alpha: float, allow_stop: bool
) -> PriorWeights:
    """Fitted Q iteration, one ridge regression a stage on the context and on how likely each task is.

    As predict-then-plan among the opponents, but from the context alone, and the same for all nodes of a stage, so that
    a bundle's reader needs to know nothing else: what is passed on is the outcome of the action chosen by predictions
    that were made without it.
    """
    train, tree = problem.train, problem.train.tree
    features, masks = np.asarray(device.features, np.float64), np.asarray(decision_masks(device, allow_stop))
    cost = problem.weight * train.cost.astype(np.float64)
    worth = train.quality.astype(np.float64)
    kernels, means = [], []
    for stage in reversed(range(tree.horizon)):
        nodes, below = tree.stage_slice(stage), tree.stage_slice(stage + 1)
        x, known = features[:, nodes], masks[:, nodes] & train.available[:, nodes, None]
        scores = x @ classifiers[0][stage] + classifiers[1][stage]
        likely = np.exp(scores - scores.max(axis=-1, keepdims=True))
        likely /= likely.sum(axis=-1, keepdims=True)
        rows = np.concatenate([x, likely], axis=-1).reshape(-1, x.shape[-1] + likely.shape[-1])
        entered = (worth - cost)[:, below].reshape(train.num_queries, -1, tree.num_models)
        targets = np.concatenate([entered, train.quality[:, nodes, None]], axis=-1)
        targets = np.where(known, targets, 0.0)
        fitted = ridge(rows, targets.reshape(len(rows), -1), known.reshape(len(rows), -1), alpha)
        held_out = np.nan_to_num(fitted.held_out(), nan=-1e30).reshape(targets.shape)
        action = np.where(known, held_out, -np.inf).argmax(axis=-1)
        if stage:
            worth[:, nodes] = np.take_along_axis(targets, action[..., None], axis=-1)[..., 0]
        zero = np.zeros((1, rows.shape[1]))
        intercept = np.nan_to_num(fitted.predict(zero))
        slope = np.nan_to_num(fitted.predict(np.eye(rows.shape[1]))) - intercept
        kernels.append(slope[: x.shape[-1]])
        means.append(slope[x.shape[-1] :] + intercept)
    leaves = (jnp.asarray(leaf) for leaf in (np.stack(kernels[::-1]), np.stack(means[::-1]), *classifiers))
    return PriorWeights(*leaves)
