"""Rounds of collecting and training: few calls, spent where the policies go."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.experiments.partial.frontier import frontier
from hierrouter_jax.experiments.partial.plans import PartialConfig, PlanKind, promising, whole_trees
from hierrouter_jax.experiments.train import train_routers
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable, Query

# Gives the table of the wanted nodes [Q, N], running what was not run before.
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
      ask: collects; a later call wants all that an earlier one wanted.
      queries: of the table, in order.
      tree: of the table.
      plan: which of them.
      config: its numbers.
      say: told what comes next, in a sentence.
    """
    if plan == "all":
        return ask(np.ones((len(queries), tree.num_nodes), dtype=bool))
    wanted = whole_trees(queries, tree, config.whole, config.seed)
    say(f"whole trees of {int(wanted.all(axis=1).sum()):,} of {len(queries):,} queries")
    table = ask(wanted)
    if plan == "promising":
        say("each model once, and promising routes, for the other training queries")
        return ask(promising(table, np.asarray(wanted.all(axis=1)), config.margin))
    for number in range(1, config.rounds + 1):
        say(f"round {number} of {config.rounds}: training, then hops after what is visited with p > {config.visited:g}")
        routers, _ = train_routers(begun(table), config.train, progress=False)
        for _ in range(tree.horizon):
            more = frontier(table, routers.values(), config.visited)
            if (more <= wanted).all():
                break
            wanted = wanted | more
            table = ask(wanted)
    return table


def begun(table: OutcomeTable) -> OutcomeTable:
    """The queries of which at least one hop was collected; the others have nothing to learn from."""
    return table.select(table.answered)
