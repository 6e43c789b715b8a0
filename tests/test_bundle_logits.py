"""What bundles compute, in NumPy, JAX and torch alike, for every kind of policy."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from hierrouter_jax.bundle import HEADER, PolicyBundle
from hierrouter_jax.bundle_logits import KINDS, PRIOR, multiply_adds, networks, policy_logits
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from tests.conditioned import random_router
from tests.tables import random_table

TABLE = random_table(queries=40)
TASKS = 2


def bundle_of(kind: str) -> PolicyBundle:
    """A policy of random arrays of a kind; the network has no prior."""
    one = random_router(TABLE, seed=1, allow_stop=True).bundle(TABLE)
    if kind == "network":
        return one
    if kind == "ensemble":
        two = random_router(TABLE, seed=2, allow_stop=True).bundle(TABLE)
        parts = {f"member_{i}/{name}": array for i, b in enumerate((one, two)) for name, array in b.weights.items()}
        return replace(one, kind=kind, weights=parts)
    rng, features, actions = np.random.default_rng(0), one.reduction.components.shape[1], len(one.pool) + 1
    shapes = ((features, actions), (TASKS, actions), (features, TASKS), (TASKS,))
    arrays = [rng.normal(size=(one.horizon, *shape)).astype(np.float32) for shape in shapes]
    return replace(one, kind=kind, weights=dict(zip(PRIOR, arrays, strict=True)))


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_jax_and_torch_agree(kind, tmp_path):
    bundle_of(kind).save(tmp_path)
    bundle = PolicyBundle.load(tmp_path)
    assert bundle.kind == kind
    for stage in range(bundle.horizon):
        embedding, cost = TABLE.context_embedding[:, stage], np.linspace(0, 9, 40)
        reduced = bundle.reduction(embedding)
        spent = (cost[:, None] / bundle.cost_normaliser).astype(np.float32)
        inputs = (reduced, spent, np.zeros((40, 0), np.float32))
        ours = bundle.logits(embedding, stage, cost)
        legal = np.isfinite(ours)
        assert legal[:, -1].all() == (stage > 0)
        with jax.default_matmul_precision("highest"):
            x, s, c = map(jnp.asarray, inputs)
            weights = {name: jnp.asarray(array) for name, array in bundle.weights.items()}
            theirs = np.asarray(policy_logits(kind, weights, x, stage, s, c, jnp))
        np.testing.assert_allclose(ours[legal], theirs[legal], atol=1e-5)
        x, s, c = map(torch.from_numpy, inputs)
        weights = {name: torch.from_numpy(array) for name, array in bundle.weights.items()}
        theirs = policy_logits(kind, weights, x, stage, s, c, torch).numpy()
        np.testing.assert_allclose(ours[legal], theirs[legal], atol=1e-5)


def test_an_ensembles_logits_are_its_networks_mean():
    one, two, both = bundle_of("network"), random_router(TABLE, seed=2, allow_stop=True).bundle(TABLE), "ensemble"
    states = TABLE.context_embedding[:, 1], 1, np.ones(40)
    mean = (one.logits(*states) + two.logits(*states)) / 2
    np.testing.assert_allclose(bundle_of(both).logits(*states), mean, atol=1e-5)
    assert multiply_adds(both, bundle_of(both).weights) == 2 * multiply_adds("network", one.weights)
    assert len(networks(bundle_of(both).weights)) == 2


def test_a_task_sequence_by_hand():
    """One task, its sequence model 1 and then STOP, at weight 10: 1 is chosen with e^10 / (e^10 + 2) at the root."""
    bundle = bundle_of("task-sequence")
    means = np.zeros_like(bundle.weights[PRIOR[1]])
    means[0, :, 1] = means[1, :, -1] = 10.0
    blank = {name: np.zeros_like(array) for name, array in bundle.weights.items()}
    action, probability = replace(bundle, weights=blank | {PRIOR[1]: means}).act(
        TABLE.context_embedding[:, 0], 0, np.zeros(40)
    )
    assert (action == 1).all()
    np.testing.assert_allclose(probability[:, 1], np.exp(10) / (np.exp(10) + 2), rtol=1e-5)
    action, _ = replace(bundle, weights=blank | {PRIOR[1]: means}).act(TABLE.context_embedding[:, 1], 1, np.zeros(40))
    assert (action == len(bundle.pool)).all()


def test_what_is_no_policy_of_its_kind_is_refused(tmp_path):
    bundle_of("plan").save(tmp_path)
    header = read_json(tmp_path / HEADER)
    assert header["kind"] == "plan"
    assert header["schema_version"] == 3
    for kind, message in (("network", "stage_embedding"), ("ensemble", "member_0"), ("oracle", "kind is 'oracle'")):
        write_json(tmp_path / HEADER, header | {"kind": kind})
        with pytest.raises(InputError, match=message):
            PolicyBundle.load(tmp_path)
    with pytest.raises(InputError, match="has none"):
        replace(bundle_of("plan"), conditions={"budget": [0.5, 8.0]})


@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_that_no_reader_reads_is_refused(kind):
    bundle = bundle_of(kind)
    with pytest.raises(InputError, match="attention/kernel of the policy is no tensor of its kind"):
        replace(bundle, weights=bundle.weights | {"attention/kernel": np.zeros((2, 2), np.float32)})


def test_a_bundle_of_before_there_were_kinds_is_a_network(tmp_path):
    bundle_of("network").save(tmp_path)
    header = read_json(tmp_path / HEADER)
    write_json(tmp_path / HEADER, {name: value for name, value in header.items() if name != "kind"})
    assert PolicyBundle.load(tmp_path).kind == "network"
