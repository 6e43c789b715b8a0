"""Sampling plans: which training queries get whole trees, and which routes are promising for the others."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.domains import COUNT, SEED, SHARE, Domain, Domains, check_domains
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.learner_config import LearnerHyper, LearnerStatic
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from hierrouter_jax.training.settings import TrainConfig

if TYPE_CHECKING:
    from hierrouter_jax.training.router import TrainedRouter

# All routes; each model once, then along routes that did well on queries with whole trees; or only the hops after
# nodes that policies trained on what there is visit with a probability over `PartialConfig.visited`.
PlanKind = Literal["all", "promising", "frontier"]


@dataclass(frozen=True)
class PartialConfig:
    """How much of the training queries' trees is collected. Validation and test trees are whole in any case.

    Attributes:
      whole: share of each task's training queries that get whole trees, to learn from what leads nowhere, too.
      margin: largest distance of a promising route's mean quality to its task's best one (plan `promising`).
      visited: smallest probability of a visit by any of the policies (plan `frontier`).
      rounds: number of times that policies are trained and then expand the trees (plan `frontier`).
      seed: seed of the draw of queries with whole trees.
      learners: names of the learners that train a round's policies. One that may not stop needs more calls, as all its
        routes are long.
      seeds: number of policies of each learner.
      updates: number of training updates; few do, as the policies only say where to look.

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
        _ = self.train  # making it refuses wrong learners and seeds

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
    mask = np.repeat(whole[:, None], tree.num_nodes, axis=1)
    mask[:, 0] = True
    return mask


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
    mask = np.repeat((whole | ~train)[:, None], tree.num_nodes, axis=1)
    mask[:, : tree.stage_start(2)] = True
    for task in range(len(table.task_names)):
        rows = (table.task == task) & train
        if not (rows & whole).any():
            continue
        mean = table.quality[rows & whole].mean(axis=0)
        good = np.flatnonzero(mean >= mean[1:].max() - margin)
        passed = {tree.parent(node) for end in good for node in tree.path(int(end))}
        nodes = sorted(tree.child(node, model) for node in passed for model in range(tree.num_models))
        mask[np.ix_(np.flatnonzero(rows), np.array(nodes))] = True
    return mask


def frontier(table: OutcomeTable, routers: "Iterable[TrainedRouter]", probability: float) -> Bool[np.ndarray, "Q N"]:
    """All children of collected nodes that some policy visits with more than a probability, but for the last stage.

    A visited node is expanded by every model, so that what is learned there is a choice between all of them. A child
    that is not visited itself ends its route as the tree is then: a policy that may stop is told what stopping there
    is worth, and never more than the child is worth.
    """
    visited = (visits(table, routers) > probability) & table.available
    mask = np.zeros_like(visited)
    mask[:, 1:] = np.repeat(visited[:, : table.tree.num_decision_nodes], table.tree.num_models, axis=1)
    return mask


def visits(table: OutcomeTable, routers: "Iterable[TrainedRouter]") -> Float[np.ndarray, "Q N"]:
    """The largest probability with which any seed of any router visits each node, were all hops there to be made.

    Seeds that diverged do not count, as their parameters are the untrained ones that they began with. The result is
    meaningless below nodes that were not collected, whose contexts nobody knows.
    """
    import jax.numpy as jnp

    from hierrouter_jax.evaluation.tree_policy import run_policy

    tree, largest = table.tree, np.zeros(table.quality.shape)
    for router in routers:
        device = router.features.on_device(table)
        conditions = router.conditions(table.num_queries)
        legal = jnp.asarray(possible(tree, router.may_stop))
        for seed in np.flatnonzero(~router.diverged).tolist():
            policy = run_policy(router.static, router.params(seed), device, conditions, router.hyper.ranges)
            largest = np.maximum(largest, visit_probability(policy.logits, legal, tree))
    return largest


def possible(tree: HopTree, may_stop: bool) -> Bool[np.ndarray, "D A"]:
    """Legal actions where every hop can be made."""
    legal = np.ones((tree.num_decision_nodes, tree.num_models + 1), dtype=bool)
    legal[:, -1] = may_stop
    legal[0, -1] = False
    return legal


def visit_probability(logits: Any, legal: Any, tree: HopTree) -> Float[np.ndarray, "Q N"]:
    """Probability of visiting each node, of logits [Q, D, A] on a device and the actions that are legal [D, A]."""
    import jax
    import jax.numpy as jnp

    from hierrouter_jax.evaluation.exact import reach_probability

    return np.asarray(reach_probability(jax.nn.softmax(jnp.where(legal, logits, -jnp.inf)), tree))


# Gives the table of a mask of nodes [Q, N], running what was not run before.
Ask = Callable[[Bool[np.ndarray, "Q N"]], OutcomeTable]
Say = Callable[[str], None]


def collect_partly(
    ask: Ask,
    queries: Sequence[Query],
    tree: HopTree,
    plan: PlanKind,
    config: PartialConfig,
    say: Say = lambda text: None,
) -> OutcomeTable:
    """The table of a sampling plan.

    Args:
      ask: function that collects a mask of nodes; a later mask holds all nodes of an earlier one.
      queries: queries of the table, in its order.
      tree: hop tree of the table.
      plan: name of the sampling plan.
      config: numbers of the plan.
      say: told what comes next, in a sentence.

    Raises:
      Diverged: if no policy of a round is left to say where to look (plan `frontier`).
    """
    from hierrouter_jax.training.router import DIVERGED, Diverged
    from hierrouter_jax.training.train import train_routers

    if plan == "all":
        return ask(np.ones((len(queries), tree.num_nodes), dtype=bool))
    mask = whole_trees(queries, tree, config.whole, config.seed)
    say(f"whole trees of {int(mask.all(axis=1).sum()):,} of {len(queries):,} queries")
    table = ask(mask)
    if plan == "promising":
        say("each model once, and promising routes, for the other training queries")
        return ask(promising(table, np.asarray(mask.all(axis=1)), config.margin))
    for number in range(1, config.rounds + 1):
        say(f"round {number} of {config.rounds}: training, then hops after what is visited with p > {config.visited:g}")
        routers, _ = train_routers(begun(table), config.train, progress=False)
        if all(router.diverged.all() for router in routers.values()):
            raise Diverged(f"round {number} of the plan {plan}: {', '.join(routers)}: {DIVERGED}")
        for _ in range(tree.horizon):
            more = frontier(table, routers.values(), config.visited)
            if (more <= mask).all():
                break
            mask = mask | more
            table = ask(mask)
    return table


def begun(table: OutcomeTable) -> OutcomeTable:
    """The queries of which at least one hop was collected; the others have nothing to learn from."""
    return table.select(table.answered)
