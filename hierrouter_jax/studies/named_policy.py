"""A policy that a person names (a run, a bundle, or one that needs no training), and what it does on a whole table."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from hierrouter_jax.baselines.problem import returns
from hierrouter_jax.bundle import HEADER, PolicyBundle
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.learner_config import RewardWeights
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.exploration import Exploration, distribution
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.choice import bundle_ends, candidates, choose, computed_policies
from hierrouter_jax.studies.simulate import legal_actions, simulate
from hierrouter_jax.studies.traffic import Traffic
from hierrouter_jax.training.checkpoints import load_routers
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.settings import TrainConfig

STOP_SUFFIX = "+stop"
_FIXED = ("predict-then-plan", "task-sequence", "best-sequence")
UNTRAINED = (*_FIXED, *(name + STOP_SUFFIX for name in (*_FIXED, "best-single-per-task")))


def named_policy(name: str, table: OutcomeTable | None, hop_cost: float = RewardWeights.hop_cost) -> PolicyBundle:
    """The policy of a run folder or a bundle folder, or one that needs no training, fitted on a table.

    Args:
      name: path of a bundle; path of a run, whose exported policy is taken, or where it has none the best on
        validation; or one of `UNTRAINED`.
      table: the whole outcome table; None where there is none, which a bundle or a run's exported policy needs not.
      hop_cost: cost weight of the return, per normalised cost, for a policy of `UNTRAINED`.

    Raises:
      InputError: if it is none of these, needs a table that is not there, or is made for other models or another
        encoder than the table's.
    """
    folder = Path(name)
    exported = next((place for place in (folder, folder / "policy") if (place / HEADER).is_file()), None)
    if table is None and exported is None and (name in UNTRAINED or (folder / "config.yaml").is_file()):
        raise InputError(f"{name}: is made from a table; give it by --table")
    if name in UNTRAINED and table is not None:
        return untrained_policy(name, table, hop_cost)
    if exported is not None:
        bundle = PolicyBundle.load(exported)
    elif (folder / "config.yaml").is_file() and table is not None:
        bundle = choose(candidates(table, load_routers(folder, table))).bundle
    else:
        raise InputError(
            f"{name}: is neither a run nor a bundle, nor a policy that needs no training; {nearest(name, UNTRAINED)}"
        )
    names = tuple(member.name for member in bundle.pool)
    if table is not None and (names != table.model_names or bundle.horizon < table.tree.horizon):
        raise InputError(
            f"{name}: routes {', '.join(names)} for {bundle.horizon} hops, but the table holds "
            f"{', '.join(table.model_names)} for {table.tree.horizon}"
        )
    if table is not None and dict(bundle.encoder) != dict(table.encoder):
        raise InputError(
            f"{name}: reads embeddings of the encoder {dict(bundle.encoder)}, but the table's are of "
            f"{dict(table.encoder)}"
        )
    return bundle


def untrained_policy(name: str, table: OutcomeTable, hop_cost: float) -> PolicyBundle:
    """A policy of `UNTRAINED`, fitted on the table's training and, where it has a penalty, chosen on validation."""
    features = fit_features(table.split("train"), TrainConfig.features)
    stop = name.endswith(STOP_SUFFIX)
    named = [one for its, one in computed_policies(table, features, hop_cost, stop) if its == name]
    if not named:
        raise InputError(f"{name}: is no policy of a table of {table.tree.horizon} hop")
    held, weight = table.split("validation"), hop_cost / features.cost_normaliser
    return max(named, key=lambda one: returns(held, bundle_ends(one, held), weight))


def tree_logits(bundle: PolicyBundle, table: OutcomeTable) -> Float[np.ndarray, "Q D A"]:
    """Masked logits at every decision node of every query, by the bundle's NumPy reader, which is told nothing."""
    spent = accumulate_cost(table.cost.astype(np.float64), table.tree)
    by_node = [
        bundle.logits(table.context_embedding[:, node], int(table.tree.stages[node]), spent[:, node])
        for node in range(table.tree.num_decision_nodes)
    ]
    return np.stack(by_node, axis=1)


def tree_probs(bundle: PolicyBundle, table: OutcomeTable, explore: Exploration) -> Float[np.ndarray, "Q D A"]:
    """Probabilities of the actions at every decision node, as the policy would be served; STOP where nothing else is.

    Args:
      bundle: policy that is served.
      table: outcome table, whose hops that are not there cannot be taken.
      explore: exploration that it is served with.
    """
    legal = legal_actions(table, bundle.may_stop)
    legal[..., -1] |= ~legal.any(axis=-1)
    logits = tree_logits(bundle, table)
    logits[..., -1] = np.where(legal[..., :-1].any(axis=-1), logits[..., -1], 0.0)  # nothing else: whatever it prefers
    return distribution(logits, legal, explore, bundle.ties)


def episodes_served(table: OutcomeTable, traffic: Traffic, seed: int) -> Episodes:
    """Episodes of traffic on a table: what its log would hold.

    Args:
      table: the whole outcome table.
      traffic: the policy that serves, its exploration and the number of requests.
      seed: seed of the queries and actions that are drawn.

    Raises:
      InputError: if the policy is none, or is made for other models or another encoder than the table's.
    """
    name, explore = traffic.served
    bundle, part = named_policy(name, table, traffic.cost_weight), table.split(traffic.split)
    return simulate(
        part,
        tree_probs(bundle, part, explore),
        np.flatnonzero(part.answered),
        traffic.episodes,
        np.random.default_rng(seed),
        bundle.may_stop,
        bundle.fingerprint,
        str(explore),
        traffic.feedback,
        table.fingerprint,
    )
