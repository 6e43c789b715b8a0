"""A comparison end to end on a tiny table: its numbers the slow obvious way, interrupted, tuned, and refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.cli.main import main
from hierrouter_jax.config import to_dict
from hierrouter_jax.envs.types import accumulate_cost
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.paired import holm
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.studies.compare.config import Arm, Base, CompareConfig, Tuning
from hierrouter_jax.studies.compare.run import compare
from hierrouter_jax.sweeps.members import program
from hierrouter_jax.sweeps.result import load_sweep
from hierrouter_jax.training.router import router_cost
from tests.tables import random_table

STATIC = LearnerStatic(
    num_envs=64, num_updates=4, evaluate_every=2, epochs=1, minibatches=1, hidden=(16, 16), stage_size=4
)
BASE = Base("exact+stop", features=6, static=STATIC, hyper=LearnerHyper(learning_rate=0.003))
ARMS = {"plain": Arm(), "gain": Arm(reward={"quality_gain": 1.0})}
WEIGHTS = (0.01, 0.3)


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> CompareConfig:
    folder = tmp_path_factory.mktemp("compare")
    save_table(random_table(queries=90), folder / "table")
    return CompareConfig(
        ARMS, folder / "table", folder / "out", base=BASE, cost_weights=WEIGHTS, seeds=2, layout="map", resamples=200
    )


@pytest.fixture(scope="module")
def found(config):
    compiled = program.cache_info().misses
    result = compare(config, progress=False)
    assert program.cache_info().misses == compiled + 1  # all arms, cost weights and seeds are one program
    return result


def rerun(config: CompareConfig, folder: Path, **changes) -> dict:
    return compare(replace(config, out=folder, **changes), progress=False)


@pytest.fixture(scope="module")
def slowly(config, found):
    """Per query, of every arm, cost weight and seed, from each member's own router: quality and cost [2, 2, 2, Q]."""
    table = load_table(config.table)
    part, sweep = table.split("test"), load_sweep(config.out / "sweeps" / "0")
    outcomes = []
    for member in range(8):
        router = sweep.router(member)
        outcome = policy_outcome(part, router.end_probability(part, 0))
        outcomes.append(replace(outcome, cost=outcome.cost + router_cost(router, outcome, part)))
    return [np.reshape([getattr(one, name) for one in outcomes], (2, 2, 2, -1)) for name in ("quality", "cost")]


def test_every_mean_is_that_of_the_members_routers(found, slowly):
    quality, cost = slowly
    for a, arm in enumerate(found["arms"]):
        for w, point in enumerate(arm["points"]):
            value = quality[a, w] - WEIGHTS[w] * cost[a, w] / found["cost_normaliser"]
            for name, its in (("accuracy", quality[a, w]), ("cost", cost[a, w]), ("return", value)):
                assert point[name]["per_seed"] == pytest.approx(its.mean(axis=1).tolist(), rel=1e-5)
                assert point[name]["mean"] == pytest.approx(its.mean(), rel=1e-5)
                low, high = point[name]["mean_ci"]
                assert low <= point[name]["mean"] <= high
                assert low < high


def test_the_rewards_differ_by_their_numbers_and_the_cost_weight_drives_the_named_term(config, found):
    sweep = load_sweep(config.out / "sweeps" / "0")
    assert sweep.frame["reward.quality_gain"].tolist() == [0.0] * 4 + [1.0] * 4
    assert sweep.frame["reward.hop_cost"].tolist() == [0.01, 0.01, 0.3, 0.3] * 2
    assert sweep.frame["seed"].tolist() == [0, 1] * 4
    assert found["arms"][1]["reward"]["quality_gain"] == 1.0
    assert {arm["cost_term"] for arm in found["arms"]} == {"hop_cost"}


def test_differences_and_fronts_the_slow_way(found, slowly):
    quality, cost = (values.mean(axis=(2, 3)) for values in slowly)
    reference, rows = found["reference"]["cost"], found["comparisons"]
    for w, weight in enumerate(WEIGHTS):
        row = next(row for row in rows if row["metric"] == "return" and row["cost_weight"] == weight)
        value = quality[:, w] - weight * cost[:, w] / found["cost_normaliser"]
        assert row["difference"] == pytest.approx(value[1] - value[0], abs=1e-6)
        assert row["ci"][0] <= row["difference"] <= row["ci"][1]
    budgets = (np.arange(100_000) + 0.5) / 100_000 * reference
    areas = []
    for arm in range(2):
        within = np.where(cost[arm][:, None] <= budgets, quality[arm][:, None], 0.0)
        areas.append(within.max(axis=0).mean())
        assert found["arms"][arm]["front"]["hypervolume"]["value"] == pytest.approx(areas[-1], abs=1e-4)
    row = next(row for row in rows if row["metric"] == "hypervolume")
    assert row["difference"] == pytest.approx(areas[1] - areas[0], abs=2e-4)
    primary = [row for row in rows if row["family"] == "primary"]
    assert [row["p_holm"] for row in primary] == holm([row["p_value"] for row in primary])
    assert len(primary) == 3


def test_no_policy_can_pass_the_reference(config, found):
    part = load_table(config.table).split("test")
    assert found["reference"]["cost"] == pytest.approx(accumulate_cost(part.cost, part.tree).max(axis=1).mean())
    assert found["reference"]["cost_range"][0] == pytest.approx(part.cost[:, 1:4].min(axis=1).mean())
    assert max(row["cost"] for row in found["opponents"]) <= found["reference"]["cost"]
    assert {"oracle_stop", "task-sequence+stop", "best-sequence", "random"} <= {r["name"] for r in found["opponents"]}


def test_routes_stop_rates_and_the_frame_tell_the_same(config, found):
    frame = pd.read_parquet(config.out / "compare.parquet")
    assert len(frame) == 8
    for arm in found["arms"]:
        for point in arm["points"]:
            its = frame[(frame.arm == arm["name"]) & (frame.cost_weight == point["cost_weight"])]
            assert its.accuracy.tolist() == pytest.approx(point["accuracy"]["per_seed"])
            assert its.hops.mean() == pytest.approx(point["hops"])
            assert its.stop_rate.mean() == pytest.approx(point["stop_rate"]["all"])
            assert its[its.chosen].seed.tolist() == [point["chosen_seed"]]
            assert int(np.argmax(point["validation_return"])) == point["chosen_seed"]
            hops = [len(route["route"]) * route["share"] for routes in point["routes"].values() for route in routes]
            assert sum(hops) / len(point["routes"]) == pytest.approx(point["hops"])  # tasks are equally frequent here
            for routes in point["routes"].values():
                assert sum(route["share"] for route in routes) == pytest.approx(1)
                assert all(route["stopped"] == (len(route["route"]) < 3) for route in routes)
            assert point["curve"]["update"] == [2, 4]
            kept = np.max(point["curve"]["validation_accuracy"]["high"])
            assert 0 <= kept <= 1


def test_validation_is_judged_by_accuracy_and_cost_alone(config, found):
    frame = load_sweep(config.out / "sweeps" / "0").frame
    gain = frame[(frame["reward.quality_gain"] == 1) & (frame["reward.hop_cost"] == 0.3)]
    expected = gain.best_accuracy - 0.3 * gain.best_cost / found["cost_normaliser"]
    assert found["arms"][1]["points"][1]["validation_return"] == pytest.approx(expected.tolist(), abs=1e-5)
    assert (gain.best_return > expected + 0.05).all()  # the arm's own reward pays for gains beside


def test_an_interrupted_comparison_goes_on_to_the_same_files(config, found, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(config.out, cut)
    for name in ("compare.json", "compare.parquet", "compare.csv", "run.json", "sweeps/0/sweep.parquet"):
        (cut / name).unlink()
    chunks = sorted((cut / "sweeps" / "0" / "chunks").iterdir())
    for path in chunks[1::2]:
        path.unlink()
    rerun(config, cut)
    for name in ("compare.json", "compare.parquet", "compare.csv"):
        assert (cut / name).read_bytes() == (config.out / name).read_bytes(), name
    assert read_json(cut / "sweeps" / "0" / "sweep.json")["last_run"]["trained"] == len(chunks) // 2


def test_a_folder_of_another_comparison_is_refused(config, found, tmp_path):
    for changes, message in (
        ({"seeds": 3}, "seeds is 2 there, but 3 here"),
        ({"arms": {"gain": ARMS["gain"], "plain": ARMS["plain"]}}, "order is"),
        ({"base": replace(BASE, features=5)}, "base.features is 6 there, but 5 here"),
    ):
        with pytest.raises(InputError, match=message):
            compare(replace(config, **changes), progress=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no comparison"):
        rerun(config, tmp_path)


def test_tuning_gives_every_arm_the_same_budget_and_looks_at_validation_alone(config, found, tmp_path):
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


def test_arms_that_are_the_same_are_tied(config, found, tmp_path):
    twice = {"zeta": Arm(), "alpha": Arm(reward={"terminal_quality": 1.0})}
    same = rerun(config, tmp_path / "same", arms=twice, cost_weights=(0.3,))
    assert [arm["name"] for arm in same["arms"]] == ["zeta", "alpha"]
    for row in same["comparisons"]:
        assert (row["difference"], row["ci"], row["p_value"], row["verdict"]) == (0.0, [0.0, 0.0], 1.0, "tied")
        assert row["probability_of_improvement"]["value"] == 0.5


@pytest.mark.extended
def test_the_command_line_asks_for_the_same_comparison_and_prints_it(config, found, tmp_path, capsys):
    """Found finished in its folder, so that it must be the same one."""
    base = to_dict(BASE)
    arms = {"plain": {}, "gain": {"reward": {"quality_gain": 1.0}}}
    told = {
        "table": "elsewhere",
        "arms": arms,
        "base": base,
        "cost_weights": list(WEIGHTS),
        "seeds": 2,
        "layout": "map",
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    command = ["compare", str(config.table), "--config", str(tmp_path / "mine.yaml"), "--out", str(config.out)]
    assert main([*command, "--resamples", "200", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert main([*command, "--resamples", "200"]) == 0
    printed = capsys.readouterr().out
    point = found["arms"][1]["points"][1]
    low, high = point["return"]["mean_ci"]
    assert f"{100 * point['return']['mean']:.1f} {100 * low:.1f}–{100 * high:.1f}" in printed
    assert "oracle_stop" in printed
    assert " ".join(found["claims"][0].split()) in " ".join(printed.split())
