"""A learner or an opponent on one split: chosen on validation, tested once."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.baselines.registry import opponents_of
from hierrouter_jax.studies.leaderboard.config import LearnerSpec, entrants
from hierrouter_jax.studies.leaderboard.fitting import Fitter
from hierrouter_jax.studies.leaderboard.splits import Split
from tests.studies.leaderboard.known import TINY, config, known_table

SPLIT = Split(np.arange(0, 40), np.arange(40, 60), np.arange(60, 80))


@pytest.fixture(scope="module")
def fitter() -> Fitter:
    return Fitter(SPLIT.of(known_table()), 4, (0.0, 0.5), 0)


def test_an_opponent_that_no_cost_weight_changes_is_fitted_once(fitter):
    opponents = opponents_of(fitter.test)
    single, best = (fitter.opponent(opponents[name]) for name in ("m1", "best-single-per-task"))
    assert single.outcome.quality.shape == (1, 20)
    assert single.outcome.quality[0].tolist() == fitter.test.quality[:, 2].tolist()
    assert best.outcome.quality.shape == (2, 20)
    assert single.validation is None
    assert single.about["kind"] == "single"


def test_a_function_of_a_problem_is_judged_at_every_cost_weight(fitter, tmp_path):
    learners, _ = entrants(config(tmp_path, tmp_path), horizon=1)
    judged = fitter.learner(learners["task"])
    assert (judged.outcome.quality == 1).all()
    assert judged.validation.shape == (2, 20)
    np.testing.assert_allclose(judged.validation, [[1.0] * 20, [0.5] * 20])  # every call costs the mean call


def test_the_seed_that_validation_prefers_is_tested_and_an_ensemble_pays_for_all(fitter, tmp_path):
    learners = {"exact": LearnerSpec(), "mean": LearnerSpec(learner="exact", ensemble=True)}
    entrant, _ = entrants(config(tmp_path, tmp_path, learners=learners, seeds=2, static=TINY), horizon=1)
    alone, together = (fitter.learner(entrant[name]) for name in ("exact", "mean"))
    (first, _) = alone.about["chosen"]
    assert first["seeds"][first["seed"]] == alone.outcome.quality[0].mean()
    assert together.about["chosen"][0]["seed"] is None
    calls = fitter.test.cost[:, 1:].mean()
    own = alone.outcome.cost[0].mean() - calls
    assert together.outcome.cost[0].mean() - calls == pytest.approx(2 * own, rel=1e-5)


def test_a_first_run_that_diverges_is_passed_over(fitter, tmp_path):
    """Points of the grid: the first is lost after an update, the second is the learner's own number."""
    static = replace(TINY, num_updates=2, evaluate_every=2)
    learners = {"exact": LearnerSpec(tune={"learning_rate": [3e38, 0.003]})}
    entrant, _ = entrants(config(tmp_path, tmp_path, learners=learners, seeds=1, static=static), horizon=1)
    judged = fitter.learner(entrant["exact"])
    assert [one["point"] for one in judged.about["chosen"]] == [1, 1]
    assert (judged.outcome.cost > fitter.test.cost[:, 1:].mean()).all()
