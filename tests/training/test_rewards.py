"""Shapings from YAML, what they need of a table, and the cost weight that finds itself."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import device_table
from hierrouter_jax.errors import InputError
from hierrouter_jax.sweeps.draws import stack
from hierrouter_jax.training.checks import check_reward
from hierrouter_jax.training.settings import numbers, with_numbers
from tests.tables import random_table

PRESETS = Path(__file__).parents[2] / "configs" / "reward"


def load_reward(path: Path) -> RewardWeights:
    return from_dict(RewardWeights, load_yaml(path), path)


@pytest.mark.parametrize("preset", sorted(path.name for path in PRESETS.glob("*.yaml")))
def test_presets_load_and_can_be_paid(preset):
    check_reward(random_table(), load_reward(PRESETS / preset))


def test_presets_say_what_their_sources_say():
    assert load_reward(PRESETS / "paper.yaml") == RewardWeights()
    der = load_reward(PRESETS / "der.yaml")
    assert (der.terminal_quality, der.hop_quality, der.later_gain, der.verdict) == (0.0, 1.0, 5.0, 2.0)
    assert load_reward(PRESETS / "potential.yaml").potential > 0


def test_what_is_wrong_with_a_shaping_is_said(tmp_path):
    wrong = tmp_path / "mine.yaml"
    wrong.write_text("potentail: 1.0\n")
    with pytest.raises(InputError, match=r"mine\.yaml: potentail is not a field; did you mean potential\?"):
        load_reward(wrong)
    table = random_table()
    with pytest.raises(InputError, match=r"reward\.latency is not 0, but the outcome table holds no latencies"):
        check_reward(replace(table, latency=None), RewardWeights(latency=0.1))
    terms = tmp_path / "terms.py"
    terms.write_text("def summed(hop):\n    return hop.cost.sum(axis=-1)\n\n\ndef broken(hop):\n    return hop.price\n")
    with pytest.raises(InputError, match=r"summed: gives shape \(2,\) for hops of shape \(2, 3\)"):
        check_reward(table, RewardWeights(custom={f"{terms}:summed": 1.0}))
    with pytest.raises(InputError, match=r"broken: fails on a hop \(AttributeError"):
        check_reward(table, RewardWeights(custom={f"{terms}:broken": 1.0}))


def test_ones_own_terms_are_numbers_of_a_sweep():
    own = "reward.custom.terms.py:short"
    hyper = with_numbers(LearnerHyper(), {own: 0.5, "reward.hop_cost": 0.1})
    assert hyper.reward.custom == {"terms.py:short": 0.5}
    assert numbers(hyper)[own] == 0.5
    stacked = stack([LearnerHyper(), hyper])
    assert np.asarray(stacked.reward.custom["terms.py:short"]).tolist() == [0.0, 0.5]
    assert np.asarray(stacked.reward.hop_cost).tolist() == [0.01, 0.1]


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
