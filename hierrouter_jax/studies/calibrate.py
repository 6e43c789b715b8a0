"""Which cost weight or stop threshold meets a budget or an accuracy: chosen on validation, checked on another split."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.envs.types import DeviceTable, single_precision
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.exact import end_probability
from hierrouter_jax.evaluation.intervals import RESAMPLES, TAILS, mean_interval
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome
from hierrouter_jax.evaluation.tree_policy import greedy, run_policy
from hierrouter_jax.outcomes.coverage import evaluated_queries
from hierrouter_jax.outcomes.exploration import SOFTMAX, Exploration, distribution
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.outcomes.ties import first_best
from hierrouter_jax.policies.conditions import ConditionRanges, Conditions
from hierrouter_jax.studies.measures import achieved, charged, outcome_by_question
from hierrouter_jax.training.checkpoints import load_routers
from hierrouter_jax.training.checks import check_charges
from hierrouter_jax.training.router import TrainedRouter

Knob = Literal["cost_weight", "stop_threshold", "none"]
POINTS = 33  # settings tried of each knob
AS_TRAINED = Exploration(SOFTMAX, 1.0)  # a policy's own probabilities


@dataclass(frozen=True)
class Setting:
    """A trained policy with its knob set.

    Attributes:
      run: folder that the policy comes from.
      learner: name of the learner that trained it.
      knob: `cost_weight`, the condition of a cost-conditioned policy; `stop_threshold`, the probability of STOP from
        which on the policy stops; `none`, the policy as it was trained.
      value: setting of the knob, in the knob's own unit; None for the policy as it was trained.
    """

    run: str
    learner: str
    knob: Knob
    value: float | None


Reached = tuple[Setting, Callable[[OutcomeTable], PolicyOutcome]]


@single_precision
def calibrate(
    runs: Sequence[Path],
    table: OutcomeTable,
    budget: float | None = None,
    accuracy: float | None = None,
    split: str = "test",
    only: str | None = None,
) -> dict[str, Any]:
    """The setting that meets a target on validation, and how far off it is on another split.

    Within a budget, the most accurate setting is taken (of equal ones the cheapest); for an accuracy, the cheapest
    that reaches it. Costs include what deciding costs.

    Args:
      runs: folders of trained runs on this table, all of whose policies are candidates.
      budget: mean cost of a query, in the table's money unit; or else
      accuracy: accuracy that is to be reached, as a fraction.
      split: name of the split that the choice is checked on.
      only: name of the one learner whose policies are candidates; by default all learners are.

    Raises:
      InputError: if not exactly one target is given, no run has the learner, or no setting meets the target.
    """
    _check(budget, accuracy)
    validation, checked = evaluated_queries(table, "validation"), evaluated_queries(table, split)
    candidates = [one for run in runs for one in _settings(run, table, validation, only)]
    if not candidates:
        raise InputError(f"--learner is {only!r}, but none of {', '.join(map(str, runs))} holds it")
    outcomes = [reach(validation) for _, reach in candidates]
    chosen = choose(
        np.array([outcome.cost.mean() for outcome in outcomes]),
        np.array([outcome.quality.mean() for outcome in outcomes]),
        budget,
        accuracy,
        table.money_unit,
    )
    setting, reach = candidates[chosen]
    before, after = outcomes[chosen], reach(checked)
    metric = "cost" if budget is not None else "quality"
    target = budget if accuracy is None else accuracy
    assert target is not None
    predicted, met = getattr(before, metric), getattr(after, metric)
    low, high = mean_interval(met - target)
    return {
        "target": {"budget": budget, "accuracy": accuracy, "money_unit": table.money_unit},
        "setting": {"run": setting.run, "learner": setting.learner, "knob": setting.knob, "value": setting.value},
        "settings_tried": len(candidates),
        "validation": _summary(before),
        split: _summary(after),
        "off": {
            "split": split,
            "metric": "cost" if budget is not None else "accuracy",
            "from_target": float(met.mean() - target),
            "from_target_ci": [low, high],
            "from_validation": float(met.mean() - predicted.mean()),
            "from_validation_ci": _between(predicted, met),
            "met": bool(met.mean() <= target) if budget is not None else bool(met.mean() >= target),
            "undecided": low <= 0 <= high,
        },
        "curve": [
            {
                "learner": one.learner,
                "run": one.run,
                "knob": one.knob,
                "value": one.value,
                "validation_accuracy": float(outcome.quality.mean()),
                "validation_cost": float(outcome.cost.mean()),
            }
            for (one, _), outcome in zip(candidates, outcomes, strict=True)
        ],
    }


def choose(
    cost: Float[np.ndarray, " W"],
    quality: Float[np.ndarray, " W"],
    budget: float | None,
    accuracy: float | None,
    money_unit: str,
) -> int:
    """The most accurate of those within the budget, or the cheapest of those that reach the accuracy.

    Raises:
      InputError: if there is none, saying what can be reached.
    """
    if budget is not None:
        within = cost <= budget
        if not within.any():
            raise InputError(
                f"no setting keeps a mean cost of {budget:g} {money_unit} on validation; "
                f"the cheapest costs {cost.min():g}"
            )
        return int(np.lexsort((cost, np.where(within, -quality, np.inf)))[0])
    assert accuracy is not None
    reached = quality >= accuracy
    if not reached.any():
        raise InputError(
            f"no setting reaches an accuracy of {accuracy:g} on validation; the best has {quality.max():.4f}"
        )
    return int(np.lexsort((-quality, np.where(reached, cost, np.inf)))[0])


def _check(budget: float | None, accuracy: float | None) -> None:
    if (budget is None) == (accuracy is None):
        raise InputError("give exactly one target: --budget, a mean cost a query, or --accuracy, a fraction")
    if budget is not None and not 0 < budget < np.inf:
        raise InputError(f"--budget is {budget}, but must be above 0")
    if accuracy is not None and not 0 < accuracy <= 1:
        raise InputError(f"--accuracy is {accuracy}, but must be a fraction above 0 and up to 1, such as 0.9")


def _settings(run: Path, table: OutcomeTable, validation: OutcomeTable, only: str | None) -> Iterator[Reached]:
    """Every setting of a run's policies that is tried, each at its chosen seed."""
    routers = load_routers(run, table)
    if only is not None and only not in routers:
        return
    for name, router in routers.items():
        if only is not None and name != only:
            continue
        check_charges(table, router.static)
        logits = _Logits(router)
        yield Setting(str(run), name, "none", None), _reaching(router, logits, None, None)
        if router.static.cost_conditioned:
            bounds = router.hyper.ranges.cost_weight
            for weight in np.geomspace(bounds.low, bounds.high, POINTS).tolist():
                yield Setting(str(run), name, "cost_weight", weight), _reaching(router, logits, weight, None)
        elif router.may_stop and table.tree.horizon > 1:
            for threshold in thresholds(*logits.of(validation, None)):
                yield (
                    Setting(str(run), name, "stop_threshold", threshold),
                    _reaching(router, logits, None, threshold),
                )


def thresholds(logits: Float[np.ndarray, "Q D A"], mask: Bool[np.ndarray, "Q D A"]) -> list[float]:
    """From 0, which stops after every first hop, to 1: quantiles of the probability of STOP where there is a choice."""
    open_nodes = mask[..., -1] & mask[..., :-1].any(axis=-1)
    stop = distribution(logits, mask, AS_TRAINED)[..., -1][open_nodes]
    if not len(stop):
        return []
    inner = np.quantile(stop, np.linspace(0, 1, POINTS)[1:-1]).tolist()
    return sorted({0.0, *inner, 1.0})


def stopping_from(
    logits: Float[np.ndarray, "Q D A"], mask: Bool[np.ndarray, "Q D A"], threshold: float, tie_order: tuple[int, ...]
) -> Float[np.ndarray, "Q D A"]:
    """The policy that stops where the probability of STOP is at least the threshold, and else calls its best model.

    Args:
      tie_order: actions in the order in which they win ties, M for STOP.
    """
    probabilities = distribution(logits, mask, AS_TRAINED)
    models = np.where(mask[..., :-1], logits[..., :-1], -np.inf)
    stops = (mask[..., -1] & (probabilities[..., -1] >= threshold)) | ~mask[..., :-1].any(axis=-1)
    action = np.where(stops, logits.shape[-1] - 1, first_best(models, [a for a in tie_order if a < models.shape[-1]]))
    return (action[..., None] == np.arange(logits.shape[-1])).astype(np.float32)


@lru_cache(maxsize=64)
def _program(static: LearnerStatic) -> Callable[..., Any]:
    """Logits and legal actions at every decision node."""

    @jax.jit
    def run(params: Any, table: DeviceTable, conditions: Conditions, ranges: ConditionRanges) -> Any:
        policy = run_policy(static, params, table, conditions, ranges)
        return policy.logits, policy.mask

    return run


class _Logits:
    """A router's logits and legal actions on a part of the table: the part is reduced and uploaded once."""

    def __init__(self, router: TrainedRouter) -> None:
        self._router, self._params = router, router.params(router.chosen_seed)
        self._tables: dict[int, tuple[OutcomeTable, DeviceTable]] = {}
        self._results: dict[tuple[int, float | None], tuple[np.ndarray, np.ndarray]] = {}

    def of(self, part: OutcomeTable, weight: float | None) -> tuple[np.ndarray, np.ndarray]:
        """At one cost weight, for a router that is conditioned on it; None is the run's own."""
        router, key = self._router, (id(part), weight)
        if id(part) not in self._tables:  # the part is kept with its table, so that no other one gets its id
            self._tables[id(part)] = part, router.features.on_device(part)
        if key not in self._results:
            _, device = self._tables[id(part)]
            conditions = router.conditions(part.num_queries, weight)
            run = _program(router.static)
            self._results[key] = jax.device_get(run(self._params, device, conditions, router.hyper.ranges))
        return self._results[key]


def _reaching(
    router: TrainedRouter, logits: _Logits, weight: float | None, threshold: float | None
) -> Callable[[OutcomeTable], PolicyOutcome]:
    def reach(part: OutcomeTable) -> PolicyOutcome:
        values, mask = logits.of(part, weight)
        order = router.features.ties(part)
        policy = greedy(jnp.asarray(values), jnp.asarray(mask), order)
        if threshold is not None:
            policy = jnp.asarray(stopping_from(values, mask, threshold, order))
        return charged(router, outcome_by_question(part, np.asarray(end_probability(policy, part.tree))), part)

    return reach


def _summary(outcome: PolicyOutcome) -> dict[str, Any]:
    return {
        **achieved(outcome),
        "cost_ci": list(mean_interval(outcome.cost)),
        "hops": float(outcome.hops.mean()),
        "queries": len(outcome.cost),
    }


def _between(before: Float[np.ndarray, " V"], after: Float[np.ndarray, " T"]) -> list[float]:
    """95 % interval of the difference of two means over different queries."""
    rng = np.random.default_rng(0)
    drawn = [
        rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=RESAMPLES) @ values / len(values)
        for values in (before, after)
    ]
    return np.percentile(drawn[1] - drawn[0], TAILS).tolist()
