"""What training refuses beforehand: shapings, ranges and budgets that a table cannot serve."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.errors import InputError
from hierrouter_jax.policies.conditions import ConditionRanges, Range
from hierrouter_jax.training.checks import check_charges, check_reward, check_trainable, smallest_budgets
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


def with_limit(table, tokens: int):
    return replace(table, pool=tuple(replace(member, max_new_tokens=tokens) for member in table.pool))


def test_the_smallest_budgets_by_hand():
    """Two models; the dearer one reads a single token, so that for the first query it is the cheaper call."""
    table = with_limit(random_table(queries=2, models=2, horizon=1), 30)
    tokens_in = table.tokens_in.copy()
    tokens_in[:, 1:] = [[100, 1], [10, 10]]
    table = replace(table, tokens_in=tokens_in)
    # prices are .1 in and .2 out, and .2 and .4: 100 * .1 + 30 * .2 = 16 or 1 * .2 + 30 * .4 = 12.2; 7 or 14
    np.testing.assert_allclose(smallest_budgets(table), [12.2, 7.0])
    available = table.available.copy()
    available[1, 1:] = False
    np.testing.assert_allclose(smallest_budgets(replace(table, available=available)), [12.2, 0.0])


def test_a_budget_needs_the_most_that_a_call_can_cost():
    table, budgeted = random_table(), LearnerStatic(budgeted=True)
    check_charges(table, LearnerStatic())
    with pytest.raises(InputError, match="model 'm0' has no max_new_tokens in the table's pool, but a budget needs"):
        check_charges(table, budgeted)
    check_charges(with_limit(table, 30), budgeted)
    with pytest.raises(InputError, match=r"model 'm\d' wrote \d+ tokens on query 'q\d', but its max_new_tokens is 20"):
        check_trainable(with_limit(table, 20), budgeted, ConditionRanges())


def test_a_range_that_is_none_is_refused():
    ranges = ConditionRanges().replace(cost_weight=Range(np.float32(0.3), np.float32(0.1)))
    check_trainable(random_table(), LearnerStatic(), ranges)  # draws from none
    with pytest.raises(InputError, match=r"hyper\.ranges\.cost_weight is 0\.3.* to 0\.1.*, but must rise"):
        check_trainable(random_table(), LearnerStatic(cost_conditioned=True), ranges)
