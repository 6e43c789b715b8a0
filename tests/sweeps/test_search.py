"""Searches: points ranked among comparable ones, rungs, batches; cut off anywhere, they end as they would have."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.sweeps.search.adaptive import promoted
from hierrouter_jax.sweeps.search.config import BaseSettings, Halving, SweepConfig
from hierrouter_jax.sweeps.search.run import ranked, sweep, work
from tests.sweeps.sweep_run import EXACT, TABLE


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    save_table(TABLE, folder / "table")
    train = BaseSettings(("exact",), features=6, static=EXACT)
    space = {"learning_rate": "log(3e-4, 1e-2)"}
    return SweepConfig(folder / "table", folder / "plain", train, space, seeds=2, layout="map", chunk=1)


def interrupted(config: SweepConfig, after: int) -> None:
    """A search that ends in an interrupt when so many runs are finished."""
    done = 0

    def watch(_plan, members, _scores):
        nonlocal done
        done += len(members)
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(config, watch)


def frames_are_equal(one, other) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)
    assert (one.config.out / "sweep.parquet").read_bytes() == (other.config.out / "sweep.parquet").read_bytes()


def test_the_best_policies_are_exported_and_the_results_written(config):
    config = replace(config, draws=4, export=2, space=config.space | {"learner": "exact,exact+stop"})
    result = sweep(config, False)
    assert (len(result.frame), len(result.points)) == (16, 8) == (work(config)[0], result.configurations_tried)
    means = result.frame.groupby(["learner", "learning_rate"])["best_return"].mean()
    assert result.points["validation_return"].tolist() == pytest.approx(sorted(means, reverse=True))
    assert result.points["rank"].tolist() == list(range(1, 9))
    best = result.points.iloc[0]
    rows = result.frame[result.frame.learning_rate.eq(best.learning_rate) & result.frame.learner.eq(best.learner)]
    assert best.member == rows.loc[rows.best_return.idxmax(), "member"]
    assert [path.name for path in result.policies] == [f"{r + 1}-member-{result.points.member[r]}" for r in (0, 1)]
    assert PolicyBundle.load(result.policies[0]).provenance["member"] == best.member
    results = read_json(config.out / "results.json")
    assert results["configurations_tried"] == read_json(config.out / "run.json")["configurations_tried"] == 8
    low, high = results["best"][0]["points"][0]["validation_return"]["interval"]
    assert low <= best.validation_return <= high
    before = (config.out / "run.json").read_bytes()
    again = sweep(config, False)
    frames_are_equal(again, result)
    assert (config.out / "run.json").read_bytes() == before


def members(columns: dict) -> pd.DataFrame:
    count = len(columns["best_return"])
    given = {"folder": "", "learner": "exact", "member": range(count), "point": np.arange(count) // 2}
    scores = {"best_accuracy": 0.5, "best_cost": 1.0, "accuracy": 0.5, "cost": 1.0, "return": 0.4}
    return pd.DataFrame(given | scores | columns, index=range(count))


def test_returns_are_ranked_within_equal_rewards_only():
    """By hand: four points of two seeds, two of each cost weight; the dearer weight's returns are all lower."""
    space = {"reward.hop_cost": [0.01, 0.1], "clip": [0.1, 0.2]}
    frame = members(
        {
            "best_return": [0.8, 0.9, 0.9, 0.98, 0.5, 0.7, np.nan, 0.8],
            "reward.hop_cost": [0.01] * 4 + [0.1] * 4,
            "clip": [0.1, 0.1, 0.2, 0.2] * 2,
        }
    )
    ranking = ranked(frame, SweepConfig("table", space=space))
    assert (ranking.by, ranking.within, ranking.varied) == ("validation_return", ("reward.hop_cost",), ("clip",))
    assert ranking.points[["reward.hop_cost", "clip", "rank", "member"]].values.tolist() == [
        [0.01, 0.2, 1, 3],
        [0.01, 0.1, 2, 1],
        [0.1, 0.1, 1, 5],
        [0.1, 0.2, 2, 7],
    ]
    assert ranking.points["validation_return"].tolist()[:3] == pytest.approx([0.94, 0.85, 0.6])
    assert len(ranking.best(1)) == 2
    assert "since other returns do not compare" in ranking.explanation


def test_where_no_two_rewards_are_equal_accuracy_ranks_at_matched_cost_weight():
    space = {"reward.hop_cost": [0.01, 0.1], "reward.damage": "uniform(0, 1)"}
    frame = members(
        {
            "best_return": [0.9, 0.9, 0.1, 0.1],
            "best_accuracy": [0.5, 0.5, 0.7, 0.7],
            "reward.hop_cost": 0.01,
            "reward.damage": [0.2, 0.2, 0.9, 0.9],
        }
    )
    ranking = ranked(frame, SweepConfig("table", space=space))
    assert (ranking.by, ranking.within) == ("validation_accuracy", ("reward.hop_cost",))
    assert ranking.points["reward.damage"].tolist() == [0.9, 0.2]
    ranking = ranked(frame, SweepConfig("table", space={"reward.hop_cost": "log(0.01, 0.1)"}))
    assert (ranking.by, ranking.within) == ("validation_accuracy", ())


def test_the_best_of_those_measured_alike_go_on():
    returns = {(0, 0): 0.1, (0, 1): 0.9, (0, 2): float("nan"), (1, 0): 0.9, (1, 1): 0.2, (1, 2): 0.0}
    alike = dict.fromkeys(returns, ())
    assert promoted(returns, alike, 2) == [(0, 1), (1, 0), (1, 1)]
    by_group = {point: point[0] for point in returns}
    assert promoted(returns, by_group, 3) == [(0, 1), (1, 0)]


def test_halving_gives_the_best_points_more_updates_and_goes_on(config):
    config = replace(config, out=config.out.parent / "halving", draws=4, halving=Halving(2, 2))
    result = sweep(config, False)
    rungs = result.frame.groupby("rung")
    assert rungs.size().tolist() == [8, 4]
    assert [result.sweeps[f"rung-{rung}-group-0"].plan.statics[0].num_updates for rung in (0, 1)] == [5, 10]
    first = rungs.get_group(0).groupby("learning_rate")["best_return"].mean()
    assert set(rungs.get_group(1)["learning_rate"]) == set(first.nlargest(2).index)
    assert len(result.points) == 2
    assert (work(config), result.configurations_tried) == ((12, 8 * 5 + 4 * 10), 6)
    cut = replace(config, out=config.out.parent / "cut")
    interrupted(cut, after=3)
    interrupted(cut, after=9)
    frames_are_equal(sweep(cut, False), result)
    with pytest.raises(InputError, match=r"holds another search \(seeds is 2 there, but 3 here\)"):
        sweep(replace(cut, seeds=3), False)
    with pytest.raises(InputError, match="is not empty and holds no sweep"):
        sweep(replace(cut, halving=None), False)


def test_optuna_chooses_the_next_batch_and_goes_on_where_it_was_cut_off(config):
    pytest.importorskip("optuna", reason="optuna is not installed: pip install 'hierrouter_jax[search]'")
    space = config.space | {"learner": "exact,exact+stop", "clip": [0.1, 0.2]}
    config = replace(config, out=config.out.parent / "optuna", space=space, draw="optuna", draws=5, batch=3, seeds=1)
    result = sweep(config, False)
    assert result.frame.groupby("batch").size().tolist() == [3, 2]
    assert result.configurations_tried == 5
    assert result.frame["learning_rate"].between(3e-4, 1e-2).all()
    assert result.points["validation_return"].max() == result.frame["best_return"].max()
    cut = replace(config, out=config.out.parent / "optuna-cut")
    interrupted(cut, after=2)
    interrupted(cut, after=4)
    _ask_halfway(cut)
    frames_are_equal(sweep(cut, False), result)


def _ask_halfway(config: SweepConfig) -> None:
    """As a process does that is killed while it asks for the next point."""
    import optuna

    study = optuna.load_study(storage=f"sqlite:///{config.out / 'optuna.db'}", study_name="sweep")
    study.ask({"clip": optuna.distributions.CategoricalDistribution([0.1, 0.2])})


def test_optuna_is_asked_for_where_it_is_missing(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'hierrouter_jax\[search\]'"):
        sweep(replace(config, out=config.out.parent / "none", draw="optuna"), False)
    assert not (config.out.parent / "none").exists()
