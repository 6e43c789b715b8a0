"""What a served route costs beyond its models: clients of the server beside clients that call the models themselves.

python -m scripts.bench_serve --clients 32 --rounds 30         # ten minutes; writes runs/bench/serve.json
python -m scripts.bench_serve --clients 1 --rounds 6

The members are behind a programmed endpoint in a process of its own that takes 200 ms a call; a random policy
routes each question over up to three of them. Rounds alternate: in one the clients ask the server, in the other they
call the endpoint, in the order of the route that the server takes for the same question. The overhead is the ratio of
their mean seconds. A decision (encoding, features and network) is timed by itself, too.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import yaml
from jsonargparse import auto_cli

from hierrouter_jax.bridge.servers.server import free_port
from hierrouter_jax.bundle import FeatureReduction, PolicyBundle
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import Context
from scripts.measure import ratio, result, write

MODELS, HORIZON, SIZE, FEATURES, LIMIT = 3, 3, 1024, 64, 64
WORDS = ("how", "many", "sheep", "does", "a", "farmer", "keep", "if", "each", "eats", "two", "bales", "of", "hay")
Round = Callable[[httpx.AsyncClient, str], Awaitable[None]]


def main(
    clients: int = 32,
    rounds: int = 30,
    seconds: float = 10.0,
    hop_seconds: float = 0.2,
    questions: int = 200,
    seed: int = 0,
    out: Path = Path("runs/bench/serve.json"),
) -> None:
    """Compare, and write what came out.

    Args:
      clients: clients at once, each with one request under way.
      rounds: rounds of either kind, in turns.
      seconds: seconds of a round.
      hop_seconds: seconds that the endpoint takes for a call.
      questions: number of different questions.
      seed: seed of questions and policy.
      out: file to write.
    """
    draw = random.Random(seed)
    asked = [f"{' '.join(draw.choices(WORDS, k=24))}? {number}" for number in range(questions)]
    bundle = random_policy(seed)
    with tempfile.TemporaryDirectory() as folder:
        endpoint_port, port = free_port(), free_port()
        endpoint = get_context("spawn").Process(target=serve_endpoint, args=(endpoint_port, hop_seconds), daemon=True)
        endpoint.start()
        base = f"http://127.0.0.1:{endpoint_port}/v1"
        bundle.save(Path(folder) / "policy")
        (Path(folder) / "pool.yaml").write_text(yaml.safe_dump(pool(base)))
        command = [sys.executable, "-m", "hierrouter_jax.cli.main", "serve", "--policy", f"{folder}/policy"]
        command += ["--pool", f"{folder}/pool.yaml", "--port", str(port), "--max_requests", str(2 * clients)]
        with open(f"{folder}/log", "wb") as log:
            server = subprocess.Popen(command, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz")
            url = f"http://127.0.0.1:{port}/v1"
            measured = asyncio.run(measure(url, base, asked, clients, rounds, seconds, server.pid))
        finally:
            server.terminate()
            server.wait(60)
            endpoint.terminate()
    decisions = time_decisions(bundle, asked)
    results = [
        result("seconds a request, by the server", measured["server"], "s"),
        result("seconds a request, calling the models", measured["direct"], "s"),
        result("requests", [float(measured["requests"])], "requests"),
        result("router's own time, p50", [measured["overhead_p50"]], "ms"),
        result("router's own time, p99", [measured["overhead_p99"]], "ms"),
        result("server's processor time a request", [measured["processor"]], "ms"),
        result("a decision alone, p50", [float(np.percentile(decisions, 50))], "ms"),
        result("a decision alone, p99", [float(np.percentile(decisions, 99))], "ms"),
        result("server's memory after a warm round", [measured["memory"][0]], "MB"),
        result("server's memory at the end", [measured["memory"][-1]], "MB"),
    ]
    ratios = {"server_over_direct": ratio(measured["server"], measured["direct"])}
    write(out, results, ratios, clients=clients, errors=measured["errors"])


async def measure(
    server_url: str, base: str, asked: list[str], clients: int, rounds: int, seconds: float, server: int
) -> dict[str, Any]:
    """Rounds in turns: mean seconds a request of each, the router's own milliseconds, errors and memory."""
    routes: dict[str, list[str]] = {}
    overheads: list[float] = []
    errors = 0

    async def by_server(client: httpx.AsyncClient, question: str) -> None:
        nonlocal errors
        body = {"model": "auto", "messages": [{"role": "user", "content": question}]}
        reply = await client.post(f"{server_url}/chat/completions", json=body)
        if reply.status_code != 200:
            errors += 1
            return
        its = reply.json()["hierrouter"]
        routes[question] = its["route"]
        overheads.append(its["overhead_ms"])

    async def by_hand(client: httpx.AsyncClient, question: str) -> None:
        lines = [question]
        for model in routes[question]:
            content = "".join(f"{line}\n" for line in lines)
            body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": LIMIT}
            reply = await client.post(f"{base}/chat/completions", json=body | {"temperature": 0})
            lines.append(reply.json()["choices"][0]["message"]["content"])

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as client:
        await asyncio.gather(*(by_server(client, question) for question in asked))  # learns the routes, and warms up
        await one_round(client, by_server, asked, clients, seconds)
        overheads.clear()
        process = psutil.Process(server)
        memory, times = [process.memory_info().rss / 1e6], {"server": [], "direct": []}
        requests, processor = 0, 0.0
        for _ in range(rounds):
            for name, ask in (("server", by_server), ("direct", by_hand)):
                busy = sum(process.cpu_times()[:2])
                taken = await one_round(client, ask, asked, clients, seconds)
                processor += (sum(process.cpu_times()[:2]) - busy) * (name == "server")
                times[name].append(float(np.mean(taken)))
                requests += len(taken) * (name == "server")
            memory.append(process.memory_info().rss / 1e6)
    p50, p99 = np.percentile(overheads, [50, 99]).tolist()
    figures = {"overhead_p50": p50, "overhead_p99": p99, "processor": 1e3 * processor / requests}
    return {**times, **figures, "errors": errors, "memory": memory, "requests": requests}


async def one_round(
    client: httpx.AsyncClient, ask: Round, asked: list[str], clients: int, seconds: float
) -> list[float]:
    """Seconds of each request of clients that ask one question after the other; every client asks all in turn."""
    end, taken = time.monotonic() + seconds, list[float]()

    async def one(number: int) -> None:
        place = number * len(asked) // clients
        while time.monotonic() < end:
            began = time.perf_counter()
            await ask(client, asked[place % len(asked)])
            taken.append(time.perf_counter() - began)
            place += 1

    await asyncio.gather(*(one(number) for number in range(clients)))
    return taken


def time_decisions(bundle: PolicyBundle, asked: list[str]) -> list[float]:
    """Milliseconds of single decisions in this process, of contexts that were not encoded before."""
    encoder, taken = NGramEncoder(SIZE), []
    encoder.encode([Context("warm up")])
    for number, question in enumerate(asked * 10):
        context = Context(f"{question} {number}", (f"it is {number} sheep",), ("m0",))
        began = time.perf_counter()
        bundle.act(encoder.encode([context]), 1, np.array([100.0]))
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def serve_endpoint(port: int, hop_seconds: float) -> None:
    """A chat model that says how long its prompt is, after a while."""
    import json

    import uvicorn

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        prompt = json.loads(body)["messages"][-1]["content"] if body else ""
        await asyncio.sleep(hop_seconds)
        usage = {"prompt_tokens": len(prompt) + 1, "completion_tokens": 8, "total_tokens": len(prompt) + 9}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"n{len(prompt)}"}}
        reply = json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": reply})

    uvicorn.run(app, port=port, log_level="error")


def pool(base: str) -> dict[str, Any]:
    """Chat members behind that address, with room for all calls at once."""
    endpoint = {"base_url": base, "model": "m", "concurrency": 1024}
    member = {"kind": "openai", "chat": True, "max_new_tokens": LIMIT, "base_rate": 1.0, "endpoint": endpoint}
    return {"models": [{"name": f"m{number}", **member} for number in range(MODELS)]}


def random_policy(seed: int) -> PolicyBundle:
    """A policy of two hidden layers whose routes differ from question to question."""
    rng = np.random.default_rng(seed)
    widths = (FEATURES + 3, 64, 64)
    weights = {"stage_embedding": rng.normal(size=(HORIZON, 2)), "logits/kernel": rng.normal(size=(64, MODELS + 1))}
    weights["logits/bias"] = np.zeros(MODELS + 1)
    for layer, (before, after) in enumerate(pairwise(widths)):
        weights |= {f"hidden_{layer}/kernel": rng.normal(size=(before, after)), f"hidden_{layer}/bias": np.zeros(after)}
    return PolicyBundle(
        pool=tuple(PricedModel(f"m{number}", 1.0, 1.0, max_new_tokens=LIMIT) for number in range(MODELS)),
        horizon=HORIZON,
        allow_stop=True,
        encoder=NGramEncoder(SIZE).spec,
        money_unit="tokens",
        cost_normaliser=200.0,
        reduction=FeatureReduction(np.zeros(SIZE), rng.normal(size=(SIZE, FEATURES)) * 3, np.ones(FEATURES)),
        weights={name: array.astype(np.float32) for name, array in weights.items()},
        table_fingerprint="",
        provenance={},
    )


def wait_for(url: str, seconds: float = 120.0) -> None:
    """Wait until a page answers with 200."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
