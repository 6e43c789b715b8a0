"""Calling an endpoint: what is sent, what is read, what is retried, what stops a run, and that no key is ever told."""

import json
import shutil

import pytest

from hierrouter_jax.bridge.backends import Failure, NoTokenizer
from hierrouter_jax.bridge.backends.drive import FIRST_CALLS
from hierrouter_jax.bridge.pool import Sampling
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Turn
from tests.bridge.backends.asking import PROMPTS, backend, quick
from tests.bridge.endpoints import FakeServer, Reply, completion, upper

__all__ = ["quick"]


def test_a_chat_is_asked_and_read(server):
    tokens = [
        {"token": token, "logprob": logprob, "top_logprobs": []} for token, logprob in (("a", -1.5), ("b", -0.25))
    ]
    logprobs = {"content": tokens}
    server.rule = lambda asked: Reply(completion(asked, "ab", "length", logprobs=logprobs), seconds=0.03)
    asking = backend(server, chat=True, system="Be brief.")
    (answer, other) = asking.generate(["one", (Turn("user", "two"), Turn("assistant", "2"), Turn("user", "three"))])
    assert answer[:4] == ("ab", 3, 3, "length")
    assert (answer.logprob, other.tokens_in) == (-1.75, 5)
    assert 0.03 <= answer.latency < 1
    first, second = sorted((asked.fields for asked in server.asked), key=lambda fields: len(fields["messages"]))
    assert first == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"}],
        "max_tokens": 9,
        "temperature": 0,
        "frequency_penalty": 0,
        "logprobs": True,
    }
    assert [turn["role"] for turn in second["messages"]] == ["system", "user", "assistant", "user"]
    assert {asked.path for asked in server.asked} == {"/v1/chat/completions"}


def test_a_text_is_asked_and_read(server):
    server.rule = lambda asked: Reply(completion(asked, "xyz###", logprobs={"token_logprobs": [None, -1.0, -2.0]}))
    (answer,) = backend(server, stop=("##", "z#")).generate(["one"])
    assert answer[:4] == ("xy", 3, 7, "stop")  # cut at the first stop string, which some servers leave in
    assert answer.logprob == -3
    assert server.asked[0].fields.items() >= {"prompt": "one", "stop": ["##", "z#"], "logprobs": 1}.items()
    assert server.asked[0].path == "/v1/completions"
    assert backend(server).generate([]) == []


def test_sampling_draws_anew_for_each_prompt_and_alike_for_the_same(server):
    sampling = Sampling(temperature=0.6, top_p=0.9, top_k=20, seed=7)
    for _ in range(2):
        backend(server, sampling=sampling).generate(["a", "b"])
    fields = {asked.prompt: asked.fields for asked in server.asked}
    assert fields["a"].items() >= {"temperature": 0.6, "top_p": 0.9, "top_k": 20}.items()
    assert len({(asked.prompt, asked.fields["seed"]) for asked in server.asked}) == 2
    assert fields["a"]["seed"] != fields["b"]["seed"]


TOO_LONG = [
    {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"},
    {"message": "the request exceeds the available context size", "type": "exceed_context_size_error", "code": 400},
    {"message": "The input (9000 tokens) is longer than the model's context length (8192 tokens).", "code": 400},
    {"message": "'max_tokens' is too large: 9. This model's maximum context length is 8 tokens", "param": "max_tokens"},
]


@pytest.mark.parametrize("error", TOO_LONG)
def test_a_prompt_that_is_too_long_is_a_failure(server, error):
    server.rule = lambda asked: Reply({"error": error}, 400) if asked.prompt == "long" else upper(asked)
    answers = backend(server).generate(["long", "short"])
    assert "the prompt is too long for m at" in answers[0].reason
    assert answers[1].text == "SHORT"
    assert len(server.asked) == 2
    assert isinstance(backend(server).generate(["long"])[0], Failure)


STOPS = [
    (Reply({"error": {"message": "Incorrect key: sk-secret"}}, 401), "refuses the key in MY_KEY (status 401)"),
    (Reply({"error": {"message": "no"}}, 403), "refuses the key in MY_KEY"),
    (Reply({"error": {"message": "The model `m` does not exist.", "code": "model_not_found"}}, 404), "knows no model"),
    (Reply({"detail": "Server is pinned to 'x'; requested 'm'."}, 400), "knows no model 'm'"),
    (Reply({"detail": "Unexpected fields in the request: {'top_k'}"}, 422), "does not take such requests"),
    (Reply({"error": {"message": "pay", "code": "insufficient_quota"}}, 429), "wants to be paid"),
    (Reply({"error": {"message": "pay"}}, 402), "wants to be paid"),
    (lambda asked: Reply(completion(asked, "a", usage=False)), "does not say how many tokens"),
]


@pytest.mark.parametrize(("reply", "words"), STOPS)
def test_what_every_call_would_meet_stops_the_run(server, monkeypatch, reply, words):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    server.rule = reply if callable(reply) else lambda asked: reply
    with pytest.raises(InputError) as caught:
        backend(server, {"api_key_env": "MY_KEY", "concurrency": 2}).generate(PROMPTS)
    message = str(caught.value)
    assert words in message
    assert server.url in message
    assert "\n" not in message
    assert "sk-secret" not in message
    assert len(server.asked) <= (FIRST_CALLS + 1) * 4


def test_what_was_answered_before_the_stop_is_kept(server):
    server.rule = lambda asked: upper(asked) if asked.prompt == "prompt 0" else Reply({"error": "expired"}, 401)
    asking = backend(server, {"concurrency": 1})
    answers = asking.generate(PROMPTS)
    assert answers[0].text == "PROMPT 0"
    assert all(isinstance(answer, Failure) and "api_key_env" in answer.reason for answer in answers[1:])
    with pytest.raises(InputError, match="refuses calls without a key"):
        asking.generate(PROMPTS[1:])


ODD = [
    ({"error": {"message": "upstream"}}, "sent a reply that is no completion"),
    ("<html>", "sent a reply that is no completion"),
    ({"choices": []}, "sent a reply that is no completion"),
]


@pytest.mark.parametrize(("body", "words"), ODD)
def test_a_reply_that_is_no_completion_is_a_failure(server, body, words):
    server.rule = lambda asked: Reply(body)
    assert words in backend(server).generate(["a"])[0].reason


def test_a_response_that_breaks_off_is_a_failure(server):
    server.rule = lambda asked: Reply(completion(asked, "half", reason=asked.prompt))
    answers = backend(server, chat=True).generate(["abort", "content_filter"])
    assert "broke off with finish reason 'abort'" in answers[0].reason
    assert answers[1].finish_reason == "content_filter"


def test_a_key_that_is_missing_is_one_sentence(server, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InputError, match="model 'model': the environment variable MY_KEY holds no key"):
        backend(server, {"api_key_env": "MY_KEY"})


def test_identity_is_of_weights_and_settings(server):
    settings = [
        {},
        {"chat": True},
        {"chat": True, "system": "x"},
        {"stop": ("x",)},
        {"sampling": Sampling(temperature=0.5)},
        {"sampling": Sampling(temperature=0.5, seed=1)},
    ]
    identities = [backend(server, **changes).identity for changes in settings]
    identities += [backend(server, {"weights": "w"}).identity, backend(server, {"weights": "v"}).identity]
    assert len(set(identities)) == len(identities)
    moved = FakeServer()
    assert backend(moved).identity not in identities
    assert backend(moved, {"weights": "w", "concurrency": 1, "retries": 9}).identity in identities
    moved.stop()


def test_tokens_are_counted_by_the_source(server, model_folder):
    counting = backend(server, source=str(model_folder()))
    assert counting.count_tokens(["abc", "", (Turn("user", "ab"), Turn("user", "c"))]) == [3, 0, 5]
    assert counting.positions == 128
    assert backend(server).positions is None
    with pytest.raises(InputError, match="model 'model': to fit a budget or a context window"):
        backend(server).count_tokens(["abc"])
    assert not server.asked


@pytest.mark.parametrize("template", [None, "{{ raise_exception('no system') }}", "{{ 1 / 0 }}"])
def test_a_template_that_renders_no_prompt_is_one_sentence(server, model_folder, tmp_path, template):
    shutil.copytree(model_folder(), tmp_path / "model")
    if template is not None:
        (tmp_path / "model" / "chat_template.jinja").write_text(template)
    counting = backend(server, source=str(tmp_path / "model"), chat=True, system="Be brief.")
    with pytest.raises(InputError, match=rf"^model 'model': the chat template of {tmp_path / 'model'}, .*") as caught:
        counting.count_tokens(["abc"])
    assert "\n" not in str(caught.value)
    with pytest.raises(NoTokenizer):
        backend(server, chat=True).count_tokens(["abc"])


def test_the_identity_can_be_read(server):
    weights, _, settings = backend(server, {"weights": "org/m@1"}).identity.removeprefix("openai/").partition("/{")
    assert weights == "org/m@1"
    assert json.loads("{" + settings)["max_tokens"] == 9
