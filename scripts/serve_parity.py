"""Whether a server's routes and answers are those of `hierrouter route`, with a real model that the pool starts itself.

    python -m scripts.serve_parity --model qwen2.5-0.5b.gguf --slots 1      # needs llama.cpp's llama-server on the PATH
    python -m scripts.serve_parity --model qwen2.5-0.5b.gguf --slots 32

Three members are one model that is told three things; a random policy routes questions over up to three of them. The
route of this process asks a stage at a time, the server's clients sixteen questions at once, so that other calls lie
beside each other in the model's batches: with more than one slot its rounding, and now and then a word, may differ.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import auto_cli

from hierrouter_jax.bridge.servers.server import free_port
from hierrouter_jax.files import write_json
from hierrouter_jax.outcomes.pricing import PricedModel
from scripts.bench_serve import random_policy, wait_for

TOLD = ("Answer with a number alone.", "Name the steps in few words.", "Check what you read, then answer.")
SUBJECTS = ("sheep", "books", "apples", "coins", "stamps")


def main(
    model: Path,
    slots: int = 1,
    questions: int = 60,
    tokens: int = 32,
    seed: int = 0,
    options: tuple[str, ...] = (),
    out: Path = Path("runs/bench/serve_parity.json"),
) -> None:
    """Route the same questions both ways, and count the equal ones.

    Args:
      model: GGUF file of the model.
      slots: sequences that the model's server decodes together.
      questions: number of questions.
      tokens: tokens that a hop may write.
      seed: seed of the policy.
      options: more options of llama-server, such as `[--no-repack]`.
      out: file to write.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "pool.yaml").write_text(yaml.safe_dump(pool(model, slots, tokens, options)))
        members = tuple(PricedModel(f"m{number}", 1.0, 1.0, max_new_tokens=tokens) for number in range(len(TOLD)))
        replace(random_policy(seed), pool=members).save(home / "policy")
        (home / "questions.txt").write_text("\n".join(asked(questions)))
        both = ["--policy", str(home / "policy"), "--pool", str(home / "pool.yaml")]
        ours = transcripts([str(home / "questions.txt"), *both])
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "hierrouter_jax.cli.main",
            "serve",
            *both,
            "--port",
            str(port),
            "--timeout",
            "3600",
        ]
        with (home / "serve.log").open("w") as log, subprocess.Popen(command, stderr=log) as server:
            try:
                wait_for(f"http://127.0.0.1:{port}/readyz", seconds=300)
                theirs = transcripts([str(home / "questions.txt"), "--url", f"http://127.0.0.1:{port}"])
            finally:
                server.terminate()
    routes = sum(one["route"] == other["route"] for one, other in zip(ours, theirs, strict=True))
    equal = sum(one == other for one, other in zip(ours, theirs, strict=True))
    hops = sum(len(one["route"]) for one in ours)
    print(f"{slots} slots: {routes} of {questions} routes and {equal} of {questions} routes with all answers are equal")
    write_json(out, {"slots": slots, "questions": questions, "hops": hops, "routes": routes, "equal": equal})


def pool(model: Path, slots: int, tokens: int, options: tuple[str, ...]) -> dict[str, Any]:
    """Three members behind one server that is started for them."""
    size = str(slots * 1024)
    command = ["llama-server", "-m", str(model.resolve()), "--port", "{port}", "--parallel", str(slots), "-c", size]
    command += ["--no-cache-prompt"]  # a prefix that was read in another batch rounds otherwise
    endpoint = {
        "command": [*command, *options],
        "model": model.stem,
        "weights": model.name,
        "concurrency": slots,
        "timeout": 3600,
    }
    member = {"kind": "openai", "chat": True, "max_new_tokens": tokens, "base_rate": 1.0, "endpoint": endpoint}
    return {"models": [{"name": f"m{number}", "system": told, **member} for number, told in enumerate(TOLD)]}


def asked(count: int) -> list[str]:
    """Different small word problems."""
    texts = (
        f"A farmer has {7 + 3 * n} {SUBJECTS[n % len(SUBJECTS)]} and gives away {2 + n % 5}. How many are left?"
        for n in range(count)
    )
    return list(texts)


def transcripts(options: list[str]) -> list[dict[str, Any]]:
    """Route and responses of each question, as `hierrouter route --json` says them."""
    command = [sys.executable, "-m", "hierrouter_jax.cli.main", "route", *options, "--json"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    hops = [json.loads(line)["hops"] for line in lines]
    return [{"route": [hop["model"] for hop in its], "responses": [hop["response"] for hop in its]} for its in hops]


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
