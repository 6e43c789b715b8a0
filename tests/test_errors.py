"""The way out of a mistyped name, and what a library says of its own failure."""

import pickle

from hierrouter_jax.errors import InputError, Unfinished, nearest, reason_of


def test_the_nearest_name_or_all_of_them():
    assert nearest("lerner", ["learner", "seed"]) == "did you mean learner?"
    assert nearest("zzz", iter(["learner", "seed"])) == "known are learner, seed"


def test_a_reason_is_one_line_of_at_most_400_letters():
    assert reason_of(ValueError("a\n  b")) == "a b"
    assert reason_of(KeyError()) == "KeyError"
    long = reason_of(ValueError("word " * 200))
    assert len(long) <= 400
    assert long.endswith("word ...")


def test_what_a_file_put_into_a_message_stays_on_its_line():
    assert str(InputError("f.csv: model is 'a\n\x00\u202eb', é, 中 and 🐑")) == (
        r"f.csv: model is 'a\n\x00\u202eb', é, 中 and 🐑"
    )
    long = str(InputError(f"f.csv: columns are {'x' * 10_000}, but must be text"))
    assert len(long) == 2_005
    assert long.startswith("f.csv: columns are xxx")
    assert long.endswith("xxx, but must be text")
    assert str(pickle.loads(pickle.dumps(InputError("a\nb")))) == r"a\nb"


def test_bad_input_is_a_value_error_and_a_stop_is_not():
    assert issubclass(InputError, ValueError)
    assert not issubclass(Unfinished, ValueError)
    assert Unfinished.code == 3
