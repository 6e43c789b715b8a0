"""The members of a sweep, the chunks that they are trained in, and the program that trains one."""

import jax
import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.sweeps.members import (
    Plan,
    Splits,
    chunks,
    greedy_scores,
    program,
    run_chunk,
    train_member,
    updates_per_second,
)
from hierrouter_jax.training.features import fit_features
from tests.sweeps.sweep_run import EXACT, HYPERS, TABLE

PPO = LearnerStatic(num_envs=64)


def test_chunks_have_one_size_and_every_member_once():
    plan = Plan((PPO, EXACT), HYPERS, (0, 1, 2))
    parts = list(chunks(plan, [0, 1, 2, 3, 5, 7, 11, 12, 20], lambda members: 4))
    assert [part.members.tolist() for part in parts] == [[0, 1, 2, 3], [5, 7, 11], [12, 20]]
    assert {len(part.seeds) for part in parts} == {4}
    assert parts[1].seeds.tolist() == [2, 1, 2, 2]
    assert parts[1].hypers.learning_rate.tolist() == [1e-3, 3e-3, 3e-3, 3e-3]
    assert parts[2].static is EXACT


def test_a_plan_counts_shapes_numbers_and_seeds_in_that_order():
    plan = Plan((PPO, EXACT), HYPERS, (4, 9))
    assert (len(plan), plan.points, plan.per_group) == (16, 4, 8)
    assert plan.group([0, 7, 8, 15]).tolist() == [0, 0, 1, 1]
    assert plan.seed([0, 1, 2, 15]).tolist() == [4, 9, 4, 9]
    assert plan.hyper([0, 3, 4, 8]).learning_rate.tolist() == [1e-3, 1e-3, 3e-3, 1e-3]
    assert plan.hyper([0, 3, 4, 8]).reward.hop_cost.tolist() == [0.01, 0.5, 0.01, 0.01]


@pytest.fixture(scope="module")
def splits():
    features = fit_features(TABLE.split("train"), 6)
    return Splits(*(features.on_device(TABLE.split(name)) for name in Splits._fields))


def test_a_chunk_is_trained_without_its_padding(splits):
    plan = Plan((EXACT,), HYPERS, (0, 1))
    (part,) = chunks(plan, [2, 5], lambda members: 3)
    trained = run_chunk(part, splits, "map")
    assert trained.scores["best_return"].shape == (2,)
    assert trained.curves["validation_return"].shape == (2, 2)  # after each of two blocks of five updates
    assert trained.curves["ends"].shape == (2, 30)
    alone = jax.jit(lambda key, hyper: train_member(key, hyper, splits, EXACT))(jax.random.key(1), plan.hyper(5))
    assert trained.scores["best_return"][1] == float(alone.scores["best_return"])
    assert trained.scores["best_return"][1] == trained.curves["validation_return"][1].max()
    assert program(EXACT, "map") is program(EXACT, "map")  # compiled once


def test_greedy_scores_are_means_of_where_it_ends(splits):
    (part,) = chunks(Plan((EXACT,), HYPERS, (0,)), [2], lambda members: 3)
    params = jax.tree.map(lambda leaf: leaf[0], run_chunk(part, splits, "map").params)
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.5))
    scores, ends = greedy_scores(params, splits.test, EXACT, hyper)
    rows = np.arange(len(ends))
    quality, spent = (np.asarray(leaf)[rows, ends].mean() for leaf in (splits.test.quality, splits.test.spent))
    assert float(scores["accuracy"]) == pytest.approx(quality, abs=1e-6)
    assert float(scores["cost"]) == pytest.approx(spent, rel=1e-5)
    assert float(scores["return"]) == pytest.approx(quality - 0.5 * spent, abs=1e-5)
    assert set(TABLE.tree.stages[np.asarray(ends)]) == {3}  # it may not stop


def test_updates_are_timed_without_compiling(splits, monkeypatch):
    """By hand: each timing takes two seconds, so that two runs of four updates make four a second."""
    ticks = iter(range(0, 20, 2))
    monkeypatch.setattr("hierrouter_jax.sweeps.members.time.perf_counter", lambda: next(ticks))
    waited = []
    rate = updates_per_second(EXACT, LearnerHyper(), splits.train, "map", 2, wait=lambda: waited.append(1))
    assert rate == 4.0
    assert len(waited) == 5
