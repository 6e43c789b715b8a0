"""What an endpoint's error means, in the words of many vendors; and what is said of retries."""

import asyncio
import json
import time

import pytest

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.backends.refusals import (
    Retries,
    as_failure,
    dispensable,
    read_key,
    refused,
    retry_after,
    wants_other_limit,
)
from hierrouter_jax.bridge.pool import Endpoint
from hierrouter_jax.errors import InputError
from tests.bridge.backends.asking import PROMPTS, answers, backend, quick
from tests.bridge.endpoints import Reply, completion, upper

__all__ = ["quick"]

URL = "http://x/v1"


def failure(status: int, body) -> Failure:
    answer = refused(status, body if isinstance(body, bytes) else json.dumps(body).encode(), "Phrase")
    return as_failure(answer, Endpoint(URL, "m"), Retries(0, asyncio.Event()))


TOO_LONG = [
    (400, "This model's maximum context length is 4096 tokens, however you requested 5000"),
    (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
    (400, "Please reduce the length of the messages or completion."),
    (400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
    (400, "too many tokens: total number of tokens in the prompt exceeds the limit"),
    (400, "Input is too long for requested model."),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2000 and 64"),
    (400, "The input (9000 tokens) is longer than the model's context length (8192 tokens)."),
    (400, "the request exceeds the available context size. try increasing it"),
    (400, "prompt token count of 13454 exceeds the limit of 12288"),
    (400, "the number of input tokens 9000 cannot exceed the total tokens limit 8192 for this model"),
    (413, "Request too large for this model: Limit 6000, Requested 7103"),
    (413, ""),
]


@pytest.mark.parametrize(("status", "words"), TOO_LONG)
def test_a_prompt_that_is_too_long_is_that_calls_own_fault(status, words):
    for body in ({"error": {"message": words}}, {"error": words}, {"message": words}, {"detail": words}):
        assert failure(status, body).scope == "call"
        assert failure(status, body).reason.startswith(f"the prompt is too long for m at {URL} (")


NOT_TOO_LONG = [
    (400, "max_tokens must be at most 4096"),
    (400, "Invalid value: messages[0].role"),
    (400, "The response was filtered due to the prompt triggering the content policy"),
    (422, "Unexpected fields in the request: {'top_k'}"),
    (400, "temperature does not support 0 with this model"),
]


@pytest.mark.parametrize(("status", "words"), NOT_TOO_LONG)
def test_other_refusals_are_not_taken_for_it(status, words):
    assert "too long" not in failure(status, {"error": {"message": words}}).reason
    assert failure(status, {"error": {"message": words}}).scope == "refused"


ODD_BODIES = [
    (b"", "Phrase"),
    (b"null", "Phrase"),
    (b"[]", "Phrase"),
    (b'{"error": null}', "{'error': None}"),
    (b'{"error": {"message": {"a": [1]}}}', "{'a': [1]}"),
    (b'{"error": {"message": "a\\ud800", "code": ["x"], "type": {}}}', "a\ufffd"),
    (b'{"error": [{"message": "in a list"}]}', "in a list"),
    (b"\xff\xfe broken", "\ufffd\ufffd broken"),
    (b"<html><head><title>403\n Forbidden</title></head></html>", "403 Forbidden"),
    (b"<!doctype html><p>no title", "a web page"),
    (json.dumps({"message": "x" * 900}).encode(), "x" * 300 + "..."),
    (b"[" * 40_000, "["),
]


@pytest.mark.parametrize(("body", "words"), ODD_BODIES)
@pytest.mark.parametrize("status", [400, 403, 422, 429, 500])
def test_any_error_body_is_one_line(body, words, status):
    reason = failure(status, body).reason
    assert words in reason
    assert "\n" not in reason
    assert len(reason) < 500
    reason.encode()


SUPERFLUOUS = [
    (400, {"error": "Model m-4 does not support parameter frequencyPenalty."}, "frequency_penalty"),
    (400, {"error": {"message": 'Unknown name "frequencyPenalty": Cannot find field.'}}, "frequency_penalty"),
    (400, {"error": {"message": "unsupported", "param": "frequency_penalty"}}, "frequency_penalty"),
    (422, {"detail": [{"loc": ["body", "frequency_penalty"], "msg": "Extra inputs"}]}, "frequency_penalty"),
    (400, {"message": "Frequency penalty is not allowed here"}, "frequency_penalty"),
    (403, {"error": {"message": "You may not request logprobs from this model", "param": "logprobs"}}, "logprobs"),
    (400, {"error": {"message": "property 'logprobs' is unsupported"}}, "logprobs"),
    (400, {"error": {"message": "'logProbs' : not available for this deployment"}}, "logprobs"),
    (422, {"detail": "Unexpected fields in the request: {'logprobs'}"}, "logprobs"),
    (404, {"error": {"message": "No endpoint supports the requested parameters: logprobs"}}, "logprobs"),
    (501, {"error": {"message": "log-probs not implemented", "code": "logprobs"}}, "logprobs"),
]


@pytest.mark.parametrize(("status", "body", "field"), SUPERFLUOUS)
def test_a_field_that_need_not_be_there_is_left_out_from_then_on(server, status, body, field):
    server.rule = lambda asked: Reply(body, status) if field in asked.fields else upper(asked)
    asking = backend(server, {"concurrency": 1})
    assert [answer.text for answer in answers(asking, PROMPTS[:3]).values()] == ["PROMPT 0", "PROMPT 1", "PROMPT 2"]
    assert len(server.asked) == 1 + 3
    assert dispensable(refused(status, json.dumps(body).encode(), ""), {field}) == {field}
    assert not dispensable(refused(status, json.dumps(body).encode(), ""), {"temperature"})


def test_a_field_is_missed_only_where_that_helped(server):
    """A refusal that merely quotes the request takes nothing from the other calls."""
    quoted = Reply({"error": {"message": "blocked: {'logprobs': 1, 'prompt': ..}"}}, 400)
    server.rule = lambda asked: quoted if asked.prompt == "prompt 0" else upper(asked)
    made = answers(backend(server, {"concurrency": 1}), PROMPTS[:2])
    assert isinstance(made["prompt 0"], Failure)
    assert "logprobs" in server.asked[-1].fields


LIMITS = [
    {"error": {"message": "Use it instead.", "param": "max_tokens", "code": "unsupported_parameter"}},
    {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "code": "400"}},
    {"error": {"message": "proxy: BadRequest - Use `max_completion_tokens`", "type": None, "param": None}},
    {"message": "please set maxCompletionTokens"},
    {"detail": "max_tokens was replaced by max_completion_tokens"},
    {"error": "this model takes 'max completion tokens'"},
]


@pytest.mark.parametrize("body", LIMITS)
@pytest.mark.parametrize("chat", [True, False])
def test_the_limit_has_a_second_name(server, body, chat):
    server.rule = lambda asked: Reply(body, 400) if "max_tokens" in asked.fields else upper(asked)
    asking = backend(server, {"concurrency": 1}, chat=chat)
    assert len(answers(asking, PROMPTS[:3])) == 3
    assert len(server.asked) == 1 + 3
    assert server.asked[-1].fields["max_completion_tokens"] == 9


def test_a_limit_that_is_too_large_is_not_renamed():
    answer = refused(400, b'{"error": {"message": "max_tokens is too large: 9", "param": "max_tokens"}}', "")
    assert not wants_other_limit(answer, {"max_tokens"})


def test_any_field_can_be_left_out_by_a_setting(server):
    left = ("temperature", "max_tokens", "frequency_penalty", "logprobs")
    answers(backend(server, {"leave_out": left}), PROMPTS[:1])
    assert server.asked[0].fields.keys() == {"model", "prompt"}
    plain, without = backend(server), backend(server, {"leave_out": ("logprobs", "frequency_penalty")})
    assert plain.identity == without.identity  # the answers are the same
    assert plain.identity != backend(server, {"leave_out": ("temperature",)}).identity
    with pytest.raises(InputError, match=r"leave_out holds 'temprature', .* did you mean temperature\?"):
        Endpoint(URL, "m", leave_out=("temprature",))


# Retries.


@pytest.mark.parametrize(
    ("headers", "status", "requests", "words"),
    [
        ({"Retry-After": "300"}, 429, 1, "status 429, and asks to wait 300 s, more than the 120 s that a call waits ("),
        ({"Retry-After": "121"}, 503, 1, "status 503, and asks to wait 121 s"),
        ({"Retry-After": "1e9"}, 500, 1, "and asks to wait 1000000000 s"),
        ({"Retry-After": "inf"}, 500, 1, "and asks to wait inf s"),
        ({"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, 429, 1, "and asks to wait 2"),
        ({"Retry-After-Ms": "200000"}, 429, 1, "and asks to wait 200 s"),
        ({"X-Should-Retry": "false"}, 500, 1, "failed with status 500, and asks not to be tried again (no)"),
        ({"X-Should-Retry": "false"}, 429, 1, "failed with status 429, and asks not to be tried again (no)"),
        ({}, 500, 3, "failed with status 500, 2 retries included (no)"),
        ({"Retry-After": "-1"}, 429, 3, "failed with status 429, 2 retries included (no)"),
        ({"Retry-After": "soon"}, 429, 3, "failed with status 429, 2 retries included (no)"),
        ({"Retry-After": "nan"}, 429, 3, "failed with status 429, 2 retries included (no)"),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 429, 3, "failed with status 429, 2 retries included (no)"),
        ({"Retry-After": "0.01"}, 408, 3, "failed with status 408, 2 retries included (no)"),
        ({"X-Should-Retry": "true"}, 409, 3, "failed with status 409, 2 retries included (no)"),
        ({"X-Should-Retry": "true"}, 400, 3, "refuses the call with status 400 (no)"),
    ],
)
def test_retries_that_are_claimed_were_made(server, headers, status, requests, words):
    server.rule = lambda asked: Reply({"error": "no"}, status, headers) if asked.prompt == "bad" else upper(asked)
    made = answers(backend(server, {"concurrency": 1, "retries": 2}), ["good", "bad"])
    assert words in made["bad"].reason
    assert len(server.asked) == 1 + requests


def test_no_retry_is_claimed_where_none_is_allowed(server):
    server.rule = lambda asked: Reply(drop=True) if asked.prompt == "bad" else upper(asked)
    made = answers(backend(server, {"retries": 0}), ["good", "bad"])
    assert made["bad"] == Failure(f"the connection to {server.url} failed")


def test_a_wait_that_is_asked_for_is_kept(server):
    server.rule = lambda asked: Reply("wait", 429, {"Retry-After": "0.4"}) if asked.turn == 1 else upper(asked)
    answers(backend(server), ["one"])
    first, second = server.asked
    assert second.at - first.at >= 0.4


def test_waits_are_read_in_seconds_milliseconds_and_dates():
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after": "7", "retry-after-ms": "1500"}) == 1.5
    assert retry_after({}) is None
    assert retry_after({"retry-after": "later"}) is None
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    seconds = retry_after({"retry-after": date})
    assert seconds is not None
    assert 58 <= seconds <= 60


def test_in_a_hurry_nothing_is_tried_again(server):
    """A call that would wait a minute for its next try ends at once."""
    server.rule = lambda asked: Reply("wait", 429, {"Retry-After": "60"})
    asking = backend(server)
    parts = asking.generate_each(iter(["one"]))
    while not server.asked:
        next(parts)
    started = time.monotonic()
    asking.hurry()
    (made,) = [answer for part in parts for answer in part.values()]
    assert isinstance(made, Failure)
    assert time.monotonic() - started < 30


def test_a_call_takes_no_longer_than_its_timeout_however_the_reply_trickles(server):
    server.rule = lambda asked: Reply(completion(asked, "x"), trickle=0.1) if asked.prompt == "slow" else upper(asked)
    started = time.monotonic()
    made = answers(backend(server, {"timeout": 0.4, "retries": 0}), ["quick", "slow"])
    assert "gave no answer in time" in made["slow"].reason
    assert isinstance(made["quick"], Generation)
    assert time.monotonic() - started < 15


def test_a_key_is_what_its_variable_holds(monkeypatch):
    monkeypatch.setenv("MY_KEY", " sk-abc\n")
    assert read_key("model", Endpoint(URL, "m", api_key_env="MY_KEY")) == "sk-abc"
    assert read_key("model", Endpoint(URL, "m")) is None
