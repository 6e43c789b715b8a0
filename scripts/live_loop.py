"""The loop live: `serve` answers, clients send feedback, `train` learns from the log, and the server takes the result.

    hierrouter quickstart --out runs/quickstart
    python -m scripts.live_loop runs/quickstart --requests 2000 --out runs/live-loop

Serving and training are processes of their own, which meet in the log's folder, the policy's folder and over HTTP. This
one only asks questions of the table, grades the answers as the tiny pool's tasks do, and sends the verdict for a share
of them. It ends with what the log's held-out episodes say of the new policy, beside the table's truth.
"""

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
from jsonargparse import auto_cli

from hierrouter_jax.bridge.grading.verdict import exact_match
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import Query

HIERROUTER = [sys.executable, "-m", "hierrouter_jax.cli.main"]
AT_ONCE = 8


def post(url: str, body: Any) -> Any:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with build_opener(ProxyHandler({})).open(request, timeout=600) as reply:
        return json.load(reply)


def ask(url: str, query: Query, feedback: bool) -> float:
    """The quality of the answer to a query, which may be sent as feedback; NaN where the server gave none in time."""
    try:
        reply = post(f"{url}/chat/completions", {"messages": [{"role": "user", "content": query.text}]})
    except HTTPError as error:
        if error.code < 500:
            raise
        return np.nan
    quality = exact_match(reply["choices"][0]["message"]["content"] or "", query)
    if feedback:
        post(f"{url}/feedback", {"episode_id": reply["hierrouter"]["episode_id"], "quality": quality})
    return quality


def ask_all(url: str, queries: list[Query], share: float, rng: np.random.Generator) -> float:
    """Mean quality over the queries, each asked once."""
    feedback = rng.random(len(queries)) < share
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return float(
            np.nanmean(list(threads.map(lambda one: ask(url, *one), zip(queries, feedback.tolist(), strict=True))))
        )


def start(out: Path, explore: str, seed: int, seconds: float) -> tuple[subprocess.Popen, str]:
    """A server of out/policy, and its address once it listens."""
    command = [*HIERROUTER, "serve", "--policy", str(out / "policy"), "--port", "0", "--log", str(out / "log")]
    command += ["--explore", explore, "--seed", str(seed)]
    with (out / "serve.log").open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        for line in (out / "serve.log").read_text().splitlines():
            if '"serving"' in line:
                return process, json.loads(line)["url"]
        time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"the server did not start: {(out / 'serve.log').read_text()}")


def main(
    run: Path,
    out: Path = Path("runs/live-loop"),
    policy: Path | None = None,
    requests: int = 2000,
    share: float = 0.5,
    explore: str = "epsilon:0.3",
    seed: int = 0,
    checks: int = 100,
    train: list[str] | None = None,
    seconds: float = 300.0,
) -> dict[str, Any]:
    """Serve, give feedback, train, reload.

    Args:
      run: folder of a quickstart run, whose table gives the questions and the truth.
      out: folder of the loop, written anew.
      policy: bundle that serves first; by default the run's own.
      requests: number of requests that are logged.
      share: share of the answers that get feedback.
      explore: exploration of the server.
      seed: seed of questions and draws.
      checks: number of test questions that are asked before and after the reload.
      train: further options of 'hierrouter train'.
      seconds: time that the server may take to start.
    """
    rng, table = np.random.default_rng(seed), load_table(run / "table")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(policy or run / "policy", out / "policy")
    queries, test = table.split("train").queries, table.split("test").queries
    server, url = start(out, explore, seed, seconds)
    try:
        before = ask_all(url, list(test[:checks]), 0.0, rng)
        asked = [queries[row] for row in rng.integers(len(queries), size=requests)]
        served = ask_all(url, asked, share, rng)
        command = [*HIERROUTER, "train", str(out / "log"), "--like", str(out / "policy"), "--out", str(out / "run")]
        subprocess.run([*command, "--truth", str(run / "table"), *(train or [])], check=True)
        for path in (out / "run/policy").iterdir():
            shutil.copy(path, out / "policy" / path.name)
        new = post(f"{url.removesuffix('/v1')}/admin/reload", {})["policy"]
        after = ask_all(url, list(test[:checks]), 0.0, rng)
    finally:
        server.terminate()
        server.wait()
    record = read_json(out / "run/evaluation.json")
    chosen = next(row for row in record["policies"] if row["name"] == record["chosen"])
    result = {"before": before, "served": served, "after": after, "policy": new, "estimate": chosen}
    write_json(out / "loop.json", result)
    print(f"test accuracy served: {before:.3f} before, {after:.3f} after; {served:.3f} while the log was made")
    print(f"estimated from held-out episodes: {chosen['accuracy']:.3f}; the table: {chosen['truth']['accuracy']:.3f}")
    return result


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
