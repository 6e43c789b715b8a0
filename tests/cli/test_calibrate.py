"""What a calibration says, by hand."""

import pytest

from hierrouter_jax.cli.calibrate import CalibrateConfig, calibrated
from hierrouter_jax.errors import InputError

PART = {"accuracy": 0.5, "accuracy_ci": [0.4, 0.6], "cost": 90.0, "cost_ci": [80.0, 100.0], "queries": 30}
RESULT = {
    "setting": {"learner": "exact+stop", "run": "runs/a", "knob": "stop_threshold", "value": 0.25},
    "off": {"split": "test", "metric": "cost", "from_target": -10.0, "from_target_ci": [-20.0, 5.0], "met": True}
    | {"undecided": True},
    "target": {"budget": 100.0, "accuracy": None, "money_unit": "flops"},
    "validation": PART,
    "test": PART,
}


def test_what_was_found_is_told_in_four_sentences():
    part = "50.0 % right (40.0 to 60.0) at 90 flops (80 to 100), 30 queries"
    assert calibrated(RESULT) == [
        "For a mean cost of 100 flops: exact+stop of runs/a, stopping from a probability of STOP of 0.25 on.",
        f"On validation: {part}.",
        f"On test: {part}.",
        "On test it meets the target, off by -10 flops (-20 to +5); the interval holds 0, so more queries could turn "
        "this.",
    ]


def test_an_accuracy_is_told_in_points():
    off = {"split": "test", "metric": "accuracy", "from_target": -0.05, "from_target_ci": [-0.1, -0.01]}
    result = RESULT | {"off": off | {"met": False, "undecided": False}}
    result["target"] = {"budget": None, "accuracy": 0.55, "money_unit": "flops"}
    result["setting"] = {"learner": "ppo", "run": "r", "knob": "cost_weight", "value": 0.1234}
    first, *_, last = calibrated(result)
    assert first == "For an accuracy of 55.0%: ppo of r, told the cost weight 0.123."
    assert last.startswith("On test it misses the target, off by ")
    assert last.endswith(" points (\N{MINUS SIGN}10.0 to \N{MINUS SIGN}1.0).")


def test_a_target_out_of_its_domain_is_refused():
    for wrong in ({"budget": 0.0}, {"accuracy": 1.5}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            CalibrateConfig((), **wrong)


def test_a_split_that_cannot_check_the_choice_is_refused():
    assert CalibrateConfig((), 1.0, split="train").split == "train"
    for split, right in (("validation", "on which the setting is chosen"), ("dev", "one of train, validation, test")):
        with pytest.raises(InputError, match=f"--split is '{split}', .*{right}"):
            CalibrateConfig((), 1.0, split=split)
