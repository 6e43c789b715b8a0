"""Index arithmetic of the complete M-ary tree of routes, breadth-first from the query at node 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hierrouter_jax.errors import InputError

_MOST_NODES = 2**31 - 1  # nodes are int32 in tables and on devices


@dataclass(frozen=True)
class HopTree:
    """All routes of at most `horizon` hops over `num_models` models.

    A node is a route prefix; node 0 is the query. `child(n, a) = n * M + 1 + a` is the whole transition
    function of the MDP, so nothing is stored for it. The formulas hold for M = 1, where the tree is a chain.

    Raises:
      InputError: if there is no model or no hop, or more nodes than an int32 counts.
    """

    num_models: int
    horizon: int

    def __post_init__(self) -> None:
        if self.num_models < 1 or self.horizon < 1:
            raise InputError(
                f"a hop tree needs at least one model and one hop, not {self.num_models} and {self.horizon}"
            )
        longest = _MOST_NODES if self.num_models == 1 else 31
        if self.horizon >= longest or self.num_nodes > _MOST_NODES:
            raise InputError(
                f"a hop tree of {self.num_models} models and {self.horizon} hops has more than {_MOST_NODES:,} nodes; "
                "lower the horizon"
            )

    def stage_start(self, stage: int) -> int:
        """First node of a stage: 1 + M + ... + M^(stage-1)."""
        return stage if self.num_models == 1 else (self.num_models**stage - 1) // (self.num_models - 1)

    def stage_slice(self, stage: int) -> slice:
        """The nodes of a stage, contiguous in breadth-first order."""
        return slice(self.stage_start(stage), self.stage_start(stage + 1))

    @property
    def num_nodes(self) -> int:
        return self.stage_start(self.horizon + 1)

    @property
    def num_decision_nodes(self) -> int:
        return self.stage_start(self.horizon)

    def child(self, node, action):
        """Node after calling model `action` at `node`; works on ints and on arrays of either library."""
        return node * self.num_models + 1 + action

    def parent(self, node):
        """Node one hop earlier; the root has none (its result is meaningless)."""
        return (node - 1) // self.num_models

    def last_model(self, node):
        """Model that was called to enter `node`; meaningless for the root."""
        return (node - 1) % self.num_models

    @cached_property
    def stages(self) -> np.ndarray:
        """Number of hops done at each node, [N] int32."""
        return np.repeat(
            np.arange(self.horizon + 1, dtype=np.int32), [self.num_models**s for s in range(self.horizon + 1)]
        )

    def route(self, node: int) -> tuple[int, ...]:
        """Models called on the way from the query to `node`."""
        models: list[int] = []
        while node:
            models.append(int(self.last_model(node)))
            node = self.parent(node)
        return tuple(reversed(models))

    def node(self, route: Sequence[int]) -> int:
        """Node that a route ends in."""
        node = 0
        for model in route:
            node = self.child(node, model)
        return node

    def path(self, node: int) -> tuple[int, ...]:
        """Nodes from the first hop to `node`, the root left out."""
        route = self.route(node)
        return tuple(self.node(route[: hop + 1]) for hop in range(len(route)))
