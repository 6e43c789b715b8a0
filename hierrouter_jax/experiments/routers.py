"""A trained router: one learner's runs over its seeds, evaluated and exported."""

from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Float

from hierrouter_jax._version import __version__
from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import Algorithm, LearnerHyper, LearnerState, LearnerStatic
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.evaluation.exact import decision_masks, end_probability, greedy
from hierrouter_jax.experiments.features import FittedFeatures
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.table_policy import decision_logits

LearnerName = Literal["ppo", "ppo+stop", "all-actions", "all-actions+stop", "exact", "exact+stop"]


def static_of(name: str, static: LearnerStatic) -> LearnerStatic:
    """A learner's shapes: its name says by which algorithm it learns and whether it may stop."""
    algorithm: Algorithm = name.removesuffix("+stop")  # type: ignore[assignment]
    return replace(static, algorithm=algorithm, allow_stop=name.endswith("+stop"))


@dataclass(frozen=True)
class TrainedRouter:
    """The runs of one learner over all seeds.

    Attributes:
      name: of the learner.
      static: with algorithm and `allow_stop` as the name says.
      hyper: its numbers; the reward's cost weight is what a cost-conditioned router serves unless told another.
      state: learner states, stacked over seeds [S, ...].
      features: what was fitted on the training split.
    """

    name: str
    static: LearnerStatic
    hyper: LearnerHyper
    state: LearnerState
    features: FittedFeatures

    @property
    def chosen_seed(self) -> int:
        """Index of the seed with the best validation return."""
        return int(np.argmax(self.state.best_return))

    def params(self, seed: int) -> dict:
        """Best parameters of one seed."""
        return jax.tree.map(lambda leaf: leaf[seed], self.state.best_params)

    def end_probability(
        self, table: OutcomeTable, seed: int, cost_weight: float | None = None, budget: float | None = None
    ) -> Float[np.ndarray, "Q N"]:
        """Where the greedy policy of one seed ends on each query.

        Args:
          cost_weight: that a cost-conditioned router is to serve, per normalised cost; by default the reward's.
          budget: of every query, in the table's money unit, for a budgeted router; by default none is ever reached.
        """
        device = self.features.on_device(table)
        told = self.conditions(table.num_queries, cost_weight, budget)
        network = learner.build_network(device, self.static)
        logits = decision_logits(network, self.params(seed), device, told, self.hyper.ranges)
        policy = greedy(logits, decision_masks(device, self.static.allow_stop, told.budget))
        return np.asarray(end_probability(policy, device.tree))

    def conditions(self, queries: int, cost_weight: float | None = None, budget: float | None = None) -> Conditions:
        """What the network is told of each query, in its own units [Q]."""
        weight = self.hyper.reward.hop_cost if cost_weight is None else cost_weight
        limit = np.inf if budget is None else budget / self.features.cost_normaliser
        return Conditions(
            cost_weight=jnp.full(queries, weight, jnp.float32) if self.static.cost_conditioned else None,
            budget=jnp.full(queries, limit, jnp.float32) if self.static.budgeted else None,
        )

    def bundle(self, table: OutcomeTable, seed: int | None = None) -> PolicyBundle:
        """The policy of one seed (the chosen one by default), ready to leave the learning wing."""
        seed = self.chosen_seed if seed is None else seed
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
            provenance={"learner": self.name, "seed": seed, "hierrouter_jax": __version__, "jax": jax.__version__},
        )
