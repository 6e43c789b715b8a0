"""Decoding, lines, and the one rule by which numbers, lists of messages and literals are texts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.texts import NotText, as_text, decoded, gold_text, json_value, lines_of, unwrapped

SAY = {"role": "user", "content": "Name a gas."}
WRITTEN = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is \t\u2028\x0c\r", "as it is \t\u2028\x0c\r"),
        ([SAY], "Name a gas."),
        (SAY, "Name a gas."),
        ({"messages": [SAY]}, "Name a gas."),
        ([{"role": "system", "content": "Be brief."}, SAY], "Be brief.\nName a gas."),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "a\nb"),
        ([{"role": "user", "content": [{"type": "input_text", "text": "a"}]}], "a"),
        ([{"role": "assistant", "content": None, "tool_calls": []}, SAY], "Name a gas."),
        ([{"role": "HUMAN", "prompt": "one"}, {"role": "BOT", "prompt": "two"}], "one\ntwo"),
        ([{"from": "human", "value": "one"}, {"from": "gpt", "value": "two"}], "one\ntwo"),
        (["one", "two"], "one\ntwo"),
        ((SAY, SAY), "Name a gas.\nName a gas."),
        (json.dumps([SAY]), "Name a gas."),
        (f"  {[SAY]!r}\n", "Name a gas."),
        ("['one', 'two']", "['one', 'two']"),
        ("[1, 2, 3]", "[1, 2, 3]"),
        ("[{{1}, {2, 3}}]", "[{{1}, {2, 3}}]"),  # what Python reads, and cannot hold
        ("[{[1]: 2}]", "[{[1]: 2}]"),
        ('[{"role": "user"}]', '[{"role": "user"}]'),
        ('[{"name": "x", "content": "y"}]', '[{"name": "x", "content": "y"}]'),
        ("half \ud83d a pair", "half \ufffd a pair"),
        ([{"role": "user", "content": "\udc00"}], "\ufffd"),
        (b"caf\xc3\xa9", "caf\u00e9"),
        (True, "true"),
        (7, "7"),
        (json_value("2.50"), "2.50"),
        (json_value("1e3"), "1e3"),
    ],
)
def test_a_value_as_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "a part of type 'image_url'"),
        ({"type": "audio"}, "a part of type 'audio'"),
        ([1, 2], "holds 1, but must be text or a list of messages"),
        ({"a": 1}, "holds {'a': 1}, but must be text or a list of messages"),
        (b"caf\xe9", "the byte 0xe9"),
    ],
)
def test_what_is_no_text_says_so(value, why):
    with pytest.raises(NotText, match=why):
        as_text(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("['C']", "C"),
        ('["C"]', "C"),
        ("['']", ""),
        ("['\\nB']", "\nB"),
        (r"""["It's \"so\""]""", 'It\'s "so"'),
        (r"['\(x\)']", r"\(x\)"),
        ("['a', 'b']", "a\nb"),
        ("[C]", "[C]"),
        ("[1, 2]", "[1, 2]"),
        ("[]", "[]"),
        ("['a', 1]", "['a', 1]"),
        ("['a'] and more", "['a'] and more"),
        ("[" * 100_000 + "]", "[" * 100_000 + "]"),
        ("['unfinished", "['unfinished"),
        (None, None),
    ],
)
def test_a_list_that_was_written_as_text(value, text):
    assert unwrapped(value) == text


def test_golds_that_are_no_texts_are_json():
    assert gold_text(["a", "\u00e9"]) == '["a", "\u00e9"]'
    assert gold_text({"answer": "B"}) == '{"answer": "B"}'
    assert gold_text(json_value("0.10")) == "0.10"
    assert gold_text("['a']") == "['a']"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xe9", 1),
        (b"a\nb\xe9\n", 2),
        (b"a\r\nb\r\n\xff", 3),
        (b"\xef\xbb\xbfa\n\x80", 2),
        (b"a\n\xed\xa0\xbd", 2),  # half a surrogate pair
        (b"\xc0\xaf", 1),
        (b"a\n\xe2\x82", 2),  # cut off
        (b"\xff\xfea\x00", 1),
        (b"\xfe\xff\x00a", 1),
        (b"\xff\xfe\x00\x00a\x00\x00\x00", 1),
    ],
)
def test_other_encodings_are_refused_with_their_line(data, line):
    with pytest.raises(InputError, match=rf"^f\.txt: line {line}: .*save it as UTF-8$"):
        decoded(data, "f.txt")


@given(WRITTEN)
def test_any_text_is_decoded_as_written_but_for_a_mark_at_its_start(text):
    assert decoded(b"\xef\xbb\xbf" + text.encode(), "f") == text
    assert decoded(b"x" + b"\xef\xbb\xbf" + text.encode(), "f") == f"x\ufeff{text}"


@given(
    st.lists(WRITTEN.filter(lambda line: "\n" not in line and not line.endswith("\r"))), st.sampled_from(["\n", "\r\n"])
)
def test_lines_are_cut_at_newlines_alone(lines, newline):
    assert lines_of("".join(f"{line}{newline}" for line in lines)) == lines


@given(st.text(st.characters()))
def test_any_text_becomes_one_that_can_be_written(text):
    """Halves of surrogate pairs are replaced one by one; nothing else changes."""
    assert as_text(f"x{text}") == "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in f"x{text}")
