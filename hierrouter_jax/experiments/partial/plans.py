"""Sampling plans: which training queries get whole trees, and which routes are promising for the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.domains import COUNT, SEED, SHARE, Domain, Domains, check_domains
from hierrouter_jax.experiments.train import TrainConfig
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable, Query

# All routes; each model once, then along routes that did well on queries with whole trees; or only the hops after
# nodes that policies trained on what there is visit with a probability over `PartialConfig.visited`.
PlanKind = Literal["all", "promising", "frontier"]


@dataclass(frozen=True)
class PartialConfig:
    """How much of the training queries' trees is collected. Validation and test trees are whole in any case.

    Attributes:
      whole: share of each task's training queries that get whole trees, to learn from what leads nowhere, too.
      margin: of `promising`: routes within so much of their task's best mean quality.
      visited: of `frontier`: the smallest probability of a visit, of any of the policies.
      rounds: of `frontier`: how often policies are trained and then expand the trees.
      seed: of the draw of queries with whole trees.
      learners: that train the policies of a round. One that may not stop needs more calls, as all its routes are long.
      seeds: policies of each learner.
      updates: of their training; few do, as the policies only say where to look.

    Raises:
      InputError: if a share or a number is out of range.
    """

    DOMAINS: ClassVar[Domains] = {
        "whole": Domain(0, 1, open_low=True),
        "margin": SHARE,
        "visited": Domain(0, 1, open_low=True, open_high=True),
        "rounds": COUNT,
        "seed": SEED,
        "seeds": COUNT,
        "updates": COUNT,
    }

    whole: float = 0.15
    margin: float = 0.02
    visited: float = 0.2
    rounds: int = 1
    seed: int = 0
    learners: tuple[str, ...] = ("exact+stop",)
    seeds: int = 2
    updates: int = 8

    def __post_init__(self) -> None:
        check_domains(self)
        self.train  # noqa: B018 (it refuses wrong learners and seeds)

    @property
    def train(self) -> TrainConfig:
        """How a round's policies are trained: a few large steps, as in the preset train/fast.yaml."""
        static = LearnerStatic(num_envs=256, num_updates=self.updates, evaluate_every=1)
        hyper = LearnerHyper(learning_rate=0.003)
        return TrainConfig(self.learners, self.seeds, self.seed, static=static, hyper=hyper, checkpoint_every=1)


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


def most_expanded(plan: PlanKind, config: PartialConfig, tree: HopTree) -> tuple[int, ...]:
    """Of each stage but the last, the most nodes of a partial tree after which a plan may call the models.

    Of `frontier`, a policy visits fewer than 1 / `visited` nodes of a stage with more than that probability, and each
    policy of each round may visit others. Of `promising`, every route may come near the best.
    """
    policies = config.rounds * len(config.learners) * config.seeds
    most = policies * (ceil(1 / config.visited) - 1) if plan == "frontier" else tree.num_nodes
    return (1, *(min(tree.num_models**stage, most) for stage in range(1, tree.horizon)))


def promising(table: OutcomeTable, whole: Bool[np.ndarray, " Q"], margin: float) -> Bool[np.ndarray, "Q N"]:
    """Each model once, and every model after each node of the routes that did well for the task.

    A route did well if its mean quality over the task's training queries with whole trees is within `margin` of the
    task's best, over routes of any length.
    """
    tree = table.tree
    train = np.array([query.split == "train" for query in table.queries])
    wanted = np.repeat((whole | ~train)[:, None], tree.num_nodes, axis=1)
    wanted[:, : tree.stage_start(2)] = True
    for task in range(len(table.task_names)):
        rows = (table.task == task) & train
        if not (rows & whole).any():
            continue
        mean = table.quality[rows & whole].mean(axis=0)
        good = np.flatnonzero(mean >= mean[1:].max() - margin)
        passed = {tree.parent(node) for end in good for node in tree.path(int(end))}
        nodes = sorted(tree.child(node, model) for node in passed for model in range(tree.num_models))
        wanted[np.ix_(np.flatnonzero(rows), np.array(nodes))] = True
    return wanted
