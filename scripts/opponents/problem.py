"""The problem that all opponents learn, as numpy arrays, and the settings that all of them share."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from hierrouter_jax.hop_tree import HopTree

if TYPE_CHECKING:
    from hierrouter_jax.envs.types import DeviceTable

HOP_COST = 0.01  # RewardWeights' default; a process that trains with torch alone does not load JAX for it
KINDS = 8
NOISE = 0.5


@dataclass(frozen=True)
class Settings:
    """PPO's numbers, the same for every opponent.

    Attributes:
      num_envs: episodes of a rollout.
      epochs: passes over each rollout.
      minibatches: parts of a pass.
      hidden: widths of the trunk that policy and value share.
      learning_rate: Adam's, constant.
      clip: of the probability ratio.
      entropy: weight of the bonus.
      value_coefficient: of the value loss.
      gae_lambda: of generalised advantage estimation.
      gamma: discount.
      max_grad_norm: of the global gradient norm.
    """

    num_envs: int = 4096
    epochs: int = 4
    minibatches: int = 4
    hidden: tuple[int, int] = (128, 128)
    learning_rate: float = 1e-3
    clip: float = 0.2
    entropy: float = 0.01
    value_coefficient: float = 0.5
    gae_lambda: float = 0.95
    gamma: float = 1.0
    max_grad_norm: float = 0.5


@dataclass(frozen=True, eq=False)
class Problem:
    """Outcomes without a missing hop, so that every episode has L steps and no action needs a mask.

    Attributes:
      features: [Q, D, F] float32 of each context.
      quality: [Q, N] float32 of answering with each node's response.
      cost: [Q, N] float32 of entering each node, of mean 1.
      tree: of the routes.
    """

    features: Float[np.ndarray, "Q D F"]
    quality: Float[np.ndarray, "Q N"]
    cost: Float[np.ndarray, "Q N"]
    tree: HopTree

    @property
    def num_queries(self) -> int:
        return len(self.quality)

    @cached_property
    def spent(self) -> Float[np.ndarray, "Q N"]:
        """Cost of the whole route to each node."""
        spent = self.cost.copy()
        for node in range(1, self.tree.num_nodes):
            spent[:, node] += spent[:, self.tree.parent(node)]
        return spent

    @cached_property
    def rewards(self) -> Float[np.ndarray, "Q N"]:
        """Of entering each node: its cost, and at a leaf its quality; column 0 is meaningless."""
        leaf = np.arange(self.tree.num_nodes) >= self.tree.num_decision_nodes
        return self.quality * leaf - np.float32(HOP_COST) * self.cost

    @cached_property
    def observations(self) -> Float[np.ndarray, "Q D O"]:
        """Features, one-hot stage and cost spent at each decision node, O = F + L + 1: a step only looks them up."""
        queries, nodes, _ = self.features.shape
        stage = np.eye(self.tree.horizon, dtype=np.float32)[self.tree.stages[:nodes]]
        stage = np.broadcast_to(stage, (queries, *stage.shape))
        return np.concatenate([self.features, stage, self.spent[:, :nodes, None]], axis=-1)

    def on_device(self) -> "DeviceTable":
        """The same outcomes as this project's environment takes them."""
        import jax.numpy as jnp

        from hierrouter_jax.envs.types import DeviceTable

        return DeviceTable(
            features=jnp.asarray(self.features),
            quality=jnp.asarray(self.quality),
            cost=jnp.asarray(self.cost),
            spent=jnp.asarray(self.spent),
            available=jnp.ones(self.quality.shape, dtype=bool),
            task=jnp.zeros(self.num_queries, dtype=jnp.int32),
            tree=self.tree,
        )


def make_problem(queries: int, models: int, horizon: int, features: int, seed: int) -> Problem:
    """Random outcomes that can be learned: a query is of a kind, and each kind has one right model for each hop.

    The features show the kind, with noise. An answer is right with the share of right hops on its route, so that
    a random router reaches 1 / M and the best one 1.

    Args:
      queries: Q.
      models: M.
      horizon: L.
      features: F.
      seed: of everything.
    """
    rng, tree = np.random.default_rng(seed), HopTree(models, horizon)
    right = rng.integers(0, models, (KINDS, horizon))
    hits = np.zeros((KINDS, tree.num_nodes))
    for node in range(1, tree.num_nodes):
        parent = tree.parent(node)
        hits[:, node] = hits[:, parent] + (right[:, tree.stages[parent]] == tree.last_model(node))
    kind = rng.integers(0, KINDS, queries)
    chance = (hits / np.maximum(tree.stages, 1))[kind]
    cost = rng.uniform(0.5, 1.5, chance.shape).astype(np.float32)
    cost[:, 0] = 0
    noise = rng.standard_normal((queries, tree.num_decision_nodes, features), dtype=np.float32)
    centres = rng.standard_normal((KINDS, 1, features), dtype=np.float32)
    return Problem(
        features=centres[kind] + np.float32(NOISE) * noise,
        quality=(rng.random(chance.shape) < chance).astype(np.float32),
        cost=cost,
        tree=tree,
    )
