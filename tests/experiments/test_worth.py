"""Whether routing is worth it: hand-computed headroom, prices of depth, and answers that follow the declared rules."""

import json

import numpy as np
import pytest

from hierrouter_jax.cli.advice import sentences
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.worth import worth
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.outcomes.table import OutcomeTable, Query

SPLITS = ("train", "validation", "test")


def built(right, horizon: int = 1, each: int = 40) -> OutcomeTable:
    """Two tasks, told apart by the embedding; `right[task][node - 1]` is every query's quality at a node."""
    tree = HopTree(2, horizon)
    tasks = np.arange(each) % 2
    queries = tuple(
        Query(f"{split}-{row}", f"text {split} {row}", f"task{tasks[row]}", "gold", split)
        for split in SPLITS
        for row in range(each)
    )
    task = np.tile(tasks, len(SPLITS))
    quality = np.pad(np.array(right, dtype=np.float32)[task], ((0, 0), (1, 0)))
    shape = quality.shape
    inner = np.arange(tree.num_nodes) > 0
    embedding = np.random.default_rng(0).normal(scale=0.1, size=(len(queries), tree.num_decision_nodes, 4))
    embedding[:, :, 0] += task[:, None]
    return OutcomeTable(
        tree=tree,
        pool=(PricedModel("small", 1.0, 1.0), PricedModel("large", 2.0, 3.0)),
        queries=queries,
        context_embedding=embedding.astype(np.float32),
        quality=quality,
        tokens_in=np.full(shape, 10, dtype=np.int32) * inner,
        tokens_out=np.full(shape, 4, dtype=np.int32) * inner,
        available=np.ones(shape, dtype=bool),
        response=np.full(shape, "", dtype=object),
        encoder={"kind": "ngrams", "size": 4},
    )


def test_each_task_has_its_own_model():
    report = worth(built([[1, 0], [0, 1]]))
    assert report["best_single"] == {"model": "small", "accuracy": 0.5, "cost": 14.0}
    assert report["task_sequence"]["accuracy"] == report["oracle"]["accuracy"] == 1.0
    assert report["task_sequence"]["headroom"]["value"] == 0.5
    assert report["task_sequence"]["headroom"]["ci"][0] > 0
    assert report["co_failure"]["value"] == 0.0
    assert report["answers"] == {"routing": "go", "hop_2": "no-go", "hop_3": "no-go"}


def test_one_model_for_all_is_enough():
    report = worth(built([[1, 0], [1, 1]]))
    assert report["oracle"]["headroom"]["value"] == 0.0
    assert report["answers"] == {"routing": "no-go", "hop_2": "no-go", "hop_3": "no-go"}
    assert [said.partition(":")[0] for said in sentences(report)] == ["Routing", "Hop 2", "Hop 3"]


def test_where_no_model_is_right_a_second_hop_is_sampled_first():
    report = worth(built([[1, 0], [0, 0]]))
    assert report["co_failure"]["value"] == 0.5
    assert report["answers"] == {"routing": "no-go", "hop_2": "sample", "hop_3": "no-go"}


def test_what_a_deeper_table_holds_is_measured():
    # Task 1 is right only where large rewrites what small said.
    report = worth(built([[1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]], horizon=2))
    assert report["depth"][1]["gain"]["value"] == 0.5
    assert report["answers"] == {"routing": "no-go", "hop_2": "go", "hop_3": "sample"}


def test_depth_is_priced_from_the_first_hop():
    first, second, third = worth(built([[1, 0], [0, 1]]))["depth"]
    assert [depth["calls"] for depth in (first, second, third)] == [2, 6, 14]
    # A first hop reads 10 and writes 4: 14 by small, 20 + 12 = 32 by large. A second one reads 4 more: 18 and 40.
    assert first["collection_cost"] == 14 + 32
    assert second["collection_cost"] == 14 + 32 + 2 * (18 + 40)
    assert second["route_cost"] == {"cheapest": 14 + 18, "mean": (46 + 58) / 2}
    assert third["route_cost"]["cheapest"] == 14 + 18 + 22


def test_cost_can_make_routing_a_loss():
    # Large is right a little more often, for twice the price.
    report = worth(built([[1, 1], [1, 1]]), cost_weight=0.5)
    assert report["best_single"]["model"] == "small"
    assert report["answers"]["routing"] == "no-go"


def test_queries_without_all_outcomes_are_left_out_and_counted():
    table = built([[1, 0], [0, 1]])
    table.available[-1, 2] = False
    assert worth(table)["left_out"] == 1
    table.available[:, 2] = False
    with pytest.raises(InputError, match="one-hop outcome of every model"):
        worth(table)


def test_command(tmp_path, capsys):
    save_table(built([[1, 0], [0, 1]]), tmp_path / "table")
    assert main(["worth", str(tmp_path / "table")]) == 0
    assert (
        "Routing: go: choosing a model by the query's task beats small alone by 50.0 points" in capsys.readouterr().out
    )
    assert main(["worth", str(tmp_path / "table"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"]["routing"] == "go"
    assert main(["worth", str(tmp_path / "table"), "--split", "tset"]) == 2
