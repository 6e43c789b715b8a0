"""The shipped form of a table: small files, several encoders, equal to the table up to half precision."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes import packing, parts
from hierrouter_jax.outcomes.packing import describe_table, pack_tables
from hierrouter_jax.outcomes.parts import Embeddings
from hierrouter_jax.outcomes.store import EXTERNAL, HEADER, load_external, load_table, save_table
from hierrouter_jax.sums import SUMS, drop_sums
from tests.tables import random_table

MINILM = {"kind": "sentence-transformers", "source": "sentence-transformers/all-MiniLM-L6-v2"}
MPNET = {"kind": "sentence-transformers", "source": "package:all-mpnet-base-v2", "parts": ["query", "latest"]}
ARRAYS = ("quality", "tokens_in", "tokens_out", "available", "latency", "response")


def embedded_by(table, spec, size, seed, **read):
    """The same outcomes read by another encoder."""
    shape = (*table.context_embedding.shape[:2], size)
    embedding = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return replace(table, encoder=spec, context_embedding=embedding, settings={"seed": 7, "encoder": read})


def saved(folder, spec, size, number, external=True, **changes):
    """A table on disk as `collect` leaves it, with its one-hop table beside it."""
    save_table(embedded_by(random_table(**changes), spec, size, number, contexts=number), folder)
    if external:
        beside = random_table(seed=5, models=2, horizon=1, **{n: v for n, v in changes.items() if n == "queries"})
        save_table(embedded_by(beside, spec, size, number + 9, contexts=1), folder / EXTERNAL)
    return folder


@pytest.fixture
def two(tmp_path):
    return [saved(tmp_path / "minilm", MINILM, 6, 1), saved(tmp_path / "mpnet", MPNET, 8, 2)]


def assert_same(packed, plain):
    """All but the embeddings is the same; those are the halves of what they were."""
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(packed, name), getattr(plain, name), err_msg=name)
    for name in plain.details:
        np.testing.assert_array_equal(packed.details[name], plain.details[name], err_msg=name)
    for name in ("queries", "pool", "tree", "encoder", "settings", "money_unit", "fingerprint", "task_names"):
        assert getattr(packed, name) == getattr(plain, name), name
    assert packed.context_embedding.dtype == np.float32
    np.testing.assert_array_equal(packed.context_embedding, plain.context_embedding.astype(np.float16).astype("f4"))


def test_each_encoder_comes_back_with_its_table_and_the_one_beside_it(two, tmp_path):
    out = tmp_path / "small"
    sizes = pack_tables(two, out, licence="MIT")
    for name, folder in (("", two[0]), ("@all-minilm-l6-v2", two[0]), ("@all-mpnet-base-v2", two[1])):
        assert_same(load_table(f"{out}{name}"), load_table(folder))
        packed, plain = load_external(f"{out}{name}"), load_external(folder)
        assert packed is not None
        assert plain is not None
        assert_same(packed, plain)
    assert sizes == {p.relative_to(out).as_posix(): p.stat().st_size for p in out.rglob("*") if p.is_file()}
    assert set(load_table(out).settings["encoder"].items()) != set(load_table(two[1]).settings["encoder"].items())


@settings(max_examples=15)
@given(
    seed=st.integers(0, 999),
    models=st.sampled_from([1, 2, 3]),
    horizon=st.integers(1, 3),
    missing=st.sampled_from([0.0, 0.4]),
)
def test_any_table_survives(tmp_path_factory, seed, models, horizon, missing):
    folder = tmp_path_factory.mktemp("pack")
    change = {"models": models, "horizon": horizon, "missing": missing, "queries": 5}
    save_table(random_table(seed, **change), folder / "plain")
    pack_tables([folder / "plain"], folder / "small")
    assert_same(load_table(folder / "small@ngrams"), load_table(folder / "plain"))
    assert load_external(folder / "small") is None
    save_table(load_table(folder / "small"), folder / "again")  # and back into the usual form
    assert_same(load_table(folder / "again"), load_table(folder / "small"))


def test_others_can_read_it(two, tmp_path):
    pack_tables(two, tmp_path / "small")
    frame = pd.read_parquet(tmp_path / "small" / "nodes")
    assert len(frame) == load_table(two[0]).available[:, 1:].sum()
    index = load_file(tmp_path / "small" / "embeddings" / "all-minilm-l6-v2" / "index.safetensors")
    pieces = load_file(tmp_path / "small" / "embeddings" / "all-minilm-l6-v2" / "part-00000.safetensors")["pieces"]
    held = load_table(two[0]).context_embedding
    np.testing.assert_array_equal(pieces[index["context"][2, 3]].ravel(), held[2, 3].astype(np.float16))


def test_an_encoder_of_two_parts_takes_less_room(tmp_path):
    table = random_table(queries=40, embedding=64)
    table.context_embedding[:, :, :32] = table.context_embedding[:, :1, :32]  # the query's part
    sizes = {}
    for name, spec in (("whole", MINILM), ("parts", MPNET)):
        save_table(replace(table, encoder=spec), tmp_path / name)
        files = pack_tables([tmp_path / name], tmp_path / f"small-{name}")
        sizes[name] = sum(size for file, size in files.items() if "part-" in file and "embeddings" in file)
        assert_same(load_table(tmp_path / f"small-{name}"), load_table(tmp_path / name))
    assert sizes["parts"] < 0.6 * sizes["whole"]


def test_files_stay_under_the_limit_and_are_joined(tmp_path, monkeypatch):
    folder = saved(tmp_path / "plain", MINILM, 32, 1, queries=60)
    monkeypatch.setattr(packing, "parquet_parts", lambda rows: parts.parquet_parts(rows, most=6_000))
    monkeypatch.setattr(Embeddings, "files", lambda self, files=Embeddings.files: files(self, 6_000))
    sizes = pack_tables([folder], tmp_path / "small")
    assert sum(name.startswith("nodes/") for name in sizes) > 2
    assert sum(name.startswith("embeddings/") for name in sizes) > 3
    assert max(size for name, size in sizes.items() if "index" not in name) <= 6_000
    assert_same(load_table(tmp_path / "small"), load_table(folder))


def test_a_large_table_takes_files_under_a_megabyte(tmp_path):
    """Random embeddings, which do not pack: 400 queries, four contexts each, of 768 numbers."""
    table = random_table(queries=400, models=3, horizon=2, embedding=768)
    save_table(table, tmp_path / "plain")
    sizes = pack_tables([tmp_path / "plain"], tmp_path / "small")
    assert 2_000_000 < sum(sizes.values()) < packing.MAX_TABLE_BYTES
    assert max(sizes.values()) <= parts.MAX_PART_BYTES
    assert_same(load_table(tmp_path / "small"), load_table(tmp_path / "plain"))


def test_packing_again_replaces_all_but_the_datasheet(two, tmp_path):
    out = tmp_path / "small"
    pack_tables(two, out)
    (out / "README.md").write_text("# What, how, licences")
    one = saved(tmp_path / "other", MINILM, 6, 3, external=False)
    pack_tables([one], out, ["mini"])
    assert (out / "README.md").read_text() == "# What, how, licences"
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
        "embeddings",
        SUMS,
        "nodes",
        "queries.parquet",
        HEADER,
    ]
    assert_same(load_table(f"{out}@mini"), load_table(one))


def test_an_encoder_is_added_to_a_packed_table(two, tmp_path):
    pack_tables(two[:1], out := tmp_path / "small", ["minilm"])
    pack_tables([out, two[1]], out, ["minilm", "mpnet"])
    assert_same(load_table(f"{out}@minilm"), load_table(two[0]))
    assert_same(load_table(f"{out}@mpnet"), load_table(two[1]))


def test_what_a_list_says(two, tmp_path):
    pack_tables(two, tmp_path / "small", ["minilm", "mpnet"], "MIT")
    told = describe_table(tmp_path / "small")
    assert told.pop("bytes") == sum(p.stat().st_size for p in (tmp_path / "small").rglob("*") if p.is_file())
    assert told == {
        "name": "small",
        "queries": 6,
        "tasks": {"task0": 3, "task1": 3},
        "models": ["m0", "m1", "m2"],
        "external": ["m0", "m1"],
        "horizon": 3,
        "encoders": ["minilm", "mpnet"],
        "licence": "MIT",
        "fingerprint": load_table(two[0]).fingerprint,
        "folder": str(tmp_path / "small"),
    }


def refusals(tmp_path, two):
    other = saved(tmp_path / "other", MPNET, 8, 2, seed=9)
    first, resplit = load_table(two[0]), tmp_path / "resplit"
    save_table(replace(first, queries=tuple(replace(query, split="test") for query in first.queries)), resplit)
    alone = saved(tmp_path / "alone", MPNET, 8, 2, external=False)
    large = tmp_path / "numbers"
    save_table(replace(first, context_embedding=first.context_embedding + np.float32(7e4)), large)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").touch()
    file = tmp_path / "file"
    file.touch()
    out = tmp_path / "out"
    return [
        (([two[0], other], out), "other: holds other outcomes, queries or splits than"),
        (([two[0], resplit], out, ["a", "b"]), "resplit: holds other outcomes, queries or splits than"),
        (([two[0], alone], out), "alone: the table of models outside the pool is not that of"),
        (([alone, two[0]], out), "minilm: the table of models outside the pool is not that of"),
        (([large], out), "all-minilm-l6-v2: an embedding holds a number beyond 65,504"),
        ((two, out, ["one"]), "1 names of encoders are given for 2 tables"),
        ((two, out, ["a", "a"]), "'a' must be a name without / or @ that occurs once"),
        ((two, out, ["a/b", "a"]), "'a/b' must be a name without / or @"),
        ((two, out, ["a@b", "a"]), "'a@b' must be a name without / or @"),
        (([two[0], two[0]], out), "'all-minilm-l6-v2' must be a name without / or @ that occurs once"),
        ((two, full), "full: holds 'thesis.tex', so it is no shipped table"),
        ((two, file), "file: is a file, but must be a folder"),
        ((two, out, [], "", 5_000), "out: would take .* bytes, but a shipped table may take 5,000; its responses"),
        (([tmp_path / "none"], out), "none: no such outcome table"),
    ]


def test_what_cannot_ship_is_refused_and_nothing_written(two, tmp_path):
    for arguments, message in refusals(tmp_path, two):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InputError, match=message):
            pack_tables(*arguments)
        assert sorted(tmp_path.rglob("*")) == before, message


def drop_part(folder):
    (folder / "embeddings" / "minilm" / "part-00000.safetensors").unlink()


def drop_index(folder):
    (folder / "embeddings" / "minilm" / "index.safetensors").unlink()


def drop_set(folder):
    for path in (folder / "embeddings" / "minilm").iterdir():
        path.unlink()
    (folder / "embeddings" / "minilm").rmdir()


def spoil_part(folder):
    (folder / "embeddings" / "minilm" / "part-00000.safetensors").write_bytes(b"half a file")


def rename_tensor(folder):
    save_file({"rows": np.zeros((2, 2))}, folder / "embeddings" / "minilm" / "part-00000.safetensors")


def extra_part(folder):
    path = folder / "embeddings" / "minilm" / "part-00000.safetensors"
    path.with_name("part-00001.safetensors").write_bytes(path.read_bytes())


def drop_nodes(folder):
    (folder / "nodes" / "part-00000.parquet").unlink()


def count_parts(folder):
    write_json(folder / HEADER, read_json(folder / HEADER) | {"parts": 2})


def spoil_parts(folder):
    write_json(folder / HEADER, read_json(folder / HEADER) | {"parts": "many"})


def spoil_sets(folder):
    write_json(folder / HEADER, read_json(folder / HEADER) | {"encoders": ["minilm"]})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_part, "the parts hold 0 pieces of embeddings, but index.safetensors speaks of 240"),
        (drop_index, r"index\.safetensors: no such file"),
        (drop_set, r"embeddings/minilm/index\.safetensors: no such file"),
        (spoil_part, r"part-00000\.safetensors: not a safetensors file"),
        (rename_tensor, r"part-00000\.safetensors: holds no tensor 'pieces'"),
        (extra_part, "the parts hold 480 pieces of embeddings, but index.safetensors speaks of 240"),
        (drop_nodes, r"nodes/part-00000\.parquet: no such file"),
        (count_parts, r"nodes/part-00001\.parquet: no such file"),
        (spoil_parts, r"table\.json: parts is 'many', but must be a whole number"),
        (spoil_sets, r"table\.json: encoders is .*, but must be a mapping"),
    ],
)
def test_damage_is_named(tmp_path, damage, message):
    plain, out = saved(tmp_path / "plain", MINILM, 6, 1, external=False, queries=60, horizon=2), tmp_path / "small"
    pack_tables([plain], out, ["minilm"])
    assert load_table(out).num_queries == 60
    drop_sums(out)
    damage(out)
    with pytest.raises(InputError, match=message) as caught:
        load_table(out)
    assert str(caught.value).startswith(str(out))
