"""The loop live: `serve` answers, clients send feedback, `train` learns from the log, and the server takes the result.

    hierrouter quickstart --out runs/quickstart
    python -m scripts.live_loop runs/quickstart --requests 2000 --out runs/live-loop

Serving and training are processes of their own, which meet in the log's folder, the policy's folder and over HTTP. This
one only asks questions of the table, grades the answers as the tiny pool's tasks do, and sends the verdict for a share
of them. It ends with what the log's held-out episodes say of the new policy, beside the table's truth on the questions
that it did not learn from.
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
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.decision_log import read_log
from hierrouter_jax.outcomes.episodes import Episodes, episodes_of
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from hierrouter_jax.studies.loop import accuracy
from hierrouter_jax.training.log_training import held_out_part
from hierrouter_jax.training.settings import TrainConfig

HIERROUTER = [sys.executable, "-m", "hierrouter_jax.cli.main"]


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


def ask_all(url: str, queries: list[Query], share: float, rng: np.random.Generator, clients: int) -> float:
    """Mean quality over the queries, each asked once."""
    feedback = rng.random(len(queries)) < share
    with ThreadPoolExecutor(clients) as threads:
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


def untaught(table: OutcomeTable, episodes: Episodes, held_out: float) -> OutcomeTable:
    """The queries that the log did not ask, or that training held out."""
    apart = held_out_part(episodes.only(episodes.ended), held_out, TrainConfig.seed)
    taught = {one.tobytes() for one in episodes.only(episodes.ended).embedding[~apart, 0]}
    return table.select(np.array([one.tobytes() not in taught for one in table.context_embedding[:, 0]]))


def main(
    run: Path,
    out: Path = Path("runs/live-loop"),
    policy: Path | None = None,
    requests: int = 2000,
    share: float = 0.5,
    explore: str = "epsilon:0.3",
    seed: int = 0,
    held_out: float = 0.4,
    checks: int = 100,
    clients: int = 32,
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
      held_out: share of the questions whose episodes judge the new policy, and teach nothing.
      checks: number of questions that are asked after the reload.
      clients: number of requests under way at once.
      train: further options of 'hierrouter train'.
      seconds: time that the server may take to start.
    """
    rng, table = np.random.default_rng(seed), load_table(run / "table").split("train")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(policy or run / "policy", out / "policy")
    server, url = start(out, explore, seed, seconds)

    def drawn(number: int) -> list[Query]:
        return [table.queries[row] for row in rng.integers(table.num_queries, size=number)]

    try:
        served = ask_all(url, drawn(requests), share, rng, clients)
        command = [*HIERROUTER, "train", str(out / "log"), "--like", str(out / "policy"), "--out", str(out / "run")]
        subprocess.run([*command, "--held_out", str(held_out), *(train or [])], check=True)
        fresh = untaught(table, episodes_of(read_log(out / "log")), held_out)
        for path in (out / "run/policy").iterdir():
            shutil.copy(path, out / "policy" / path.name)
        new = post(f"{url.removesuffix('/v1')}/admin/reload", {})["policy"]
        after = ask_all(url, drawn(checks), 0.0, rng, clients)
    finally:
        server.terminate()
        server.wait()
    record = read_json(out / "run/evaluation.json")
    chosen = next(row for row in record["policies"] if row["name"] == record["chosen"])
    truth = accuracy(PolicyBundle.load(out / "policy"), fresh)
    inside = chosen["answers"] and chosen["accuracy_ci"][0] <= truth <= chosen["accuracy_ci"][1]
    result = {"served": served, "after": after, "policy": new, "estimate": chosen, "truth": truth, "inside": inside}
    write_json(out / "loop.json", result)
    print(f"accuracy served: {served:.3f} while the log was made, {after:.3f} after the reload, with exploration")
    print(f"greedy, estimated: {chosen['accuracy']:.3f} {chosen['accuracy_ci']} {'; '.join(chosen['reasons'])}")
    print(f"greedy, by the table: {truth:.3f} on the {fresh.num_queries} questions that taught it nothing")
    return result


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
