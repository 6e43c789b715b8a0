"""One model behind a URL: how many requests are under way, what is tried again, and which keys are sent."""

import asyncio
import logging
import threading
import time

import pytest

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.errors import InputError
from tests.bridge.backends.asking import PROMPTS, backend, quick
from tests.bridge.endpoints import Asked, Reply, completion, upper

__all__ = ["quick"]


def failing(status: int = 500, body=None, until: int = 10**9, **reply):
    """Fails a prompt's first calls, `until - 1` of them."""
    return lambda asked: upper(asked) if asked.turn >= until else Reply(body, status, **reply)


def test_calls_run_together_but_never_too_many(server):
    server.rule = lambda asked: Reply(completion(asked, asked.prompt.upper()), seconds=0.02)
    answers = backend(server, {"concurrency": 3}).generate(PROMPTS)
    assert [answer.text for answer in answers] == [prompt.upper() for prompt in PROMPTS]
    assert server.most_at_once == 3


def test_requests_keep_their_distance_retries_and_batches_included(server):
    server.rule = failing(until=2)
    limited = backend(server, {"requests_per_minute": 60 / 0.03})
    limited.generate(PROMPTS[:3])
    limited.generate(PROMPTS[3:5])
    times = sorted(asked.at for asked in server.asked)
    assert len(times) == 10
    assert times[-1] - times[0] >= 9 * 0.03 - 0.03


@pytest.mark.parametrize(
    "failure", [{"status": 503}, {"status": 429, "headers": {"Retry-After-Ms": "5"}}, {"status": 408}, {"drop": True}]
)
def test_what_may_pass_is_retried(server, failure):
    server.rule = failing(until=4, **failure)
    assert [answer.text for answer in backend(server).generate(PROMPTS[:2])] == ["PROMPT 0", "PROMPT 1"]
    assert len(server.asked) == 8


def test_a_call_that_never_succeeds_is_a_failure_and_the_rest_goes_on(server):
    broken = {"prompt 3": Reply({"error": {"message": "two\nlines"}}, 500), "prompt 5": Reply(drop=True)}
    server.rule = lambda asked: broken.get(asked.prompt) or upper(asked)
    answers = backend(server).generate(PROMPTS)
    assert [isinstance(answer, Failure) for answer in answers] == [row in (3, 5) for row in range(12)]
    assert answers[3].reason == f"{server.url} failed with status 500, 3 retries included (two lines)"
    assert answers[5].reason == f"the connection to {server.url} failed, 3 retries included"
    assert len(server.asked) == 10 + 2 * 4


def test_a_slow_answer_is_a_failure(server):
    server.rule = lambda asked: Reply(completion(asked, ""), seconds=0.2 if asked.prompt == "prompt 1" else 0)
    answers = backend(server, {"timeout": 0.05, "retries": 1}).generate(PROMPTS[:2])
    assert isinstance(answers[0], Generation)
    assert answers[1] == Failure(f"{server.url} gave no answer in time, 1 retries included; see timeout")


def test_a_server_that_is_away_is_one_sentence(server):
    asking = backend(server, {"concurrency": 2})
    server.stop()
    with pytest.raises(InputError, match=r"the connection to http.* failed, 3 retries included; is the server running"):
        asking.generate(PROMPTS)
    server.start(server.port)


def test_a_server_may_be_killed_and_restarted_in_mid_run(server):
    """Its calls under way are lost with it, and asked again; nothing else is."""
    killed = threading.Event()

    def rule(asked: Asked) -> Reply:
        if len(server.asked) > 6 and not killed.is_set():
            killed.set()
            threading.Thread(target=restart).start()
        return Reply(drop=True) if killed.is_set() and asked.turn == 1 else upper(asked)

    def restart() -> None:
        port = server.port
        server.stop()
        time.sleep(0.3)
        server.start(port)

    server.rule = rule
    answers = backend(server, {"concurrency": 4, "retries": 12}).generate(PROMPTS)
    assert [answer.text for answer in answers] == [prompt.upper() for prompt in PROMPTS]
    assert killed.is_set()


def test_an_endpoint_may_refuse_logprobs_and_call_the_limit_otherwise(server):
    def rule(asked: Asked) -> Reply:
        if "logprobs" in asked.fields:
            return Reply({"detail": "Unexpected fields in the request: {'logprobs'}"}, 422)
        if "max_tokens" in asked.fields:
            error = {"message": "Use it instead.", "param": "max_tokens", "code": "unsupported_parameter"}
            return Reply({"error": error}, 400)
        return upper(asked)

    server.rule = rule
    asking = backend(server, {"concurrency": 1}, chat=True)
    assert [answer.logprob for answer in asking.generate(["a", "b"])] == [None, None]
    assert len(server.asked) == 2 + 2
    assert server.asked[-1].fields["max_completion_tokens"] == 9


def test_the_key_is_sent_and_told_to_nobody(server, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    server.rule = lambda asked: upper(asked) if asked.prompt == "a" else Reply({"error": "sk-secret is slow"}, 500)
    asking = backend(server, {"api_key_env": "MY_KEY"})
    with caplog.at_level(logging.DEBUG):
        answer, failure = asking.generate(["a", "b"])
    assert server.asked[0].headers["authorization"] == "Bearer sk-secret"
    cache = CallCache(tmp_path / "calls")
    cache.put_many(asking.identity, {"a": answer})
    cache.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")
    for told in (asking.identity, repr(asking), failure.reason, caplog.text, written, repr(vars(asking))):
        assert "sk-secret" not in told
    assert "*** is slow" in failure.reason


def test_without_a_variable_no_key_is_sent_not_even_that_of_another_service(server, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody-else")
    backend(server).generate(["a"])
    assert "somebody-else" not in repr(server.asked[0].headers)


def test_with_a_key_of_ones_own_nothing_of_another_service_is_sent(server, monkeypatch):
    for name, value in (("OPENAI_ORG_ID", "org"), ("OPENAI_PROJECT_ID", "project"), ("MY_KEY", "sk-mine")):
        monkeypatch.setenv(name, value if name == "MY_KEY" else f"{value}-of-somebody-else")
    backend(server, {"api_key_env": "MY_KEY"}).generate(["a"])
    assert server.asked[0].headers["authorization"] == "Bearer sk-mine"
    assert "somebody-else" not in repr(server.asked[0].headers)


def test_it_may_be_called_inside_a_running_event_loop(server):
    async def ask() -> str:
        return backend(server).generate(["a"])[0].text

    assert asyncio.run(ask()) == "A"


def test_a_connection_that_is_reset_as_it_is_made_is_tried_again(server):
    """anyio then asks a socket that is gone for its peer; any other such error is a fault, and is raised."""
    calling = backend(server)
    create, troubles = calling.client._create, [AttributeError(name="getpeername", obj=None)]

    async def troubled(**fields):
        if troubles:
            raise troubles.pop()
        return await create(**fields)

    calling.client._create = troubled
    assert [answer.text for answer in calling.generate(PROMPTS[:1])] == ["PROMPT 0"]
    assert len(server.asked) == 1
    troubles.append(AttributeError(name="split", obj=None))
    with pytest.raises(AttributeError):
        calling.generate(PROMPTS[1:2])
