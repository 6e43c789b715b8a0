"""The runs of a comparison: equal tuning budgets, and a layout by the machine alone."""

from dataclasses import replace

import pytest

from hierrouter_jax.files import read_json
from hierrouter_jax.studies.compare import runs
from hierrouter_jax.studies.compare.config import Arm, Tuning
from hierrouter_jax.studies.compare.runs import best, default_layout, finite
from hierrouter_jax.sweeps.result import load_sweep
from tests.studies.compare.tiny import ARMS, rerun


def test_tuning_gives_every_arm_the_same_budget_and_looks_at_validation_alone(config, result, tmp_path):
    tuning = Tuning(draws=3, seeds=1, space={"learning_rate": "log(0.0001, 0.01)"})
    own = {"plain": Arm(), "gain": replace(ARMS["gain"], tune={"learning_rate": [1e-4, 3e-2], "entropy": [0.0, 0.3]})}
    tuned = rerun(config, tmp_path / "tuned", arms=own, tuning=tuning, cost_weights=(0.3,), export=True)
    for arm in tuned["arms"]:
        assert arm["configurations_tried"] == 3
        (tried,) = arm["tuning"]
        best = max(tried, key=lambda one: one["validation_return"])
        assert arm["points"][0]["settings"] == best["settings"]
        assert tried[0]["settings"] == {}
    assert set(tuned["arms"][1]["tuning"][0][1]["settings"]) == {"learning_rate", "entropy"}
    trials = load_sweep(tmp_path / "tuned" / "sweeps" / "0-tuning")
    assert trials.split == "validation"
    assert set(trials.frame.seed) == {2}  # the reported ones are 0 and 1
    assert read_json(tmp_path / "tuned" / "run.json")["configurations_tried"] == 6
    policy = read_json(tmp_path / "tuned" / "policies" / "gain-0.3" / "policy.json")
    assert policy["provenance"]["seed"] == tuned["arms"][1]["points"][0]["chosen_seed"]


def test_the_best_configuration_is_the_first_of_the_highest():
    tried = [{"settings": {"clip": float(at)}, "validation_return": score} for at, score in enumerate((0.1, 0.4, 0.4))]
    assert best(tried) == {"clip": 1.0}
    assert best([{"settings": {"clip": 5.0}, "validation_return": None}, *tried]) == {"clip": 1.0}
    assert best([{"settings": {}}]) == {}
    assert (finite(0.5), finite(float("nan")), finite(float("-inf"))) == (0.5, None, None)


@pytest.mark.parametrize(("cores", "number", "layout"), [(1, 100, "map"), (4, 31, "map"), (4, 32, "processes")])
def test_the_layout_of_a_cpu_is_by_its_cores_and_the_number_of_runs(monkeypatch, cores, number, layout):
    monkeypatch.setattr(runs.jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(runs, "cores", lambda: tuple(range(cores)))
    assert default_layout(number) == layout
    monkeypatch.setattr(runs.jax, "default_backend", lambda: "gpu")
    assert default_layout(number) == "vmap"
