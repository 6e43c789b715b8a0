"""The network is the plain one of its paper, however its products are arranged."""

from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.envs.types import device_table
from hierrouter_jax.errors import InputError
from hierrouter_jax.policies.network import (
    PolicyInputs,
    RouterNetwork,
    build_network,
    check_network,
    gather_inputs,
    network_outputs,
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


def test_rows_in_several_dimensions_are_those_of_one():
    seen, network = inputs(conditions=2), RouterNetwork(4, 3, (16, 16), 5)
    params = network.init(jax.random.key(1), seen)
    folded = jax.tree.map(lambda leaf: leaf.reshape(3, 4, *leaf.shape[1:]), seen)
    assert jax.tree.map(jnp.shape, network.init(jax.random.key(1), folded)) == jax.tree.map(jnp.shape, params)
    flat = network_outputs(network, params, seen)
    for ours, theirs in zip(network_outputs(network, params, folded), flat, strict=True):
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=1e-5, atol=1e-6)


def test_an_untrained_policy_takes_every_action_about_as_often():
    """Orthogonal weights of scale .01 on 16 values in (-1, 1): a logit is at most .01 sqrt(16) in size."""
    network = RouterNetwork(4, 3, (16, 16), 5)
    logits, value = network_outputs(network, network.init(jax.random.key(1), inputs()), inputs())
    assert 0 < np.abs(logits).max() <= 0.04
    assert np.abs(value).max() > 0.04  # whose head has the scale 1


def test_half_precision_features_give_nearly_the_same():
    network = RouterNetwork(4, 3, (16, 16), 5)
    params = network.init(jax.random.key(1), inputs())
    full, half = (network_outputs(network, params, inputs(dtype=dtype))[0] for dtype in (jnp.float32, jnp.float16))
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(full, half, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_gathered_features_are_the_tables(dtype):
    host = random_table(queries=7)
    features = host.context_embedding.astype(dtype)
    features[0, 0, :3] = 0.0, np.finfo(dtype).min, np.finfo(dtype).max
    table = device_table(host, features, 5.0)
    query, node = jnp.array([0, 6, 0]), jnp.array([0, 2, 1])
    gathered = jax.jit(gather_inputs)(table, query, node).features
    np.testing.assert_array_equal(gathered, features[query, node])


def test_a_network_fits_the_tables_pool_and_horizon():
    host = random_table(queries=4, models=3, horizon=2, tasks=2)
    table = device_table(host, host.context_embedding, 5.0)
    network = build_network(table, LearnerStatic(hidden=(16, 8), stage_size=5, prior=True))
    assert network == RouterNetwork(4, 2, (16, 8), 5, prior_tasks=2)
    assert build_network(table, LearnerStatic(hidden=(16,))).prior_tasks == 0


OWN = """
from flax import linen as nn
import jax.numpy as jnp

class Net(nn.Module):
    num_actions: int
    horizon: int
    hidden: tuple
    stage_size: int

    @nn.compact
    def __call__(self, seen):
        logits = nn.Dense(self.num_actions)(seen.features)
        return logits, OUTPUT

class Bare(nn.Module):
    num_actions: int
"""


def test_a_network_of_ones_own_takes_the_same_fields_and_gives_the_same_shapes(tmp_path):
    host = random_table(queries=4)
    table = device_table(host, host.context_embedding, 5.0)
    seen = gather_inputs(table, jnp.zeros(2, int), jnp.zeros(2, int))
    for file, output in (("right.py", "logits[..., 0]"), ("wrong.py", "logits")):
        name = f"{tmp_path / file}:Net"
        (tmp_path / file).write_text(OWN.replace("OUTPUT", output))
        network = build_network(table, LearnerStatic(network=name))
        params = network.init(jax.random.key(0), seen)
        with nullcontext() if file == "right.py" else pytest.raises(InputError, match="gives outputs of shapes"):
            check_network(name, network, params, seen)
    with pytest.raises(InputError, match="must be a Flax module with num_actions, horizon, hidden, stage_size"):
        build_network(table, LearnerStatic(network=name.replace(":Net", ":Bare")))
    with pytest.raises(InputError, match="may keep parameters"):
        check_network(name, network, {"params": {}, "batch_stats": {}}, seen)
