"""What may vary in a search, how it is written, and what is refused and why."""

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.sweeps.draws import log, uniform
from hierrouter_jax.sweeps.search.space import space_of


def test_text_and_yaml_mean_the_same():
    text = {
        "agent.learning_rate": "log(1e-4, 3e-3)",
        "reward.hop_cost": "0.01,3e-2,0.1",
        "static.num_envs": "256, 512",
        "hidden": "[128,128],[64]",
        "learner": "exact,ppo+stop",
        "train.static.cost_conditioned": "true,false",
    }
    plain = {
        "learning_rate": log(1e-4, 3e-3),
        "reward": {"hop_cost": [0.01, 0.03, 0.1]},
        "num_envs": [256, 512],
        "hidden": [[128, 128], [64]],
        "learner": ["exact", "ppo+stop"],
        "cost_conditioned": [True, False],
    }
    space = space_of(text)
    assert space == space_of(plain) == space_of(space.text)
    assert space.numbers == {"learning_rate": log(1e-4, 3e-3), "reward.hop_cost": (0.01, 0.03, 0.1)}
    assert space.shapes["hidden"] == ((128, 128), (64,))
    assert space.ranges == ("learning_rate",)
    assert space_of({"entropy": "uniform(0, 0.2)"}).numbers["entropy"] == uniform(0, 0.2)
    assert space_of({"agent.reward.custom.my_terms.py:short": "0, 1"}).numbers == {
        "reward.custom.my_terms.py:short": (0.0, 1.0)
    }
    assert space_of({"clip": 0.2, "num_envs": "256"}).varied == ()


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("agent.learning_rte", 1, "agent.learning_rte is nothing that can vary; did you mean learning_rate?"),
        ("hop_cost", 1, r"did you mean reward\.hop_cost\?"),
        ("reward.hop_cots", 1, r"did you mean reward\.hop_cost\?"),
        ("allow_stop", True, "set by the learner's name; vary learner"),
        ("features", 3, "features cannot vary within a sweep"),
        ("seeds", 3, "--seeds says how many runs"),
        ("learner", "exat", "learner 'exat' is unknown; did you mean exact?"),
        ("learning_rate", "lgo(1, 2)", "but a range is log"),
        ("learning_rate", "log(1)", r"log takes two bounds: log\(low, high\)"),
        ("learning_rate", "log(0, 1)", "a logarithmic range needs bounds above 0"),
        ("learning_rate", "uniform(0, 1e400)", r"'uniform\(0, 1e400\)': a range needs finite bounds, not 0 and inf"),
        ("learning_rate", "log(nan, 1)", "a range needs finite bounds, not nan and 1"),
        ("learning_rate", 10**400, "learning_rate holds 1000+, but must hold numbers"),
        ("learning_rate", "uniform(a, 1)", "holds 'a', but must hold numbers"),
        ("learning_rate", "__import__('os').getcwd()", "but a range is log"),
        ("learning_rate", "1, {", "must be values with commas between"),
        ("learning_rate", "0.1, 0.1", "one or more different values"),
        ("learning_rate", [], "one or more different values"),
        ("clip", True, "holds True, but must hold numbers"),
        ("num_envs", "uniform(64, 512)", "num_envs is a range, but each of its values is compiled"),
        ("num_envs", "1.5", "num_envs is 1.5, but must be a whole number"),
        ("hidden", [64, 64], "each of its values is a list of widths"),
    ],
)
def test_what_cannot_be_is_refused_saying_what_can(name, choice, message):
    with pytest.raises(InputError, match=message):
        space_of({name: choice})
