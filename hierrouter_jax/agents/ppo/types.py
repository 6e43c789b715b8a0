"""What configures PPO and what it carries along: static shapes, traced numbers, the learner's state."""

from dataclasses import dataclass

import optax
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.envs.rewards import RewardWeights


@dataclass(frozen=True)
class PPOStatic:
    """Everything that fixes shapes or the number of steps: one compilation each.

    Attributes (defaults are ours; the paper gives none):
      num_envs: episodes in parallel.
      num_updates: rollouts and optimisations.
      epochs: passes over each rollout.
      minibatches: parts of a pass.
      hidden: widths of the two-layer network.
      stage_size: width of the learned stage embedding.
      allow_stop: whether STOP may be chosen after the first hop. The paper's router has no STOP.
      evaluate_every: updates between two exact evaluations on the validation split.
    """

    num_envs: int = 512
    num_updates: int = 100
    epochs: int = 4
    minibatches: int = 4
    hidden: tuple[int, ...] = (128, 128)
    stage_size: int = 8
    allow_stop: bool = False
    evaluate_every: int = 5

    def __post_init__(self) -> None:
        if self.num_updates % self.evaluate_every:
            raise ValueError(
                f"num_updates ({self.num_updates}) must be a multiple of evaluate_every ({self.evaluate_every})"
            )


@struct.dataclass
class PPOHyper:
    """Every number of the learner, as leaves: a sweep is the same function over stacked arrays in their place.

    Attributes (defaults are ours):
      learning_rate: at the start; falls linearly to `learning_rate_end` of itself.
      clip: of the probability ratio, epsilon of PPO.
      entropy, entropy_end: bonus at the start and at the end, linear in between. A high start keeps the
        router from settling on one specialist before it has seen what two hops can do.
      value_coefficient: of the value loss.
      gamma: discount.
      gae_lambda: of generalised advantage estimation.
      weight_decay: decoupled (AdamW), times the learning rate.
      dropout: share of the network's input features dropped in the loss (not while acting), against learning the
        training queries' wording by heart.
      max_grad_norm: of the global gradient norm.
      reward: weights of the reward terms.
    """

    learning_rate: float = 1e-3
    learning_rate_end: float = 0.1
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


@struct.dataclass
class PPOState:
    """The learner's state; save all of it and an interrupted run goes on bit for bit.

    Attributes:
      params: of the network.
      optimizer: optax state.
      key: of the next update.
      update: updates done.
      best_params: those with the best validation return so far.
      best_return: that return, of the greedy policy.
      best_update: when.
    """

    params: dict
    optimizer: optax.OptState
    key: PRNGKeyArray
    update: Int[Array, ""]
    best_params: dict
    best_return: Float[Array, ""]
    best_update: Int[Array, ""]


@struct.dataclass
class Rollout:
    """L steps of B episodes; ids only, rows are gathered in the minibatch.

    Attributes:
      query, node: [L, B] where the action was taken.
      action: [L, B].
      log_prob: [L, B] of the action when it was taken.
      value: [L, B] estimated then.
      reward: [L, B].
      alive: [L, B] bool, whether the episode was still going before the step.
    """

    query: Int[Array, "L B"]
    node: Int[Array, "L B"]
    action: Int[Array, "L B"]
    log_prob: Float[Array, "L B"]
    value: Float[Array, "L B"]
    reward: Float[Array, "L B"]
    alive: Bool[Array, "L B"]
