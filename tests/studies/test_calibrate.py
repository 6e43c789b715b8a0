"""Calibration: the choice by hand, thresholds that mean what they say, and a target checked on another split."""

from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.studies import calibrate as module
from hierrouter_jax.studies.calibrate import calibrate, choose, stopping_from, thresholds
from hierrouter_jax.training.features import FittedFeatures
from tests.conditioned import random_router
from tests.tables import random_table

COST, QUALITY = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 0.7, 0.7, 0.8])


def test_the_choice_by_hand():
    """Within 3.5 the best is .7, and 2 is its cheapest; .6 needs 2, .75 needs 4; nothing costs .5 or reaches .9."""
    assert choose(COST, QUALITY, 3.5, None, "money") == 1
    assert choose(COST, QUALITY, 4.0, None, "money") == 3
    assert choose(COST, QUALITY, None, 0.6, "money") == 1
    assert choose(COST, QUALITY, None, 0.75, "money") == 3
    with pytest.raises(InputError, match="the cheapest costs 1"):
        choose(COST, QUALITY, 0.5, None, "money")
    with pytest.raises(InputError, match=r"0.9 on validation; the best has 0.8000"):
        choose(COST, QUALITY, None, 0.9, "money")


def test_a_threshold_by_hand():
    """Two models and STOP with probabilities .2, .3, .5: it stops from .5 on down, else calls model 1."""
    logits = np.log(np.array([[[0.2, 0.3, 0.5]]]))
    mask = np.ones((1, 1, 3), bool)
    order = (2, 1, 0)
    assert stopping_from(logits, mask, 0.49, order)[0, 0].tolist() == [0, 0, 1]
    assert stopping_from(logits, mask, 0.51, order)[0, 0].tolist() == [0, 1, 0]
    mask[..., 2] = False  # an answer must come first
    assert stopping_from(logits, mask, 0.0, order)[0, 0].tolist() == [0, 1, 0]
    mask[...] = [False, False, True]
    assert stopping_from(logits, mask, 1.0, order)[0, 0].tolist() == [0, 0, 1]
    assert thresholds(logits, mask) == []  # nowhere is there a choice
    assert thresholds(logits, np.ones((1, 1, 3), bool)) == pytest.approx([0.0, 0.5, 1.0])


def test_a_target_is_met_on_validation_and_checked_on_test(monkeypatch):
    """Between the cheapest and the dearest setting there is room for a budget."""
    table = random_table(queries=60, models=2, horizon=2, embedding=4)
    router = random_router(table, allow_stop=True)
    monkeypatch.setattr(module, "load_routers", lambda run, table: {"exact+stop": router})
    runs = [Path("run")]
    first = calibrate(runs, table, accuracy=1e-6)
    costs = sorted(point["validation_cost"] for point in first["curve"])
    assert first["validation"]["cost"] == pytest.approx(costs[0])
    assert first["setting"]["knob"] == "stop_threshold"
    assert first["setting"]["value"] == 0.0  # stops after every first hop
    assert first["validation"]["hops"] == 1.0
    budget = (costs[0] + costs[-1]) / 2
    found = calibrate(runs, table, budget=budget)
    assert found["validation"]["cost"] <= budget
    within = [point["validation_accuracy"] for point in found["curve"] if point["validation_cost"] <= budget]
    assert found["validation"]["accuracy"] == pytest.approx(max(within))
    off = found["off"]
    assert off["from_target"] == pytest.approx(found["test"]["cost"] - budget)
    assert off["from_target_ci"][0] <= off["from_target"] <= off["from_target_ci"][1]
    assert off["from_validation"] == pytest.approx(found["test"]["cost"] - found["validation"]["cost"])
    assert off["met"] == (found["test"]["cost"] <= budget)
    with pytest.raises(InputError, match="'ppo', but none of run holds it"):
        calibrate(runs, table, budget=budget, only="ppo")


def test_a_table_is_reduced_once_however_many_cost_weights_are_tried(monkeypatch):
    table = random_table(queries=60, models=2, horizon=2, embedding=4)
    router = random_router(table, cost_conditioned=True)
    monkeypatch.setattr(module, "load_routers", lambda run, table: {"exact": router})
    uploads, upload = [], FittedFeatures.on_device

    def counting(self, part):
        uploads.append(part.num_queries)
        return upload(self, part)

    monkeypatch.setattr(FittedFeatures, "on_device", counting)
    result = calibrate([Path("run")], table, accuracy=1e-6)
    assert result["settings_tried"] == 1 + module.POINTS
    assert uploads == [table.split("validation").num_queries, table.split("test").num_queries]


@pytest.mark.parametrize(
    ("target", "said"),
    [({}, "exactly one target"), ({"budget": 1.0, "accuracy": 0.5}, "exactly one"), ({"budget": 0.0}, "above 0"),
     ({"accuracy": 90.0}, "such as 0.9")],
)  # fmt: skip
def test_what_is_no_target_is_refused(target, said):
    with pytest.raises(InputError, match=said):
        calibrate([Path("run")], random_table(), **target)
