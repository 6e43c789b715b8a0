"""The way out of a mistyped name, a value in brief, and what a library says of its own failure."""

import pickle

from hierrouter_jax.errors import InputError, Unfinished, brief, nearest, reason_of


def test_the_nearest_name_or_all_of_them():
    assert nearest("lerner", ["learner", "seed"]) == "did you mean learner?"
    assert nearest("zzz", iter(["learner", "seed"])) == "known are learner, seed"


def test_a_reason_is_one_line_of_at_most_400_letters():
    assert reason_of(ValueError("a\n  b")) == "a b"
    assert reason_of(KeyError()) == "KeyError"
    long = reason_of(ValueError("first " + "word " * 200 + "last"))
    assert len(long) == 400
    assert long.startswith("first word")
    assert long.endswith("word last")
    assert reason_of(ValueError("x" * 500)).strip("x") == " ... "  # though it has no space to cut at


def test_a_value_in_brief_keeps_its_two_ends():
    assert brief("a\n  b") == "a b"
    assert brief([1, 2]) == "[1, 2]"
    assert brief("x" * 60) == "x" * 60
    assert brief("abcdefghijklm", 12) == "abc ... jklm"
    assert brief(list(range(100))) == "[0, 1, 2, 3, 4, 5, 6, 7, 8, ... 93, 94, 95, 96, 97, 98, 99]"


def test_what_a_file_put_into_a_message_stays_on_its_line():
    assert str(InputError("f.csv: model is 'a\n\x00\u202eb', é, 中 and 🐑")) == (
        r"f.csv: model is 'a\n\x00\u202eb', é, 中 and 🐑"
    )
    long = str(InputError(f"f.csv: columns are {'x' * 10_000}, but must be text"))
    assert len(long) == InputError.LONGEST == 2_000
    assert long.startswith("f.csv: columns are xxx")
    assert long.endswith("xxx, but must be text")
    assert str(pickle.loads(pickle.dumps(InputError("a\nb")))) == r"a\nb"


def test_bad_input_is_a_value_error_and_a_stop_is_not():
    assert issubclass(InputError, ValueError)
    assert not issubclass(Unfinished, ValueError)
    assert Unfinished.code == 3
