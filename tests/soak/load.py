"""Long jobs watched from outside: memory and open descriptors while a collection, a sweep or a log gets large.

    python -m tests.soak.load collect --count 100000   # two calls a query, against an endpoint that answers at once
    python -m tests.soak.load sweep --count 10000      # members of a sweep
    python -m tests.soak.load serve --count 100000     # requests to a server that logs; feedback for every second one

It writes runs/load/<job>.json: a row every few seconds with seconds, resident bytes, descriptors, threads, and bytes on
disk. It fails where more descriptors are open than the job's connections need, or where memory grows after the first
fifth by more than what is kept: 4 kB a query, 2 kB a member, nothing of a request, and 10 % on top.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import psutil
import yaml

from hierrouter_jax.bridge.servers.server import free_port
from hierrouter_jax.outcomes.decision_log import read_log
from hierrouter_jax.outcomes.episodes import episodes_of
from hierrouter_jax.outcomes.store import save_table
from scripts.bench_serve import MODELS, pool, random_policy, wait_for
from tests.tables import random_table

# Answers every completion with its last word in capitals, over connections that stay open.
SERVER = """
import asyncio, json, sys
async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().lower()
            size = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length:"))
            asked = json.loads(await reader.readexactly(size))
            text = asked["messages"][-1]["content"].split()[-1].upper()
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
            about = {"id": "1", "object": "x", "created": 1, "model": "m"}
            body = json.dumps(about | {"choices": [choice], "usage": usage})
            head = f"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
            writer.write((head + body).encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
Ask = Callable[[Callable[[], None]], None]  # asks a server all there is; calls its argument once that is warm
KEPT = {"collect": 4_000, "sweep": 2_000, "serve": 0}  # bytes that a job may keep in memory for each of its count
CONCURRENCY = 32
# Of the connections to members, of a server's clients, and of all else.
DESCRIPTORS = {"collect": 2 * CONCURRENCY + 32, "sweep": 64, "serve": (MODELS + 1) * CONCURRENCY + 64}


def collect(folder: Path, count: int, port: int) -> tuple[list[str], None]:
    """A collection of so many queries, two models and one hop."""
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for number in range(count):
            split = ("train", "validation", "test")[number % 3]
            row = {"id": f"q{number}", "text": f"Which number is this? n{number}", "gold": f"N{number}", "split": split}
            print(json.dumps(row), file=file)
    endpoint = {"base_url": f"http://127.0.0.1:{port}/v1", "concurrency": CONCURRENCY}
    member = {"kind": "openai", "chat": True, "max_new_tokens": 16, "base_rate": 1.0}
    models = [{"name": f"m{n}", **member, "endpoint": endpoint | {"model": f"m{n}"}} for n in range(2)]
    (folder / "pool.yaml").write_text(yaml.safe_dump({"models": models}))
    command = ["collect", str(folder / "out"), "--pool", str(folder / "pool.yaml"), "--horizon", "1"]
    return [*command, "--queries", str(folder / "queries.jsonl"), "--encoder", "{kind: ngrams, size: 16}"], None


def sweep(folder: Path, count: int, port: int) -> tuple[list[str], None]:
    """A sweep of so many members over one drawn number."""
    save_table(random_table(queries=60, models=2, horizon=2), folder / "table")
    static = {"num_envs": 32, "epochs": 1, "minibatches": 1, "hidden": [8], "num_updates": 20}
    static["evaluate_every"] = static["num_updates"]
    train = {"learners": ["exact"], "features": 4, "static": static}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"train": train, "seeds": 1, "layout": "map", "chunk": 100}))
    command = ["sweep", str(folder / "table"), "agent.learning_rate=log(3e-4,1e-2)", "--draws", str(count)]
    return [*command, "--config", str(folder / "sweep.yaml"), "--out", str(folder / "out")], None


def serve(folder: Path, count: int, port: int) -> tuple[list[str], Ask]:
    """A server that logs, and its clients: requests over connections that stay open, all questions different."""
    random_policy(0).save(folder / "policy")
    (folder / "pool.yaml").write_text(yaml.safe_dump(pool(f"http://127.0.0.1:{port}/v1")))
    address, its = f"http://127.0.0.1:{(own := free_port())}", iter(range(count))

    async def posted(client: httpx.AsyncClient, path: str, content: Any) -> Any:
        reply = await client.post(f"{address}/v1/{path}", json=content)
        assert reply.status_code == 200, f"{path}: {reply.status_code}, {reply.text[:300]}"
        return reply.json()

    async def one(client: httpx.AsyncClient, begin: Callable[[], None]) -> None:
        for number in its:
            if number == count // 5:
                begin()  # what a server loads once is loaded
            question = {"role": "user", "content": f"What comes after {number}, and after {number * 7919 % 99991}?"}
            reply = await posted(client, "chat/completions", {"model": "auto", "messages": [question]})
            if number % 2:
                feedback = {"episode_id": reply["hierrouter"]["episode_id"], "quality": 1.0}
                await posted(client, "feedback", feedback)

    async def clients(begin: Callable[[], None]) -> None:
        limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
        async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as client:
            await asyncio.gather(*(one(client, begin) for _ in range(CONCURRENCY)))

    def ask(begin: Callable[[], None]) -> None:
        wait_for(f"{address}/readyz")
        asyncio.run(clients(begin))

    command = ["serve", "--policy", str(folder / "policy"), "--pool", str(folder / "pool.yaml"), "--port", str(own)]
    return [*command, "--log", str(folder / "out"), "--explore", "epsilon:0.3"], ask


def done(folder: Path) -> int:
    """Bytes on disk so far: how far the job is."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.exists())


def watched(command: list[str], out: Path, every: float, ask: Ask | None = None) -> tuple[int, list[dict[str, float]]]:
    """Run a command of the package; its exit code, and a row every so many seconds.

    Args:
      command: arguments of the command.
      out: folder that it writes.
      every: seconds between two rows.
      ask: of a command that serves, function that asks all that there is to ask; the command is told to end then.
    """
    begun, rows, warm = time.monotonic(), [], Event()
    with (out.parent / "errors").open("w") as errors, ThreadPoolExecutor(1) as threads:
        process = subprocess.Popen([sys.executable, "-m", "hierrouter_jax.cli.main", *command], stderr=errors)
        about, asking = psutil.Process(process.pid), None if ask is None else threads.submit(ask, warm.set)
        while process.poll() is None:
            if asking is not None and asking.done():
                process.terminate()
                asking.result()
                break
            time.sleep(every)
            try:
                with about.oneshot():
                    row = {"seconds": time.monotonic() - begun, "resident": about.memory_info().rss}
                    row |= {"descriptors": about.num_fds(), "threads": about.num_threads()}
            except psutil.Error:
                break
            if row["resident"] and (ask is None or warm.is_set()):  # of a process that has just ended all is 0
                rows.append(row | {"on_disk": done(out) if out.is_dir() else 0})
        return process.wait(), rows


def judged(rows: list[dict[str, float]], kept: int, most: int) -> str:
    """How descriptors went, and memory from the second fifth of the time to the last.

    Args:
      rows: what was seen, in order.
      kept: bytes that the job may have kept in memory by its end.
      most: largest number of descriptors that may be open.

    Raises:
      AssertionError: if descriptors leak, or memory grows beyond what is kept.
    """
    fifth = max(1, len(rows) // 5)
    early, late = rows[fifth : 2 * fifth] or rows, rows[-fifth:]
    small, large = (float(np.median([row["resident"] for row in part])) for part in (early, late))
    opened, held = (max(row[name] for row in rows) for name in ("descriptors", "resident"))
    assert opened <= most, f"descriptors leak: {opened:.0f} are open, but {most} should do"
    assert large <= 1.1 * small + kept, f"memory grows: {small / 1e6:.0f} MB, then {large / 1e6:.0f} MB"
    return (
        f"{rows[-1]['seconds']:.0f} s; at most {opened:.0f} descriptors; memory {small / 1e6:.0f} MB, then "
        f"{large / 1e6:.0f} MB, at most {held / 1e6:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=list(KEPT))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--every", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("runs/load"))
    chosen = parser.parse_args()
    folder = (chosen.out / chosen.job).absolute()
    folder.mkdir(parents=True)
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        command, ask = {"collect": collect, "sweep": sweep, "serve": serve}[chosen.job](folder, chosen.count, port)
        code, rows = watched(command, folder / "out", chosen.every, ask)
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    result = {"job": chosen.job, "count": chosen.count, "exit_code": code, "rows": rows}
    (chosen.out / f"{chosen.job}.json").write_text(json.dumps(result))
    assert code == 0, (folder / "errors").read_text()[-3000:]
    if chosen.job == "serve":
        episodes = episodes_of(read_log(folder / "out"))
        there = len(episodes), int(np.isfinite(episodes.quality).sum())
        assert there == (chosen.count, chosen.count // 2), f"{there} episodes and feedbacks are in the log"
    print(f"{chosen.job} of {chosen.count}: {judged(rows, chosen.count * KEPT[chosen.job], DESCRIPTORS[chosen.job])}")


if __name__ == "__main__":
    main()
