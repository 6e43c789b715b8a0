"""The table on disk: what is written is read back, what is wrong is named, others can open it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes import store
from hierrouter_jax.outcomes.store import (
    EMBEDDINGS,
    EXTERNAL,
    HEADER,
    NODES,
    QUERIES,
    load_external,
    load_table,
    save_table,
)
from hierrouter_jax.outcomes.table import Turn
from hierrouter_jax.sums import drop_sums
from tests.tables import random_table, tables


@given(table=tables())
def test_a_table_survives_the_disk(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    save_table(table, folder)
    loaded = load_table(folder)
    assert loaded.fingerprint == table.fingerprint
    for name in ("quality", "tokens_in", "tokens_out", "available", "latency", "context_embedding"):
        expected = getattr(table, name) * (table.available if name == "latency" else 1)
        if name == "latency":
            expected[:, 0] = 0
        np.testing.assert_array_equal(getattr(loaded, name), expected, err_msg=name)
    assert (loaded.response == table.response).all()
    assert (loaded.details["finish_reason"][:, 1:] == table.details["finish_reason"][:, 1:]).all()
    assert loaded.queries == table.queries
    assert loaded.pool == table.pool
    assert loaded.encoder == table.encoder


def test_others_can_read_it(tmp_path):
    table = random_table()
    save_table(table, tmp_path)
    frame = pd.read_parquet(tmp_path / "nodes")
    assert len(frame) == table.available[:, 1:].sum()
    row = frame[(frame.query_id == "q2") & (frame.node == table.tree.node([0, 2]))].iloc[0]
    assert list(row.route) == ["m0", "m2"]
    assert row.response == table.response[2, table.tree.node([0, 2])]


@pytest.fixture
def saved(tmp_path):
    save_table(random_table(), tmp_path)
    drop_sums(tmp_path)  # so that the reader's own checks are seen
    return tmp_path


def edit_rows(folder, change):
    frame = pq.read_table(folder / NODES).to_pandas()
    pq.write_table(pa.Table.from_pandas(change(frame), preserve_index=False), folder / NODES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(quality=f.quality.where(f.index != 3)), "quality: query 'q0', node 4 is nan"),
        (lambda f: f.assign(node=f.node + 40), "outside 1..39 for horizon 3"),
        (lambda f: f.assign(model="m9"), "row 0 (query 'q0'): node 1 is of another model"),
        (lambda f: pd.concat([f, f.head(1)]), "node 1 is there twice"),
        (lambda f: f.assign(query_id="nobody"), "query_id 'nobody' is not in queries.parquet"),
        (lambda f: f.drop(columns="response"), "column 'response' is missing"),
        (lambda f: f.assign(quality=1 - f.quality), "the folder was changed after it was written"),
        (lambda f: f[f.index != 0], "must be false where the hop before it is missing"),
    ],
)
def test_a_spoiled_row_is_named(saved, change, message):
    edit_rows(saved, change)
    with pytest.raises(InputError) as caught:
        load_table(saved)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("text", ["a", None, "c", "d", "e", "f"], "row 1: text is missing"),
        ("unseen", [None, True, True, True, True, True], "row 0: unseen is missing"),
        ("id", range(6), "id holds int64, but must hold texts"),
    ],
)
def test_a_spoiled_query_is_named(saved, column, values, message):
    rows = pq.read_table(saved / QUERIES)
    rows = rows.set_column(rows.column_names.index(column), column, pa.array(values))
    pq.write_table(rows, saved / QUERIES)
    with pytest.raises(InputError, match=rf"queries\.parquet: {message}"):
        load_table(saved)


@pytest.mark.parametrize("name", [NODES, QUERIES, EMBEDDINGS, HEADER])
def test_missing_and_broken_files_are_named(saved, name):
    (saved / name).write_bytes(b"not what it says")
    with pytest.raises(InputError) as caught:
        load_table(saved)
    assert str(saved / name) in str(caught.value)
    (saved / name).unlink()
    with pytest.raises(InputError, match="no such file"):
        load_table(saved)


def test_another_schema_or_horizon_is_refused(saved):
    header = read_json(saved / HEADER)
    write_json(saved / HEADER, header | {"schema_version": 99})
    with pytest.raises(InputError, match="schema_version is 99, but this version reads 1"):
        load_table(saved)
    write_json(saved / HEADER, header | {"horizon": 2})
    with pytest.raises(InputError, match="6 queries x 4 decision nodes x E are needed"):
        load_table(saved)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such outcome table"):
        load_table(tmp_path / "nowhere")


def test_a_failed_write_leaves_the_old_table_whole(saved, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("disk full")

    before = load_table(saved).fingerprint
    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        save_table(replace(random_table(seed=1)), saved)
    monkeypatch.undo()
    assert load_table(saved).fingerprint == before
    assert not list(saved.rglob(".*"))


def test_a_table_over_another_takes_the_outside_models_of_that_away(tmp_path):
    beside = random_table(models=1, horizon=1)
    save_table(random_table(), tmp_path, beside)
    outside = load_external(tmp_path)
    assert outside is not None
    assert outside.fingerprint == beside.fingerprint
    save_table(random_table(seed=1), tmp_path)
    assert load_external(tmp_path) is None
    assert not (tmp_path / EXTERNAL).exists()


@pytest.mark.parametrize("kill_at", [1, 2])
def test_a_kill_leaves_no_table_beside_another_s_outside_models(tmp_path, monkeypatch, kill_at):
    """Of the two headers the outside table's comes first: until the last one is there, there is no table."""
    headers = []

    def killed(path, value):
        headers.append(path)
        if len(headers) == kill_at:
            raise KeyboardInterrupt
        write_json(path, value)

    save_table(random_table(), tmp_path, random_table(models=1, horizon=1))
    monkeypatch.setattr(store, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        save_table(random_table(seed=1), tmp_path, random_table(seed=1, models=1, horizon=1))
    assert headers == [tmp_path / EXTERNAL / HEADER, tmp_path / HEADER][:kill_at]
    with pytest.raises(InputError, match="no such file"):
        load_table(tmp_path)


def test_outside_models_that_cannot_be_written_leave_the_old_table_whole(tmp_path, monkeypatch):
    def broken(rows, path, **options):
        if EXTERNAL in path.parts:
            raise OSError("disk full")
        whole(rows, path, **options)

    save_table(random_table(), tmp_path, random_table(models=1, horizon=1))
    before, whole = load_table(tmp_path).fingerprint, pq.write_table
    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        save_table(random_table(seed=1), tmp_path, random_table(seed=1, models=1, horizon=1))
    assert load_table(tmp_path).fingerprint == before
    assert load_external(tmp_path) is not None


def test_worked_examples_travel_and_older_tables_have_none(tmp_path):
    table = random_table(queries=3)
    shots = (Turn("user", "1+1?"), Turn("assistant", "2"))
    shown = replace(table, queries=(replace(table.queries[0], shots=shots), *table.queries[1:]))
    save_table(shown, tmp_path / "shown")
    save_table(table, tmp_path / "bare")
    assert [query.shots for query in load_table(tmp_path / "shown").queries] == [shots, (), ()]
    assert "shots" not in pq.read_schema(tmp_path / "bare" / "queries.parquet").names
    assert shown.fingerprint != table.fingerprint == load_table(tmp_path / "bare").fingerprint
