"""A pool's backends are of their kind; over Ray they answer as they do here, though a worker is killed in mid-run."""

import os
import signal
import threading

import psutil
import pytest

from hierrouter_jax.bridge.backends import Failure, load_backend, load_backends, over_ray
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from hierrouter_jax.errors import InputError
from tests.bridge.endpoints import Asked, FakeServer, Reply, completion

PROMPTS = [f"prompt {row}" for row in range(40)]


def pool(url: str, **changes) -> PoolConfig:
    endpoint = Endpoint(url, "m", concurrency=1, retries=0, **changes)
    return PoolConfig((ModelConfig("model", max_new_tokens=9, kind="openai", endpoint=endpoint, base_rate=1.0),))


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="workers is 0"):
        over_ray(pool("http://localhost:1/v1"), 0)


def process_at(port: int) -> int:
    """The process that calls from a port of this machine."""
    return next(c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.pid != os.getpid())


@pytest.mark.slow
@pytest.mark.skipif("HIERROUTER_SERVERS" not in os.environ, reason="starts a Ray cluster: set HIERROUTER_SERVERS=1")
def test_two_workers_share_a_batch_and_one_is_killed():
    ray = pytest.importorskip("ray")
    callers: set[int] = set()
    killed: list[int] = []
    once = threading.Lock()

    def rule(asked: Asked) -> Reply:
        worker = process_at(asked.port)
        callers.add(worker)
        with once:
            if len(server.asked) >= 15 and not killed:
                killed.append(worker)
                os.kill(worker, signal.SIGKILL)
        return Reply(completion(asked, asked.prompt.upper()), seconds=0.02)

    server = FakeServer(rule)
    try:
        (member,) = over_ray(pool(server.url), 2)
        answers = member.generate(PROMPTS)
        assert [answer.text for answer in answers] == [prompt.upper() for prompt in PROMPTS]
        assert len(killed) == 1
        assert len(callers) == 3  # two workers, and the one that took the killed one's place
        repeated = len(server.asked) - len(PROMPTS)
        assert 1 <= repeated <= 5  # at most the piece that the killed worker had in hand
        assert member.price.name == "model"
        server.rule = lambda asked: Reply({"error": {"message": "bad"}}, 500)
        assert all(isinstance(answer, Failure) for answer in member.generate(PROMPTS[:3]))
        server.rule = lambda asked: Reply({"error": {"message": "no"}}, 401)
        with pytest.raises(InputError, match=r"^http.* refuses calls without a key"):
            member.generate(PROMPTS[:3])
        with pytest.raises(InputError, match=r"^model 'model': to fit a budget"):
            member.count_tokens(PROMPTS[:3])
    finally:
        ray.shutdown()
        server.stop()


def test_backends_are_of_their_kind_in_action_order(model_folder):
    local = ModelConfig("local", str(model_folder()), max_new_tokens=4, base_rate=1.0)
    away = ModelConfig("away", max_new_tokens=4, kind="openai", endpoint=Endpoint("http://x/v1", "m"), base_rate=1.0)
    backends = load_backends(PoolConfig((away, local)))
    assert [(type(b).__name__, b.name) for b in backends] == [
        ("OpenAIBackend", "away"),
        ("TransformersBackend", "local"),
    ]
    assert load_backend(local, PoolConfig((local,))).generate(["a"])[0].tokens_in == 1
