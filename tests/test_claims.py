"""A folder goes on with the same work alone, and says in one sentence why not."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax._version import __version__
from hierrouter_jax.claims import claim, difference, table_identity
from hierrouter_jax.errors import InputError
from tests.tables import random_table

TABLE = random_table(queries=6)


def refused(*arguments) -> str:
    with pytest.raises(InputError) as refusal:
        claim(*arguments)
    return str(refusal.value)


def test_an_empty_folder_is_anybodys_and_another_is_not(tmp_path):
    assert claim(tmp_path / "none", "sweep", None, {}) is False
    assert claim(tmp_path, "sweep", None, {}) is False
    (tmp_path / "notes.txt").write_text("mine")
    assert refused(tmp_path, "sweep", None, {}) == f"{tmp_path}: is not empty and holds no sweep; choose another folder"
    assert "holds no sweep" in refused(tmp_path / "notes.txt", "sweep", None, {})


def test_the_same_work_goes_on_and_other_work_is_refused_naming_the_field(tmp_path):
    there = {"version": __version__, "static": {"num_envs": 64}}
    assert claim(tmp_path, "sweep", there, there) is True
    assert claim(tmp_path, "sweep", there, {"static": {"num_envs": 64}}) is True  # goes on across versions
    other = there | {"static": {"num_envs": 32}}
    assert refused(tmp_path, "sweep", there, other, "go away") == (
        f"{tmp_path}: holds another sweep (static.num_envs is 64 there, but 32 here); go away"
    )


def test_a_newer_version_is_refused_and_an_older_one_only_where_it_counts(tmp_path):
    for newer in ("9.0", "0.10.0", f"{__version__}.1"):
        assert refused(tmp_path, "comparison", {"version": newer}, {}) == (
            f"{tmp_path}: holds a comparison of version {newer}, but this is version {__version__}; "
            "update hierrouter_jax, or choose another folder"
        )
    assert claim(tmp_path, "comparison", {"version": "0.0.9"}, {}) is True
    assert claim(tmp_path, "comparison", {"version": None}, {}) is True  # of before versions were written
    assert "version is 0.0.9 there, but 1 here" in refused(tmp_path, "sweep", {"version": "0.0.9"}, {"version": "1"})


def test_the_first_field_that_differs_is_named_with_both_values():
    here = {"a": 1, "b": {"c": [1, 2], "d": "x"}}
    assert difference(here, {"b": {"d": "x", "c": [1, 2]}, "a": 1}) is None
    assert difference(here, here | {"b": {"c": [2, 1], "d": "y"}}) == "b.c is [1, 2] there, but [2, 1] here"
    assert difference({"a": 1}, here) == "b.c is absent there, but [1, 2] here"
    assert difference(here | {"e": 3}, here) == "e is 3 there, but absent here"
    assert difference({}, {"arm": {"log": None}}) is None  # a field that came later and is not set
    assert difference({"a": 1}, {"a": None}) == "a is 1 there, but None here"
    assert difference({"sources": {"m.py:f": "1"}}, {"sources": {"m.py:f": "2"}}) == (
        "the file of m.py:f is not what it was there"
    )


def test_of_long_values_that_part_is_shown_that_differs():
    assert difference({"a": "x" * 99}, {"a": 1}) == f"a is {'x' * 27} ... {'x' * 28} there, but 1 here"
    there, here = list(range(100)), list(range(100))
    here[50] = -1
    assert difference({"a": there}, {"a": here}) == (
        "a is ... 45, 46, 47, 48, 49, 50, 51, ... 93, 94, 95, 96, 97, 98, 99] there, but "
        "... 45, 46, 47, 48, 49, -1, 51, ... 93, 94, 95, 96, 97, 98, 99] here"
    )
    assert difference({"a": 1}, {"a": "1"}) == "a is 1 there, but '1' here"


def with_split(query: int, split: str):
    queries = list(TABLE.queries)
    queries[query] = replace(queries[query], split=split)
    return replace(TABLE, queries=tuple(queries))


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (replace(TABLE, quality=TABLE.quality / 2), "fingerprint is"),
        (replace(TABLE, pool=tuple(replace(one, price_out=7.0) for one in TABLE.pool)), "pool.m0.price_out is 0.2"),
        (replace(TABLE, money_unit="EUR"), "money_unit is"),
        (with_split(0, "test"), "splits.train is 2 there, but 1 here"),
        (replace(TABLE, context_embedding=TABLE.context_embedding + 1), "embedding.sha256 is"),
    ],
)
def test_a_table_is_told_from_others_by_whatever_differs(other, field):
    assert difference(table_identity(TABLE), table_identity(random_table(queries=6))) is None
    assert difference(table_identity(TABLE), table_identity(other)).startswith(field)


def test_a_tables_identity_is_as_json_holds_it():
    identity = table_identity(TABLE)
    assert identity["embedding"]["shape"] == list(TABLE.context_embedding.shape)
    assert identity["splits"] == {"train": 2, "validation": 2, "test": 2, "sha256": identity["splits"]["sha256"]}
    assert list(identity["pool"]) == ["m0", "m1", "m2"]
    transposed = replace(TABLE, context_embedding=np.asfortranarray(TABLE.context_embedding))
    assert table_identity(transposed) == identity
