"""How good a policy partial training trees give, for how many calls: plans simulated on a table that has everything.

    hierrouter quickstart --out runs/quickstart
    python -m scripts.partial_trees runs/quickstart/table

Calls are those that collecting would make: distinct prompts of a model. Beside each plan stands the same number of
calls spent on whole trees of fewer queries, which is what a plan has to beat.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from jsonargparse import auto_cli

from hierrouter_jax.evaluation.paired import paired_difference
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.files import write_json
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.partial import PartialConfig, PlanKind, begun, collect_partly, whole_trees
from hierrouter_jax.training.train import train_routers


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


def trained(
    table: OutcomeTable, config: PartialConfig, learners: Sequence[str], seeds: int
) -> dict[str, Float[np.ndarray, " Q"]]:
    """Quality on each test query of each learner's policy, of the seed that validation chose."""
    train = replace(config.train, learners=tuple(learners), num_seeds=seeds)
    routers, _ = train_routers(begun(table), train, progress=False)
    test = table.split("test")
    return {
        name: policy_outcome(test, router.end_probability(test, router.chosen_seed)).quality
        for name, router in routers.items()
    }


def main(
    table: Path,
    plans: tuple[PlanKind, ...] = ("frontier", "promising"),
    learners: tuple[str, ...] = ("exact+stop",),
    seeds: int = 3,
    out: Path = Path("runs/bench/partial_trees.json"),
) -> None:
    """Train on what each plan would have collected, print and write how good the policies are.

    Args:
      table: folder of a table whose trees are whole.
      plans: that are simulated.
      learners: that are trained on each.
      seeds: of each.
      out: JSON file.
    """
    full, config = load_table(table), PartialConfig()
    everything, rows = training_calls(full), []
    whole = trained(full, config, learners, seeds)

    def show(name: str, held: OutcomeTable, quality: dict[str, Float[np.ndarray, " Q"]]) -> int:
        calls = training_calls(held)
        for learner, right in quality.items():
            less = paired_difference(right, whole[learner])
            row = {"plan": name, "learner": learner, "calls": calls, "share": calls / everything}
            row |= {"accuracy": float(right.mean()), "over_all": less.value, "ci": list(less.interval)}
            rows.append(row)
            points = [100 * value for value in (less.value, *less.interval)]
            print(
                f"{name}: {calls:,} of {everything:,} training calls ({calls / everything:.1%}); {learner} "
                f"{100 * right.mean():.2f} %, over all routes {points[0]:+.2f} [{points[1]:+.2f}, {points[2]:+.2f}]",
                flush=True,
            )
        return calls

    show("all", full, whole)
    for plan in plans:
        some = collect_partly(partial(masked, full), full.queries, full.tree, plan, config)
        share = show(plan, some, trained(some, config, learners, seeds)) / everything
        fewer = masked(full, whole_trees(full.queries, full.tree, share, config.seed))
        show(f"whole trees of {share:.0%}", fewer, trained(fewer, config, learners, seeds))
    write_json(out, {"table": full.fingerprint, "results": rows})


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
