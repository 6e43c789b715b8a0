"""What a learner is set to: shapes, numbers and reward weights, as dataclasses that need no JAX to be read or checked.

The modules that compute with them make pytrees of them: `envs.rewards`, `policies.conditions`, `agents.types`.
"""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

from hierrouter_jax.domains import COUNT, NATURAL, NONNEGATIVE, POSITIVE, REAL, SHARE, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.plugins import IMPORT_PATH, is_import_path

ALGORITHMS = ("ppo", "all-actions", "exact")
VALUES, DOUBLY_ROBUST, OFF_POLICY = "exact", "doubly-robust", "off-policy-ppo"
LOG_LEARNERS = (VALUES, DOUBLY_ROBUST, OFF_POLICY)  # what learns from a decision log
TWO_LAYER = "two-layer"  # the network's name
CONDITIONS = COST_WEIGHT, BUDGET = "cost_weight", "budget"  # of a policy, in the order of the network's inputs
SweepLayout = Literal["map", "vmap", "devices", "devices-vmap", "processes"]  # of many runs on the hardware


@dataclass(frozen=True)
class _Numbers:
    """What the dataclasses of numbers have in common, whose leaves may be arrays."""

    DOMAINS: ClassVar[Domains] = {}

    def __post_init__(self) -> None:
        check_domains(self)

    def replace(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Range(_Numbers):
    """Bounds, both above zero, between which an episode's value is drawn, uniformly in the logarithm.

    Attributes:
      low: lower bound of the values.
      high: upper bound of the values.
    """

    DOMAINS: ClassVar[Domains] = {
        "low": POSITIVE,
        "high": POSITIVE,
    }

    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.low, int | float) and isinstance(self.high, int | float) and not self.low < self.high:
            raise InputError(f"low is {self.low} and high {self.high}, but low must be below high")


@dataclass(frozen=True)
class ConditionRanges(_Numbers):
    """Where training draws from; inputs are scaled by the same bounds, so values outside count as the nearest.

    Attributes:
      cost_weight: bounds of lambda, the reward's weight per normalised cost.
      budget: bounds of the budget over the cost normaliser: in mean calls. What does not pay the query's cheapest call
        is raised to it.
    """

    cost_weight: Range = field(default_factory=lambda: Range(0.001, 0.3))
    budget: Range = field(default_factory=lambda: Range(0.5, 8.0))


@dataclass(frozen=True)
class RewardWeights(_Numbers):
    """Weight of each reward term: leaves, in whose place a sweep may put arrays.

    Every field but one is the weight of the term of that name in `envs.rewards.TERMS`, whose docstring gives formula,
    unit and source; terms that are costs carry their minus sign, so weights are mostly positive. The paper's reward is
    terminal quality minus a weighted hop cost; it does not give the weight, the project's is in `configs/`.

    Attributes:
      terminal_quality: weight of the answer's quality, once, at the end.
      hop_cost: weight of every hop's cost: lambda, the cost weight. One per episode where a policy is conditioned on
        it: an array that broadcasts against the others.
      potential: weight of the change of the potential, the quality of answering now; the best policy stays as it is.
      quality_gain: weight of every hop's gain in quality.
      later_gain: weight of the gain in quality from the second hop on.
      hop_quality: weight of the quality after every hop.
      verdict: weight of +1 for a right answer at the end, -1 for a wrong one.
      damage: weight of -1 for a hop that turns a right answer wrong.
      log_cost: weight of the logarithm of one plus every hop's cost.
      relative_cost: weight of every hop's cost over that of the query's cheapest right route.
      overrun: weight of the route's cost beyond the limit, as it grows.
      overrun_once: weight of -1 for the hop that passes the limit.
      stage: weight of +1 for every model called.
      length: weight of the tokens written, in hundreds.
      latency: weight of the seconds that a hop took.
      overrun_limit: cost of a route, over the cost normaliser, that `overrun` and `overrun_once` count from; no weight.
      custom: weights of the user's own terms by import path, such as `my_terms.py:short_answers`.
    """

    DOMAINS: ClassVar[Domains] = {
        **dict.fromkeys(("terminal_quality", "hop_cost", "potential", "quality_gain", "later_gain"), REAL),
        **dict.fromkeys(("verdict", "damage", "log_cost", "relative_cost", "overrun", "overrun_once", "stage"), REAL),
        **dict.fromkeys(("hop_quality", "length", "latency", "custom"), REAL),
        "overrun_limit": NONNEGATIVE,
    }

    terminal_quality: float = 1.0
    hop_cost: float = 0.01
    potential: float = 0.0
    quality_gain: float = 0.0
    later_gain: float = 0.0
    hop_quality: float = 0.0
    verdict: float = 0.0
    damage: float = 0.0
    log_cost: float = 0.0
    relative_cost: float = 0.0
    overrun: float = 0.0
    overrun_once: float = 0.0
    stage: float = 0.0
    length: float = 0.0
    latency: float = 0.0
    overrun_limit: float = 1.0
    custom: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LearnerStatic:
    """Everything that fixes shapes or the number of steps: one compilation each.

    The paper gives no defaults; these are the project's.

    Attributes:
      algorithm: name of the algorithm, set by the learner's name: `ppo` as in the paper; `all-actions`, PPO's clipped
        objective summed over all actions of the whole hop tree with exact advantages; `exact`, ascent on the
        closed-form expected return; or the import path of an update function of the user's.
      num_envs: number of episodes an update: sampled ones for PPO, queries with their whole trees for the other two.
      num_updates: number of updates in all.
      epochs: number of passes over each update's episodes.
      minibatches: number of gradient steps a pass.
      hidden: widths of the network's layers.
      stage_size: width of the learned stage embedding.
      allow_stop: whether STOP may be chosen after the first hop, set by the learner's name. The paper's router has no
        STOP.
      evaluate_every: number of updates between two exact evaluations on the validation split.
      warm_start: number of epochs of imitating the best actions before the first update; backward induction over the
        table gives these actions for free.
      cost_conditioned: whether a cost weight is drawn for each episode and shown to the network, so that one policy
        serves them all.
      budgeted: whether a budget is drawn for each episode, never to be passed, and what is left of it shown to the
        network. Under a budget STOP is always allowed once there is an answer.
      lagrangian: whether the cost weight is adapted until a query costs `hyper.mean_cost` on average.
      network: `two-layer`, or the import path of a Flax module of the user's.
      prior: whether the policy is what the network adds to a fitted plan's scores.
    """

    DOMAINS: ClassVar[Domains] = {
        "num_envs": COUNT,
        "num_updates": COUNT,
        "epochs": COUNT,
        "minibatches": COUNT,
        "hidden": COUNT,
        "stage_size": COUNT,
        "evaluate_every": COUNT,
        "warm_start": NATURAL,
    }

    algorithm: str = "ppo"
    num_envs: int = 512
    num_updates: int = 100
    epochs: int = 4
    minibatches: int = 4
    hidden: tuple[int, ...] = (128, 128)
    stage_size: int = 8
    allow_stop: bool = False
    evaluate_every: int = 5
    warm_start: int = 0
    cost_conditioned: bool = False
    budgeted: bool = False
    lagrangian: bool = False
    network: str = TWO_LAYER
    prior: bool = False

    def __post_init__(self) -> None:
        check_domains(self)
        for what, name, known in (("algorithm", self.algorithm, ALGORITHMS), ("network", self.network, (TWO_LAYER,))):
            if name not in known and not is_import_path(name):
                raise InputError(f"{what} {name!r} is unknown; {nearest(name, (*known, IMPORT_PATH))}")
        if self.num_updates % self.evaluate_every:
            raise ValueError(
                f"num_updates ({self.num_updates}) must be a multiple of evaluate_every ({self.evaluate_every})"
            )
        if self.num_envs % self.minibatches:
            raise ValueError(f"num_envs ({self.num_envs}) must be a multiple of minibatches ({self.minibatches})")
        if not self.hidden:
            raise ValueError("hidden needs the width of at least one layer")
        if self.lagrangian and self.cost_conditioned:
            raise ValueError("lagrangian adapts the cost weight that cost_conditioned draws; choose one of them")
        if self.prior and (self.conditions or self.lagrangian):
            raise ValueError(
                "prior plans for one cost weight: it goes with none of cost_conditioned, budgeted, lagrangian"
            )
        if self.prior and self.network != TWO_LAYER:
            raise ValueError(f"prior goes with the {TWO_LAYER} network only, not with {self.network}")

    def transitions(self, tree: HopTree) -> int:
        """Of an update: sampled ones, or, of learners on whole trees, all hops of the trees that it looks at.

        An imported learner's are counted as sampled ones.
        """
        whole_trees = self.algorithm in ("all-actions", "exact")
        hops = tree.num_nodes - 1 if whole_trees else tree.horizon
        return self.num_envs * hops * (self.epochs if self.algorithm == "exact" else 1)

    @property
    def conditions(self) -> tuple[str, ...]:
        """What the policy is conditioned on."""
        conditions = {COST_WEIGHT: self.cost_conditioned, BUDGET: self.budgeted}
        return tuple(name for name, yes in conditions.items() if yes)


@dataclass(frozen=True)
class LearnerHyper(_Numbers):
    """Every number of the learner, as leaves: a sweep is the same function over stacked arrays in their place.

    Attributes:
      learning_rate: learning rate at the start.
      learning_rate_end: learning rate at the end, as a share of that at the start; 1 keeps it constant.
      learning_rate_cosine: shape of the fall: 0 falls linearly, 1 along half a cosine.
      clip: largest change of the probability ratio, epsilon of PPO.
      entropy: weight of the entropy bonus at the start. A high start keeps the router from settling on one specialist
        before it has seen what two hops can do.
      entropy_end: weight of the entropy bonus at the end; it is linear in between.
      guidance: share of the decisions, below 1, that the best action takes over at the start of training; backward
        induction over the table gives it for free. It keeps the router from settling on an answer that is safe and not
        the best. On a table of one hop there is none.
      guidance_until: share of all updates after which guidance has fallen to 0, linearly.
      value_coefficient: weight of the value loss (PPO).
      gamma: discount factor of the return.
      gae_lambda: lambda of generalised advantage estimation (PPO).
      weight_decay: decoupled weight decay (AdamW), times the learning rate.
      dropout: share of the network's input features dropped in the loss (not while acting), against learning the
        training queries' wording by heart.
      max_grad_norm: largest global norm of the gradient.
      reward: weights of the reward terms.
      ranges: bounds that a conditioned policy's conditions are drawn between.
      mean_cost: mean cost of a query, over the cost normaliser, that `static.lagrangian` aims at.
      cost_weight_rate: growth of the Lagrangian's cost weight by an update for every unit of cost too many.
      prior_temperature: temperature of the prior's policy, in units of return.
      prior_caution: number of standard errors of return given up for a prior that is closer to each task's best.
      prior_evidence: number of standard errors of the paired difference by which parameters must beat the prior on the
        validation queries to be kept in its place.
    """

    DOMAINS: ClassVar[Domains] = {
        "learning_rate": NONNEGATIVE,
        "learning_rate_end": NONNEGATIVE,
        "learning_rate_cosine": SHARE,
        "clip": POSITIVE,
        "entropy": NONNEGATIVE,
        "entropy_end": NONNEGATIVE,
        "guidance": Domain(0, 1, open_high=True),
        "guidance_until": SHARE,
        "value_coefficient": NONNEGATIVE,
        "gamma": SHARE,
        "gae_lambda": SHARE,
        "weight_decay": NONNEGATIVE,
        "dropout": Domain(0, 1, open_high=True),
        "max_grad_norm": POSITIVE,
        "mean_cost": NONNEGATIVE,
        "cost_weight_rate": NONNEGATIVE,
        "prior_temperature": POSITIVE,
        "prior_caution": NONNEGATIVE,
        "prior_evidence": NONNEGATIVE,
    }

    learning_rate: float = 1e-3
    learning_rate_end: float = 0.1
    learning_rate_cosine: float = 0.0
    clip: float = 0.2
    entropy: float = 0.1
    entropy_end: float = 0.0
    guidance: float = 0.99
    guidance_until: float = 0.5
    value_coefficient: float = 0.5
    gamma: float = 1.0
    gae_lambda: float = 0.95
    weight_decay: float = 0.1
    dropout: float = 0.0
    max_grad_norm: float = 0.5
    reward: RewardWeights = field(default_factory=RewardWeights)
    ranges: ConditionRanges = field(default_factory=ConditionRanges)
    mean_cost: float = 1.0
    cost_weight_rate: float = 0.01
    prior_temperature: float = 0.05
    prior_caution: float = 0.0
    prior_evidence: float = 0.0
