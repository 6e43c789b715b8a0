"""What one GPU or TPU does: PPO with very many environments at several precisions, and a thousand policies at once.

python -m scripts.bench_accelerator        # writes runs/bench/accelerator.json, with the device's name

A precision is that of the matrix products, as JAX calls it: `highest` is single precision, `default` the device's own
(TF32 on an H100), `bfloat16` the fastest. What it costs is the mean return of the same runs beside that of `highest`.
"""

from pathlib import Path

from jsonargparse import auto_cli

from scripts.contenders import flops_per_step, matmul, opponent, ours
from scripts.measure import Worker, interleave, ratio, result, write
from scripts.opponents.problem import Settings
from scripts.sweep_process import timed

SIZES = {"queries": 1400, "models": 3, "horizon": 3}
EXACT = "highest"
PRODUCTS = 8


def main(
    num_envs: int = 65_536,
    features: tuple[int, ...] = (384, 64),
    precisions: tuple[str, ...] = (EXACT, "default", "bfloat16"),
    updates: int = 4,
    rounds: int = 5,
    runs: int = 16,
    policies: int = 1000,
    layout: str = "vmap",
    matmul_size: int = 8192,
    out: Path = Path("runs/bench/accelerator.json"),
) -> None:
    """Measure and write the figures.

    Args:
      num_envs: episodes in parallel.
      features: F, one after the other.
      precisions: of the products; `highest` among them.
      updates: that each contender makes in one turn.
      rounds: turns of each.
      runs: of PPO at each precision, whose returns are compared.
      policies: of the exact learner, trained and evaluated in one sweep.
      layout: of the sweeps.
      matmul_size: of the square product that measures the peak.
      out: JSON file.
    """
    sizes = {**SIZES, "num_envs": num_envs}
    workers: dict[str, tuple[Worker, int]] = {}
    for precision in precisions:
        told = {"JAX_DEFAULT_MATMUL_PRECISION": precision}
        workers[f"peak {precision}"] = Worker(matmul, {"size": matmul_size}, told), PRODUCTS
        for size in features:
            workers[f"ours F={size} {precision}"] = Worker(ours, {**sizes, "features": size}, told), updates
    workers["purejaxrl"] = Worker(opponent, {**sizes, "features": features[0], "name": "purejaxrl"}), updates
    seconds = interleave(workers, rounds)
    for worker, _ in workers.values():
        worker.close()

    steps = num_envs * SIZES["horizon"] * updates
    product = PRODUCTS * 2 * matmul_size**3 / 1e9
    peaks = {precision: [product / s for s in seconds.pop(f"peak {precision}")] for precision in precisions}
    rates = {name: [steps / s for s in times] for name, times in seconds.items()}
    returns = {precision: trained_returns(runs, layout, features[-1], precision) for precision in precisions}
    sweep = {"runs": policies, "layout": layout, "features": features[-1]}
    whole, _ = timed({**sweep, "algorithm": "exact", "num_envs": 256, "updates": 6})
    results = [result(name, values, "environment steps/s") for name, values in rates.items()]
    results += [result(f"matmul_peak {name}", values, "GFLOP/s") for name, values in peaks.items()]
    results += [result(f"return after training, {name}", values, "return") for name, values in returns.items()]
    results.append(result(f"{policies:,} policies trained and evaluated", [whole], "s from process start"))
    ratios = {}
    for precision in precisions:
        for size in features:
            mine = f"ours F={size} {precision}"
            each = flops_per_step(SIZES["models"], SIZES["horizon"], size, Settings()) / 1e9
            ratios[f"{mine} of matmul peak"] = ratio([rate * each for rate in rates[mine]], peaks[precision])
        ratios[f"ours {precision} over purejaxrl"] = ratio(
            rates[f"ours F={features[0]} {precision}"], rates["purejaxrl"]
        )
        if precision != EXACT:
            ratios[f"return {precision} over {EXACT}"] = ratio(returns[precision], returns[EXACT])
    write(out, results, ratios, layout=layout)


def trained_returns(runs: int, layout: str, features: int, precision: str) -> list[float]:
    """Best validation return of each run of PPO, products at a precision."""
    flags = {"runs": runs, "layout": layout, "features": features, "num_envs": 4096, "updates": 40}
    return timed(flags, {"JAX_DEFAULT_MATMUL_PRECISION": precision})[1]["returns"]


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
