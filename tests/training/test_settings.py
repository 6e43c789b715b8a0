"""One learner's settings, from what it shares with others and what it has of its own."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.sweeps.draws import stack
from hierrouter_jax.training.settings import (
    LearnerSettings,
    SharedSettings,
    TrainConfig,
    check_names,
    learner_name,
    numbers,
    replaced_numbers,
    static_of,
    with_numbers,
)

SHARED = SharedSettings(features=5, static=LearnerStatic(num_envs=64), hyper=LearnerHyper(clip=0.3))


def test_the_name_sets_the_algorithm_and_stop():
    static = static_of("exact+stop", LearnerStatic(num_envs=64))
    assert (static.algorithm, static.allow_stop, static.num_envs) == ("exact", True, 64)
    assert static_of("mine.py:update+stop", static).algorithm == "mine.py:update"
    assert static_of("ppo", static).allow_stop is False
    for name in ("ppo", "all-actions+stop", "mine.py:update"):
        assert learner_name(static_of(name, static)) == name
    with pytest.raises(InputError, match=r"learner 'exat' is unknown; did you mean exact\?"):
        static_of("exat", static)


def test_what_a_learner_has_of_its_own_stands_over_what_is_shared():
    plain = SHARED.resolve("ppo", range(2))
    assert plain == LearnerSettings("ppo", static_of("ppo", SHARED.static), SHARED.hyper, 5, (0, 1))
    own = SHARED.resolve("exact+stop", (7,), {"num_updates": 20}, {"reward.hop_cost": 0.5}, 3)
    assert own.static == replace(SHARED.static, algorithm="exact", allow_stop=True, num_updates=20)
    assert (own.hyper.reward.hop_cost, own.hyper.clip, own.features, own.seeds) == (0.5, 0.3, 3, (7,))


@pytest.mark.parametrize(
    ("static", "hyper", "message"),
    [
        ({"algorithm": "exact"}, {}, "static.algorithm is set by the learner's name; set learner instead"),
        ({"allow_stop": True}, {}, "static.allow_stop is set by the learner's name; set learner instead"),
        ({"num_env": 3}, {}, "static: num_env is not a field; did you mean num_envs?"),
        ({"num_updates": 7}, {}, r"static: num_updates \(7\) must be a multiple of evaluate_every"),
        ({}, {"hop_cost": 1}, r"hop_cost is not a number of the learner; did you mean reward\.hop_cost\?"),
    ],
)
def test_what_is_wrong_is_named(static, hyper, message):
    with pytest.raises(InputError, match=message):
        SHARED.resolve("ppo", (0,), static, hyper)


def test_a_training_resolves_each_of_its_learners():
    config = TrainConfig(("exact", "ppo+stop"), 3, 4, features=5, static=SHARED.static, hyper=SHARED.hyper)
    assert config.of("ppo+stop") == SHARED.resolve("ppo+stop", (4, 5, 6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learners": ()}, "learners must be one or more different names"),
        ({"learners": ("ppo", "ppo")}, "learners must be one or more different names"),
        ({"learners": ("pppo",)}, "learner 'pppo' is unknown"),
        ({"checkpoint_every": 3}, r"checkpoint_every \(3\) must be a multiple of static.evaluate_every \(5\)"),
        ({"keep_every": 30}, r"keep_every \(30\) must be 0 or a multiple of checkpoint_every \(25\)"),
        ({"seed": 2**31 - 2, "num_seeds": 3}, "seed is 2147483646, but must be at most 2147483645"),
        ({"features": 0}, "features is 0, but must be a whole number of at least 1"),
    ],
)
def test_a_training_that_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**options)


def test_numbers_go_by_their_dotted_names():
    hyper = with_numbers(LearnerHyper(), {"clip": 0.1, "ranges.budget.low": 0.25})
    assert (hyper.clip, hyper.ranges.budget.low, hyper.ranges.budget.high) == (0.1, 0.25, 8.0)
    leaves = numbers(hyper)
    assert (leaves["clip"], leaves["ranges.budget.low"], leaves["reward.hop_cost"]) == (0.1, 0.25, 0.01)
    assert replaced_numbers(LearnerHyper(), leaves) == hyper
    check_names(leaves)
    with pytest.raises(InputError, match=r"lerning_rate is not a number of the learner; did you mean learning_rate\?"):
        check_names(["lerning_rate"])


def test_ones_own_terms_are_numbers_of_a_sweep():
    own = "reward.custom.terms.py:short"
    hyper = with_numbers(LearnerHyper(), {own: 0.5, "reward.hop_cost": 0.1})
    assert hyper.reward.custom == {"terms.py:short": 0.5}
    assert numbers(hyper)[own] == 0.5
    stacked = stack([LearnerHyper(), hyper])
    assert np.asarray(stacked.reward.custom["terms.py:short"]).tolist() == [0.0, 0.5]
    assert np.asarray(stacked.reward.hop_cost).tolist() == [0.01, 0.1]
