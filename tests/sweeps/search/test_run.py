"""Searches: points ranked among comparable ones, rungs, batches; cut off anywhere, they end as they would have."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.sweep import sweep as sweep_verb
from hierrouter_jax.files import read_json
from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.search.run import ranked, sweep, work
from tests.sweeps.search.searches import frames_are_equal

OWN_NETWORK = f"{Path(__file__).parents[3] / 'docs' / 'examples' / 'my_net.py'}:Deep"


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


def test_of_an_own_network_there_are_results_and_no_bundle(config, capsys):
    train = replace(config.train, static=replace(config.train.static, network=OWN_NETWORK))
    config = replace(config, out=config.out.parent / "own", train=train, draws=1, seeds=1)
    result = sweep(config, False)
    assert (result.policies, result.own_networks) == ((), (OWN_NETWORK,))
    assert read_json(config.out / "results.json")["best"][0]["points"][0]["rank"] == 1
    sweep_verb(config)  # the same again, which trains nothing
    said = capsys.readouterr().out
    assert f"no bundle of {OWN_NETWORK}: a network of your own is trained, evaluated and compared, not exported" in said
    assert "policy: " not in said


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
