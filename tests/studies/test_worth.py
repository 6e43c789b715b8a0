"""Whether routing is worth it: hand-computed headroom, prices of depth, and answers that follow the declared rules."""

import itertools
import json
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.cli.main import main
from hierrouter_jax.cli.worth import sentences
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from hierrouter_jax.studies.worth import cheapest_route, worth
from tests.tables import replicated, written_again

SPLITS = ("train", "validation", "test")


def built(right, horizon: int = 1, each: int = 100) -> OutcomeTable:
    """Two tasks, told apart by the embedding; `right[task][node - 1]` is every query's quality at a node."""
    tree = HopTree(2, horizon)
    tasks = np.arange(each) % 2
    queries = tuple(
        Query(f"{split}-{row}", f"{row} apples and {7 * row + 13} pears", f"task{tasks[row]}", "gold", split)
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
        tokens_cached=None,
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


AMOUNTS = st.sampled_from([0.0, 0.001, 0.5, 1.0, 2.0, 3.0, 10.0, 1e6]) | st.floats(0, 100)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), min_size=1, max_size=6))
def test_the_cheapest_route_is_the_least_of_all(models):
    """Summed hop by hop over every route of up to three models."""
    first, writes, price = np.array(models).T
    for hops in (1, 2, 3):
        costs = []
        for route in itertools.product(range(len(models)), repeat=hops):
            carried = np.concatenate([[0.0], np.cumsum(writes[list(route)])[:-1]])
            costs.append(sum(first[m] + c * price[m] for m, c in zip(route, carried, strict=True)))
        assert cheapest_route(first, writes, price, hops) == pytest.approx(min(costs))


def test_sums_over_a_tree_are_those_of_its_nodes():
    tree, rng = HopTree(3, 3), np.random.default_rng(0)
    table = built([[1, 0], [0, 1]])
    tokens_in, tokens_out = rng.integers(1, 50, size=(2, 4)) * (np.arange(4) > 0)
    prices = rng.random(size=(3, 2))
    table = replace(
        table,
        tree=HopTree(3, 1),
        pool=tuple(PricedModel(f"m{m}", *map(float, prices[m])) for m in range(3)),
        **{name: np.repeat(getattr(table, name), (1, 1, 2), axis=1) for name in ("quality", "available", "response")},
        tokens_cached=None,
        tokens_in=np.tile(tokens_in.astype(np.int32), (table.num_queries, 1)),
        tokens_out=np.tile(tokens_out.astype(np.int32), (table.num_queries, 1)),
    )
    hop, carried, spent = (np.zeros(tree.num_nodes) for _ in range(3))
    for node in range(1, tree.num_nodes):
        model, parent = tree.last_model(node), tree.parent(node)
        hop[node] = (tokens_in[1 + model] + carried[parent]) * prices[model, 0] + tokens_out[1 + model] * prices[
            model, 1
        ]
        carried[node], spent[node] = carried[parent] + tokens_out[1 + model], spent[parent] + hop[node]
    for depth in worth(table)["depth"]:
        reached, ends = slice(0, tree.stage_start(depth["hops"] + 1)), tree.stage_slice(depth["hops"])
        assert depth["calls"] == reached.stop - 1
        assert depth["collection_cost"] == pytest.approx(hop[reached].sum())
        assert depth["route_cost"]["mean"] == pytest.approx(spent[ends].mean())
        assert depth["route_cost"]["cheapest"] == pytest.approx(spent[ends].min())


def test_two_thousand_models_take_seconds():
    models, table = 2000, built([[1, 0], [0, 1]], each=8)
    shape, rng = (table.num_queries, 1 + models), np.random.default_rng(0)
    inner = np.arange(1 + models) > 0
    many = replace(
        table,
        tree=HopTree(models, 1),
        pool=tuple(PricedModel(f"m{m}", *map(float, rng.random(2))) for m in range(models)),
        quality=(rng.integers(0, 2, shape) * inner).astype(np.float32),
        tokens_in=(rng.integers(1, 99, shape) * inner).astype(np.int32),
        tokens_out=(rng.integers(1, 99, shape) * inner).astype(np.int32),
        tokens_cached=None,
        available=np.ones(shape, dtype=bool),
        response=np.full(shape, "", dtype=object),
    )
    start = time.perf_counter()
    report = worth(many)
    assert time.perf_counter() - start < 10
    assert report["depth"][2]["calls"] == 2000 + 2000**2 + 2000**3


@pytest.mark.parametrize(
    ("right", "each", "answers"),
    [
        ([[1, 0], [0, 1]], 2, ("too few queries", "too few queries")),  # an interval of no width
        ([[1, 0], [1, 1]], 2, ("too few queries", "too few queries")),
        ([[1, 1], [1, 1]], 19, ("too few queries", "too few queries")),
        ([[0, 0], [0, 0]], 19, ("too few queries", "too few queries")),
        ([[1, 1], [1, 1]], 20, ("no-go", "too few queries")),  # none of 20: up to 16.8 % may be
        ([[1, 1], [1, 1]], 60, ("no-go", "too few queries")),  # none of 60: up to 6.0 %, a fifth of which is 1.2 points
        ([[1, 1], [1, 1]], 80, ("no-go", "no-go")),  # none of 80: up to 4.5 %
        ([[1, 0], [0, 1]], 20, ("go", "too few queries")),
        ([[1, 0], [0, 0]], 20, ("no-go", "sample")),
        ([[0, 0], [0, 0]], 20, ("no-go", "sample")),
    ],
)
def test_answers_respect_the_number_of_queries(right, each, answers):
    report = worth(built(right, each=each))
    assert (report["answers"]["routing"], report["answers"]["hop_2"]) == answers
    said = sentences(report)
    for answer, sentence in zip(answers, said, strict=False):
        if answer == "too few queries":
            assert "too few queries to say" in sentence
            assert sentence.partition(" queries")[2].count(f"over {each} queries") == 1
    assert not (each < 20 and any("little to gain" in sentence for sentence in said))


def test_a_headroom_that_is_wide_is_no_loss():
    """Three of 30 queries are right by the other model alone, of which a router may get less or more than a point."""
    table = built([[1, 0], [1, 0]], each=30)
    table.quality[-3:, 1:] = [0, 1]
    report = worth(table)
    low, high = report["oracle"]["headroom"]["ci"]
    assert low * 0.144 < 0.01 < high * 0.144
    assert report["answers"]["routing"] == "too few queries"


def test_cost_can_make_routing_a_loss():
    # Large is right a little more often, for twice the price.
    report = worth(built([[1, 1], [1, 1]]), cost_weight=0.5)
    assert report["best_single"]["model"] == "small"
    assert report["answers"]["routing"] == "no-go"


def test_routes_are_not_chosen_for_the_promise_that_a_partial_tree_was_collected_for():
    """Small twice is right on half, but of partial trees held only there; small, then large is worth .75 anywhere."""
    table = built([[0.5, 0.5, 0, 0.75, 0, 0]] * 2, horizon=2)
    right = np.arange(table.num_queries) // 2 % 2 == 0  # of either task half
    table.quality[right, 3] = 1
    whole = worth(table)
    assert whole["depth"][1]["gain"]["value"] == 0.25
    partial = np.array([query.split == "train" and number % 100 >= 20 for number, query in enumerate(table.queries)])
    table.available[partial, 3:] = np.stack([right[partial]] + [np.zeros(partial.sum(), bool)] * 3, axis=1)
    table.quality[~table.available] = 0
    report = worth(replace(table, settings={"partial": {"plan": "promising"}}))
    assert report["depth"][1]["gain"] == whole["depth"][1]["gain"]
    assert report["answers"]["hop_2"] == "go"
    assert worth(table)["depth"][1]["gain"]["value"] == 0.0  # what the partial trees alone would say


def test_a_deeper_table_may_state_its_costs():
    """What the source bills is what tokens times prices say here, so that nothing of the report differs."""
    table = built([[1, 0, 1, 1, 0, 0], [0, 1, 0, 0, 1, 1]], horizon=2)
    assert worth(replace(table, stated_cost=table.cost)) == worth(table)


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


def test_replicates_are_averaged_within_their_question():
    """Chance answers: the oracle's luck on one draw is not its headroom, and intervals count questions."""
    table = replicated(built([[1, 0], [0, 1]]), 2)
    quality = np.random.default_rng(0).integers(0, 2, size=table.quality.shape).astype(np.float32)
    quality[:, 0] = 0
    report = worth(replace(table, quality=quality))
    assert report["queries"] == 100
    assert report["replicates"]["rows"] == 200
    low, high = report["oracle"]["headroom"]["ci"]
    assert low < 0 < high
    lucky = worth(replace(table.select(np.arange(300)), quality=quality[:300]))["oracle"]["headroom"]
    assert lucky["ci"][0] > 0.1
    same = worth(replicated(built([[1, 0], [0, 1]]), 3))
    assert same["task_sequence"] == worth(built([[1, 0], [0, 1]]))["task_sequence"]


def test_duplicates_are_one_piece_of_evidence_as_replicates_are():
    replicates = replicated(built([[1, 0], [0, 1]], each=40), 2)
    one, other = (worth(table)["task_sequence"]["headroom"] for table in (replicates, written_again(replicates)))
    assert other["ci"] == pytest.approx(one["ci"])
    assert other["p_value"] == pytest.approx(one["p_value"])


def test_a_control_splits_the_second_hops_gain(tmp_path, capsys):
    """The second model is right only after reading; its control, here the first model, is never right alone."""
    table = built([[0, 0, 0, 0, 0, 1]] * 2, horizon=2)
    save_table(table, tmp_path)
    assert main(["worth", str(tmp_path), "--controls", "{large: small}", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["second_hop"]
    assert (row["first"], row["second"], row["control"]) == ("large", "large", "small")
    assert main(["worth", str(tmp_path), "--controls", "{large: small}"]) == 0
    assert (
        "Of the gain of large after large, 100.0 points [100.0, 100.0], another try makes 0.0 points [0.0, 0.0]"
        in " ".join(capsys.readouterr().out.split())
    )
    assert main(["worth", str(tmp_path), "--controls", "{large: other}"]) == 2
    assert "controls: the table has no model 'other'" in capsys.readouterr().err
