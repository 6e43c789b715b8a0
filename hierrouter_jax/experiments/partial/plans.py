"""Sampling plans: which training queries get whole trees, and which routes are promising for the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.train import TrainConfig
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable, Query

PlanKind = Literal["all", "promising", "frontier"]


def _fast() -> TrainConfig:
    static = LearnerStatic(num_envs=256, num_updates=8, evaluate_every=1)
    hyper = LearnerHyper(learning_rate=0.003)
    return TrainConfig(("exact", "exact+stop"), num_seeds=2, static=static, hyper=hyper, checkpoint_every=8)


@dataclass(frozen=True)
class PartialConfig:
    """How much of the training queries' trees is collected. Validation and test trees are whole in any case.

    Attributes:
      kind: `all` routes; `promising`: each model once, then the routes whose like did well on the queries with whole
        trees; `frontier`: only nodes that policies trained on what there is visit with probability over `visited`.
      whole: share of each task's training queries that get whole trees, to learn from what leads nowhere, too.
      margin: of `promising`: routes within so much of their task's best mean quality.
      visited: of `frontier`: the smallest probability of a visit, of any of the policies.
      rounds: of `frontier`: how often policies are trained and then expand the trees.
      seed: of the draw of queries with whole trees.
      train: of the policies of a round.

    Raises:
      InputError: if a share or a number is out of range.
    """

    kind: PlanKind = "all"
    whole: float = 0.2
    margin: float = 0.1
    visited: float = 0.05
    rounds: int = 1
    seed: int = 0
    train: TrainConfig = field(default_factory=_fast)

    def __post_init__(self) -> None:
        if not 0 < self.whole <= 1:
            raise InputError(f"whole is {self.whole}, but must be a share of the training queries above 0")
        if not 0 <= self.margin <= 1:
            raise InputError(f"margin is {self.margin}, but must be from 0 to 1")
        if not 0 < self.visited < 1:
            raise InputError(f"visited is {self.visited}, but must be a probability between 0 and 1")
        if self.rounds < 1:
            raise InputError(f"rounds is {self.rounds}, but must be at least 1")


def whole_trees(queries: Sequence[Query], tree: HopTree, share: float, seed: int) -> Bool[np.ndarray, "Q N"]:
    """All nodes of validation and test queries and of a share of each task's training queries; of others the root."""
    rng = np.random.default_rng(seed)
    whole = np.array([query.split != "train" for query in queries])
    for task in dict.fromkeys(query.task for query in queries):
        rows = [row for row, query in enumerate(queries) if query.task == task and query.split == "train"]
        whole[rng.permutation(rows)[: int(np.ceil(share * len(rows)))]] = True
    wanted = np.repeat(whole[:, None], tree.num_nodes, axis=1)
    wanted[:, 0] = True
    return wanted


def promising(table: OutcomeTable, whole: Bool[np.ndarray, " Q"], margin: float) -> Bool[np.ndarray, "Q N"]:
    """Each model once, and the routes that did well on training queries of the same task whose trees are whole.

    A route did well if its mean quality is within `margin` of the task's best, over routes of any length.
    """
    train = np.array([query.split == "train" for query in table.queries])
    wanted = np.repeat((~train)[:, None], table.tree.num_nodes, axis=1)
    wanted[:, table.tree.stage_slice(1)] = True
    for task in range(len(table.task_names)):
        rows = (table.task == task) & train
        seen = rows & whole
        if not seen.any():
            continue
        mean = table.quality[seen].mean(axis=0)
        good = np.flatnonzero(mean >= mean[1:].max() - margin)
        nodes = sorted({node for end in good for node in table.tree.path(int(end))})
        wanted[np.ix_(np.flatnonzero(rows), nodes)] = True
    wanted[whole] = True
    wanted[:, 0] = True
    return wanted
