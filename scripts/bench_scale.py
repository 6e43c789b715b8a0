"""How time and memory grow: queries, models, hops, embedding size and batch, one at a time from a middle point.

python -m scripts.bench_scale              # writes runs/bench/scale.json

Every point trains in a fresh process: seconds an update (five, the fastest), seconds of an exact evaluation of the
whole table, and the process's peak memory beside the table's own bytes.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from scripts.contenders import our_settings
from scripts.measure import Run, Worker, ratio, result, write

MIDDLE = {"queries": 1000, "models": 3, "horizon": 3, "features": 384, "num_envs": 4096}
AXES: dict[str, list[dict[str, int]]] = {
    "queries": [{"queries": q} for q in (1_000, 10_000, 100_000)],
    "models": [{"models": m, "horizon": 2} for m in (3, 5, 10, 20)],
    "horizon": [{"horizon": hops} for hops in (1, 2, 3, 4, 5)],
    "features": [{"features": f} for f in (48, 96, 192, 384, 768)],
    "num_envs": [{"num_envs": n} for n in (512, 2048, 8192, 32_768)],
}
UPDATE, EVALUATE, PEAK_BYTES, TABLE_BYTES = range(4)
SPARE = 1 << 30


def main(axes: tuple[str, ...] = tuple(AXES), out: Path = Path("runs/bench/scale.json")) -> None:
    """Measure and write the figures.

    Args:
      axes: what to vary.
      out: JSON file.
    """
    results, ratios = [], {}
    for axis in axes:
        points = [MIDDLE | point for point in AXES[axis]]
        rows = [measured(point) for point in points]
        for name, unit in (("update", "s"), ("evaluate", "s"), ("peak_bytes", "bytes"), ("table_bytes", "bytes")):
            results += [
                result(f"{axis}={point[axis]} {name}", [row[name]], unit)
                for point, row in zip(points, rows, strict=True)
            ]
        sizes = [point[axis] for point in points]
        for name in ("update", "evaluate"):
            ratios[f"exponent of {name} in {axis}"] = exponent(sizes, [row[name] for row in rows])
        last = rows[-1]
        if axis == "queries":
            allowed = 1.3 * last["table_bytes"] + SPARE
            ratios[f"peak memory at {sizes[-1]:,} queries over 1.3 tables + 1 GiB"] = ratio(
                [last["peak_bytes"]], [allowed]
            )
    write(out, results, ratios)


def measured(point: dict[str, int]) -> dict[str, float]:
    """Seconds and bytes of one point, from a process of its own."""
    worker = Worker(scaled, point)
    updates = [worker(UPDATE) for _ in range(5)]
    row = {"update": min(updates), "evaluate": min(worker(EVALUATE) for _ in range(2))}
    row |= {"peak_bytes": worker(PEAK_BYTES), "table_bytes": worker(TABLE_BYTES)}
    worker.close()
    return row


def exponent(sizes: list[int], seconds: list[float]) -> tuple[float, list[float]]:
    """Slope of log seconds on log size, least squares, with its 95 % interval."""
    from scipy import stats

    fit: Any = stats.linregress(np.log(sizes), np.log(seconds))
    spread = fit.stderr * stats.t.ppf(0.975, max(1, len(sizes) - 2))
    return float(fit.slope), [float(fit.slope - spread), float(fit.slope + spread)]


def scaled(queries: int, models: int, horizon: int, features: int, num_envs: int) -> Run:
    """Updates, evaluations and sizes of one point. Embeddings are half precision, filled in on the device in parts."""
    import resource

    import jax
    import jax.numpy as jnp

    from hierrouter_jax.agents import learner
    from hierrouter_jax.envs.types import DeviceTable
    from hierrouter_jax.hop_tree import HopTree

    tree = HopTree(models, horizon)
    rng = np.random.default_rng(0)
    fill = jax.jit(lambda whole, part, at: jax.lax.dynamic_update_slice_in_dim(whole, part, at, 0), donate_argnums=0)
    embedding = jnp.zeros((queries, tree.num_decision_nodes, features), jnp.float16)
    part = min(queries, 1000)
    for start in range(0, queries, part):
        drawn = rng.standard_normal((part, *embedding.shape[1:]), dtype=np.float32).astype(np.float16)
        embedding = fill(embedding, drawn, start)
    cost = rng.random((queries, tree.num_nodes), dtype=np.float32)
    table = DeviceTable(
        features=embedding,
        quality=jnp.asarray(rng.integers(0, 2, cost.shape), jnp.float32),
        cost=jnp.asarray(cost),
        spent=jnp.asarray(cost),
        available=jnp.ones(cost.shape, bool),
        task=jnp.zeros(queries, jnp.int32),
        tree=tree,
    )
    static, hyper = our_settings(num_envs)
    update = jax.jit(lambda state, table: learner.update(state, table, static, hyper)[0], donate_argnums=0)
    evaluate = jax.jit(lambda state, table: learner.validate(state, table, static, hyper)[1])
    start = jax.jit(lambda key, table: learner.init(key, table, static, hyper))
    held = [jax.block_until_ready(update(start(jax.random.key(0), table), table))]
    jax.block_until_ready(evaluate(held[0], table))

    def run(what: int) -> float:
        if what == PEAK_BYTES:
            return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        if what == TABLE_BYTES:
            return float(sum(leaf.nbytes for leaf in jax.tree.leaves(table)))
        started = time.perf_counter()
        if what == UPDATE:
            held[0] = jax.block_until_ready(update(held[0], table))
        else:
            jax.block_until_ready(evaluate(held[0], table))
        return time.perf_counter() - started

    return run


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
