"""Backends of a programmed endpoint, without the waits of a real one."""

import pytest

from hierrouter_jax.bridge.backends import Doubt, drive, load_backends, refusals
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from tests.bridge.endpoints import FakeServer

PROMPTS = [f"prompt {row}" for row in range(12)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short waits, and a key of another vendor in the environment, which is nobody's business."""
    monkeypatch.setattr(refusals, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(refusals, "LONGEST_WAIT", 0.1)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")


def backend(server: FakeServer, endpoint=(), **model):
    """A backend of that server, with settings of the endpoint and of the model."""
    at = Endpoint(server.url, "m", **{"retries": 3, **dict(endpoint)})
    config = ModelConfig("model", max_new_tokens=9, kind="openai", endpoint=at, base_rate=1.0, **model)
    return load_backends(PoolConfig((config,)))[0]


def answers(asking, prompts=PROMPTS, doubt=None, **more):
    """What a backend answers to each prompt."""
    made = {}
    for part in drive(asking, [prompts], doubt or Doubt(), **more):
        made |= part
    return made
