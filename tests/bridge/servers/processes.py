"""Pools whose servers are started here, and the processes that those leave."""

import json
import sys
import time
from pathlib import Path

import psutil
import yaml

from hierrouter_jax.bridge.pool import Endpoint, ModelConfig

PROGRAM = Path(__file__).parents[1] / "fake_server.py"
PROMPTS = [f"prompt {row}" for row in range(8)]


def command(folder: Path, *arguments: str | int) -> tuple[str | int, ...]:
    return (sys.executable, str(PROGRAM), "--port", "{port}", "--pids", str(folder / "pids"), *arguments)


def member(folder: Path, *arguments: str | int, name: str = "model", source: str = "", **fields) -> ModelConfig:
    endpoint = Endpoint(model="m", weights="fake", command=command(folder, *arguments), **{"retries": 8, **fields})
    return ModelConfig(name, source, max_new_tokens=9, kind="openai", endpoint=endpoint, base_rate=1.0)


def starts(folder: Path) -> list[list[int]]:
    """Of each start the numbers of the server and its children."""
    path = folder / "pids"
    return [[int(pid) for pid in line.split()] for line in path.read_text().splitlines()] if path.exists() else []


def ever(folder: Path) -> list[int]:
    """All processes of all starts."""
    return [pid for start in starts(folder) for pid in start]


def alive(pids: list[int]) -> list[int]:
    """Those that run, and are not just waiting to be cleared away."""
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def gone(pids: list[int], seconds: float = 20.0) -> bool:
    """Whether all of them end in time."""
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pids)


def pool_file(folder: Path, *arguments: str, **endpoint) -> Path:
    """A pool of two members that share a server."""
    shared = {"model": "m", "weights": "fake", "command": list(command(folder, *arguments)), "retries": 8, **endpoint}
    models = [
        {"name": name, "kind": "openai", "max_new_tokens": limit, "base_rate": 1, "endpoint": shared}
        for name, limit in (("brief", 40), ("long", 60))
    ]
    path = folder / "pool.yaml"
    path.write_text(yaml.safe_dump({"models": models}))
    return path


def collect_command(folder: Path, out: str = "table") -> list[str]:
    (folder / "queries.jsonl").write_text(
        "".join(
            json.dumps({"id": f"q{row}", "text": f"query {row}", "gold": "x", "split": split}) + "\n"
            for row, split in enumerate(("train", "validation", "test"))
        )
    )
    options = ["--pool", str(folder / "pool.yaml"), "--queries", str(folder / "queries.jsonl"), "--horizon", "2"]
    return ["collect", str(folder / out), *options, "--batch_size", "4"]
