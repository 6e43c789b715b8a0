"""Pages beside a run's own: of comparisons, several runs and sweeps; hop trees and A/Bs, by hand on small tables."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import ending_at, policy_outcome
from hierrouter_jax.report.build import build_page
from hierrouter_jax.report.data.hop_tree import ROWS, STOP, query_tree, telling_query
from hierrouter_jax.report.data.routers import draw_tree
from hierrouter_jax.report.data.transcripts import greedy_ends
from hierrouter_jax.report.figures.hop_tree import short_probability, shortened
from hierrouter_jax.report.pages import several
from hierrouter_jax.report.pages.compare import build_compare_page
from hierrouter_jax.report.pages.pair import Side, draw_pair
from hierrouter_jax.report.pages.sweep import combinations, sweep_site, swept
from hierrouter_jax.report.site import write_site
from tests.report.page_reader import Page, assert_self_contained, change
from tests.studies.compare_fixture import ARMS, CLAIMS, WEIGHTS, build_compare_folder, comparison
from tests.tables import random_table
from tests.training.run_folder_fixture import build_run_folder

SMALL = {"arms": ARMS[:3], "weights": WEIGHTS[:2], "seeds": 4}


def read_csv(path):
    return pd.read_csv(path, float_precision="round_trip")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = build_compare_folder(tmp_path_factory.mktemp("compare") / "rewards", **SMALL)
    build_compare_page(folder)
    return folder


def test_a_comparison_claims_what_its_file_claims(compared):
    html = (compared / "report.html").read_text(encoding="utf-8")
    page = assert_self_contained(html)
    assert all((compared / link).is_file() for link in page.linked)
    assert all(claim in page.text for claim in CLAIMS)
    assert all(arm in page.text for arm in ARMS[:3])
    assert json.loads((compared / "report.json").read_text())["claims"] == CLAIMS


def test_every_number_of_a_comparison_lies_beside_its_page(compared):
    wanted, frames = comparison(**SMALL), {path.stem: read_csv(path) for path in (compared / "data").iterdir()}
    points = frames["points"].set_index(["arm", "cost_weight"])
    for arm in wanted["arms"]:
        for point in arm["points"]:
            row = points.loc[(arm["name"], point["cost_weight"])]
            assert row["accuracy_mean"] == point["accuracy"]["mean"]
            assert [row["cost_mean_ci_low"], row["cost_mean_ci_high"]] == point["cost"]["mean_ci"]
    assert frames["comparisons"]["difference"].tolist() == [row["difference"] for row in wanted["comparisons"]]
    assert frames["comparisons"]["verdict"].tolist() == [row["verdict"] for row in wanted["comparisons"]]
    assert frames["per_seed"].shape[0] == 3 * 2 * 4
    assert frames["curves"].shape[0] == 3 * 2 * 8 * 2
    assert frames["routes"].groupby(["arm", "cost_weight", "task"])["share"].sum().to_numpy() == pytest.approx(1)
    assert frames["arms"].set_index("name").loc["plain", "hypervolume_value"] == 0.44


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda value: value.pop("claims"), "no 'claims'"),
        (lambda value: value["arms"][1]["points"][2].pop("curve"), "arms[1].points[2] has no 'curve'"),
        (lambda value: value["comparisons"][0].pop("verdict"), "comparisons[0] has no 'verdict'"),
        (lambda value: value.update(arms=[]), "'arms' is empty"),
    ],
)
def test_a_comparison_without_a_field_is_refused_by_its_place(tmp_path, edit, place):
    folder = build_compare_folder(tmp_path / "rewards", seeds=2)
    change(folder / "compare.json", edit)
    with pytest.raises(InputError, match=r"compare\.json") as caught:
        build_compare_page(folder)
    assert place in str(caught.value)


def policy(seed, table):
    """Random legal probabilities [Q, D, A] of a policy that may stop once there is an answer."""
    tree, rng = table.tree, np.random.default_rng(seed)
    logits = rng.normal(0, 2, (table.num_queries, tree.num_decision_nodes, tree.num_models + 1))
    logits[:, 0, -1] = -np.inf
    children = tree.child(np.arange(tree.num_decision_nodes)[:, None], np.arange(tree.num_models))
    logits[..., :-1][~table.available[:, children]] = -np.inf
    logits[..., -1][~table.available[:, children].any(axis=-1)] = 0.0
    weights = np.exp(logits)
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(("models", "horizon", "missing"), [(3, 3, 0.0), (3, 3, 0.3), (10, 2, 0.0), (2, 6, 0.0)])
def test_probabilities_of_a_hop_tree_sum_to_one_and_the_taken_route_is_the_likeliest(models, horizon, missing):
    table = random_table(3, queries=2, models=models, horizon=horizon, missing=missing)
    probabilities = policy(0, table)
    end = int(greedy_ends(probabilities, table.tree)[1])
    tree = query_tree("ppo", table, 1, probabilities[1], end)
    assert sum(not branch.opened for branch in tree.branches) <= ROWS + horizon
    opened = [branch for branch in tree.branches if branch.opened]
    assert opened
    for node in opened:
        below = [one for one in tree.branches if one.parent == node.node and one.stage == node.stage + 1]
        assert sum(one.probability for one in below) == pytest.approx(1, abs=0.006)  # a STOP below .005 is left out
        calls = [one for one in below if not one.more]
        if node.taken and not table.tree.num_decision_nodes <= node.node:
            (taken,) = [one for one in calls if one.taken]
            assert taken.probability == max(one.probability for one in calls)
        shown = sum(one.more or one.model != STOP for one in below)
        assert shown == table.available[1, table.tree.child(node.node, np.arange(models))].sum()
    route = [branch for branch in tree.branches if branch.taken and branch.stage and branch.model != STOP]
    assert tuple(branch.node for branch in route) == table.tree.path(end)
    assert tree.cost == pytest.approx(sum(branch.cost for branch in route), rel=1e-6)
    assert tree.answer == route[-1].response


def test_a_picture_of_a_hop_tree_says_everything_in_full():
    table = random_table(3, queries=2, horizon=2)
    table.response[1, 1] = "a response <much> longer than there is room for in the picture"
    probabilities = policy(0, table)
    end = int(greedy_ends(probabilities, table.tree)[1])
    picture = draw_tree(query_tree("ppo", table, 1, probabilities[1], end), table)
    assert "<title>m0: a response &lt;much&gt; longer than there is room for in the picture" in picture.context["svg"]
    assert picture.files.keys() == {f"hop_tree{end}" for end in (".png", ".svg", ".dark.png", ".dark.svg")}


def test_the_telling_query_is_one_that_is_repaired():
    table = random_table(0, queries=4, models=2, horizon=2)
    table.quality[:] = 0.0
    table.quality[2, table.tree.node((0, 1))] = 1.0
    table.quality[3, [table.tree.node((1,)), table.tree.node((1, 1))]] = 1.0  # right all along
    ends = np.array([table.tree.node(route) for route in ((0, 1), (0, 1), (0, 1), (1, 1))])
    assert telling_query(table, ends) == 2


def side(name, run, table, ends):
    """A policy that ends where it is told, without a run behind it."""
    files = SimpleNamespace(evaluation={"table": {"split": "test"}, "money_unit": "credits"}, name=run)
    cost = policy_outcome(table, ending_at(ends, table.tree)).cost
    inside = SimpleNamespace(part=table, files=files, ends=lambda _: ends, cost=lambda *_: cost)
    return Side(inside, name, run)  # type: ignore[arg-type]


def test_an_ab_counts_who_is_right_by_hand():
    """Four queries: both right, only A, neither by other routes, and neither by the same route."""
    table = random_table(1, queries=4, models=2, horizon=1)
    table.quality[:, 1:] = [[1, 1], [1, 0], [0, 0], [0, 0]]
    ends = np.array([1, 1, 1, 1]), np.array([1, 2, 2, 1])
    picture = draw_pair(side("ppo", "one", table, ends[0]), side("exact", "two", table, ends[1]))
    numbers = picture.context["numbers"]
    assert numbers["counts"] == {"both": 1, "only_a": 1, "only_b": 0, "neither": 2}
    assert (numbers["accuracy"]["a"], numbers["accuracy"]["b"]) == (0.5, 0.25)
    assert numbers["accuracy"]["difference"] == 0.25
    assert numbers["same_route"] == 2
    assert [(row["query_id"], row["group"]) for row in picture.rows] == [("q1", "only_a"), ("q2", "neither")]
    row = picture.rows[0]
    assert (row["a_route"], row["a_answer"], row["b_route"], row["b_answer"]) == ("m0", "r1.1", "m1", "r1.2")
    assert row["a_cost"] == pytest.approx(table.cost[1, 1])
    assert "only the first is right on 1 queries" in picture.context["sentence"]


def test_several_runs_lie_side_by_side_and_other_tables_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(several, "paper_files", lambda _: {})
    runs = [build_run_folder(tmp_path / name, live=False, seeds=2) for name in ("one", "two")]
    page = assert_self_contained(build_page(runs, tmp_path / "both").read_text(encoding="utf-8"))
    assert "Not made: " in page.text  # these synthetic runs have no routers
    policies = pd.read_csv(tmp_path / "both" / "data" / "policies.csv")
    assert policies.groupby("run")["name"].size().nunique() == 1
    assert set(policies["run"]) == {"one", "two"}
    change(runs[1] / "evaluation.json", lambda value: value["table"].update(fingerprint="another"))
    with pytest.raises(InputError, match=r"on the table 9f2c41d07be35a68 and .*two on the table another"):
        build_page(runs, tmp_path / "both", b="ppo")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "elsewhere"}, "--out is elsewhere, but .* is a single run"),
        ({"query": "test-0001"}, "config.yaml"),
        ({"b": "ppo"}, "config.yaml"),
    ],
)
def test_what_a_run_cannot_give_is_one_sentence(tmp_path, options, words):
    folder = build_run_folder(tmp_path / "run", seeds=1)
    with pytest.raises(InputError, match=words):
        build_page([folder], **options)


def test_several_runs_need_a_folder(tmp_path):
    with pytest.raises(InputError, match="give one by --out"):
        build_page([tmp_path, tmp_path])


def test_a_sweep_is_told_by_combination_over_its_seeds(tmp_path):
    grid = [(rate, seed) for rate in (1e-4, 1e-3, 1e-2) for seed in (0, 1)]
    frame = pd.DataFrame(
        {"member": range(6), "group": 0, "learner": "exact", "seed": [seed for _, seed in grid], "gamma": 1.0}
        | {"learning_rate": [rate for rate, _ in grid], "best_return": [0.1, 0.3, 0.8, 0.6, 0.5, 0.5]}
        | {"accuracy": [0.2, 0.4, 0.9, 0.7, 0.5, 0.5], "cost": 1.0}
    )
    assert swept(frame) == ["learning_rate"]
    best = combinations(frame, ["learning_rate"]).iloc[0]
    assert (best["learning_rate"], best["seeds"]) == (1e-3, 2)
    assert (best["best_return_mean"], best["best_return_min"], best["best_return_max"]) == pytest.approx(
        (0.7, 0.6, 0.8)
    )
    path = write_site(tmp_path, sweep_site("rates", frame, "test", 8))
    text = assert_self_contained(path.read_text(encoding="utf-8")).text
    assert "Best mean validation return: 0.7000 (0.6000 to 0.8000 over 2 seeds)" in text
    assert "6 of 8 members are finished" in text
    assert pd.read_csv(tmp_path / "data" / "members.csv").shape == frame.shape


def test_short_texts():
    assert [short_probability(value) for value in (1.0, 0.999, 0.25, 0.001)] == ["1", ">.99", ".25", "<.01"]
    assert shortened("one\n two three", 8) == "one two\u2026"
    assert Page("<p>one</p>").text == "one"
