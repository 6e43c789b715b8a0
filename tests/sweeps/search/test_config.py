"""A search's configuration: which points are drawn, what compares, and what makes no sense."""

import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.sweeps.search.config import BaseSettings, Halving, SweepConfig


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
