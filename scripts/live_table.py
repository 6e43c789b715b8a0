"""Whether live routes are those of the table that a policy learned from: its choices, responses and answers.

    python -m scripts.live_table --table runs/quickstart/table --policy runs/quickstart/policy --pool pool/tiny.yaml

A choice is compared where all earlier responses of its route are the table's, as then the policy has read the same; a
response where its prompt is the same. Models whose text does not depend on what else is in a batch must give all of
them; an endpoint that decodes many sequences together rounds otherwise, and now and then writes another word.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.files import write_json
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.choice import bundle_ends
from scripts.serve_parity import transcripts


def main(
    table: Path, policy: Path, pool: Path, queries: int = 60, seed: int = 0, out: Path = Path("runs/bench/live.json")
) -> None:
    """Route test queries live, and count what equals the table.

    Args:
      table: folder or name of the outcome table.
      policy: folder of the policy bundle.
      pool: preset or YAML file of the pool.
      queries: number of test queries, drawn with the seed.
      seed: seed of the draw.
      out: file to write.
    """
    part = load_table(table).split("test")
    rows = np.random.default_rng(seed).permutation(part.num_queries)[:queries]
    part = part.select(np.sort(rows))
    ends = bundle_ends(PolicyBundle.load(policy), part).argmax(axis=1)
    result = compared(part, ends, routed(part, policy, pool))
    write_json(out, result)
    print(json.dumps(result, indent=1))


def routed(part: OutcomeTable, policy: Path, pool: Path) -> list[dict[str, Any]]:
    """What `hierrouter route` gives for the queries, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queries.jsonl"
        rows = ({"id": query.id, "text": query.text, "task": query.task} for query in part.queries)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return transcripts([str(path), "--policy", str(policy), "--pool", str(pool)])


def compared(part: OutcomeTable, ends: np.ndarray, live: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts of equal choices, responses, routes and answers.

    Args:
      part: the queries that were routed.
      ends: node at which the policy's route ends on the table, for each query.
      live: `route` and `responses` of each query, in the same order.
    """
    counts = dict.fromkeys(("choices", "equal_choices", "responses", "equal_responses", "routes", "answers"), 0)
    tree, right = part.tree, 0.0
    for row, transcript in enumerate(live):
        planned, node, same = tree.route(int(ends[row])), 0, True
        for hop, (name, response) in enumerate(zip(transcript["route"], transcript["responses"], strict=True)):
            model = part.model_names.index(name)
            if same:
                counts["choices"] += 1
                counts["equal_choices"] += hop < len(planned) and planned[hop] == model
                counts["responses"] += 1
            node = tree.child(node, model)
            same = same and response == part.response[row, node]
            counts["equal_responses"] += same
        if same and tree.stages[node] < tree.horizon:  # it chose to stop
            counts["choices"] += 1
            counts["equal_choices"] += node == ends[row]
        counts["routes"] += node == ends[row]
        counts["answers"] += transcript["responses"][-1] == part.response[row, ends[row]]
        right += float(part.quality[row, ends[row]])
    return {
        "queries": len(live),
        **{name: int(value) for name, value in counts.items()},
        "accuracy_on_the_table": right / len(live),
    }


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
