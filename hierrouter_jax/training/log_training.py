"""Training of routers from a decision log: networks from its contexts and episodes, as policy bundles."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Bool, Int

from hierrouter_jax._version import __version__
from hierrouter_jax.agents import context_ascent, off_policy
from hierrouter_jax.agents.learner import fresh_state
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.baselines.fitted_q import FittedQ, Regression, doubly_robust_values, fit_q
from hierrouter_jax.baselines.kernel import kernel_ridge
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.bundle_logits import ENSEMBLE, MEMBER
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.learner_config import DOUBLY_ROBUST, VALUES
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.log_trees import LogTrees, log_trees
from hierrouter_jax.policies.network import PolicyInputs, RouterNetwork
from hierrouter_jax.training.features import FittedFeatures
from hierrouter_jax.training.log_arrays import Economy, context_values, fit_log_features, logged_steps
from hierrouter_jax.training.settings import TrainConfig


class LogMaterial(NamedTuple):
    """What every learner has of a log.

    Attributes:
      episodes: episodes to learn from.
      trees: their partial hop trees.
      features: what was fitted on them.
      economy: cost weight and normaliser of the return.
      q: values of the actions, fitted on the trees.
    """

    episodes: Episodes
    trees: LogTrees
    features: FittedFeatures
    economy: Economy
    q: FittedQ


def held_out_part(episodes: Episodes, share: float, seed: int) -> Bool[np.ndarray, " E"]:
    """Which episodes are held out: all of a share of the questions.

    A question's place in the order is a digest of itself: where a log grows, hardly any changes sides.
    """
    question = questions(episodes)
    _, first = np.unique(question, return_index=True)
    place = [blake2b(one.tobytes(), key=str(seed).encode()).digest() for one in episodes.embedding[first, 0]]
    order = np.array(sorted(range(len(first)), key=place.__getitem__), dtype=int)
    return np.isin(question, order[: round(share * len(first))])


def questions(episodes: Episodes) -> Int[np.ndarray, " E"]:
    """Number of the question that each episode asked, in order of appearance, told apart by their embeddings."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(one.tobytes(), len(numbers)) for one in episodes.embedding[:, 0]], dtype=int)


def learn_values(
    episodes: Episodes,
    template: PolicyBundle,
    config: TrainConfig,
    cost_normaliser: float | None = None,
    regression: Regression = kernel_ridge,
) -> LogMaterial:
    """Trees, features and action values of a log: the part that the learners share.

    Args:
      episodes: episodes to learn from; those without feedback still show contexts.
      template: policy of the log's pool, whose tie order counts.
      config: reward's cost weight and number of features.
      cost_normaliser: money that the cost weight is over; by default that of a mean call of the log.
      regression: regression of the action values.
    """
    trees = log_trees(episodes)
    features = fit_log_features(trees, config.features, template.ties)
    if cost_normaliser is not None:
        features = replace(features, cost_normaliser=cost_normaliser)
    economy = Economy(float(config.hyper.reward.hop_cost), features.cost_normaliser)
    return LogMaterial(episodes, trees, features, economy, fit_q(trees, regression, economy.per_money))


@single_precision
def train_log_learner(
    name: str, of: LogMaterial, template: PolicyBundle, config: TrainConfig
) -> tuple[PolicyBundle, dict[str, np.ndarray]]:
    """The policy of one learner, an ensemble of `num_seeds` networks, and its metrics [S, U].

    `exact` climbs the predicted return of all actions at the log's contexts (`agents.context_ascent`),
    `doubly-robust` the same with what episodes found beyond the predictions, over their propensities;
    `off-policy-ppo` learns from the episodes by importance weights (`agents.off_policy`) and from no prediction.
    """
    static = replace(config.static, allow_stop=bool(of.episodes.mask[..., -1].any()))
    network = RouterNetwork(of.trees.tree.num_models + 1, of.trees.tree.horizon, static.hidden, static.stage_size)
    update: Callable[..., tuple[LearnerState, Metrics]]
    data: Any
    if name in (VALUES, DOUBLY_ROBUST):
        robust = name == DOUBLY_ROBUST
        values = doubly_robust_values(of.q, of.trees, of.episodes) if robust else of.q.at_contexts
        update, data = context_ascent.update, context_values(of.trees, values, of.features)
    else:
        update, data = off_policy.update, logged_steps(of.episodes, of.features, of.economy)
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    state, metrics = _train(keys, data, update, network, static, config.hyper)
    params = [jax.tree.map(lambda leaf, seed=seed: leaf[seed], state.params) for seed in range(config.num_seeds)]
    return _bundle(name, params, of, template, static), {key: np.asarray(value) for key, value in metrics.items()}


@partial(jax.jit, static_argnames=("update", "network", "static"))
def _train(
    keys: jax.Array, data: Any, update: Callable, network: RouterNetwork, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """Every seed's whole run, one after the other."""

    def one(key: jax.Array) -> tuple[LearnerState, Metrics]:
        init_key, key = jax.random.split(key)
        width = data.features.shape[-1]
        blank = jnp.zeros((1,))
        seen = PolicyInputs(jnp.zeros((1, width)), jnp.zeros((1,), jnp.int32), blank, jnp.zeros((1, 0)))
        params: Any = network.init(init_key, seen)
        state = fresh_state(params, key, hyper)
        return jax.lax.scan(
            lambda carry, _: update(carry, data, network, static, hyper), state, length=static.num_updates
        )

    return jax.lax.map(one, keys)


def _bundle(
    name: str, members: list[Any], of: LogMaterial, template: PolicyBundle, static: LearnerStatic
) -> PolicyBundle:
    """An ensemble of trained networks as a bundle of the template's pool."""
    weights = {
        f"{MEMBER}{index}/{key}": np.asarray(leaf)
        for index, params in enumerate(members)
        for key, leaf in flatten_dict(params["params"], sep="/").items()
    }
    tables, counts = np.unique(of.episodes.table.astype(str), return_counts=True)
    return replace(
        template,
        kind=ENSEMBLE,
        horizon=of.trees.tree.horizon,
        allow_stop=static.allow_stop,
        reduction=of.features.reduction,
        cost_normaliser=of.features.cost_normaliser,
        weights=weights,
        table_fingerprint=str(tables[counts.argmax()]),
        provenance={
            "learner": name,
            "log": {
                "episodes": len(of.episodes),
                "policies": sorted(set(of.episodes.policy.astype(str))),
                "until": datetime.fromtimestamp(float(of.episodes.time.max()), UTC).isoformat(),
            },
            "hierrouter_jax": __version__,
            "jax": jax.__version__,
        },
        conditions={},
        cost_weight=of.economy.cost_weight,
        tie_order=of.features.tie_order,
    )
