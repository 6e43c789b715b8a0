"""How fast many runs train together: 16 runs of a million steps beside 16 fresh processes of others.

python -m scripts.bench_sweep              # writes runs/bench/sweep.json

Everything is timed from process start to exit. A sweep's rate is what separates a short sweep from a longer one, its
start-up what is left; the time of the whole is put together from both, and once the whole is run. Sixteen fresh
processes take sixteen times as long as one, as each uses all cores. Stable-Baselines3's plain loop trains a tenth of
the steps, and its training seconds count tenfold.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from jsonargparse import auto_cli

from hierrouter_jax.processor import use_wide_vectors
from scripts.bench_train import host_devices
from scripts.contenders import flops_per_step, matmul
from scripts.measure import Worker, fresh_process, last_json, ratio, result, write
from scripts.opponents.problem import Settings
from scripts.sweep_process import timed

MODELS, HORIZON = 3, 3
SHORT, LONG = 2, 42  # updates; far apart, since start-up differs by seconds
SHARE_OF_SB3 = 10
PATIENCE = 300.0  # seconds for a layout that is not the sweep's own: vmapped runs may hang on few cores


def main(
    features: int = 384,
    num_envs: int = 4096,
    runs: int = 16,
    steps: int = 1_000_000,
    rounds: int = 5,
    layout: str | None = None,
    layouts: tuple[str, ...] = ("map", "devices"),
    out: Path = Path("runs/bench/sweep.json"),
) -> None:
    """Measure and write the figures.

    Args:
      features: F.
      num_envs: episodes in parallel, of each run.
      runs: of a sweep.
      steps: environment steps of a run.
      rounds: turns of the sweep and of each opponent.
      layout: of the sweep; by default its own choice, for which the whole is run.
      layouts: to measure once beside the one that the sweep chooses.
      out: JSON file.
    """
    use_wide_vectors()  # as the command line does; the opponents inherit it
    per_update = num_envs * HORIZON
    updates = -(-steps // per_update)
    flags = {"features": features, "num_envs": num_envs, "runs": runs}
    whole, chosen = (None, layout) if layout else sweep_process({**flags, "updates": updates})
    peak = Worker(matmul, {})
    rates: list[float] = []
    starts: list[float] = []
    top: list[float] = []
    fresh: dict[str, list[float]] = {"purejaxrl": [], "sb3_dummy": []}
    for number in range(rounds):
        rate, start = rate_and_start(flags, per_update, chosen)
        rates.append(rate)
        starts.append(start)
        top.append(8 * 2 * 2048**3 / peak(8) / 1e9)
        fresh["purejaxrl"].append(opponent_process("purejaxrl", [], features, num_envs, steps))
        fresh["sb3_dummy"].append(opponent_process("sb3", ["dummy"], features, num_envs, steps))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    peak.close()
    others = other_rates(flags, per_update, (name for name in layouts if name != chosen))
    ours = [start + runs * updates * per_update / rate for rate, start in zip(rates, starts, strict=True)]
    results = [result(f"sweep by {chosen}", rates, "environment steps/s, all runs")]
    results += [result(f"sweep by {name}", [rate], "environment steps/s, all runs") for name, rate in others.items()]
    results += [
        result("start-up of the sweep", starts, "s"),
        result(f"sweep of {runs}, put together", ours, "s"),
        *([result(f"sweep of {runs}, run whole", [whole], "s")] if whole else []),
        result(f"policies a minute, {steps:,} steps each", [60 * runs / seconds for seconds in ours], "1/min"),
        *(result(f"one fresh process of {name}", seconds, "s") for name, seconds in fresh.items()),
        result("matmul_peak", top, "GFLOP/s"),
    ]
    ratios = {
        f"{runs} fresh processes of {name} over the sweep": ratio([runs * s for s in seconds], ours)
        for name, seconds in fresh.items()
    }
    gflop = flops_per_step(MODELS, HORIZON, features, Settings()) / 1e9
    ratios["sweep of matmul peak"] = ratio([rate * gflop for rate in rates], top)
    if others:
        ratios[f"{chosen} over the best other layout"] = ratio([median(rates)], [max(others.values())])
    write(out, results, ratios, chosen=chosen)


def rate_and_start(
    flags: dict[str, int], per_update: int, layout: str, patience: float | None = None
) -> tuple[float, float]:
    """Environment steps a second of all runs once they run, and the seconds before."""
    short, long = (sweep_process({**flags, "updates": number}, layout, patience)[0] for number in (SHORT, LONG))
    each = flags["runs"] * per_update
    if long <= short:
        raise SystemExit(f"{LONG} updates by {layout} took no longer than {SHORT}; the machine is too busy to measure")
    rate = each * (LONG - SHORT) / (long - short)
    return rate, short - each * SHORT / rate


def other_rates(flags: dict[str, int], per_update: int, layouts: Iterable[str]) -> dict[str, float]:
    """Environment steps a second by other layouts than the sweep's; one that fails or hangs is told of and left out."""
    rates = {}
    for layout in layouts:
        try:
            rates[layout] = rate_and_start(flags, per_update, layout, PATIENCE)[0]
        except (SystemExit, subprocess.TimeoutExpired) as error:
            print(f"layout {layout} is left out: {error}", file=sys.stderr)
    return rates


def sweep_process(flags: dict[str, int], layout: str | None = None, patience: float | None = None) -> tuple[float, str]:
    """Seconds from start to exit, and the layout; without one the sweep measures and chooses."""
    chosen = {} if layout is None else {"layout": layout}
    spread = layout is not None and layout.startswith("devices")
    seconds, found = timed({**flags, **chosen}, host_devices(os.cpu_count() or 1) if spread else {}, patience)
    return seconds, found["layout"]


def opponent_process(module: str, more: list[str], features: int, num_envs: int, steps: int) -> float:
    """Seconds from start to exit of a run of an opponent."""
    few = steps // SHARE_OF_SB3 if module == "sb3" else steps
    flags = [f"--steps={few}", f"--features={features}", "--queries=1400", f"--settings.num_envs={num_envs}"]
    seconds, printed = fresh_process([sys.executable, "-m", f"scripts.opponents.{module}", *more, *flags])
    return seconds + (SHARE_OF_SB3 - 1) * last_json(printed)["seconds_training"] if module == "sb3" else seconds


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
