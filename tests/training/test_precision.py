"""Runs are those of 32 bits, whatever the process asks of JAX for its own arrays."""

import json
import os
import subprocess
import sys

import pytest

from hierrouter_jax.outcomes.store import save_table
from tests.tables import random_table

SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
import jax, jax.numpy as jnp
import numpy as np
from hierrouter_jax import LearnerHyper, LearnerStatic, TrainConfig, evaluate, load_table, train_many, train_routers
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.gym_vector import RoutingVectorEnv
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.evaluation.exact import expected_return
table, before = load_table(Path(sys.argv[1])), jnp.ones(1).dtype
static = LearnerStatic(num_envs=16, num_updates=5, hidden=(8,), minibatches=2)
config = TrainConfig(("ppo+stop", "exact"), num_seeds=2, features=4, static=static, checkpoint_every=5)
routers, _ = train_routers(table, config, progress=False)
features = routers["exact"].features
found = evaluate(table, routers, features, 0.01, "test")
swept = train_many(table, replace(static, allow_stop=True),
                   [LearnerHyper(entropy=e) for e in (0.1, np.float64(0.2))], 2, features=4,
                   layout="map", progress=False)
device = features.on_device(table)
env = RoutingVectorEnv(device, 4)
env.reset(seed=3)
steps = [env.step(np.arange(4) % 3)[1].tolist() for _ in range(4)]
mask = decision_masks(device, True)
value = expected_return(mask / mask.sum(-1, keepdims=True), device, config.hyper.reward)
assert jnp.ones(1).dtype == before, "the user's own arrays are as they were"
print(json.dumps({
    "x64": str(before),
    "dtypes": sorted({str(leaf.dtype) for leaf in jax.tree.leaves(routers["exact"].state.best_params)}),
    "accuracy": {row["name"]: row["accuracy"] for row in found["policies"]},
    "returns": [routers[name].state.best_return.tolist() for name in routers],
    "sweep": swept.frame["best_return"].tolist(),
    "steps": steps,
    "value": np.asarray(value, np.float32).tolist(),
}))
"""


def run(tmp_path, *arguments: str, x64: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"JAX_ENABLE_X64": x64, "PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.extended
def test_a_python_process_of_64_bits_trains_and_judges_as_one_of_32(tmp_path):
    save_table(random_table(queries=60), tmp_path / "table")
    narrow, wide = (json.loads(run(tmp_path, "-c", SCRIPT, str(tmp_path / "table"), x64=bits)) for bits in ("0", "1"))
    assert (narrow.pop("x64"), wide.pop("x64")) == ("float32", "float64")
    assert narrow["dtypes"] == ["float32"]
    assert wide.pop("value") == pytest.approx(narrow.pop("value"), abs=1e-6)
    assert wide == narrow


@pytest.mark.slow
def test_commands_of_64_bits_train_go_on_and_evaluate(tmp_path):
    """The first half of a training has 32 bits, the rest and what follows are asked for 64."""
    save_table(random_table(queries=60), tmp_path / "table")
    small = ["--train.num_seeds", "1", "--train.features", "4", "--train.learners", "[ppo]"]
    small += ["--train.static.num_envs", "16", "--train.static.num_updates", "5", "--train.checkpoint_every", "5"]
    verb = ["-m", "hierrouter_jax.cli.main"]
    out = ["--out", str(tmp_path / "run")]
    said = run(tmp_path, *verb, "train", str(tmp_path / "table"), *out, *small, x64="1")
    assert "ppo: validation return" in said
    again = run(tmp_path, *verb, "train", str(tmp_path / "table"), *out, *small, x64="0")
    assert "nothing is trained" in again
    assert said.splitlines()[-2:] == again.splitlines()[-2:]
    assert json.loads(run(tmp_path, *verb, "evaluate", str(tmp_path / "run"), "--json", x64="1"))["policies"]
