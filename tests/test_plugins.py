"""Import paths: what they find, and one sentence where they find nothing."""

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.plugins import is_import_path, load_object


def test_a_module_and_a_file_give_what_they_name(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Two:\n    value: int = 2\n\n\n"
        "def two():\n    return Two().value\n"
    )
    assert load_object("math:tau") == pytest.approx(6.283185307)
    assert load_object(f"{file}:two")() == 2
    assert load_object(f"{file}:two").__globals__["Two"] is load_object(f"{file}:Two")  # imported once
    assert is_import_path("mine.py:two")
    assert not is_import_path("ppo+stop")


def test_what_is_wrong_is_said(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "empty.py").write_text("_hidden = 1\n")
    for path, said in (
        (f"{tmp_path / 'broken.py'}:f", "division by zero"),
        (f"{tmp_path / 'empty.py'}:f", "nothing public"),
        (f"{tmp_path / 'none.py'}:f", "is no file"),
        ("math:taus", "has no 'taus'"),
        ("no_such_module:f", "cannot be imported"),
        ("math", "is not an import path"),
    ):
        with pytest.raises(InputError, match=said):
            load_object(path)
