"""Sweeps: members are runs alone, exactly evaluated, whatever their company; nothing is compiled or trained twice."""

import logging
from dataclasses import replace

import chex
import jax
import numpy as np
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import SPLITS
from hierrouter_jax.sweeps.sweep import Source, train_many
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers
from tests.sweeps.sweep_run import EXACT, HYPERS, TABLE, run
from tests.tables import random_table

PPO = LearnerStatic(num_envs=64)


@pytest.fixture(scope="module")
def result():
    return run(layout="map", seeds=2)


def test_the_frame_has_a_row_for_every_combination(result):
    frame = result.frame
    assert frame.member.tolist() == list(range(8))
    assert frame.seed.tolist() == [0, 1] * 4
    assert frame.learning_rate.tolist() == [1e-3] * 4 + [3e-3] * 4
    assert frame["reward.hop_cost"].tolist() == [0.01, 0.01, 0.5, 0.5] * 2
    assert set(frame.learner) == {"exact"}
    assert set(frame.best_update) <= {5, 10}
    assert np.isfinite(frame.select_dtypes("number")).all().all()
    assert result.best_member == frame.best_return.idxmax()


def test_a_member_is_bit_equal_to_the_same_run_alone(result):
    train, validation = (result.features.on_device(TABLE.split(name)) for name in ("train", "validation"))
    alone = jax.jit(lambda key, hyper, *tables: learner.train(key, *tables, EXACT, hyper))
    state, metrics = alone(jax.random.key(1), result.plan.hyper(5), train, validation)
    chex.assert_trees_all_equal(jax.device_get(state.best_params), result.params(5))
    row = result.frame.loc[5]
    assert row.best_return == float(state.best_return) == metrics["validation_return"].max()
    assert row.best_accuracy == metrics["validation_accuracy"][metrics["validation_return"].argmax()]
    assert row.train_return == pytest.approx(metrics["train_return"][-1].mean())
    stacked = jax.tree.map(lambda leaf: leaf[5], result.best_params[0])
    chex.assert_trees_all_equal(stacked, result.params(5))


def test_a_sweep_of_another_size_compiles_nothing(result, caplog):
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        more = train_many(TABLE, EXACT, LearnerHyper(), [0, 1, 7], features=6, layout="map", chunk=3, progress=False)
    assert not [record for record in caplog.records if "ompiling" in record.getMessage()]
    np.testing.assert_array_equal(more.frame.best_return[:2], result.frame.best_return[:2])  # whatever the company


def test_groups_are_each_compiled_for_their_shapes_and_device_tables_serve_too(result):
    features = fit_features(TABLE.split("train"), 6)
    tables = tuple(features.on_device(TABLE.split(name)) for name in ("train", "validation", "test"))
    both = train_many(
        tables, [EXACT, replace(EXACT, allow_stop=True)], HYPERS, [0], layout="map", chunk=3, progress=False
    )
    assert both.frame.group.tolist() == [0] * 4 + [1] * 4
    assert both.frame.learner.tolist() == ["exact"] * 4 + ["exact+stop"] * 4
    np.testing.assert_array_equal(both.frame.best_return[:4], result.frame.best_return[::2])
    np.testing.assert_allclose(both.frame.cost[:4] * features.cost_normaliser, result.frame.cost[::2], rtol=1e-5)
    dear = both.frame[both.frame["reward.hop_cost"] == 0.5]
    assert dear.cost[dear.group == 1].max() < dear.cost[dear.group == 0].min()  # who may stop makes fewer calls
    with pytest.raises(InputError, match="device tables"):
        both.router(0)


def test_another_order_of_ties_is_other_data(result):
    """It decides where a greedy policy ends on equal logits. Features without one are described as ever."""
    features = result.features
    other = replace(features, tie_order=features.tie_order[::-1])
    tables, others = (tuple(its.on_device(TABLE.split(name)) for name in SPLITS) for its in (features, other))
    assert Source.of(tables, 6, "test").identity != Source.of(others, 6, "test").identity
    assert Source.of(TABLE, features, "test").identity != Source.of(TABLE, other, "test").identity
    assert set(Source.of(TABLE, replace(features, tie_order=()), "test").identity["features"]) == {"sha256"}


def test_wrong_arguments_are_named():
    for wrong, message in (
        ({"layout": "grid"}, "layout is 'grid', but must be one of map, vmap, devices, devices-vmap, processes"),
        ({"chunk": 0}, "chunk is 0"),
        ({"seeds": 0}, "seeds must be one or more different ones"),
        ({"seeds": [1, 1]}, "seeds must be one or more different ones"),
        ({"seeds": [-1]}, "seeds must be from 0"),
        ({"static": [EXACT, EXACT]}, "static must be one or more different ones"),
        ({"hypers": []}, "at least one set"),
        ({"split": "dev"}, "split is 'dev'"),
        ({"features": 0}, "features is 0"),
        ({"static": replace(EXACT, budgeted=True)}, "has no max_new_tokens"),
    ):
        with pytest.raises(InputError, match=message):
            train_many(TABLE, **({"static": EXACT} | wrong))
    with pytest.raises(InputError, match="device tables are three"):
        train_many((), EXACT)
    with pytest.raises(InputError, match="no such outcome table"):
        train_many("nowhere", EXACT)


def test_a_seed_in_a_sweep_is_that_seed_in_training():
    """With more dimensions than features the solver is a random one, whose seed must not be the run's."""
    table = random_table(queries=60, models=2, horizon=1, embedding=600)
    config = TrainConfig(("exact",), 1, 7, features=6, static=EXACT, checkpoint_every=5)
    router = train_routers(table, config, progress=False)[0]["exact"]
    member = train_many(table, config.of("exact").static, config.hyper, [7], features=6, layout="map", progress=False)
    np.testing.assert_array_equal(member.features.reduction.components, router.features.reduction.components)
    chex.assert_trees_all_close(member.params(0), router.params(0), atol=1e-6)
    _, both = train_routers(table, replace(config, seed=6, num_seeds=2), progress=False)
    _, alone = train_routers(table, config, progress=False)
    np.testing.assert_allclose(both[both.seed == 1].validation_return, alone.validation_return, atol=1e-6)
