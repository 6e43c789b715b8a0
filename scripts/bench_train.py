"""How fast PPO trains beside what others would use: environment steps a second, updates included.

python scripts/bench_train.py              # writes runs/bench/train.json

Same table, same network, same epochs and minibatches; every contender in a process of its own, timed in turns.
"""

import os
from pathlib import Path

from jsonargparse import auto_cli

from hierrouter_jax.processor import use_wide_vectors
from scripts.contenders import flops_per_step, matmul, opponent, ours
from scripts.measure import Worker, interleave, ratio, result, write
from scripts.opponents.problem import Settings

OPPONENTS = ("purejaxrl", "torch", "sb3_numpy", "sb3_adapter", "sb3_dummy")
REDUCED = 64
PEAK = "matmul"
MATMUL_SIZE = 2048


def main(
    queries: int = 1400,
    models: int = 3,
    horizon: int = 3,
    features: int = 384,
    num_envs: int = 4096,
    updates: int = 4,
    rounds: int = 7,
    opponents: tuple[str, ...] = OPPONENTS,
    devices: int = 1,
    out: Path = Path("runs/bench/train.json"),
) -> None:
    """Measure and write the figures.

    Args:
      queries: Q of the table.
      models: M.
      horizon: L.
      features: F, numbers that the network sees of a context; measured beside 64, what embeddings are reduced to.
      num_envs: episodes in parallel.
      updates: that a contender makes in one turn.
      rounds: turns of each.
      opponents: whom to measure.
      devices: that ours is spread over besides one; more than there are processors makes no sense.
      out: JSON file.
    """
    use_wide_vectors()  # as the command line does; the opponents inherit it
    sizes = {"queries": queries, "models": models, "horizon": horizon, "num_envs": num_envs}
    steps = num_envs * horizon * updates
    workers: dict[str, tuple[Worker, int]] = {PEAK: (Worker(matmul, {"size": MATMUL_SIZE}), 8)}
    for size in dict.fromkeys((features, REDUCED)):
        workers[f"ours_{size}"] = Worker(ours, {**sizes, "features": size}), updates
        workers[f"acting_{size}"] = Worker(ours, {**sizes, "features": size, "acting_only": True}), 4 * updates
        if devices > 1:
            arguments = {**sizes, "features": size, "devices": devices}
            workers[f"ours_{size}_on_{devices}"] = Worker(ours, arguments, host_devices(devices)), updates
    for name in opponents:
        workers[name] = Worker(opponent, {**sizes, "features": features, "name": name}), updates
    seconds = interleave(workers, rounds)
    for worker, _ in workers.values():
        worker.close()

    flops = 2 * MATMUL_SIZE**3 * 8
    per_step = {size: flops_per_step(models, horizon, size, Settings()) for size in (features, REDUCED)}
    peak = [flops / s / 1e9 for s in seconds.pop(PEAK)]
    acting = {name: seconds.pop(name) for name in list(seconds) if name.startswith("acting")}
    rates = {name: [steps / s for s in runs] for name, runs in seconds.items()}
    results = [result(name, runs, "environment steps/s") for name, runs in rates.items()]
    results += [
        result(name, [4 * steps / s for s in runs], "environment steps/s, acting only") for name, runs in acting.items()
    ]
    results += [
        result(f"{name}_setup", [workers[name][0].setup_seconds], "s to import, compile and update once")
        for name in rates
    ]
    results.append(result("matmul_peak", peak, "GFLOP/s"))
    mine = {size: best_of([n for n in rates if n.startswith(f"ours_{size}")], rates) for size in (features, REDUCED)}
    ratios = {f"ours_{features}_over_{name}": ratio(rates[mine[features]], rates[name]) for name in opponents}
    ratios[f"ours_{REDUCED}_over_ours_{features}"] = ratio(rates[mine[REDUCED]], rates[mine[features]])
    for size in (features, REDUCED):
        reached = [rate * per_step[size] / 1e9 for rate in rates[mine[size]]]
        results.append(result(f"ours_{size}_products", reached, "GFLOP/s"))
        ratios[f"ours_{size}_of_matmul_peak"] = ratio(reached, peak)
    write(out, results, ratios, layout={str(size): name for size, name in mine.items()})


def best_of(names: list[str], rates: dict[str, list[float]]) -> str:
    """The fastest of our own layouts, by its median."""
    return max(names, key=lambda name: sorted(rates[name])[len(rates[name]) // 2])


def host_devices(count: int) -> dict[str, str]:
    """Environment in which JAX sees the processor as that many devices, each computing in one thread."""
    devices = f"--xla_force_host_platform_device_count={count} --xla_cpu_multi_thread_eigen=false"
    return {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {devices}".strip()}


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
