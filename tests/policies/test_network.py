"""The network is the plain one of its paper, however its products are arranged."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.envs.types import device_table
from hierrouter_jax.evaluation import tree_policy
from hierrouter_jax.policies.network import (
    PolicyInputs,
    RouterNetwork,
    gather_inputs,
    network_outputs,
    project,
    project_few,
)
from tests.tables import random_table


def inputs(rows: int = 12, features: int = 6, conditions: int = 0, dtype=jnp.float32) -> PolicyInputs:
    keys = jax.random.split(jax.random.key(0), 3)
    return PolicyInputs(
        features=jax.random.normal(keys[0], (rows, features)).astype(dtype),
        stage=jnp.arange(rows) % 3,
        spent=jax.random.uniform(keys[1], (rows,)),
        conditions=jax.random.uniform(keys[2], (rows, conditions)),
    )


def plain(params: dict, seen: PolicyInputs) -> tuple[np.ndarray, np.ndarray]:
    """tanh(tanh([features, stage embedding, spent, conditions] W + b) W + b) W + b, as anyone would write it."""
    weights = jax.device_get(params["params"])
    stage = weights["stage_embedding"][np.asarray(seen.stage)]
    hidden = np.concatenate([seen.features, stage, np.asarray(seen.spent)[:, None], seen.conditions], axis=1)
    for layer in ("hidden_0", "hidden_1"):
        hidden = np.tanh(hidden @ weights[layer]["kernel"] + weights[layer]["bias"])
    logits, value = (hidden @ weights[head]["kernel"] + weights[head]["bias"] for head in ("logits", "value"))
    return logits, value[:, 0]


@pytest.mark.parametrize("conditions", [0, 2])
def test_it_is_the_plain_network(conditions):
    seen = inputs(conditions=conditions)
    network = RouterNetwork(4, 3, (16, 16), 5)
    params = jax.tree.map(lambda leaf: leaf + 0.1, network.init(jax.random.key(1), seen))
    for ours, theirs in zip(network_outputs(network, params, seen), plain(params, seen), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)
    assert params["params"]["hidden_0"]["kernel"].shape == (6 + 5 + 1 + conditions, 16)


def test_half_precision_features_give_nearly_the_same():
    network = RouterNetwork(4, 3, (16, 16), 5)
    params = network.init(jax.random.key(1), inputs())
    full, half = (network_outputs(network, params, inputs(dtype=dtype))[0] for dtype in (jnp.float32, jnp.float16))
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(full, half, atol=1e-3)


@pytest.mark.parametrize("width", [4, 9])
@pytest.mark.parametrize("shape", [(7, 5), (2, 3, 5)])
@pytest.mark.parametrize("product", [project, partial(project, gathered=True), project_few])
def test_the_products_own_gradients_are_the_plain_ones(product, shape, width):
    x, kernel = jax.random.normal(jax.random.key(0), shape), jax.random.normal(jax.random.key(1), (5, width))

    def loss(product):
        return lambda x, kernel: jnp.sum(jnp.sin(product(x, kernel)))

    np.testing.assert_allclose(product(x, kernel), x @ kernel, rtol=1e-5, atol=1e-5)
    ours = jax.jit(jax.grad(loss(product), argnums=(0, 1)))(x, kernel)
    theirs = jax.grad(loss(jnp.matmul), argnums=(0, 1))(x, kernel)
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-5)
    stacked = jax.vmap(jax.grad(loss(product), argnums=1), in_axes=(None, 0))(x, jnp.stack([kernel, 2 * kernel]))
    np.testing.assert_allclose(stacked[0], theirs[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_gathered_features_are_the_tables(dtype):
    host = random_table(queries=7)
    features = host.context_embedding.astype(dtype)
    features[0, 0, :3] = 0.0, np.finfo(dtype).min, np.finfo(dtype).max
    table = device_table(host, features, 5.0)
    query, node = jnp.array([0, 6, 0]), jnp.array([0, 2, 1])
    gathered = jax.jit(gather_inputs)(table, query, node).features
    np.testing.assert_array_equal(gathered, features[query, node])


@pytest.mark.parametrize("at_once", [1, 6, 9, 21])
def test_a_table_beyond_one_part_gives_the_same_logits(monkeypatch, at_once):
    """Seven queries of three decision nodes, one to seven queries at once; the last part may overlap the one before."""
    host = random_table(queries=7, models=2, horizon=2)
    table = device_table(host, host.context_embedding, 5.0)
    network = RouterNetwork(3, 2, (16, 16), 5)
    params = network.init(jax.random.key(0), gather_inputs(table, jnp.zeros(1, int), jnp.zeros(1, int)))
    whole = tree_policy.decision_logits(network, params, table)
    monkeypatch.setattr(tree_policy, "_ROWS_AT_ONCE", at_once)
    np.testing.assert_allclose(tree_policy.decision_logits(network, params, table), whole, atol=1e-6)
    query, node = np.array([0, 3, 6]), np.array([0, 1, 2])
    some, _ = network_outputs(network, params, gather_inputs(table, jnp.asarray(query), jnp.asarray(node)))
    np.testing.assert_allclose(some, whole[query, node], atol=1e-6)
