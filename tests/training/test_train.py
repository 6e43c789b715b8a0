"""Training, checkpoints and evaluation of a run, on a table that is small and learnable."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.baselines.oracle import oracle_fixed
from hierrouter_jax.claims import table_identity
from hierrouter_jax.config import to_dict
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import device_table
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import ending_at, policy_outcome
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.studies.calibrate import calibrate
from hierrouter_jax.studies.evaluate import behaviour, evaluate
from hierrouter_jax.training.checkpoints import RunCheckpoints, load_routers
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.run_folder import RunFolder
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers
from tests.tables import random_table

CONFIG = TrainConfig(
    num_seeds=2, features=6, static=LearnerStatic(num_envs=64, num_updates=20, epochs=2, hidden=(16, 16), stage_size=4)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def run(folder):
    table = random_table(queries=90, tasks=3)
    RunFolder(folder).write_config({"train": to_dict(CONFIG)})
    with RunCheckpoints(folder, table, CONFIG) as checkpoints:
        routers, metrics = train_routers(table, CONFIG, progress=False, keeper=checkpoints)
    features = routers["ppo"].features
    return table, routers, metrics, evaluate(table, routers, features, 0.01, "test")


def row(evaluation: dict, name: str) -> dict:
    return next(policy for policy in evaluation["policies"] if policy["name"] == name)


def test_metrics_have_a_row_per_learner_seed_and_update(run):
    _, _, metrics, _ = run
    assert len(metrics) == 2 * 2 * 20
    assert not metrics.duplicated(["learner", "seed", "update"]).any()
    one = metrics[(metrics.learner == "ppo") & (metrics.seed == 1)]
    assert one["update"].tolist() == list(range(1, 21))
    assert one.env_steps.tolist() == [64 * 3 * u for u in range(1, 21)]
    assert one.validation_return.notna().to_numpy().nonzero()[0].tolist() == [4, 9, 14, 19]


def test_the_kept_policy_is_the_best_on_validation(run):
    table, routers, metrics, _ = run
    validation = table.split("validation")
    for name, router in routers.items():
        for seed in range(2):
            mine = metrics[(metrics.learner == name) & (metrics.seed == seed)].validation_return
            assert router.state.best_return[seed] == pytest.approx(mine.max())
            outcome = policy_outcome(validation, router.end_probability(validation, seed))
            exact = outcome.returns(0.01, router.features.cost_normaliser).mean()
            assert exact == pytest.approx(mine.max(), abs=1e-5)


@pytest.mark.extended
def test_training_twice_gives_the_same_policy_and_another_seed_another(run):
    table, _, metrics, _ = run
    _, same = train_routers(table, CONFIG, progress=False)
    pd.testing.assert_frame_equal(metrics, same)
    _, other = train_routers(table, replace(CONFIG, seed=1), progress=False)
    assert not metrics.train_return.equals(other.train_return)
    first, second = metrics[metrics.seed == 1], other[other.seed == 0]
    np.testing.assert_array_equal(first.train_return, second.train_return)  # seed 1 is seed 1 in any company


def test_the_evaluation_keeps_its_contract(run):
    table, routers, _, evaluation = run
    assert evaluation["table"]["fingerprint"] == table.fingerprint
    assert evaluation["table"]["queries"] == 30
    names = [policy["name"] for policy in evaluation["policies"]]
    assert {
        *("ppo", "ppo+stop", "best-single", "best-single-per-task", "best-sequence", "best-sequence+stop"),
        *("task-sequence", "task-sequence+stop", "random", "random+stop", "m0", "m0 x3", "oracle_fixed", "oracle_stop"),
    } <= set(names)
    assert len(names) == len(set(names))
    test = table.split("test")
    outcome = policy_outcome(test, routers["ppo"].end_probability(test, routers["ppo"].chosen_seed))
    learned = row(evaluation, "ppo")
    assert learned["accuracy"] == pytest.approx(outcome.quality.mean())
    decision = 8 * 6 + (6 + 4 + 1) * 16 + 16 * 16 + 16 * 4  # multiply-adds: reduction, two layers, logits
    own = 3 * decision * np.mean([0.1 / 1000, 0.2 / 2000, 0.3 / 3000])
    assert learned["router_cost"] == pytest.approx(own)
    assert learned["cost"] == pytest.approx(outcome.cost.mean() + own)
    outcome = replace(outcome, cost=outcome.cost + own)
    assert learned["return"] == pytest.approx(outcome.returns(0.01, evaluation["cost_normaliser"]).mean())
    assert learned["hops"] == pytest.approx(3)
    assert learned["accuracy_ci"][0] <= learned["accuracy"] <= learned["accuracy_ci"][1]
    assert learned["accuracy"] in learned["seeds"]["accuracy"]
    weighted = sum(part["accuracy"] * part["queries"] for part in learned["per_task"].values())
    assert weighted / 30 == pytest.approx(learned["accuracy"])
    best = policy_outcome(test, ending_at(oracle_fixed(test), test.tree)).quality.mean()
    assert evaluation["ceiling"]["oracle_fixed"]["accuracy"] == pytest.approx(best)
    single = row(evaluation, "best-single")["accuracy"]
    assert learned["oracle_gap_recovered"] == pytest.approx((learned["accuracy"] - single) / (best - single))


def test_no_policy_beats_its_own_oracle(run):
    *_, evaluation = run
    for policy in evaluation["policies"]:
        own = "oracle_fixed" if policy["hops"] == pytest.approx(3) else "oracle_stop"
        assert policy["accuracy"] <= evaluation["ceiling"][own]["accuracy"] + 1e-6, policy["name"]
        assert policy["return"] <= evaluation["ceiling"]["oracle_return"]["return"] + 1e-6, policy["name"]


def test_comparisons_are_paired_and_corrected(run):
    *_, evaluation = run
    assert len(evaluation["comparisons"]) == 6
    for comparison in evaluation["comparisons"]:
        gap = row(evaluation, comparison["policy"])["accuracy"] - row(evaluation, comparison["opponent"])["accuracy"]
        assert comparison["difference"] == pytest.approx(gap, abs=1e-6)
        assert comparison["p_holm"] >= comparison["p_value"]


def test_behaviour_shares_add_up(run):
    table, routers, *_ = run
    for policy in behaviour(table, routers, "test")["policies"].values():
        for routes in policy["routes"].values():
            assert sum(route["share"] for route in routes) == pytest.approx(1)


def test_checkpoints_bring_the_routers_back(run, folder):
    table, routers, *_ = run
    loaded = load_routers(folder, table)
    assert list(loaded) == list(routers)
    for name, router in routers.items():
        assert loaded[name].chosen_seed == router.chosen_seed
        assert loaded[name].seeds == router.seeds == CONFIG.of(name).seeds
        for seed in range(2):
            np.testing.assert_array_equal(
                loaded[name].end_probability(table, seed), router.end_probability(table, seed)
            )


def test_a_run_folder_without_training_is_named(run, tmp_path):
    table, *_ = run
    with pytest.raises(InputError, match="no such run folder"):
        load_routers(tmp_path / "nowhere", table)
    RunFolder(tmp_path).write_config({"train": to_dict(CONFIG)})
    with pytest.raises(InputError, match="no such file; train first: hierrouter train TABLE --out"):
        load_routers(tmp_path, table)


def test_a_learner_that_a_run_does_not_have_is_named_and_leaves_nothing(run, folder):
    before = sorted(folder.rglob("*"))
    said = r"learner 'ppo\+stp' is none of the run's; did you mean ppo\+stop\?"
    with pytest.raises(InputError, match=rf"^{folder}: {said}$"):
        load_routers(folder, run[0], learners=("ppo+stp",))
    assert sorted(folder.rglob("*")) == before


def with_prices(table, price: float):
    return replace(table, pool=tuple(replace(member, price_in=price) for member in table.pool))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"models": 2}, r"pool is \['m0', 'm1', 'm2'\] there, but \['m0', 'm1'\] here"),
        ({"horizon": 2}, r"embedding\.shape is \[90, 13, 8\] there, but \[90, 4, 8\] here"),
        ({"embedding": 9}, "encoder.size is 8 there, but 9 here"),
        ({"seed": 1}, r"embedding\.sha256 is \w+ there"),
        ({"splits": ("test", "validation", "train")}, r"splits\.sha256 is \w+ there"),
    ],
)
def test_the_routers_of_a_run_are_not_loaded_on_another_table(run, folder, changed, named):
    other = random_table(**({"queries": 90, "tasks": 3} | changed))
    with pytest.raises(InputError, match=rf"^{folder}: is of another outcome table \({named}.*\); name the one that"):
        load_routers(folder, other)


def test_one_outcome_that_differs_makes_another_table_and_a_price_does_not(run, folder):
    table, *_ = run
    quality = table.quality.copy()
    quality[7, 3] = 0.75  # which no outcome of a random table is
    with pytest.raises(InputError, match=r"is of another outcome table \(fingerprint is \w+ there, but \w+ here\)"):
        load_routers(folder, replace(table, quality=quality))
    assert list(load_routers(folder, with_prices(table, 7.0))) == ["ppo", "ppo+stop"]


def test_runs_on_different_tables_are_not_calibrated_together(run, folder, tmp_path):
    table, *_ = run
    other = random_table(queries=90, tasks=3, seed=1)
    RunFolder(tmp_path).write_config({"train": to_dict(CONFIG)})
    with RunCheckpoints(tmp_path, other, CONFIG) as checkpoints:
        train_routers(other, CONFIG, progress=False, keeper=checkpoints)
    with pytest.raises(InputError, match=rf"^{tmp_path}: is of another outcome table"):
        calibrate([folder, tmp_path], table, accuracy=0.1)


def test_checkpoints_that_do_not_fit_their_own_record_are_refused(run, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    other, record = random_table(queries=90, tasks=3, models=2), tmp_path / "run" / "checkpoints" / "identity.json"
    write_json(record, read_json(record) | {"table": table_identity(other)})
    with pytest.raises(InputError, match=r"does not fit the table's pool, horizon and embedding \(.*logits"):
        load_routers(tmp_path / "run", other)


def test_a_query_of_which_the_table_holds_no_hop_is_left_out_for_everybody():
    table = random_table(queries=90, tasks=3)
    available = table.available.copy()
    empty = [2, 8]  # of the test split
    available[empty, 1:] = False
    gone = replace(table, available=available, quality=table.quality * available)
    without = table.select(np.setdiff1d(np.arange(90), empty))
    features = fit_features(table.split("train"), 6)
    told, expected = (evaluate(one, {}, features, 0.01, "test") for one in (gone, without))
    assert (told["table"]["queries"], told["table"]["left_out"]) == (28, 2)
    assert "left out: 2 queries of which the table holds no hop" in told["table"]["notes"]
    assert expected["table"]["left_out"] == 0
    assert told["policies"] == expected["policies"]
    assert told["ceiling"] == expected["ceiling"]


@pytest.mark.parametrize("algorithm", ["exact", "ppo"])
def test_the_cost_weight_adapts_until_the_mean_cost_is_met(algorithm):
    """Half way between the cheapest and the dearest routes of two hops; without a price, quality would take more."""
    table = random_table(queries=12, models=2, horizon=2)
    device = device_table(table, table.context_embedding, 5.0)
    mean_cost = 0.5 * float(device.spent[:, -4:].min(axis=1).mean() + device.spent[:, -4:].max(axis=1).mean())
    static = LearnerStatic(
        algorithm=algorithm, num_envs=64, num_updates=60, evaluate_every=5, hidden=(16, 16), lagrangian=True
    )
    hyper = LearnerHyper(
        learning_rate=1e-2,
        learning_rate_end=1.0,
        entropy=0.0,
        mean_cost=mean_cost,
        cost_weight_rate=0.03,
        reward=RewardWeights(hop_cost=0.0),
    )
    state, metrics = jax.jit(lambda key: learner.train(key, device, device, static, hyper))(jax.random.key(0))
    assert float(state.cost_weight) > 0  # the constraint binds
    assert np.asarray(metrics["train_cost"])[-4:].mean() == pytest.approx(mean_cost, rel=0.1)
    excess = np.asarray(metrics["validation_cost"]) - mean_cost
    kept = np.where(excess > 0, -excess, metrics["validation_accuracy"])
    np.testing.assert_allclose(metrics["validation_return"], kept, rtol=1e-6)
    assert float(state.best_return) == kept.max()
