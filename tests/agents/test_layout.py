"""Layouts: many runs at once are the runs alone."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.layout import available_layouts, lay, replicated
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.types import device_table
from tests.tables import random_table

SMALL = LearnerStatic("exact", num_envs=64, num_updates=10, epochs=1, minibatches=1, hidden=(16, 16), stage_size=4)
RUNS = 3


def train(key, hyper, start, table):
    """Ten updates."""
    state, metrics = jax.lax.scan(
        lambda state, _: learner.update(state, table, SMALL, hyper), start.replace(key=key), length=SMALL.num_updates
    )
    return state.params, metrics["train_return"]


@cache
def arguments():
    """Keys, numbers that differ by run, and the state and the table that the runs share."""
    keys = jax.vmap(jax.random.key)(jnp.arange(RUNS))
    hypers = jax.tree.map(lambda leaf: jnp.full(RUNS, leaf, jnp.float32), LearnerHyper())
    hypers = hypers.replace(learning_rate=jnp.array([1e-3, 2e-3, 3e-3]))
    table = random_table(queries=12)
    device = device_table(table, table.context_embedding, 5.0)
    start = jax.jit(lambda key, table: learner.init(key, table, SMALL, LearnerHyper()))(keys[0], device)
    return keys, hypers, start, device


def alone():
    keys, hypers, *shared = arguments()
    run = jax.jit(train)
    runs = [run(keys[i], jax.tree.map(lambda leaf, i=i: leaf[i], hypers), *shared) for i in range(RUNS)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *runs)


@pytest.fixture(scope="module")
def expected():
    return alone()


def test_map_is_bit_equal_to_each_run_alone_and_vmap_but_for_rounding(expected):
    chex.assert_trees_all_equal(jax.device_get(jax.jit(lay(train, "map"))(*arguments())), expected)
    chex.assert_trees_all_close(jax.device_get(jax.jit(lay(train, "vmap"))(*arguments())), expected, atol=1e-5)


def over_two_devices(path: str):
    """In a process that sees two: three runs, which do not fill them evenly."""
    expected = [leaf for _, leaf in sorted(np.load(path).items())]
    assert jax.local_device_count() == 2
    assert available_layouts() == ("map", "vmap", "devices", "devices-vmap")
    keys, hypers, *shared = arguments()
    for layout in ("devices", "devices-vmap"):
        run = jax.jit(lay(train, layout))
        found = run(keys, hypers, *replicated(shared))
        chex.assert_trees_all_close(jax.tree.leaves(jax.device_get(found)), expected, atol=1e-5)
    counted = jax.jit(lay(lambda key, hyper: hyper["x"] * 2, "devices"))(keys, {"x": jnp.arange(3.0)})
    assert counted.tolist() == [0, 2, 4]


def test_runs_over_two_devices_are_the_runs_alone(expected, tmp_path):
    leaves = {f"{position:02d}": leaf for position, leaf in enumerate(jax.tree.leaves(expected))}
    np.savez(tmp_path / "alone.npz", **leaves)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    code = "import sys; from tests.agents.test_layout import over_two_devices; over_two_devices(sys.argv[1])"
    environment = os.environ | {
        "XLA_FLAGS": flags.strip(),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(tmp_path / "alone.npz")]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_shared_is_an_argument_of_the_program_and_no_constant_in_it():
    table = jnp.arange(4096.0)
    lowered = jax.jit(lay(lambda key, hyper, table: hyper * table.sum(), "map")).lower(
        jax.random.split(jax.random.key(0), 2), jnp.ones(2), table
    )
    assert "4096xf32" in lowered.as_text().partition("return")[0]
    assert len(lowered.as_text()) < 10_000


def test_an_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="layout is 'grid', but must be one of map, vmap, devices, devices-vmap"):
        lay(train, "grid")  # type: ignore[arg-type]
