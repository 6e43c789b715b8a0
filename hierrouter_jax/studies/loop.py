"""The online loop on a table: a policy serves, its log teaches the next, which replaces it only where that is safe."""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from hierrouter_jax.agents import learner
from hierrouter_jax.baselines.oracle import oracle_return
from hierrouter_jax.baselines.problem import returns
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.evaluation.policy_outcome import ending_at
from hierrouter_jax.evaluation.safe_improvement import may_replace
from hierrouter_jax.learner_config import VALUES
from hierrouter_jax.outcomes.coverage import evaluated_queries, held_ends
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.exploration import EPSILON, SOFTMAX, Exploration
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.choice import bundle_ends
from hierrouter_jax.studies.loop_settings import LoopSettings
from hierrouter_jax.studies.named_policy import tree_probs
from hierrouter_jax.studies.off_policy.estimate import target_probs
from hierrouter_jax.studies.simulate import simulate
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.log_arrays import rewards
from hierrouter_jax.training.log_training import (
    LogMaterial,
    held_out_part,
    learn_values,
    questions,
    train_log_learner,
)
from hierrouter_jax.training.settings import LearnerSettings, TrainConfig

EVEN = Exploration(EPSILON, 1.0)
_BATCH = 50  # episodes of a bandit between two updates
_SHARE = 0.2  # of epsilon-greedy's episodes that explore, where the loop explores by a temperature


class Served(NamedTuple):
    """What was served.

    Attributes:
      returns: return of each episode, [E].
      rounds: one dictionary for each training: episodes so far, `accuracy` of the greedy policy on the test queries,
        `replaced`, and the bound of the gain where replacement is to be safe.
    """

    returns: Float[np.ndarray, " E"]
    rounds: list[dict[str, Any]]


def run_loop(
    table: OutcomeTable,
    template: PolicyBundle,
    train: TrainConfig,
    settings: LoopSettings,
    seed: int,
    trained: Callable[[], Any] = lambda: None,
) -> Served:
    """Serve the training queries, and train anew on the whole log after every so many episodes.

    Queries of which the table holds no hop are neither served nor scored. The first episodes are uniform. Nothing is
    learned from but the log: the test queries only score.

    Args:
      template: any policy of the table's pool.
      train: numbers and shapes of the learner `exact` of logs.
      seed: seed of queries, draws, the split and the training.
      trained: function that is called after each training, `trainings(settings)` times.
    """
    queries, test = (evaluated_queries(table, name) for name in ("train", "test"))
    rng = np.random.default_rng(seed)
    train = replace(train, seed=seed)
    uniform = tree_probs(template, queries, EVEN)
    probs, policy, rounds, looks, since = uniform, None, [], 0, 0
    log: Episodes | None = None
    while log is None or len(log) < settings.episodes:
        number = min(settings.every, settings.episodes - (0 if log is None else len(log)))
        every = np.arange(queries.num_queries)
        episodes = simulate(queries, probs, every, number, rng, allow_stop=template.may_stop)
        log = episodes if log is None else joined([log, episodes])
        apart = held_out_part(log, settings.held_out if settings.safe else 0.0, seed)
        explore = settings.exploration(len(rounds) + 1)
        of = learn_values(log.only(~apart), template, train)
        new, _ = train_log_learner(VALUES, of, template, train)
        row: dict[str, Any] = {"episodes": len(log), "replaced": True}
        if settings.safe:
            looks += 1
            judging = apart & (np.arange(len(log)) >= since)  # what the present policy served
            fresh, question = log.only(judging), questions(log)[judging]
            weight = route_weight(new, fresh, explore, explored_share(of, fresh.embedding[:, 0], explore))
            gains = np.clip(rewards(fresh, of.economy).sum(axis=1), 0.0, 1.0)
            row["replaced"], row["bound"] = may_replace(weight, gains, question, looks, settings.level, settings.most)
        if row["replaced"]:
            policy, since = new, len(log)
            share = explored_share(of, queries.context_embedding[:, 0], explore)
            probs = served_probs(policy, queries, explore, share)
        row["accuracy"] = None if policy is None else accuracy(policy, test)
        rounds.append(row)
        trained()
    assert log is not None
    return Served(returns_of(log, template), rounds)


def trainings(settings: LoopSettings) -> int:
    """Number of trainings of a loop."""
    return math.ceil(settings.episodes / settings.every)


def accuracy(policy: PolicyBundle, table: OutcomeTable) -> float:
    """Accuracy of the greedy policy on a table's queries."""
    return float((bundle_ends(policy, table) * table.quality).sum(axis=1).mean())


def explored_share(of: LogMaterial, root: Float[np.ndarray, "B X"], explore: Exploration) -> Float[np.ndarray, " B"]:
    """Probability that an episode of a question explores as a whole: max(epsilon, (1 - predicted return)^2).

    Where nothing works yet, exploring costs nothing, and a better route is to be found; where nearly all answers are
    right, it is all cost. It is 0 where `explore` is no epsilon: then every decision is drawn by itself.

    Args:
      of: values of actions, fitted on the log so far.
      root: embedding of each question.
    """
    if explore.kind != EPSILON:
        return np.zeros(len(root))
    best = of.q.values(root, root, 0).max(axis=1)
    return np.maximum(explore.value, np.square(1 - np.clip(best, 0.0, 1.0)))


def served_probs(
    policy: PolicyBundle, table: OutcomeTable, explore: Exploration, share: Float[np.ndarray, " Q"]
) -> Float[np.ndarray, "Q D A"]:
    """Probabilities of the actions of a policy that is served with exploration.

    With epsilon a share of the episodes explores, at every decision, and the others at none. What was taken before
    says how likely the episode is one of those: the probability of an action is that of the mixture, given the route
    so far, so that those along a route multiply to the route's.

    Args:
      share: probability of each query that its episode explores as a whole.
    """
    both = np.stack([tree_probs(policy, table, one) for one in (_within(explore), EVEN)])
    reach = np.ones(both.shape[:-1]) * np.stack([1 - share, share])[..., None]
    for node in range(1, table.tree.num_decision_nodes):
        parent, model = table.tree.parent(node), table.tree.last_model(node)
        reach[..., node] = reach[..., parent] * both[..., parent, model]
    total = reach.sum(axis=0)
    part = np.where(total > 0, reach / np.where(total > 0, total, 1.0), 0.5)  # half where no route comes
    return (part[..., None] * both).sum(axis=0)


def route_weight(
    policy: PolicyBundle, episodes: Episodes, explore: Exploration, share: Float[np.ndarray, " E"]
) -> Float[np.ndarray, " E"]:
    """Ratio of the probabilities of each episode's route: by a policy as it would be served, over what was logged.

    Args:
      share: probability that each episode would explore as a whole.
    """

    def along(its: Exploration) -> Float[np.ndarray, " E"]:
        target = np.take_along_axis(target_probs(policy, episodes, its), episodes.action[..., None], axis=-1)[..., 0]
        return np.where(episodes.taken, target, 1.0).prod(axis=1)

    logged = np.where(episodes.taken, episodes.propensity, 1.0).prod(axis=1)
    return ((1 - share) * along(_within(explore)) + share * along(EVEN)) / logged


def _within(explore: Exploration) -> Exploration:
    """Exploration of each decision of an episode that does not explore as a whole."""
    return Exploration() if explore.kind == EPSILON else explore


def returns_of(episodes: Episodes, template: PolicyBundle) -> Float[np.ndarray, " E"]:
    """Return of each episode, at the template's cost weight and normaliser."""
    weight = (template.cost_weight or 0.0) / template.cost_normaliser
    return episodes.quality - weight * episodes.total_cost


def references(table: OutcomeTable, template: PolicyBundle, best: PolicyBundle) -> dict[str, float]:
    """Mean return on the training queries of the oracle of the template's action set, and of the best fixed policy."""
    queries = evaluated_queries(table, "train")
    weight = (template.cost_weight or 0.0) / template.cost_normaliser
    oracle = ending_at(oracle_return(queries, weight, template.may_stop), queries.tree)
    return {
        "oracle": returns(queries, oracle, weight),
        "best fixed": returns(queries, bundle_ends(best, queries), weight),
    }


def regret(returns: Float[np.ndarray, " E"], reference: float) -> Float[np.ndarray, " E"]:
    """What the reference would have earned more up to each episode, on average over queries."""
    return np.cumsum(reference - returns)


def linear_bandit(
    table: OutcomeTable, template: PolicyBundle, settings: LoopSettings, seed: int, thompson: bool, ridge: float = 10.0
) -> Served:
    """An opponent: a linear model for each whole route on the query's features, by Thompson sampling or epsilon-greedy.

    Thompson sampling draws each route's weights from N(A^-1 b, A^-1 / 16) (Agrawal and Goyal 2013, arXiv 1209.3352).
    Epsilon-greedy takes an even route in a share of its episodes that stays the same: the loop's first epsilon,
    whatever its decay, or .2 where the loop explores by a temperature. Models are updated after every 50 episodes, and
    where the loop trains. A route ends before the first hop that the table lacks.
    """
    queries, test = (evaluated_queries(table, name) for name in ("train", "test"))
    rng = np.random.default_rng(seed)
    tree, reduction = queries.tree, fit_features(queries, TrainConfig.features).reduction
    routes = np.arange(tree.num_nodes)[tree.stage_slice(tree.horizon)]
    ends, test_ends = (held_ends(part, routes[None]) for part in (queries, test))
    x, held = (_with_constant(reduction(part.context_embedding[:, 0])) for part in (queries, test))
    weight = (template.cost_weight or 0.0) / template.cost_normaliser
    value = queries.quality - weight * accumulate_cost(queries.cost.astype(np.float64), tree)
    precision = np.tile(np.eye(x.shape[1]) * ridge, (len(routes), 1, 1))
    total, mean = np.zeros((len(routes), x.shape[1])), np.zeros((len(routes), x.shape[1]))
    explore = settings.exploration(1)
    share = _SHARE if explore.kind == SOFTMAX else explore.value
    query = rng.integers(queries.num_queries, size=settings.episodes)
    earned, rounds = np.zeros(settings.episodes), []
    marks = {*range(settings.every, settings.episodes, settings.every), settings.episodes}
    for start, end in pairwise(sorted({*range(0, settings.episodes, _BATCH), *marks})):
        rows = query[start:end]
        slope = mean
        if thompson:
            factor = np.linalg.cholesky(precision)
            noise = rng.normal(size=(len(routes), x.shape[1], 1)) / 4
            slope = mean + np.linalg.solve(factor.transpose(0, 2, 1), noise)[..., 0]
        scores = np.where(ends[rows] > 0, x[rows] @ slope.T, -np.inf)
        arm = (scores + 1e-9 * rng.random(scores.shape)).argmax(axis=1)
        if not thompson:
            explores, drawn = rng.random(len(rows)) < share, rng.integers(len(routes), size=len(rows))
            arm = np.where(explores & (ends[rows, drawn] > 0), drawn, arm)
        earned[start:end] = value[rows, ends[rows, arm]]
        for one in np.unique(arm):
            its, its_rows = x[rows[arm == one]], rows[arm == one]
            precision[one] += its.T @ its
            total[one] += value[its_rows, ends[its_rows, one]] @ its
            mean[one] = np.linalg.solve(precision[one], total[one])
        if end in marks:
            chosen = np.where(test_ends > 0, held @ mean.T, -np.inf).argmax(axis=1)
            answers = np.arange(test.num_queries), test_ends[np.arange(test.num_queries), chosen]
            rounds.append({"episodes": end, "replaced": True, "accuracy": float(test.quality[answers].mean())})
    return Served(earned, rounds)


@single_precision
def online_ppo(table: OutcomeTable, settings: LearnerSettings, episodes: int, seed: int) -> list[dict[str, Any]]:
    """An opponent: `ppo` on as many episodes, without the guidance that only a whole table gives.

    Returns:
      One row for each update: `episodes` so far, mean `return` of its episodes, and `accuracy` on the test queries.
    """
    queries, held = (evaluated_queries(table, name) for name in ("train", "test"))
    features = fit_features(queries, settings.features)
    train, test = features.on_device(queries), features.on_device(held)
    updates = max(1, episodes // settings.static.num_envs)
    static = replace(settings.static, num_updates=updates, evaluate_every=1)
    hyper = replace(settings.hyper, guidance=0.0)
    run: Callable = jax.jit(lambda key, a, b: learner.train(key, a, b, static, hyper)[1])
    metrics = jax.device_get(run(jax.random.key(seed), train, test))
    served = np.asarray(metrics["train_return"]).ravel()
    right = np.asarray(metrics["validation_accuracy"]).ravel()
    return [
        {"episodes": (1 + row) * static.num_envs, "return": float(served[row]), "accuracy": float(right[row])}
        for row in range(updates)
    ]


def joined(parts: list[Episodes]) -> Episodes:
    """Episodes of several logs of one pool, one after the other."""
    arrays = {
        one.name: np.concatenate([getattr(part, one.name) for part in parts])
        for one in fields(Episodes)
        if isinstance(getattr(parts[0], one.name), np.ndarray)
    }
    return replace(parts[0], **arrays)


def _with_constant(x: Float[np.ndarray, "Q F"]) -> Float[np.ndarray, "Q G"]:
    return np.concatenate([x.astype(np.float64), np.ones((len(x), 1))], axis=1)
