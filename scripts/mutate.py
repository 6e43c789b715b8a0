"""Mutation testing: how many small faults, planted in the core one at a time, its tests see.

    make mutate                       # draws 600 faults and tries them; goes on where it was cut off
    python -m scripts.mutate report   # the rate with its interval, and every fault that nobody saw

A fault of hierrouter_jax/<room>/<module>.py is tried against tests/<room>/test_<module>*.py alone. Processes are forked
from one that has imported the libraries and nothing of the package, and compiled programs are kept, so that most faults
take seconds. The faults are in an order that was drawn, so that those tried so far are a sample of all.
`scripts/equivalent_mutants.json` says of faults why no test can see them; they do not count.
"""

import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts.study import add_lines, read_lines

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "runs" / "mutate"
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.json")
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_COMPILATION_CACHE_DIR": str(FOLDER / "xla"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
LIBRARIES = ("distrax", "flax", "hypothesis", "optax", "orbax.checkpoint", "pandas", "pyarrow.parquet", "pytest")
LIBRARIES += ("safetensors.numpy", "scipy.stats", "jsonargparse", "gymnasium", "filelock", "rich", "jinja2", "tqdm")


def key(mutant: dict[str, Any]) -> str:
    """What names a fault, also where lines above it move."""
    return f"{mutant['path']}: {mutant['before']} -> {mutant['after']}"


def mirrors(path: str) -> list[str]:
    """The test files of a module, below the root.

    Raises:
      SystemExit: if there is none.
    """
    module = Path(path).relative_to("hierrouter_jax")
    found = sorted((ROOT / "tests" / module.parent).glob(f"test_{module.stem}*.py"))
    if not found:
        raise SystemExit(f"{path}: no tests/{module.parent}/test_{module.stem}*.py")
    return [one.relative_to(ROOT).as_posix() for one in found]


def tried(tree: Path, tests: list[str], seconds: float) -> tuple[str, float]:
    """What the tests of a tree say in a fork of this process: passed, failed or late; and the time, in seconds."""
    begun, process = time.monotonic(), os.fork()
    if process == 0:
        code = 70
        try:
            os.setsid()
            os.chdir(tree)
            sys.path[:] = [str(tree), *(one for one in sys.path if one and Path(one).resolve() != ROOT)]
            sys.dont_write_bytecode = True
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            import pytest

            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
        finally:
            os._exit(code)
    while time.monotonic() - begun < seconds:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return "passed" if code == 0 else "failed", time.monotonic() - begun
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return "late", time.monotonic() - begun


def run(minutes: float = 600.0, again: bool = False) -> None:
    """Try the faults of the sample that were not tried yet.

    Args:
      minutes: time after which no other fault is begun.
      again: whether those that nobody saw are tried once more, with the tests as they are now.
    """
    os.environ.update(ENVIRONMENT)
    end, tree = time.monotonic() + 60 * minutes, FOLDER / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("hierrouter_jax", "tests", "configs", "scripts", "docs"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    for library in LIBRARIES:
        with suppress(ImportError):
            __import__(library)
    sample, results = read_lines(FOLDER / "sample.jsonl"), FOLDER / "results.jsonl"
    done = {one["key"]: one for one in read_lines(results)}
    if again:
        done = {name: one for name, one in done.items() if one["result"] != "survived"}
    limits: dict[str, float] = {}
    for mutant in sample:
        if key(mutant) in done or time.monotonic() > end:
            continue
        path, tests = mutant["path"], mirrors(mutant["path"])
        if path not in limits:
            whole, seconds = tried(tree, tests, 900)  # what it compiles is kept
            if whole != "passed":
                raise SystemExit(f"{', '.join(tests)}: {whole} without any fault; run them by themselves")
            limits[path] = 20 + 3 * seconds
        (tree / path).write_text(mutant["source"], "utf-8")
        try:
            said, seconds = tried(tree, tests, limits[path])
        finally:
            shutil.copy(ROOT / path, tree / path)
        result = {"passed": "survived", "failed": "killed", "late": "killed by the clock"}[said]
        about = {"key": key(mutant), "line": mutant["line"], "operator": mutant["operator"], "result": result}
        add_lines(results, [about | {"seconds": round(seconds, 1)}])
        print(f"{result:20} {seconds:5.1f} s  {key(mutant)}", flush=True)
    report()


def report() -> None:
    """The share of faults that the tests see, with its 95 % interval, by room; and those that nobody saw."""
    from hierrouter_jax.evaluation.intervals import proportion_interval

    sample = {key(one): one for one in read_lines(FOLDER / "sample.jsonl")}
    latest = {one["key"]: one for one in read_lines(FOLDER / "results.jsonl") if one["key"] in sample}
    equivalent = json.loads(EQUIVALENT.read_text("utf-8"))
    missed = [name for name, one in latest.items() if one["result"] == "survived"]
    counted = {name: one for name, one in latest.items() if name not in equivalent or one["result"] != "survived"}
    rooms = {name: name.partition(":")[0].split("/")[1].removesuffix(".py") for name in counted}
    for room in [*sorted(set(rooms.values())), "all"] if counted else []:
        ones = [one for name, one in counted.items() if room in (rooms[name], "all")]
        killed = sum(one["result"] != "survived" for one in ones)
        low, high = proportion_interval(killed, len(ones))
        print(f"{room:12} {killed:4} of {len(ones):4} seen: {killed / len(ones):.1%} [{low:.1%}, {high:.1%}]")
    print(f"{len(latest)} of the {len(sample)} drawn were tried; {len(latest) - len(counted)} of them change nothing")
    for name in missed:
        print(f"  {'equivalent' if name in equivalent else 'SURVIVED'}: {name}: {equivalent.get(name, '')}")


if __name__ == "__main__":
    from jsonargparse import auto_cli

    auto_cli([run, report])
