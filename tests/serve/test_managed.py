"""Real members that the server starts itself: `transformers serve`, one process for each model of the tiny pool."""

import os
import sys
from pathlib import Path

import httpx
import openai
import pytest
import yaml

from hierrouter_jax.config import config_path
from hierrouter_jax.serve.router import Router
from hierrouter_jax.tiny.queries import make_queries
from tests.serve.test_router import policy

__all__ = ["policy"]

REASON = "starts three servers: set HIERROUTER_SERVERS=1"


def managed(folder: Path) -> Path:
    """The tiny pool, each member behind a server of its own, one call at a time."""
    pool = yaml.safe_load(config_path("pool/tiny.yaml").read_text())
    program = str(Path(sys.executable).with_name("transformers"))
    for model in pool["models"]:
        command = [program, "serve", "{source}", "--dtype", "float32", "--device", "cpu", "--port", "{port}"]
        endpoint = {"model": "{source}", "weights": model["name"], "concurrency": 1, "command": command}
        model.update(kind="openai", endpoint=endpoint)
    path = folder / "pool.yaml"
    path.write_text(yaml.safe_dump(pool))
    return path


@pytest.mark.slow
@pytest.mark.skipif("HIERROUTER_SERVERS" not in os.environ, reason=REASON)
def test_sixty_questions_are_answered_as_by_the_models_themselves(policy, start, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    texts = [query.text for query in make_queries({"train": 0, "validation": 0, "test": 60}, seed=5)]
    with Router.load(policy, "pool/tiny.yaml") as local:
        expected = local.route_many(texts, progress=False)
    with Router.load(policy, managed(tmp_path), logs=tmp_path / "logs") as router:
        served = start(of=router)
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, timeout=300)
        for text, transcript in zip(texts, expected, strict=True):
            turns = [{"role": "user", "content": text}]
            reply = client.chat.completions.create(model="auto", messages=turns)
            route = (reply.choices[0].message.content, reply.hierrouter["route"])
            assert route == (transcript.answer, list(transcript.route))
            chunks = client.chat.completions.create(model="auto", messages=turns, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == transcript.answer
        assert httpx.get(f"{served.url}/readyz").json()["ready"]
