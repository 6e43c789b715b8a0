"""Plans and predictions find what they can see, and no cost weight fits them anew."""

import numpy as np
import pytest

from hierrouter_jax.baselines.registry import OPPONENTS
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from tests.baselines.known_tables import choice, outcome, problem_of, right_at, scout


@pytest.mark.parametrize("name", ["predict-then-plan", "predict-then-plan+stop", "cascade-routing"])
def test_a_repair_that_only_the_first_answer_tells_is_found(name):
    assert outcome(name, scout()).quality.mean() > 0.97


def test_only_a_plan_knows_that_it_will_know_more():
    """Model 2 twice is right on three in four; each sequence by way of the scout on half, but the plan sees all."""
    table = right_at(scout(), (2, 2), np.arange(160) % 4 > 0)
    assert outcome("predict-then-plan", table).quality.mean() > 0.97
    assert outcome("cascade-routing", table).quality.mean() == pytest.approx(3 / 4, abs=0.1)


def test_no_cost_weight_fits_a_predictor_anew():
    problem = problem_of(choice())
    OPPONENTS["knn"].fit(problem)
    before = dict(problem.fitted)
    dear = problem.at(0.2)
    test = choice().split("test")
    cheap = policy_outcome(test, OPPONENTS["knn"].fit(dear)(test))
    assert dear.fitted is problem.fitted
    assert all(problem.fitted[key] is made for key, made in before.items())
    assert cheap.cost.mean() < outcome("knn", choice()).cost.mean()
