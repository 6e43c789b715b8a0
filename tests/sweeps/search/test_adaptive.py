"""Rungs and batches: the best points go on; cut off anywhere, a search ends as it would have."""

import sys
from dataclasses import replace

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.sums import damaged, read_sums, sign
from hierrouter_jax.sweeps.search.adaptive import promoted
from hierrouter_jax.sweeps.search.config import Halving, SweepConfig
from hierrouter_jax.sweeps.search.run import sweep, work
from tests.sweeps.search.searches import frames_are_equal, interrupted


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
    assert {"search.json", "features.safetensors", "sweep.parquet", "results.json"} <= set(read_sums(cut.out))
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
    sign(cut.out)
    frames_are_equal(sweep(cut, False), result)
    assert damaged(cut.out) == []  # the study has grown since


def test_optuna_draws_with_every_seed_of_a_search(config):
    pytest.importorskip("optuna", reason="optuna is not installed: pip install 'hierrouter_jax[search]'")
    config = replace(config, out=config.out.parent / "last-seed", draw="optuna", draws=1, seeds=1, seed=2**31 - 1)
    assert sweep(config, False).configurations_tried == 1


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
