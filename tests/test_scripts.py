"""The benchmark scripts run, small, and keep the contract of their JSON; their arithmetic is right."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.files import read_json, write_json
from scripts import measure
from scripts.bench_quality import soon_good
from scripts.bench_scale import exponent
from scripts.contenders import flops_per_step, opponent
from scripts.opponents.problem import Settings

ROOT = Path(__file__).parents[1]


def bench(name: str, out: Path, *flags: str) -> dict:
    subprocess.run([sys.executable, "-m", f"scripts.{name}", *flags, "--out", out], check=True, timeout=300, cwd=ROOT)
    written = read_json(out)
    assert {"machine", "results", "ratios"} <= set(written)
    for row in written["results"]:
        assert {"name", "value", "unit", "runs"} <= set(row)
        assert row["value"] > 0
    return written


@pytest.mark.extended
def test_bench_train_compares_with_an_opponent_in_turns(tmp_path):
    sizes = ["--queries", "20", "--features", "8", "--num_envs", "64", "--rounds", "2", "--updates", "1"]
    written = bench("bench_train", tmp_path / "train.json", *sizes, "--opponents", "[torch]", "--devices", "1")
    rates = {row["name"]: row["runs"] for row in written["results"]}
    expected = np.exp(np.mean(np.log(np.divide(rates["ours_8"], rates["torch"]))))
    assert written["ratios"]["ours_8_over_torch"] == pytest.approx(expected)
    low, high = written["intervals"]["ours_8_over_torch"]
    assert low <= expected <= high


@pytest.mark.extended
def test_bench_accelerator_compares_precisions_and_trains_many(tmp_path):
    sizes = ["--num_envs", "64", "--features", "[8]", "--rounds", "2", "--updates", "1", "--matmul_size", "64"]
    sizes += ["--runs", "2", "--policies", "4", "--layout", "map", "--precisions", "[highest, bfloat16]"]
    written = bench("bench_accelerator", tmp_path / "accelerator.json", *sizes)
    runs = {row["name"]: row["runs"] for row in written["results"]}
    assert {"ours F=8 bfloat16", "purejaxrl", "4 policies trained and evaluated"} <= set(runs)
    returns = [runs[f"return after training, {precision}"] for precision in ("bfloat16", "highest")]
    assert [len(values) for values in returns] == [2, 2]
    expected = np.exp(np.mean(np.log(np.divide(*returns))))
    assert written["ratios"]["return bfloat16 over highest"] == pytest.approx(expected)


def test_a_ratio_and_its_interval_by_hand():
    """Ratios 1 and 4: geometric mean 2; the logarithms' standard error is log 2, t at 1 degree of freedom 12.706."""
    value, (low, high) = measure.ratio([1.0, 8.0], [1.0, 2.0])
    assert value == pytest.approx(2.0)
    assert (low, high) == pytest.approx((2 * 2**-12.7062, 2 * 2**12.7062), rel=1e-3)


def test_a_run_that_never_gets_good_is_counted_and_has_no_time_by_hand(tmp_path):
    """The best is 1: one run is at .96 after 2 s, another never above .9."""
    good, bad = [(1.0, 0.5), (2.0, 0.96)], [(1.0, 0.9), (2.0, 0.9)]
    count, seconds = soon_good("ppo", [good, bad], 1.0)
    assert (count["name"], count["value"], count["unit"]) == ("ppo: runs that reach 95% of it", 1, "of 2")
    assert (seconds["name"], seconds["runs"]) == ("ppo: training to 95% of it", [2.0])
    (none,) = soon_good("ppo", [bad], 1.0)
    assert none["value"] == 0
    write_json(tmp_path / "quality.json", [count, seconds, none])


def test_the_exponent_of_a_power_law():
    slope, (low, high) = exponent([1, 10, 100], [2.0, 2.0 * 10**0.5, 20.0])
    assert slope == pytest.approx(0.5)
    assert low <= slope <= high


def test_operations_of_a_step_by_hand():
    """F 2, L 1, M 1, one epoch: 4 x 3 below and 3 x 3 + 3 x 3 above; 30 to act, 2 x 12 + 3 x 18 to learn."""
    settings = Settings(epochs=1, hidden=(3, 3))
    assert flops_per_step(models=1, horizon=1, features=2, settings=settings) == 2 * (30 + 78)


def test_an_opponent_that_is_none_is_not_measured_under_its_name():
    with pytest.raises(ValueError, match="no opponent is called 'sb3_dumy'"):
        opponent("sb3_dumy", queries=4, models=2, horizon=1, features=2, num_envs=1)


def test_a_contender_that_dies_ends_the_benchmark():
    with pytest.raises(SystemExit, match="died"):
        measure.Worker(_dies, {})


def _dies() -> measure.Run:
    raise RuntimeError("on purpose")
