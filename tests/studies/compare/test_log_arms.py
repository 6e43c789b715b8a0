"""Arms that learn from logs: judged as their policies act, kept, and blind to all but their episodes."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.studies.choice import bundle_ends
from hierrouter_jax.studies.compare import log_arms, runs
from hierrouter_jax.studies.compare.config import Arm, CompareConfig, Tuning, resolve
from hierrouter_jax.studies.compare.outcomes import arm_outcomes
from hierrouter_jax.studies.compare.run import compare
from hierrouter_jax.studies.compare.runs import Trainer, run_arms
from hierrouter_jax.studies.named_policy import episodes_served
from hierrouter_jax.studies.traffic import Traffic
from hierrouter_jax.training.features import FEATURES, fit_features, load_features
from hierrouter_jax.training.router import deciding_cost
from tests.studies.compare.tiny import BASE, WEIGHTS
from tests.tables import random_table

TRAFFIC = Traffic(policy="uniform", of="best-sequence+stop", episodes=300)
ARMS = {
    "table": Arm(),
    "log": Arm(learner="exact", log=TRAFFIC),
    "clipped": Arm(learner="off-policy-ppo", log=TRAFFIC),
    "knn": Arm(learner="knn", log=TRAFFIC),
}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> CompareConfig:
    folder = tmp_path_factory.mktemp("logs")
    save_table(random_table(queries=60), folder / "table")
    return CompareConfig(
        ARMS,
        folder / "table",
        folder / "out",
        base=BASE,
        cost_weights=WEIGHTS,
        seeds=2,
        layout="map",
        resamples=200,
        export=True,
    )


@pytest.fixture(scope="module")
def result(config):
    return compare(config, progress=False)


def test_an_arm_is_judged_as_its_policy_acts(config, result):
    table = load_table(config.table)
    part = table.split("test")
    for arm in result["arms"][1:3]:
        for row, point in enumerate(arm["points"]):
            for seed in range(2):
                bundle = PolicyBundle.load(config.out / "logs" / arm["name"] / str(2 * row + seed))
                outcome = policy_outcome(part, bundle_ends(bundle, part))
                assert point["accuracy"]["per_seed"][seed] == pytest.approx(outcome.quality.mean())
                cost = outcome.cost + deciding_cost(bundle.multiply_adds, True, outcome, part)
                assert point["cost"]["per_seed"][seed] == pytest.approx(cost.mean())


def test_what_learns_from_a_log_is_compared_as_all_else(config, result):
    assert [arm["name"] for arm in result["arms"]] == list(ARMS)
    assert [arm["log"] and arm["log"]["episodes"] for arm in result["arms"]] == [None, 300, 300, 300]
    assert {row["a"] for row in result["comparisons"]} >= {"log", "clipped", "knn"}
    for arm in result["arms"][1:]:
        for point in arm["points"]:
            assert point["chosen_seed"] == 0
            assert point["curve"]["update"] == [4]
            assert 0 < point["stop_rate"]["all"] < 1
    exported = {path.name for path in (config.out / "policies").iterdir()}
    assert exported == {f"{name}-{weight:g}" for name in ("table", "log", "clipped") for weight in WEIGHTS}


def test_the_last_return_of_a_log_arms_curve_is_that_of_its_policies(config, result):
    """Its only block is its last; money is over the normaliser, which is not 1 here."""
    features = load_features(config.out / FEATURES)
    assert abs(features.cost_normaliser - 1) > 0.5
    for its in run_arms(Trainer(config, config.table, features, config.out, False), resolve(config))[1:]:
        arm = arm_outcomes(its, load_table(config.table).split("test"), features, config)
        np.testing.assert_allclose(arm.return_curve[..., 0], arm.validation)


def test_what_was_learned_is_not_learned_again(config, result, monkeypatch):
    def never(*_):
        raise AssertionError("learned again")

    monkeypatch.setattr(log_arms, "_learned", never)
    assert compare(config, progress=False) == result
    (config.out / "logs" / "knn" / "3.json").unlink()
    with pytest.raises(AssertionError, match="learned again"):
        compare(config, progress=False)


def test_an_arm_knows_nothing_of_the_table_but_its_episodes(config, result, tmp_path):
    """Other outcomes of validation and test queries change what it reaches there, and not what it learned."""
    table = load_table(config.table)
    hidden = np.array([query.split != "train" for query in table.queries])
    quality = table.quality.copy()
    quality[hidden, 1:] = np.where(table.available[hidden, 1:], 1 - quality[hidden, 1:], quality[hidden, 1:])
    save_table(replace(table, quality=quality), tmp_path / "table")
    compare(replace(config, table=tmp_path / "table", out=tmp_path / "out"), progress=False)
    for name in ("log", "clipped"):
        one, other = (PolicyBundle.load(out / "logs" / name / "1") for out in (config.out, tmp_path / "out"))
        assert one.weights.keys() == other.weights.keys()
        for key in one.weights:
            np.testing.assert_array_equal(one.weights[key], other.weights[key])


def test_a_log_of_no_policy_is_refused_before_anything_is_trained(config, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr(runs, "train_many", never)
    wrong = {"table": Arm(), "log": Arm(log=replace(TRAFFIC, of="best-sequense"))}
    with pytest.raises(InputError, match=r"best-sequense: is neither a run nor a bundle.*did you mean best-sequence"):
        compare(replace(config, arms=wrong, out=tmp_path / "out"), progress=False)


def test_cost_weights_mean_the_same_money_for_all_arms(config):
    table = load_table(config.table)
    features = fit_features(table.split("train"), BASE.features)
    knn, template = resolve(config)[3], log_arms.named_policy("best-sequence", table)
    of = log_arms._learned(knn, 0.3, 0, episodes_served(table, TRAFFIC, 0), template, features)
    assert not isinstance(of, PolicyBundle)
    assert of.economy.per_money == pytest.approx(0.3 / features.cost_normaliser)


@pytest.mark.parametrize(
    ("arm", "tuning", "message"),
    [
        (Arm(learner="ppo", log=TRAFFIC), Tuning(), "learner: 'ppo' learns from no log; .*off-policy-ppo"),
        (Arm(log=replace(TRAFFIC, split="test")), Tuning(), "split is 'test', but all arms learn from training"),
        (Arm(log=TRAFFIC, cost_term="log_cost"), Tuning(), "knows hop_cost alone"),
        (Arm(log=TRAFFIC), Tuning(2, space={"entropy": [0.1, 0.2]}), "has no table to be tuned on"),
    ],
)
def test_what_no_log_can_teach_is_refused(config, arm, tuning, message):
    with pytest.raises(InputError, match=f"arms.odd: .*{message}"):
        resolve(replace(config, arms={"table": Arm(), "odd": arm}, tuning=tuning))
