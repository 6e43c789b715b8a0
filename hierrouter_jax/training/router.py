"""A trained router: one learner's runs over its seeds, evaluated and exported."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Bool, Float

from hierrouter_jax._version import __version__
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.bundle_logits import NETWORK, multiply_adds
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.errors import InputError, Unfinished
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome
from hierrouter_jax.evaluation.tree_policy import run_policy
from hierrouter_jax.learner_config import TWO_LAYER
from hierrouter_jax.outcomes.pricing import check_budget
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.training.checks import check_charges, smallest_budgets
from hierrouter_jax.training.features import FittedFeatures

# A cost weight and a budget in money; None is the run's own, and no limit.
ConditionValues = tuple[float | None, float | None]


class Diverged(Unfinished):
    """Training ended, but no update of some learner, in any seed, had finite parameters."""

    code = 5


DIVERGED = (
    "training diverged before any parameters were of use (not finite); lower hyper.learning_rate, or look for a reward "
    "or cost that is out of scale"
)


@dataclass(frozen=True)
class TrainedRouter:
    """The runs of one learner over all seeds.

    Attributes:
      name: name of the learner.
      static: shapes of the learner, algorithm and `allow_stop` as its name says.
      hyper: numbers of the learner; a cost-conditioned router serves the reward's cost weight unless told another.
      state: learner states, stacked over seeds [S, ...].
      features: what was fitted on the training split.
      seeds: the seeds of its runs, in the order of the states; from 0 on unless given.
    """

    name: str
    static: LearnerStatic
    hyper: LearnerHyper
    state: LearnerState
    features: FittedFeatures
    seeds: tuple[int, ...] = ()

    @property
    def chosen_seed(self) -> int:
        """Index of the seed with the best validation return; a diverged one only where all are."""
        return int(np.argmax(np.where(self.diverged, -np.inf, self.state.best_return)))

    @property
    def diverged(self) -> Bool[np.ndarray, " S"]:
        """Seeds no update of which had finite parameters: nothing of them is worth keeping."""
        return ~np.isfinite(np.asarray(self.state.best_return))

    @property
    def stranded(self) -> Bool[np.ndarray, " S"]:
        """Seeds whose last parameters are not finite; what was best before counts, unless they are `diverged`."""
        seeds = len(self.diverged)
        leaves = [np.asarray(leaf).reshape(seeds, -1) for leaf in jax.tree.leaves(self.state.params)]
        return ~np.logical_and.reduce([np.isfinite(leaf).all(axis=1) for leaf in leaves])

    @property
    def may_stop(self) -> bool:
        """Whether its routes may end before the horizon: under a budget they always may."""
        return self.static.allow_stop or self.static.budgeted

    def params(self, seed: int) -> dict:
        """Best parameters of one seed."""
        return jax.tree.map(lambda leaf: leaf[seed], self.state.best_params)

    @single_precision
    def end_probability(
        self, table: OutcomeTable, seed: int, cost_weight: float | None = None, budget: float | None = None
    ) -> Float[np.ndarray, "Q N"]:
        """Where the greedy policy of one seed ends on each query.

        Args:
          cost_weight: cost weight that a cost-conditioned router is to serve, per normalised cost; by default the
            reward's.
          budget: most that a query may cost a budgeted router, in the table's money unit; by default there is no limit.

        Raises:
          InputError: if the router is not conditioned on what it is told, the table holds no charges for a budgeted
            router, or the budget is too small for any answer to some query.
        """
        return next(self.end_probabilities(table, seed, [(cost_weight, budget)]))

    def end_probabilities(
        self, table: OutcomeTable, seed: int, several: Iterable[ConditionValues]
    ) -> Iterator[Float[np.ndarray, "Q N"]]:
        """Where the greedy policy of one seed ends under each of several conditions; as `end_probability`."""
        check_charges(table, self.static)
        device = self.features.on_device(table)
        params = self.params(seed)
        for cost_weight, budget in several:
            self._check_conditions(table, cost_weight, budget)
            conditions = self.conditions(table.num_queries, cost_weight, budget)
            policy = run_policy(self.static, params, device, conditions, self.hyper.ranges)
            yield np.asarray(policy.greedy_ends())

    def conditions(self, queries: int, cost_weight: float | None = None, budget: float | None = None) -> Conditions:
        """What the network is told of each query, in its own units [Q]."""
        weight = self.hyper.reward.hop_cost if cost_weight is None else cost_weight
        limit = np.inf if budget is None else budget / self.features.cost_normaliser
        return Conditions(
            cost_weight=jnp.full(queries, weight, jnp.float32) if self.static.cost_conditioned else None,
            budget=jnp.full(queries, limit, jnp.float32) if self.static.budgeted else None,
        )

    def _check_conditions(self, table: OutcomeTable, cost_weight: float | None, budget: float | None) -> None:
        for what, value, trained in (
            ("cost weight", cost_weight, self.static.cost_conditioned),
            ("budget", budget, self.static.budgeted),
        ):
            if value is not None and not trained:
                raise InputError(f"a {what} is given, but {self.name} was not trained to be told one")
        if budget is not None:
            ids = [query.id for query in table.queries]
            check_budget(budget, smallest_budgets(table), ids, table.money_unit)

    @property
    def exportable(self) -> bool:
        """Whether it can leave the learning wing: a bundle's reader knows the two-layer network alone."""
        return self.static.network == TWO_LAYER

    @single_precision
    def bundle(self, table: OutcomeTable, seed: int | None = None) -> PolicyBundle:
        """The policy of one seed, ready to leave the learning wing; its provenance says which seed that is.

        Args:
          table: the outcome table.
          seed: index of the seed among the router's; by default the chosen one's.

        Raises:
          InputError: if its network is the user's own, or the seed diverged.
        """
        if not self.exportable:
            raise InputError(
                f"{self.name} has the network {self.static.network}, but a policy bundle holds a {TWO_LAYER} network "
                "only: it can be trained, evaluated and compared, not exported"
            )
        seed = self.chosen_seed if seed is None else seed
        if self.diverged[seed]:
            raise InputError(f"{self.name}, seed {seed}: {DIVERGED}")
        weights = {name: np.asarray(leaf) for name, leaf in flatten_dict(self.params(seed)["params"], sep="/").items()}
        return PolicyBundle(
            pool=table.pool,
            horizon=table.tree.horizon,
            allow_stop=self.static.allow_stop,
            encoder=table.encoder,
            money_unit=table.money_unit,
            cost_normaliser=self.features.cost_normaliser,
            reduction=self.features.reduction,
            weights=weights,
            table_fingerprint=table.fingerprint,
            provenance={
                "learner": self.name,
                "seed": self.seeds[seed] if self.seeds else seed,
                "hierrouter_jax": __version__,
                "jax": jax.__version__,
            },
            conditions={
                name: [float(bounds.low), float(bounds.high)]
                for name, bounds in ((name, getattr(self.hyper.ranges, name)) for name in self.static.conditions)
            },
            cost_weight=float(self.hyper.reward.hop_cost),
            tie_order=self.features.tie_order,
            encoder_multiply_adds=encoder_multiply_adds(table),
        )


def router_cost(
    router: TrainedRouter, outcome: PolicyOutcome, table: OutcomeTable, networks: int = 1
) -> Float[np.ndarray, " Q"]:
    """What deciding costs itself: multiply-adds at the pool's own price of one parameter and token.

    Counted are the encoder (where the table says what it computes: `encoder_work`), the feature reduction and the
    network, at every hop and at STOP. Zero where the pool's parameter counts are unknown. A network of the user's own
    counts as one multiply-add a parameter, as a dense one has; where it uses a weight twice, that is too few.

    Args:
      networks: number of networks that decide together, on one embedding.
    """
    return deciding_cost(networks * _multiply_adds(router), router.may_stop, outcome, table)


def deciding_cost(
    each_decision: int, may_stop: bool, outcome: PolicyOutcome, table: OutcomeTable
) -> Float[np.ndarray, " Q"]:
    """`router_cost` of any policy, from the multiplications of one decision."""
    rates = [member.price_in / member.parameters for member in table.pool if member.parameters]
    decisions = outcome.hops + (may_stop & (outcome.hops < table.tree.horizon))
    horizon, encoder = table.tree.horizon, encoder_multiply_adds(table)
    each = each_decision + np.array((*encoder, *[0.0] * horizon)[:horizon])
    up_to = np.concatenate([[0.0], np.cumsum(each)])
    return np.interp(decisions, np.arange(horizon + 1), up_to) * (np.mean(rates) if rates else 0.0)


def encoder_multiply_adds(table: OutcomeTable) -> tuple[float, ...]:
    """Mean multiply-adds of embedding a context of 0, 1, ... responses; empty where the table does not say."""
    return tuple((table.settings.get("encoder") or {}).get("multiply_adds") or ())


def _multiply_adds(router: TrainedRouter) -> int:
    """By shapes alone, which those seeds have too that diverged."""
    params = router.params(0)
    if router.exportable:
        layers = multiply_adds(NETWORK, flatten_dict(params["params"], sep="/"))
    else:
        layers = sum(leaf.size for leaf in jax.tree.leaves(params))
    return router.features.reduction.components.size + layers
