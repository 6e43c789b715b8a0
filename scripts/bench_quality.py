"""How soon a router is good: seconds to 95 % of the best validation return that any learner reaches, on real outcomes.

python -m scripts.bench_quality            # writes runs/bench/quality.json; needs the quickstart's table or makes one

Besides each learner's training itself: the whole `hierrouter train` with the preset train/fast.yaml from process
start, without and with compiled programs in the cache, and 256 policies (16 draws of hyperparameters x 16 seeds),
trained and exactly evaluated.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from hierrouter_jax.processor import use_wide_vectors
from scripts.measure import fresh_process, last_json, result, write

HIERROUTER = [sys.executable, "-m", "hierrouter_jax.cli.main"]
QUICK = {"num_envs": 256, "num_updates": 50, "evaluate_every": 1}
LEARNERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ppo": ({"evaluate_every": 1}, {}),
    "ppo warm-started": ({"evaluate_every": 1, "warm_start": 10}, {}),
    "all-actions": ({"algorithm": "all-actions", **QUICK}, {"learning_rate": 3e-3}),
    "exact": ({"algorithm": "exact", **QUICK}, {"learning_rate": 3e-3}),
    "exact warm-started": ({"algorithm": "exact", "warm_start": 3, **QUICK}, {"learning_rate": 3e-3}),
}
SHARE = 0.95
FEATURES = 96


def main(
    table: Path = Path("runs/quickstart/table"),
    seeds: int = 5,
    fresh: int = 5,
    layout: str | None = "processes",
    out: Path = Path("runs/bench/quality.json"),
) -> None:
    """Measure and write the figures.

    Args:
      table: an outcome table; the quickstart's is collected if there is none.
      seeds: runs of each learner.
      fresh: runs of the command line with a warm cache.
      layout: of the 256 policies: a worker process a core; on an accelerator `vmap`; null to let the sweep choose.
      out: JSON file.
    """
    use_wide_vectors()  # as the command line does
    table = table if (table / "table.json").exists() else Path("runs/bench/table")
    if not (table / "table.json").exists():
        fresh_process([*HIERROUTER, "collect", str(table)])
    curves = {name: learning_curves(table, seeds, *parts) for name, parts in LEARNERS.items()}
    best = max(value for runs in curves.values() for one in runs for _, value in one)
    results = [result("best validation return of all", [best], "return")]
    for name, runs in curves.items():
        results += soon_good(name, runs, best)
        results.append(result(f"{name}: best", [max(value for _, value in one) for one in runs], "validation return"))
    results += command_line(table, fresh, best)
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "scripts.many_policies", str(table)]
        command += [f"--layout={layout}"] if layout else []
        seconds, printed = fresh_process(command, {"XDG_CACHE_HOME": cache})
    found = last_json(printed)
    results.append(result("256 policies trained and evaluated", [seconds], "s from process start, nothing cached"))
    results.append(result("256 policies: return", found["returns"], "validation return"))
    write(out, results, {}, layout=found["layout"], table=str(table))


def soon_good(name: str, runs: list[list[tuple[float, float]]], best: float) -> list[dict[str, Any]]:
    """How many runs reach the share of the best return, and the seconds of those that do: JSON holds no infinity."""
    times = (next((at for at, value in one if value >= SHARE * best), None) for one in runs)
    reached = [at for at in times if at is not None]
    results = [result(f"{name}: runs that reach {SHARE:.0%} of it", [len(reached)], f"of {len(runs)}")]
    if reached:
        results.append(result(f"{name}: training to {SHARE:.0%} of it", reached, "s, compiled before"))
    return results


def learning_curves(
    table: Path, seeds: int, static: dict[str, Any], hyper: dict[str, Any]
) -> list[list[tuple[float, float]]]:
    """Of each seed, seconds of training so far and the exact validation return then, after every update."""
    import jax

    from hierrouter_jax.agents import learner
    from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.training.features import fit_features

    loaded = load_table(table)
    features = fit_features(loaded.split("train"), FEATURES)
    train, validation = (features.on_device(loaded.split(split)) for split in ("train", "validation"))
    shapes, numbers = LearnerStatic(**static), LearnerHyper(**hyper)
    start = jax.jit(lambda key, table: learner.init(key, table, shapes, numbers))
    advance = jax.jit(lambda state, table, validation: learner.advance(state, table, validation, shapes, numbers))
    jax.block_until_ready(advance(start(jax.random.key(0), train), train, validation))
    curves = []
    for seed in range(seeds):
        began, curve = time.perf_counter(), []
        state = start(jax.random.key(seed), train)
        for _ in range(shapes.num_updates):
            state, metrics = advance(state, train, validation)
            curve.append((time.perf_counter() - began, float(metrics["validation_return"])))
        curves.append(curve)
    return curves


def command_line(table: Path, fresh: int, best: float) -> list[dict[str, Any]]:
    """`hierrouter train --config train/fast.yaml` from process start to exit: seconds, and how good its router is."""
    import pandas as pd

    cold, warm, returns, training = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1 + fresh):
            out = Path(folder) / f"run{number}"
            command = [*HIERROUTER, "train", str(table), "--config", "train/fast.yaml", "--out", str(out)]
            command += ["--train.seed", str(number)]
            seconds, _ = fresh_process(command, {"XDG_CACHE_HOME": f"{folder}/cache"})
            (warm if number else cold).append(seconds)
            metrics = pd.read_parquet(out / "metrics.parquet")
            returns.append(float(metrics["validation_return"].max()))
            training.append(float(json.loads((out / "run.json").read_text())["seconds"]["train"]))
    return [
        result("fast.yaml from process start, cold", cold, "s"),
        result("fast.yaml from process start, warm cache", warm, "s"),
        result("fast.yaml: training stage of that", training, "s, with features, compiling or loading programs"),
        result("fast.yaml: share of the best return", [value / best for value in returns], "of it"),
    ]


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
