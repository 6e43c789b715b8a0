"""A learner or an opponent on one split: fitted on training, chosen on validation, judged once on test."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.baselines.registry import Opponent, Policy, Problem
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, policy_outcome
from hierrouter_jax.evaluation.tree_policy import TreePolicy, run_policy
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.plugins import load_object
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.studies.leaderboard.config import Entrant
from hierrouter_jax.studies.leaderboard.result import Judged, stacked
from hierrouter_jax.studies.measures import charged, problem_of
from hierrouter_jax.sweeps.result import SweepResult
from hierrouter_jax.sweeps.sweep import train_many
from hierrouter_jax.training.features import FittedFeatures, fit_features
from hierrouter_jax.training.router import DIVERGED
from hierrouter_jax.training.settings import with_numbers

Ends = Float[np.ndarray, "Q N"]


class Fitter:
    """One split of one table, and what its participants share.

    Attributes:
      table: the split's queries alone, each with its part as its split.
    """

    def __init__(self, table: OutcomeTable, features: int, cost_weights: tuple[float, ...], seed: int) -> None:
        self.table, self.cost_weights, self.seed = table, cost_weights, seed
        self.train, self.validation, self.test = (table.split(name) for name in ("train", "validation", "test"))
        self._features: dict[int, FittedFeatures] = {}
        self.features = self.fitted(features)
        problem = problem_of(table, self.features, 0.0, seed)
        self.problems = [problem.at(weight / self.features.cost_normaliser) for weight in cost_weights]

    def fitted(self, size: int) -> FittedFeatures:
        """The reduction to so many features and the cost normaliser, from the training queries alone."""
        if size not in self._features:
            self._features[size] = fit_features(self.train, size)
        return self._features[size]

    def opponent(self, opponent: Opponent) -> Judged:
        """An opponent at each cost weight."""
        problems = self.problems if opponent.weighted else self.problems[:1]
        outcomes = [policy_outcome(self.test, opponent.fit(problem)(self.test)) for problem in problems]
        about = {"kind": opponent.kind, "may_stop": opponent.may_stop, "tried": opponent.tried}
        return Judged(stacked(outcomes), None, about)

    def learner(self, entrant: Entrant) -> Judged:
        """A learner at each cost weight: the point of its grid, and the seed or all of them, best on validation."""
        return self._own(entrant, load_object(entrant.fit)) if entrant.fit else self._trained(entrant)

    def _own(self, entrant: Entrant, fit: Callable[[Problem], Policy]) -> Judged:
        policies = [fit(problem) for problem in self.problems]
        outcomes = [policy_outcome(self.test, policy(self.test)) for policy in policies]
        returns = [
            self._returns(policy_outcome(self.validation, policy(self.validation)), weight)
            for policy, weight in zip(policies, self.cost_weights, strict=True)
        ]
        about = {"kind": "learned", "may_stop": self.table.tree.horizon > 1, "tried": entrant.tried}
        return Judged(stacked(outcomes), np.array(returns), about)

    def _trained(self, entrant: Entrant) -> Judged:
        runs = [_Runs(self, entrant, size) for size in dict.fromkeys(point.features for point in entrant.points)]
        outcomes, returns, chosen = [], [], []
        for row, weight in enumerate(self.cost_weights):
            options = [option for run in runs for option in run.options(row)]
            values = [
                self._returns(policy_outcome(self.validation, option.ends(self.validation)), weight)
                for option in options
            ]
            scores = [
                -np.inf if option.diverged else value.mean() for option, value in zip(options, values, strict=True)
            ]
            at = int(np.argmax(scores))
            best = options[at]
            if best.diverged:
                raise InputError(f"learners: {entrant.name} at cost weight {weight:g}: {DIVERGED}")
            outcomes.append(best.outcome(self.test))
            returns.append(values[at])
            chosen.append({"cost_weight": weight, "point": best.point, "seed": best.seed, "seeds": best.accuracies()})
        about = {
            "kind": "learned",
            "may_stop": entrant.static.allow_stop,
            "tried": entrant.tried,
            "chosen": chosen,
        }
        return Judged(stacked(outcomes), np.array(returns), about)

    def _returns(self, outcome: PolicyOutcome, weight: float) -> Float[np.ndarray, " V"]:
        return outcome.returns(weight, self.features.cost_normaliser)


class _Option:
    """What validation may choose: the runs of a point of the grid, or one of them, at a cost weight."""

    def __init__(self, runs: "_Runs", row: int, point: int, seed: int | None) -> None:
        self.runs, self.row, self.point, self.seed = runs, row, point, seed

    @property
    def diverged(self) -> bool:
        """Whether a run that it rests on never had finite parameters."""
        lost = self.runs.diverged(self.row, self.point)
        return bool(lost.any() if self.seed is None else lost[self.seed])

    def ends(self, part: OutcomeTable) -> Ends:
        return self.runs.ends(part, self.row, self.point, self.seed)

    def outcome(self, part: OutcomeTable) -> PolicyOutcome:
        """With what deciding costs itself; an ensemble decides with every one of its networks."""
        networks = self.runs.entrant.seeds if self.seed is None else 1
        return charged(self.runs.result.router(0), policy_outcome(part, self.ends(part)), part, networks)

    def accuracies(self) -> list[float]:
        """Every seed's test accuracy alone, beside what is chosen."""
        test = self.runs.fitter.test
        seeds = range(self.runs.entrant.seeds)
        return [
            float(policy_outcome(test, self.runs.ends(test, self.row, self.point, seed)).quality.mean())
            for seed in seeds
        ]


class _Runs:
    """The runs of a learner whose networks see the same number of features: every point, cost weight and seed."""

    def __init__(self, fitter: Fitter, entrant: Entrant, size: int) -> None:
        self.fitter, self.entrant, self.features = fitter, entrant, fitter.fitted(size)
        self.points = [at for at, point in enumerate(entrant.points) if point.features == size]
        weights = fitter.cost_weights
        self.trained_for = weights[:1] if entrant.static.cost_conditioned else weights
        hypers = [
            with_numbers(entrant.points[point].hyper, {"reward.hop_cost": weight})
            for weight in self.trained_for
            for point in self.points
        ]
        static, seeds = entrant.static, entrant.points[0].seeds
        self.result: SweepResult = train_many(
            fitter.table, static, hypers, seeds, features=self.features, layout="map", progress=False
        )
        self._device: dict[int, DeviceTable] = {}
        self._probabilities: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]] = {}

    def options(self, row: int) -> list[_Option]:
        seeds = [None] if self.entrant.ensemble else list(range(self.entrant.seeds))
        return [_Option(self, row, point, seed) for point in self.points for seed in seeds]

    def ends(self, part: OutcomeTable, row: int, point: int, seed: int | None) -> Ends:
        """Where the greedy policy ends: of one seed, or of the mean of all seeds' probabilities."""
        probabilities, mask = self._probs(part, row, point)
        mean = probabilities.mean(axis=0) if seed is None else probabilities[seed]
        policy = TreePolicy(jnp.asarray(mean), jnp.asarray(mask), part.tree, self.features.tie_order)
        return np.asarray(policy.greedy_ends())

    def diverged(self, row: int, point: int) -> Bool[np.ndarray, " S"]:
        """Which of a point's seeds never had finite parameters."""
        return self.result.frame["diverged"].to_numpy(bool)[list(self._members(row, point))]

    def _members(self, row: int, point: int) -> range:
        seeds, trained = self.entrant.seeds, 0 if self.entrant.static.cost_conditioned else row
        first = (trained * len(self.points) + self.points.index(point)) * seeds
        return range(first, first + seeds)

    def _probs(
        self, part: OutcomeTable, row: int, point: int
    ) -> tuple[Float[np.ndarray, "S Q D A"], Bool[np.ndarray, "Q D A"]]:
        """Every seed's action probabilities, and which actions are legal."""
        key = id(part), row, point
        if key not in self._probabilities:
            params = [self.result.params(member) for member in self._members(row, point)]
            together = jax.tree.map(lambda *leaves: np.stack(leaves), *params)
            weight = jnp.full(part.num_queries, self.fitter.cost_weights[row], jnp.float32)
            run = _program(self.entrant.static)
            self._probabilities[key] = jax.device_get(
                run(
                    together, self._on_device(part), weight, jax.tree.map(jnp.asarray, self.entrant.points[point].hyper)
                )
            )
        return self._probabilities[key]

    def _on_device(self, part: OutcomeTable) -> DeviceTable:
        if id(part) not in self._device:
            self._device[id(part)] = self.features.on_device(part)
        return self._device[id(part)]


@lru_cache(maxsize=64)
def _program(static: LearnerStatic) -> Callable[..., Any]:
    """Action probabilities of several seeds, legal actions only, and which these are."""

    @jax.jit
    def run(params: Any, table: DeviceTable, weight: jax.Array, hyper: LearnerHyper) -> Any:
        conditions = Conditions(cost_weight=weight if static.cost_conditioned else None, budget=None)

        def one(some: Any) -> tuple[jax.Array, jax.Array]:
            policy = run_policy(static, some, table, conditions, hyper.ranges)
            return jax.nn.softmax(jnp.where(policy.mask, policy.logits, -jnp.inf), axis=-1), policy.mask

        return jax.vmap(one, out_axes=(0, None))(params)

    return run
