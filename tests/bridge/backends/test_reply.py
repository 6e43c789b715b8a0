"""The boundary of an endpoint's replies: an answer that can be kept, or one failure of the call, and nothing else."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.backends.reply import read_reply
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.outcomes.notes import FINISH_REASONS, table_notes
from tests.bridge.replies import CHAT, TEXT, by_content, chat, chunk, mutated, text

LIMIT = 9
DEFAULT_MUTATIONS, EXTENDED_MUTATIONS = 400, 2000


def read(reply: Any, asked: dict[str, Any] = CHAT) -> Generation | Failure:
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return read_reply(body, asked, LIMIT, 0.5, "http://x/v1")


CONTENTS = [
    ("plain", "plain"),
    ("", ""),
    (None, ""),
    ([], ""),
    ([chunk("text", text="a"), chunk("text", text="b")], "ab"),
    (["a", "b"], "ab"),
    ([chunk("reasoning", summary=[]), chunk("output_text", text="4")], "4"),
    ([chunk("thinking", thinking=[chunk("text", text="well")]), "so 4"], "so 4"),
    ([{"text": "no type"}], "no type"),
    ("a\ud800b", "a\ufffdb"),
    ("\udfffend", "\ufffdend"),
    ("\ud83d\ude00", "😀"),  # a pair that belongs together, in two escapes
    ("nul \x00 and \u2028", "nul \x00 and \u2028"),
    ([chunk("text", text="x\udc01")], "x\ufffd"),
]


@pytest.mark.parametrize(("content", "words"), CONTENTS)
def test_content_in_its_layouts(content, words):
    assert read(chat(content)) == Generation(words, 5, 2, "stop", 0.5)


def test_both_layouts_are_read_whatever_was_asked():
    assert read(text("t"), CHAT)[0] == "t"
    assert read(chat("c"), TEXT)[0] == "c"
    refusing = {"index": 0, "finish_reason": "stop", "message": {"content": None, "refusal": "I would rather not."}}
    assert read({**chat(), "choices": [refusing]})[0] == "I would rather not."


def usage(read_tokens: Any, written: Any) -> dict[str, Any]:
    return {**chat(), "usage": {"prompt_tokens": read_tokens, "completion_tokens": written}}


UNREADABLE = [
    (b"", "nothing in it"),
    (b" \n", "nothing in it"),
    (b'{"choices": [{"mess', "no whole JSON"),
    (json.dumps(chat("Z")).encode().replace(b"Z", b"\xc3"), "no UTF-8"),
    (json.dumps(chat()).encode("utf-16"), "no UTF-8"),
    (b"<html><title>Bad gateway</title></html>", "no whole JSON"),
    (b"[" * 50_000, "nested too deep"),
    (b'{"choices": ' + b"9" * 5000 + b"}", "no whole JSON"),
    (b'data: {"choices": []}\n\n', "no whole JSON"),
    (b"null", "no choices in it"),
    (b'"choices"', "choices"),
    ({"choices": {}}, "no choices in it"),
    ({"choices": []}, "no choices in it"),
    ({"choices": [None]}, "choices.0: input should be a valid dictionary)"),
    ({"error": {"message": "quota\nof the day"}}, "(quota of the day)"),
    (chat(message=None), "neither a message nor a text"),
    (chat(message=7), "choices.0.message"),
    (chat(message=[]), "choices.0.message"),
    (chat({"text": "x"}), "choices.0.message.content"),
    (chat(3.5), "choices.0.message.content"),
    (chat([chunk("image_url", url="x")]), "a chunk of type 'image_url'"),
    (chat([chunk("text")]), "a chunk of text without text"),
    (chat(reason=["stop"]), "choices.0.finish_reason"),
    (text(None), "neither a message nor a text"),
    (usage(None, 2), "usage.prompt_tokens"),
    (usage(5, None), "usage.completion_tokens"),
    (usage(-1, 2), "usage.prompt_tokens: input should be greater than or equal to 0"),
    (usage(5, 10**30), "usage.completion_tokens: input should be less than or equal to"),
    (usage(5.5, 2), "usage.prompt_tokens"),
    (usage("5", 2), "usage.prompt_tokens"),
    (usage(True, 2), "usage.prompt_tokens"),
    (usage(5, 0), "usage.completion_tokens: 0 for a response of 2 characters"),
    (usage(0, 2), "usage.prompt_tokens: 0 for a prompt"),
    ({**chat(), "usage": [5, 2]}, "usage: input should be a valid dictionary"),
    ({**chat(), "usage": "many"}, "usage"),
]


@pytest.mark.parametrize(("reply", "words"), UNREADABLE)
def test_what_is_no_completion_is_a_failure_that_says_why(reply, words):
    failure = read(reply)
    assert isinstance(failure, Failure)
    assert "http://x/v1 sent a reply that is no completion (" in failure.reason
    assert words in failure.reason
    assert "\n" not in failure.reason
    assert len(failure.reason) < 400
    assert failure.scope == "call"


@pytest.mark.parametrize(
    "reply", [{**chat(), "usage": None}, {name: v for name, v in chat().items() if name != "usage"}]
)
def test_without_usage_a_call_has_no_price_and_perhaps_none_has(reply):
    failure = read(reply)
    assert isinstance(failure, Failure)
    assert "does not say how many tokens" in failure.reason
    assert failure.scope == "refused"


WORDS = {
    "stop": "stop eos EOS_TOKEN end_turn stop_sequence COMPLETE tool_calls FINISH_REASON_STOP end-of-text",
    "length": "length max_tokens MAX_TOKENS model_length max-output-tokens FINISH_REASON_MAX_TOKENS ERROR_LIMIT",
    "content_filter": "content_filter SAFETY RECITATION refusal guardrail_intervened Content-Filter SPII",
}
ENDS = [
    *[(word, meaning) for meaning, words in WORDS.items() for word in words.split()],
    (None, "stop"),
    (" ", "stop"),
    ("wound up", "wound up"),
    ("Odd\nend\ud800", "Odd end\ufffd"),
    ("w" * 90, "w" * 40),
]


@pytest.mark.parametrize(("word", "meaning"), ENDS)
def test_words_for_the_end(word, meaning):
    answer = read(chat(reason=word))
    assert isinstance(answer, Generation)
    assert answer.finish_reason == meaning


@pytest.mark.parametrize(
    "word", ["abort", "ERROR", "cancelled", "network_error", "failed", "insufficient_system_resource"]
)
def test_words_for_an_end_before_the_end(word):
    failure = read(chat(reason=word))
    assert failure == Failure(f"http://x/v1 broke off with finish reason {word!r}")


def test_usage_at_the_cap_means_length_where_the_word_says_nothing():
    def at_the_cap(word):
        return read(chat(reason=word, usage={"prompt_tokens": 5, "completion_tokens": LIMIT}))[3]

    assert [at_the_cap(word) for word in (None, "wound up", "stop", "SAFETY")] == [
        "length",
        "length",
        "stop",
        "content_filter",
    ]


def test_unknown_words_are_counted_in_the_tables_notes():
    (note,) = table_notes({"finish_reasons": {"stop": 5, "length": 1, "failed": 1, "wound up": 1200, "odd": 2}})
    assert note.startswith("1,202 hops ended by a word of the endpoint that is not known here (1,200 x 'wound up', 2 x")
    assert table_notes({"finish_reasons": dict.fromkeys(FINISH_REASONS, 1)}) == []


LOGPROBS = [
    (None, None),
    (by_content(-1.5, -0.25), -1.75),
    (by_content(-1.5, None), None),
    (by_content(), None),
    ({"content": None}, None),
    ({"content": [{"id": 1, "token": "o", "bytes": [111], "logprob": -0.1, "top_logprobs": []}]}, -0.1),
    ({"token_logprobs": [-1.0, -2.0]}, -3.0),
    ({"token_logprobs": [None, -2.0]}, -2.0),
    ({"token_logprobs": [-2.0, None]}, None),
    ({"token_logprobs": ["-2"]}, None),
    ({"token_logprobs": {}}, None),
    ({"token_logprobs": [None]}, None),
    (by_content("-1"), None),
    (by_content(True), None),
    (by_content(float("nan")), None),
    (by_content(float("-inf")), None),
    (by_content(-1e308, -1e308), None),
    ([1, 2], None),
    (-3.0, None),
    ("logprobs", None),
]


@pytest.mark.parametrize(("given_", "total"), LOGPROBS)
@pytest.mark.parametrize("make", [chat, text])
def test_log_probabilities_in_their_layouts_or_none(given_, total, make):
    answer = read(make(logprobs=given_))
    assert isinstance(answer, Generation)
    assert answer.logprob == pytest.approx(total)


def check_kept_or_failed(bodies: list[bytes], folder) -> tuple[int, int]:
    """What is kept is found again as it was put there, by a later run; how many answers and failures there were."""
    answers = {f"prompt {row}": read(body) for row, body in enumerate(bodies)}
    cache = CallCache(folder / "calls.sqlite")
    cache.put_many("m", answers)
    cache.close()
    made = {prompt: answer for prompt, answer in answers.items() if isinstance(answer, Generation)}
    later = CallCache(folder / "calls.sqlite")
    assert later.get_many("m", list(answers)) == made
    assert len(later.failures()) == len(answers) - len(made)
    for answer in made.values():
        answer.text.encode()
        assert 0 < answer.tokens_in < 2**31
        assert 0 <= answer.tokens_out < 2**31
        assert 0 < len(answer.finish_reason) <= 40
        assert "\n" not in answer.finish_reason
        assert answer.finish_reason != "failed"
    return len(made), len(answers) - len(made)


def test_mutations_of_valid_replies_are_kept_or_fail(tmp_path):
    rng = random.Random(0)
    kept, failed = check_kept_or_failed([mutated(rng) for _ in range(DEFAULT_MUTATIONS)], tmp_path)
    assert min(kept, failed) > DEFAULT_MUTATIONS / 10


@pytest.mark.extended
def test_many_mutations_of_valid_replies_are_kept_or_fail(tmp_path):
    rng = random.Random(1)
    kept, failed = check_kept_or_failed([mutated(rng) for _ in range(EXTENDED_MUTATIONS)], tmp_path)
    assert min(kept, failed) > EXTENDED_MUTATIONS / 10


NAMES = ["choices", "message", "content", "text", "type", "usage", "prompt_tokens", "completion_tokens"]
NAMES += ["finish_reason", "logprobs", "logprob", "token_logprobs", "error", "detail"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_is_an_answer_or_a_failure(reply):
    assert isinstance(read(reply), Generation | Failure)
    assert isinstance(read({**chat(), "choices": [reply]}), Generation | Failure)
    assert isinstance(read({**chat(), "usage": reply}), Generation | Failure)
