"""The leaderboard: whom it ranks where is known, it goes on byte for byte, and choices see validation alone."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.report.pages.leaderboard import build_leaderboard_page
from hierrouter_jax.studies.leaderboard import work
from hierrouter_jax.studies.leaderboard.config import LeaderboardConfig, LearnerSpec
from hierrouter_jax.studies.leaderboard.run import leaderboard, splits_of
from tests.studies.leaderboard.known import FITS, HERE, TINY, config, known_table
from tests.tables import random_table


def test_the_known_order_by_hand(folder, tmp_path):
    """Knowing the task: all right. One model for all: half, its share of each stratified test part. Cost 1 each."""
    result = leaderboard(config(folder, tmp_path), progress=False)
    (board,) = result["boards"]
    rows = {row["name"]: row for row in board["policies"]}
    for name in ("ours", "task", "best-single-per-task", "oracle_stop"):
        assert rows[name]["accuracy"] == 1.0
        assert rows[name]["oracle_gap_recovered"]["value"] == 1.0
    for name in ("first", "m0", "m1", "best-single", "random"):
        assert rows[name]["accuracy"] == pytest.approx(0.5)
        assert rows[name]["cost"] == pytest.approx(1.0)
    assert rows["ours"]["chosen"] == {"task": 3}
    assert rows["ours"]["gain_over_best_single"]["value"] == pytest.approx(0.5)
    assert rows["ours"]["aiq"] is None  # every route costs the same
    assert rows["m0"]["apgr"] is None  # and nobody is the stronger
    assert rows["m0"]["ours_against"]["verdict"] == "better"
    tied = rows["best-single-per-task"]["ours_against"]
    assert (tied["difference"], tied["ci"], tied["verdict"]) == (0.0, [0.0, 0.0], "tied")
    assert board["headline"]["standing"] == "tied-first"
    assert board["headline"]["counts"]["worse"] == 0
    assert board["policies"][-1]["name"] == "oracle_stop"
    assert board["co_failure"]["value"] == 0
    assert {key: board["split"][key] for key in ("count", "train", "validation", "test", "duplicate_queries")} == {
        "count": 3, "train": 32, "validation": 8, "test": 20, "duplicate_queries": 4,
    }  # fmt: skip
    assert "one hop" not in str(board["left_out"].get("task"))
    page = build_leaderboard_page(tmp_path).read_text()
    assert "tied-first" not in page  # the sentence says it in words
    assert board["headline"]["sentence"].replace("+", "") in page.replace("&#43;", "+").replace("+", "")
    assert (tmp_path / "data" / "policies.csv").is_file()


def test_a_weak_and_a_strong_model_have_a_table_of_their_own(tmp_path):
    """The second model is right on both tasks and dearer: who always asks the first recovers what a coin would."""
    table = known_table()
    quality = table.quality.copy()
    quality[:, 2] = 1.0
    pool = (table.pool[0], replace(table.pool[1], price_in=1.5))
    save_table(replace(table, quality=quality, pool=pool), tmp_path / "two")
    (board,) = leaderboard(config(tmp_path / "two", tmp_path / "out", splits=1), progress=False)["boards"]
    first = next(row for row in board["policies"] if row["name"] == "first")
    assert first["apgr"] == pytest.approx(0.5)
    assert first["cpt_ci"]["50"] == pytest.approx([0.5, 0.5])
    page = build_leaderboard_page(tmp_path / "out").read_text()
    assert "Of a weak and a strong model" in page
    assert '<td>0.50</td><td class="ci">0.50 to 0.50</td><td>0.50</td>' in page
    assert "cpt_80_low" in (tmp_path / "out" / "data" / "policies.csv").read_text()


def test_it_goes_on_to_the_same_bytes(folder, tmp_path, monkeypatch):
    whole = config(folder, tmp_path / "whole")
    leaderboard(whole, progress=False)
    wanted = (whole.out / "leaderboard.json").read_bytes()
    left = 3

    def cut(task, do=work.do):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        do(task)

    with monkeypatch.context() as patch:
        patch.setattr("hierrouter_jax.studies.leaderboard.run.do", cut)
        with pytest.raises(KeyboardInterrupt, match="keeps 3 of 9 fits"):
            leaderboard(config(folder, tmp_path / "cut"), progress=False)
    assert not (tmp_path / "cut" / "leaderboard.json").exists()
    FITS.clear()
    leaderboard(config(folder, tmp_path / "cut"), progress=False)
    assert FITS == ["first", "task"] * 2  # of the first split everything was there
    assert (tmp_path / "cut" / "leaderboard.json").read_bytes() == wanted
    FITS.clear()
    leaderboard(config(folder, tmp_path / "cut"), progress=False)
    assert FITS == []
    leaderboard(config(folder, tmp_path / "cut", cost_weights=(0.0, 0.5)), progress=False)
    assert FITS == ["first"] * 2 + ["task"] * 2 + ["first"] * 2 + ["task"] * 2 + ["first"] * 2 + ["task"] * 2


def test_who_is_ours_does_not_depend_on_what_is_tested(folder, tmp_path):
    """The given split, with the test queries' outcomes turned round: the same choices, and other accuracies."""
    table = load_table(folder)
    tested = np.array([query.split == "test" for query in table.queries])
    turned = table.quality.copy()
    turned[tested, 1:] = 1 - turned[tested, 1:]
    save_table(replace(table, quality=turned), tmp_path / "turned")
    given = {"splits": 0, "train": 0, "test": 0}
    boards = [
        leaderboard(config(where, tmp_path / name, **given), progress=False)["boards"][0]["policies"]
        for where, name in ((folder, "a"), (tmp_path / "turned", "b"))
    ]
    ours = [next(row for row in rows if row["name"] == "ours") for rows in boards]
    assert ours[0]["chosen"] == ours[1]["chosen"] == {"task": 1}
    assert [row["accuracy"] for row in ours] == [1.0, 0.0]


def test_a_trained_learner_takes_part_with_its_grid_and_as_an_ensemble(folder, tmp_path):
    """Every seed of every point is tried; STOP is the same learner again after one hop."""
    learners = {
        "exact": LearnerSpec(tune={"weight_decay": [0.0, 1.0]}),
        "exact+stop": LearnerSpec(tune={"weight_decay": [0.0, 1.0]}),
        "mean": LearnerSpec(learner="exact", ensemble=True),
    }
    given = {"splits": 0, "train": 0, "test": 0, "cost_weights": (0.0, 0.3)}
    result = leaderboard(config(folder, tmp_path, **given, learners=learners, seeds=2, static=TINY), progress=False)
    (board,) = result["boards"]
    rows = {row["name"]: row for row in board["policies"]}
    assert rows["exact"]["tried"] == 4
    assert rows["mean"]["tried"] == 1
    assert "exact+stop" in board["left_out"]
    assert "exact+stop" not in rows
    (runs,) = rows["exact"]["runs"]
    assert [run["cost_weight"] for run in runs] == [0.0, 0.3]
    assert all(run["point"] in (0, 1) and run["seed"] in (0, 1) and len(run["seeds"]) == 2 for run in runs)
    assert rows["mean"]["runs"][0][0]["seed"] is None
    tried = json.loads((tmp_path / "run.json").read_text())["configurations_tried"]["known"]
    assert tried["exact"] == 4
    assert rows["ours"]["accuracy"] in (rows["exact"]["accuracy"], rows["mean"]["accuracy"])


def test_an_opponents_name_and_an_unknown_opponent_are_refused(folder, tmp_path):
    taken = {"best-single": LearnerSpec(fit=f"{HERE}always_first")}
    with pytest.raises(InputError, match="is an opponent's name"):
        leaderboard(config(folder, tmp_path, learners=taken), progress=False)
    with pytest.raises(InputError, match="did you mean best-single"):
        leaderboard(config(folder, tmp_path, opponents=("best-singel",)), progress=False)


def with_a_model_beside(folder, name: str = "large", queries: int = 80) -> None:
    """A model outside the pool that is right on every query in one call of cost 4."""
    table = known_table().select(np.arange(queries))
    beside = replace(
        random_table(queries=queries, models=1, horizon=1),
        queries=table.queries,
        quality=np.array([[0.0, 1.0]] * queries),
        tokens_in=np.array([[0, 2]] * queries),
        tokens_out=np.array([[0, 2]] * queries),
        pool=(replace(table.pool[0], name=name, price_in=1.0, price_out=1.0),),
    )
    save_table(known_table(), folder)
    save_table(beside, folder / "external")


def test_a_model_beside_the_pool_takes_part_with_its_one_call(tmp_path):
    """It is an opponent of ours like any other, and nothing is fitted for it."""
    with_a_model_beside(tmp_path / "known")
    (board,) = leaderboard(config(tmp_path / "known", tmp_path / "out", controls=True), progress=False)["boards"]
    row = next(row for row in board["policies"] if row["name"] == "large")
    assert (row["kind"], row["accuracy"], row["cost"], row["hops"]) == ("external", 1.0, 4.0, 1.0)
    assert (row["repaired"], row["damaged"], row["tried"]) == (0.0, 0.0, 1)
    assert "apgr" not in row  # a coin between the pool's two models is no measure of a third
    assert (row["ours_against"]["difference"], row["ours_against"]["verdict"]) == (0.0, "tied")
    assert row["ours_against"]["relative_cost"] == pytest.approx(0.25)
    assert "large" not in str(board["controls"])
    assert not list((tmp_path / "out" / "splits").rglob("large*"))
    tried = json.loads((tmp_path / "out" / "run.json").read_text())["configurations_tried"]["known"]
    assert tried["large"] == 1
    assert ">large<" in build_leaderboard_page(tmp_path / "out").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queries": 79}, "no answer to query"),
        ({"name": "best-single"}, "a model beside the pool is called 'best-single', as an opponent is"),
        ({"name": "ours"}, "a model beside the pool is called 'ours'"),
        ({"name": "first"}, "learners: 'first' is an opponent's name"),
    ],
)
def test_a_model_beside_the_pool_that_cannot_take_part_is_refused(tmp_path, change, words):
    with_a_model_beside(tmp_path / "known", **change)
    with pytest.raises(InputError, match=words):
        leaderboard(config(tmp_path / "known", tmp_path / "out", folds=4, splits=0, train=0, test=0), progress=False)


@pytest.mark.parametrize("how", [{}, {"splits": 2, "train": 20, "test": 15}, {"folds": 3}])
def test_a_query_of_which_the_table_holds_no_hop_is_in_no_part(how, tmp_path):
    table = random_table(queries=60)
    available = table.available.copy()
    available[[3, 30, 59], 1:] = False
    gone = replace(table, available=available, quality=table.quality * available)
    cut = splits_of(LeaderboardConfig((tmp_path,), tmp_path, **how), gone, np.arange(60))
    for split in cut:
        assert not set(np.concatenate(split).tolist()) & {3, 30, 59}
    if "splits" not in how:
        assert set(np.concatenate([np.concatenate(split) for split in cut]).tolist()) == set(range(60)) - {3, 30, 59}


def test_who_collected_by_promise_is_judged_on_the_tables_own_split(tmp_path):
    table = random_table(queries=60)
    table = replace(table, settings={"partial": {"training_hops": 1, "of_hops": 2}})
    with pytest.raises(InputError, match="collected in part, by promise"):
        splits_of(LeaderboardConfig((tmp_path,), tmp_path, folds=3), table, np.arange(60))
    assert len(splits_of(LeaderboardConfig((tmp_path,), tmp_path), table, np.arange(60))) == 1
