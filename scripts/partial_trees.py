"""How good a policy partial training trees give, for how many calls: plans simulated on a table that has everything.

    hierrouter quickstart --out runs/quickstart
    python scripts/partial_trees.py runs/quickstart/table

Calls are those that collecting would make: distinct prompts of a model. Beside each plan stands the same number of
calls spent on whole trees of fewer queries, which is what a plan has to beat.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.evaluation.outcome import policy_outcome
from hierrouter_jax.experiments.partial.plans import PartialConfig, whole_trees
from hierrouter_jax.experiments.partial.rounds import begun, collect_partly
from hierrouter_jax.experiments.train import train_routers
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable


def masked(full: OutcomeTable, wanted: Bool[np.ndarray, "Q N"]) -> OutcomeTable:
    """What a collection of the wanted nodes would have given."""
    held, tree = wanted.copy(), full.tree
    for node in reversed(range(1, tree.num_nodes)):
        held[:, tree.parent(node)] |= held[:, node]
    return replace(
        full,
        context_embedding=np.where(held[:, : tree.num_decision_nodes, None], full.context_embedding, 0),
        quality=np.where(held, full.quality, 0).astype(np.float32),
        tokens_in=np.where(held, full.tokens_in, 0),
        tokens_out=np.where(held, full.tokens_out, 0),
        response=np.where(held, full.response, ""),
        available=held,
        latency=None,
        details={},
    )


def training_calls(table: OutcomeTable) -> int:
    """Distinct (model, prompt) pairs of the training queries' hops."""
    tree, made = table.tree, set()
    for row, query in enumerate(table.queries):
        if query.split == "train":
            for node in np.flatnonzero(table.available[row])[1:]:
                before = list(tree.path(int(node)))[:-1]
                made.add((int(tree.last_model(node)), query.text, tuple(table.response[row, before].tolist())))
    return len(made)


def trained(table: OutcomeTable, config: PartialConfig, learners: Sequence[str], seeds: int) -> dict[str, float]:
    """Test accuracy of each learner's policy of the seed that validation chose."""
    train = replace(config.train, learners=tuple(learners), num_seeds=seeds)
    routers, _ = train_routers(begun(table), train, progress=False)
    test = table.split("test")
    return {
        name: float(policy_outcome(test, router.end_probability(test, router.chosen_seed)).quality.mean())
        for name, router in routers.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="folder of a table whose trees are whole")
    parser.add_argument("--plans", nargs="+", default=["frontier", "promising"])
    parser.add_argument("--learners", nargs="+", default=["exact+stop"])
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    full, config = load_table(options.table), PartialConfig()
    everything = training_calls(full)

    def show(name: str, table: OutcomeTable) -> int:
        calls = training_calls(table)
        scores = trained(table, config, options.learners, options.seeds)
        told = ", ".join(f"{learner} {100 * accuracy:.2f} %" for learner, accuracy in scores.items())
        print(f"{name}: {calls:,} of {everything:,} training calls ({calls / everything:.1%}); {told}", flush=True)
        return calls

    show("all", full)
    for plan in options.plans:
        calls = show(plan, collect_partly(partial(masked, full), full.queries, full.tree, plan, config))
        share = calls / everything
        show(f"whole trees of {share:.0%}", masked(full, whole_trees(full.queries, full.tree, share, config.seed)))


if __name__ == "__main__":
    main()
