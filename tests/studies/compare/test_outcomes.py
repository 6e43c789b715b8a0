"""What the members of a comparison do on every query, the slow obvious way."""

import numpy as np
import pytest

from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.studies.compare.outcomes import reference
from hierrouter_jax.sweeps.result import load_sweep
from tests.studies.compare.tiny import WEIGHTS
from tests.tables import random_table, replicated


def test_every_mean_is_that_of_the_members_routers(result, slowly):
    quality, cost = slowly
    for a, arm in enumerate(result["arms"]):
        for w, point in enumerate(arm["points"]):
            value = quality[a, w] - WEIGHTS[w] * cost[a, w] / result["cost_normaliser"]
            for name, its in (("accuracy", quality[a, w]), ("cost", cost[a, w]), ("return", value)):
                assert point[name]["per_seed"] == pytest.approx(its.mean(axis=1).tolist(), rel=1e-5)
                assert point[name]["mean"] == pytest.approx(its.mean(), rel=1e-5)
                low, high = point[name]["mean_ci"]
                assert low <= point[name]["mean"] <= high
                assert low < high


def test_no_policy_can_pass_the_reference(config, result):
    part = load_table(config.table).split("test")
    assert result["reference"]["cost"] == pytest.approx(accumulate_cost(part.cost, part.tree).max(axis=1).mean())
    assert result["reference"]["cost_range"][0] == pytest.approx(part.cost[:, 1:4].min(axis=1).mean())
    assert max(row["cost"] for row in result["opponents"]) <= result["reference"]["cost"]
    assert {"oracle_stop", "task-sequence+stop", "best-sequence", "random"} <= {r["name"] for r in result["opponents"]}


def test_validation_is_judged_by_accuracy_and_cost_alone(config, result):
    frame = load_sweep(config.out / "sweeps" / "0").frame
    gain = frame[(frame["reward.quality_gain"] == 1) & (frame["reward.hop_cost"] == 0.3)]
    expected = gain.best_accuracy - 0.3 * gain.best_cost / result["cost_normaliser"]
    assert result["arms"][1]["points"][1]["validation_return"] == pytest.approx(expected.tolist(), abs=1e-5)
    assert (gain.best_return > expected + 0.05).all()  # the arm's own reward pays for gains beside


def test_the_bounds_of_a_front_by_hand():
    """Two queries, two models, one hop: the dearest calls cost 3 and 5, the cheapest 1 and 2."""
    table = random_table(queries=2, models=2, horizon=1, splits=("test",))
    table.cost[:, 1:] = [[1.0, 3.0], [5.0, 2.0]]
    assert reference(table) == {"cost": 4.0, "accuracy": 0.0, "cost_range": [1.5, 4.0]}
    assert np.isfinite(reference(table)["cost"])


def test_the_bounds_weigh_questions_and_not_their_replicates():
    """The second query asked three times counts once."""
    table = random_table(queries=2, models=2, horizon=1, splits=("train", "test"))
    assert reference(replicated(table, 3)) == reference(table)
