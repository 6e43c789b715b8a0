"""What may vary in a search, how it is written, and what is refused and why."""

import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.sweeps.draws import log, uniform
from hierrouter_jax.sweeps.search.config import BaseSettings, Halving, SweepConfig
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


def configured(space=None, **options):
    return SweepConfig("table", space=space or {}, **options)


def test_points_are_drawn_and_shapes_crossed():
    axes = ("agent.learning_rate=log(1e-4,3e-3)", "reward.hop_cost=0.01,0.03", "static.num_envs=256,512")
    config = configured({"learning_rate": 1.0, "learner": ["exact", "ppo+stop"]}, axes=axes)
    assert config.drawing == "sobol"
    shapes = [(static.algorithm, static.allow_stop, static.num_envs) for static in config.statics]
    assert shapes == [("exact", False, 256), ("exact", False, 512), ("ppo", True, 256), ("ppo", True, 512)]
    rates = np.asarray(config.points().learning_rate)
    assert len(rates) == len(set(rates)) == 16
    assert ((rates >= 1e-4) & (rates < 3e-3)).all()
    assert set(config.points().reward.hop_cost) == {0.01, 0.03}
    grid = configured({"clip": [0.1, 0.2], "gamma": [0.9, 1]})
    assert grid.drawing == "grid"
    assert len(grid.points().clip) == 4
    assert [static.allow_stop for static in grid.statics] == [False, True]


def test_what_a_return_means_is_told_from_how_it_is_reached():
    space = {"clip": [0.1, 0.2], "gamma": [0.9, 1], "reward.damage": [0, 1], "budgeted": [True, False]}
    assert configured(space).measures() == ("budgeted", "reward.damage")
    assert "gamma" in configured(space | {"reward.potential": 1}).measures()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": {"clip": [0.1, 0.2]}, "draws": 4}, "a grid has its own number of points"),
        ({"space": {"clip": "uniform(0, 1)"}, "draw": "grid"}, "clip is a range, of which a grid has no points"),
        ({"space": {"num_envs": [64, 128]}, "draw": "sobol"}, "no number has more than one value to draw"),
        ({"space": {"clip": 0.1}, "draw": "optuna"}, "nothing in the space has more than one value"),
        ({"space": {"reward.hop_cost": [0, 1]}, "draw": "optuna"}, r"reward\.hop_cost changes what a return means"),
        ({"space": {"clip": 1, "agent.clip": 2}}, "agent.clip is given twice"),
        ({"axes": ("clip=1", "hyper.clip=2")}, "hyper.clip is given twice"),
        ({"axes": ("clip",)}, "'clip' is no axis of the space; write name=choice"),
        ({"space": {"num_updates": [10, 7]}}, r"num_updates \(7\) must be a multiple .* combination num_updates 7"),
        ({"seeds": 0}, "seeds is 0, but must be a whole number of at least 1"),
        ({"train": BaseSettings(learners=())}, "at least one learner"),
        ({"space": {"clip": [1, 2]}, "draw": "optuna", "halving": Halving()}, "not optuna"),
        ({"space": {"reward.damage": "uniform(0, 1)"}, "halving": Halving()}, "no two returns are comparable"),
        ({"space": {"num_updates": [50, 100]}, "halving": Halving()}, "num_updates cannot vary under halving"),
        ({"halving": Halving(3, 5)}, "rungs have 5, 5, 15, 35, 100 updates, which must grow"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        SweepConfig("table", **options)


def test_rungs_grow_to_the_base_settings_updates():
    static = LearnerStatic(num_updates=90)
    assert [Halving(3, 3).updates(rung, static) for rung in range(3)] == [10, 30, 90]
    assert [Halving(3, 3).updates(rung, LearnerStatic(num_updates=100)) for rung in range(3)] == [15, 35, 100]
    with pytest.raises(InputError, match="eta is 1, but must be a whole number of at least 2"):
        Halving(1, 3)
