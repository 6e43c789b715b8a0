"""The policy bundle: what leaves the learning wing acts as it did inside, and what is wrong with one is named."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.bundle import HEADER, WEIGHTS, PolicyBundle
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.tree_policy import decision_logits
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.policies.network import build_network
from hierrouter_jax.sums import drop_sums
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers
from tests.tables import random_table

CONFIG = TrainConfig(
    num_seeds=2, features=6, static=LearnerStatic(num_envs=64, num_updates=10, epochs=1, hidden=(16, 16), stage_size=4)
)


@pytest.fixture(scope="module")
def trained():
    table = random_table(queries=800)
    routers, _ = train_routers(table, CONFIG, progress=False)
    return table, routers


@pytest.fixture
def saved(trained, tmp_path):
    table, routers = trained
    routers["ppo+stop"].bundle(table).save(tmp_path)
    drop_sums(tmp_path)  # so that the reader's own checks are seen
    return tmp_path


@pytest.mark.parametrize("name", ["ppo", "ppo+stop"])
def test_numpy_and_jax_agree_on_ten_thousand_states(trained, tmp_path, name):
    """800 queries x 13 decision nodes: logits within 1e-4 in float32, greedy actions equal."""
    table, routers = trained
    router = routers[name]
    router.bundle(table).save(tmp_path)
    bundle = PolicyBundle.load(tmp_path)
    device = router.features.on_device(table)
    with jax.default_matmul_precision("highest"):
        logits = decision_logits(build_network(device, router.static), router.params(router.chosen_seed), device)
    expected = np.asarray(jnp.where(decision_masks(device, router.static.allow_stop), logits, -jnp.inf))
    spent = accumulate_cost(table.cost, table.tree)
    states = 0
    for node in range(table.tree.num_decision_nodes):
        stage = int(table.tree.stages[node])
        ours = bundle.logits(table.context_embedding[:, node], stage, spent[:, node])
        np.testing.assert_allclose(ours, expected[:, node], atol=1e-4)
        action, probability = bundle.act(table.context_embedding[:, node], stage, spent[:, node])
        assert (action == expected[:, node].argmax(axis=1)).all()
        np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)
        assert (probability[~np.isfinite(expected[:, node])] == 0).all()
        states += len(ours)
    assert states > 10_000


def test_a_bundle_survives_the_disk(trained, saved):
    table, routers = trained
    bundle = PolicyBundle.load(saved)
    assert bundle.pool == table.pool
    assert bundle.table_fingerprint == table.fingerprint
    assert bundle.allow_stop
    assert bundle.provenance["learner"] == "ppo+stop"
    assert bundle.provenance["seed"] == routers["ppo+stop"].chosen_seed


def test_missing_and_broken_files_are_named(saved):
    with pytest.raises(InputError, match="no such policy bundle"):
        PolicyBundle.load(saved / "nowhere")
    (saved / WEIGHTS).write_bytes(b"nonsense")
    with pytest.raises(InputError, match="not a safetensors file"):
        PolicyBundle.load(saved)
    (saved / WEIGHTS).unlink()
    with pytest.raises(InputError, match=r"policy\.safetensors: no such file"):
        PolicyBundle.load(saved)


def test_another_schema_is_refused(saved):
    write_json(saved / HEADER, read_json(saved / HEADER) | {"schema_version": 7})
    newer = "schema_version is 7, but this version reads 1 to 3; a newer hierrouter_jax wrote it"
    with pytest.raises(InputError, match=newer):
        PolicyBundle.load(saved)
    write_json(saved / HEADER, read_json(saved / HEADER) | {"schema_version": None})
    with pytest.raises(InputError, match=r"schema_version is None, but this version reads 1 to 3$"):
        PolicyBundle.load(saved)


def test_a_prior_is_of_a_version_that_older_readers_refuse(trained, saved, tmp_path):
    """They read 1 alone, and would have ignored its tensors."""
    table, routers = trained
    assert read_json(saved / HEADER)["schema_version"] == 1
    bundle = routers["ppo+stop"].bundle(table)
    (features,) = bundle.reduction.scale.shape
    rng = np.random.default_rng(0)
    shapes = {"kernel": (features, 4), "means": (2, 4), "task_kernel": (features, 2), "task_bias": (2,)}
    prior = {f"prior/{name}": rng.normal(size=(3, *shape)).astype(np.float32) for name, shape in shapes.items()}
    replace(bundle, weights=bundle.weights | prior).save(tmp_path / "prior")
    assert read_json(tmp_path / "prior" / HEADER)["schema_version"] == 2
    read = PolicyBundle.load(tmp_path / "prior")
    embedding, cost = table.context_embedding[:, 0], np.zeros(table.num_queries)
    assert not np.allclose(read.logits(embedding, 0, cost)[:, :3], bundle.logits(embedding, 0, cost)[:, :3])
    drop_sums(tmp_path / "prior")
    tensors = load_file(tmp_path / "prior" / WEIGHTS)
    save_file({name: one for name, one in tensors.items() if name not in prior}, tmp_path / "prior" / WEIGHTS)
    with pytest.raises(InputError, match="lacks the prior that schema_version 2 promises"):
        PolicyBundle.load(tmp_path / "prior")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("logits/bias", lambda a: a[:-1], r"logits/bias of the policy has shape \(3,\), but must be \(4,\)"),
        ("stage_embedding", lambda a: a[:2], "stage_embedding of the policy has shape"),
        ("hidden_0/kernel", lambda a: a * np.nan, "hidden_0/kernel of the policy holds a number that is not finite"),
    ],
)
def test_spoiled_weights_are_named(saved, name, change, message):
    tensors = load_file(saved / WEIGHTS)
    save_file(tensors | {name: np.ascontiguousarray(change(tensors[name]))}, saved / WEIGHTS)
    with pytest.raises(InputError, match=message):
        PolicyBundle.load(saved)


def test_a_header_that_holds_no_fields_is_shown_in_brief(tmp_path):
    write_json(tmp_path / HEADER, ["x" * 99])
    with pytest.raises(InputError, match=r"is \['x{25} \.\.\. x{26}'\], but must hold fields"):
        PolicyBundle.load(tmp_path)


def test_a_missing_layer_is_named(saved):
    tensors = load_file(saved / WEIGHTS)
    tensors.pop("logits/kernel")
    save_file(tensors, saved / WEIGHTS)
    with pytest.raises(InputError, match="logits/kernel"):
        PolicyBundle.load(saved)


def test_a_bundle_of_another_pool_size_is_refused(trained):
    table, routers = trained
    with pytest.raises(InputError, match="but must be"):
        replace(routers["ppo"].bundle(table), pool=table.pool[:2])


def test_a_condition_that_the_policy_was_not_trained_on_is_refused(saved):
    bundle = PolicyBundle.load(saved)
    bundle.check_told(None, None)
    with pytest.raises(InputError, match=r"a cost weight is given, but .*--train.static.cost_conditioned true"):
        bundle.check_told(0.1, None)
    with pytest.raises(InputError, match=r"a budget is given, but .*--train.static.budgeted true"):
        bundle.check_told(None, 2.0)
