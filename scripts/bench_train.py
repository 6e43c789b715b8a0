"""How fast PPO trains on a table of random outcomes: environment steps a second, updates included, compilation apart.

python scripts/bench_train.py                  # writes runs/bench/train.json
python scripts/bench_train.py --features 384   # unreduced embeddings
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
from jsonargparse import auto_cli

from hierrouter_jax.agents import learner, ppo
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.types import DeviceTable, accumulate_cost
from hierrouter_jax.experiments.run_folder import machine
from hierrouter_jax.files import write_json
from hierrouter_jax.hop_tree import HopTree


def main(
    queries: int = 1200,
    models: int = 3,
    horizon: int = 3,
    features: int = 96,
    num_envs: int = 4096,
    runs: int = 5,
    out: Path = Path("runs/bench/train.json"),
) -> None:
    """Measure and write the figures.

    Args:
      queries: Q of the random table.
      models: M.
      horizon: L.
      features: F, numbers that the network sees of a context.
      num_envs: episodes in parallel.
      runs: timed repetitions after the one that compiles.
      out: JSON file.
    """
    table = random_device_table(queries, HopTree(models, horizon), features)
    static, hyper = LearnerStatic(num_envs=num_envs), LearnerHyper()
    state = learner.init(jax.random.key(0), table, static, hyper)
    steps = num_envs * horizon
    network = learner.build_network(table, static)

    update = jax.jit(lambda state, table: learner.update(state, table, static, hyper))
    rollout = jax.jit(lambda key, params, table: ppo.collect(key, params, table, network, static, hyper))
    compile_seconds, update_seconds = timed(lambda: update(state, table), runs)
    _, rollout_seconds = timed(lambda: rollout(jax.random.key(1), state.params, table), runs)
    results = [
        result("train_steps_per_second", [steps / s for s in update_seconds], "environment steps/s, updates included"),
        result("rollout_steps_per_second", [steps / s for s in rollout_seconds], "environment steps/s, acting only"),
        result("compile_and_first_update", [compile_seconds], "s"),
    ]
    ratios = {"train_over_rollout": results[0]["value"] / results[1]["value"]}
    write_json(out, {"machine": machine(), "results": results, "ratios": ratios})
    for row in results:
        print(f"{row['name']:<28}{row['value']:>14,.1f}  {row['unit']}")
    print(out)


def timed(function: Callable[[], object], runs: int) -> tuple[float, list[float]]:
    """Seconds of the first call and of each of `runs` later ones."""
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        jax.block_until_ready(function())
        seconds.append(time.perf_counter() - started)
    return seconds[0], seconds[1:]


def result(name: str, runs: list[float], unit: str) -> dict:
    return {"name": name, "value": median(runs), "unit": unit, "runs": runs}


def random_device_table(queries: int, tree: HopTree, features: int) -> DeviceTable:
    """Outcomes without meaning, of the right shapes."""
    rng = np.random.default_rng(0)
    cost = rng.random((queries, tree.num_nodes), dtype=np.float32)
    cost[:, 0] = 0
    return DeviceTable(
        features=jnp.asarray(rng.normal(size=(queries, tree.num_decision_nodes, features)), jnp.float32),
        quality=jnp.asarray(rng.integers(0, 2, cost.shape), jnp.float32),
        cost=jnp.asarray(cost),
        spent=jnp.asarray(accumulate_cost(cost, tree)),
        available=jnp.ones(cost.shape, dtype=bool),
        task=jnp.zeros(queries, dtype=jnp.int32),
        tree=tree,
    )


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
