"""What configures a learner and what it carries along: static shapes, traced numbers, the learner's state."""

import jax
import optax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

import hierrouter_jax.envs.rewards
import hierrouter_jax.policies.conditions  # noqa: F401 (both make pytrees of what a `LearnerHyper` holds)
from hierrouter_jax.learner_config import ALGORITHMS, LearnerHyper, LearnerStatic

__all__ = ["ALGORITHMS", "LearnerHyper", "LearnerState", "LearnerStatic", "Metrics"]
jax.tree_util.register_dataclass(LearnerHyper)


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
