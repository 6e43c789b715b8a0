"""How the benchmarks measure: contenders in processes of their own, timed in turns, ratios with intervals.

A contender's process computes only while it is its turn, so that none disturbs another, and each has the
environment that suits it best.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

ROOT = Path(__file__).parents[1]

# In a contender's process: given how much to do, returns the seconds it took.
Run = Callable[[int], float]


class Worker:
    """A contender in a fresh process.

    Args:
      factory: called there with `arguments`; sets up, compiles, warms up and returns what to time.
      environment: variables set before anything is imported.
    """

    def __init__(
        self,
        factory: Callable[..., Run],
        arguments: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # Contenders live side by side, so none may take most of an accelerator's memory at once, as JAX does.
        environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **(environment or {})}
        previous = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:  # a spawned interpreter starts with our environment
            self._process = context.Process(target=_serve, args=(theirs, factory, dict(arguments)), daemon=True)
            self._process.start()
            theirs.close()  # so that a process that dies ends the pipe
        finally:
            for name, value in previous.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        self.setup_seconds: float = self._receive()

    def __call__(self, amount: int) -> float:
        """Seconds for an amount of work."""
        self._pipe.send(amount)
        return self._receive()

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()

    def _receive(self) -> float:
        try:
            return self._pipe.recv()
        except EOFError:
            raise SystemExit("a contender's process died; its error stands above") from None


def _serve(pipe: Any, factory: Callable[..., Run], arguments: dict[str, Any]) -> None:
    started = time.perf_counter()
    run = factory(**arguments)
    pipe.send(time.perf_counter() - started)
    while (amount := pipe.recv()) is not None:
        pipe.send(run(amount))


def interleave(contenders: Mapping[str, tuple[Callable[[int], float], int]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender's amount of work in each round; a round gives every contender one turn."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(rounds):
        for name, (run, amount) in contenders.items():
            seconds[name].append(run(amount))
        print(f"round {round_number + 1} of {rounds}", file=sys.stderr)
    return seconds


def fresh_process(
    command: Sequence[str], environment: Mapping[str, str] | None = None, patience: float | None = None
) -> tuple[float, str]:
    """Wall seconds of a command from start to end, and what it printed.

    Raises:
      SystemExit: with the end of its errors, if it fails.
      subprocess.TimeoutExpired: if it takes more than `patience` seconds; it is killed.
    """
    started = time.perf_counter()
    whole = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=whole, cwd=ROOT, capture_output=True, text=True, check=False, timeout=patience)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - started, done.stdout


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, list[float]]:
    """Geometric mean of ours / theirs over rounds, and its 95 % t-interval (of the logarithms)."""
    logs = np.log(np.asarray(ours)) - np.log(np.asarray(theirs))
    centre = float(logs.mean())
    if len(logs) < 2 or not logs.std():
        return float(np.exp(centre)), [float(np.exp(centre))] * 2
    low, high = stats.t.interval(0.95, len(logs) - 1, loc=centre, scale=stats.sem(logs))
    return float(np.exp(centre)), [float(np.exp(low)), float(np.exp(high))]


def result(name: str, runs: Sequence[float], unit: str) -> dict[str, Any]:
    return {"name": name, "value": median(runs), "unit": unit, "runs": list(runs)}


def write(
    out: Path, results: list[dict[str, Any]], ratios: Mapping[str, tuple[float, list[float]]], **more: Any
) -> None:
    """The JSON of a benchmark, and its tables on the screen."""
    from hierrouter_jax.files import write_json
    from hierrouter_jax.training.run_folder import machine  # brings JAX with it, which contenders do without

    values = {name: value for name, (value, _) in ratios.items()}
    intervals = {name: interval for name, (_, interval) in ratios.items()}
    write_json(out, {"machine": machine(), "results": results, "ratios": values, "intervals": intervals, **more})
    console = Console(width=None if sys.stdout.isatty() else 110)
    figures = Table("figure", "unit", title=str(out), title_justify="left")
    figures.add_column("median", justify="right")
    figures.add_column("lowest", justify="right")
    figures.add_column("highest", justify="right")
    for row in results:
        shown = (
            f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
            for value in (row["value"], min(row["runs"]), max(row["runs"]))
        )
        figures.add_row(row["name"], row["unit"], *shown)
    console.print(figures)
    if ratios:
        compared = Table("ratio")
        compared.add_column("value", justify="right")
        compared.add_column("95 % interval", justify="right")
        for name, (value, (low, high)) in ratios.items():
            compared.add_row(name, f"{value:.2f}", f"{low:.2f} to {high:.2f}")
        console.print(compared)


def last_json(text: str) -> dict[str, Any]:
    """The JSON object on the last line of a program's output."""
    return json.loads(text.strip().splitlines()[-1])
