"""What a client sends is read as a conversation, or refused by the place of what cannot be."""

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.conversation import Options, read_conversation


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"content": "hi"}], r"messages\.0\.role is 'None', but must be system, developer, user"),
        (["hi"], r"messages\.0 must be an object with role and content"),
        ([{"role": "user", "content": "hi"}, None], r"messages\.1 must be an object"),
        ({"role": "user", "content": "hi"}, r"messages\.0 must be an object"),
        ([{"role": "user"}], r"messages\.0\.content must be text, or a list of parts"),
        ([], "messages is empty"),
    ],
)
def test_what_is_no_conversation_is_refused_by_its_place(messages, words):
    with pytest.raises(InputError, match=words):
        read_conversation(messages)


def test_one_stop_string_is_a_list_of_one():
    assert Options({"stop": "END", "seed": 1}).fields == {"stop": ["END"], "seed": 1}
    assert Options({"stop": ["END", "."]}).fields == {"stop": ["END", "."]}
    assert Options({"stop": "END"}).key == Options({"stop": ["END"]}).key
