"""What configures a learner and what it carries along: static shapes, traced numbers, the learner's state."""

from dataclasses import dataclass
from typing import ClassVar

import optax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hierrouter_jax.domains import COUNT, NATURAL, NONNEGATIVE, POSITIVE, SHARE, Domain, Domains, check_domains
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.plugins import IMPORT_PATH, is_import_path
from hierrouter_jax.policies.conditions import BUDGET, COST_WEIGHT, ConditionRanges
from hierrouter_jax.policies.network import TWO_LAYER

ALGORITHMS = ("ppo", "all-actions", "exact")


@dataclass(frozen=True)
class LearnerStatic:
    """Everything that fixes shapes or the number of steps: one compilation each.

    Attributes (the defaults are this project's; the paper gives none):
      algorithm: `ppo` as in the paper; `all-actions`, PPO's clipped objective summed over all actions of the whole
        hop tree with exact advantages; `exact`, ascent on the closed-form expected return; or the import path of
        an update of your own. The learner's name sets it.
      num_envs: episodes in each update: sampled ones for PPO, queries with their whole trees for the other two.
      num_updates: number of updates in all.
      epochs: number of passes over each update's episodes.
      minibatches: number of gradient steps in each pass.
      network: `two-layer`, or the import path of a Flax module of your own.
      hidden: widths of the network's hidden layers.
      stage_size: width of the learned stage embedding.
      allow_stop: whether STOP may be chosen after the first hop. The paper's router has no STOP. The
        learner's name sets it.
      evaluate_every: number of updates between two exact evaluations on the validation split.
      warm_start: number of epochs, before the first update, of imitating the best actions, which backward induction
        over the table gives for free.
      cost_conditioned: whether a cost weight is drawn for each episode and shown to the network, so that one
        policy serves them all.
      budgeted: whether a budget is drawn for each episode, never to be passed, and what is left of it shown to the
        network. Under a budget STOP is always allowed once there is an answer.
      lagrangian: whether the cost weight is adapted until a query costs `LearnerHyper.mean_cost` on average.
      prior: whether the policy is what the network adds to a fitted plan's scores (`agents/fit_prior.py`).
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
        """Number of transitions in an update: sampled ones, or all hops of the trees that a learner on trees looks at.

        Those of an imported learner are counted as sampled ones.
        """
        whole_trees = self.algorithm in ("all-actions", "exact")
        hops = tree.num_nodes - 1 if whole_trees else tree.horizon
        return self.num_envs * hops * (self.epochs if self.algorithm == "exact" else 1)

    @property
    def conditions(self) -> tuple[str, ...]:
        """What the policy is conditioned on."""
        conditioned = {COST_WEIGHT: self.cost_conditioned, BUDGET: self.budgeted}
        return tuple(name for name, yes in conditioned.items() if yes)


@struct.dataclass
class LearnerHyper:
    """Every number of the learner, as leaves: a sweep is the same function over stacked arrays in their place.

    Attributes (the defaults are this project's):
      learning_rate: step size at the start of training.
      learning_rate_end: what the learning rate falls to, as a share of its start; 1 keeps it constant.
      learning_rate_cosine: shape of that fall: 0 is linear, 1 is half a cosine.
      clip: largest change of the probability ratio that is rewarded, epsilon of PPO.
      entropy, entropy_end: weight of the entropy bonus at the start and at the end, linear in between. A high start
        keeps the router from settling on one specialist before it has seen what two hops can do.
      value_coefficient: weight of the value loss (PPO).
      gamma: discount of later rewards, in [0, 1].
      gae_lambda: lambda of generalised advantage estimation (PPO), in [0, 1].
      weight_decay: decoupled weight decay (AdamW), times the learning rate.
      dropout: share of the network's input features that is dropped in the loss (not while acting), against learning
        the training queries' wording by heart.
      max_grad_norm: largest global norm of a gradient; a longer one is scaled down to it.
      reward: weights of the reward terms.
      ranges: bounds from which a conditioned policy's conditions are drawn.
      mean_cost: mean cost of a query, over the cost normaliser, that `LearnerStatic.lagrangian` aims at.
      cost_weight_rate: rate of its ascent: what the cost weight grows by in an update for every unit of cost too many.
      prior_temperature: difference in predicted return that changes the prior's odds by a factor e.
      prior_caution: standard errors of return that are given up for a prior that is drawn closer to each task's best.
      prior_evidence: standard errors of the paired difference by which parameters must beat the prior on the
        validation queries to take its place.
    """

    DOMAINS: ClassVar[Domains] = {
        "learning_rate": NONNEGATIVE,
        "learning_rate_end": NONNEGATIVE,
        "learning_rate_cosine": SHARE,
        "clip": POSITIVE,
        "entropy": NONNEGATIVE,
        "entropy_end": NONNEGATIVE,
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
    value_coefficient: float = 0.5
    gamma: float = 1.0
    gae_lambda: float = 0.95
    weight_decay: float = 0.1
    dropout: float = 0.0
    max_grad_norm: float = 0.5
    reward: RewardWeights = struct.field(default_factory=RewardWeights)
    ranges: ConditionRanges = struct.field(default_factory=ConditionRanges)
    mean_cost: float = 1.0
    cost_weight_rate: float = 0.01
    prior_temperature: float = 0.05
    prior_caution: float = 0.0
    prior_evidence: float = 0.0

    def __post_init__(self) -> None:
        check_domains(self)


@struct.dataclass
class LearnerState:
    """The learner's state; save all of it and an interrupted run goes on bit for bit.

    Attributes:
      params: the network's parameters, of any shapes.
      optimizer: state of the optax optimiser.
      key: random key of the next update.
      update: number of updates done, int32.
      best_params: parameters with the best validation return so far.
      best_return: best validation return of the greedy policy; -inf where no update had finite parameters.
      best_update: number of updates after which that return was reached, int32.
      cost_weight: cost weight of the reward, where `LearnerStatic.lagrangian` adapts it.
    """

    params: dict
    optimizer: optax.OptState
    key: PRNGKeyArray
    update: Int[Array, ""]
    best_params: dict
    best_return: Float[Array, ""]
    best_update: Int[Array, ""]
    cost_weight: Float[Array, ""]


Metrics = dict[str, Float[Array, "*T"]]
