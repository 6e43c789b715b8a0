"""The files of a table's folder."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.parts import (
    Embeddings,
    finish_rewriting,
    node_files,
    node_paths,
    parquet_parts,
    rewrite_nodes,
    with_columns,
)
from hierrouter_jax.sums import SUMS


def test_pieces_by_hand():
    """Two parts an embedding: the query's comes back in each context, so three embeddings are of four pieces."""
    query, draft, empty = [1.0, 2.0], [3.0, 0.1], [0.0, -0.0]
    whole = np.array([[query + empty, query + draft], [draft + empty, query + empty]], dtype=np.float32)
    held = Embeddings.of({"context": whole}, 2)
    assert held.pieces.dtype == np.float16
    assert held.pieces.tolist() == [query, [0.0, 0.0], np.float16(draft).tolist()]
    assert held.places["context"].tolist() == [[[0, 1], [0, 2]], [[2, 1], [0, 1]]]
    np.testing.assert_array_equal(held.whole("context"), whole.astype(np.float16).astype("f4"))


def test_rows_are_halved_until_each_file_is_under_the_limit():
    texts = np.random.default_rng(0).integers(0, 10**9, (64, 40))
    rows = pa.table({"text": [" ".join(map(str, text)) for text in texts.tolist()]})
    files = list(parquet_parts(rows, most=4_000))
    assert len(files) > 1
    assert max(map(len, files)) < 4_000
    assert pa.concat_tables([pq.read_table(pa.BufferReader(file)) for file in files]) == rows
    with pytest.raises(InputError, match="one row takes"):
        list(parquet_parts(rows, most=10))


def test_columns_are_replaced_in_the_order_of_the_rows_or_added_behind_them():
    rows = pa.table({"query_id": ["b", "a", "b"], "node": [1, 2, 2], "quality": [0.0, 0.0, 0.0], "more": [7, 8, 9]})
    columns = {"quality": np.array([[0, 1, 2], [0, 3, 4]]), "reason": np.array([["", "a1", "a2"], ["", "b1", "b2"]])}
    new = with_columns(rows, ["a", "b"], columns)
    assert new.column_names == ["query_id", "node", "quality", "more", "reason"]
    assert new["quality"].to_pylist() == [3, 2, 4]
    assert new["reason"].to_pylist() == ["b1", "a2", "b2"]


def test_a_rewriting_puts_every_file_in_place_and_one_that_decided_is_finished(tmp_path):
    header = {"parts": 2, "is": "new"}
    old, new = pa.table({"x": [1]}), pa.table({"x": [2]})
    (tmp_path / "nodes").mkdir()
    for path in node_paths(tmp_path, header):
        pq.write_table(old, path)
    assert [path.name for path in node_paths(tmp_path, {})] == ["part-00000.parquet"]
    rewrite_nodes(tmp_path, header, {"part-00001.parquet": new})
    assert list(node_files(tmp_path, header).values()) == [old, new]
    assert read_json(tmp_path / "table.json") == header
    (tmp_path / "nodes.next").mkdir()
    pq.write_table(new, tmp_path / "nodes.next" / "part-00000.parquet")
    finish_rewriting(tmp_path)
    assert node_files(tmp_path, header)["part-00000.parquet"] == old, "nothing was decided"
    write_json(tmp_path / "table.next.json", header | {"is": "newer"})
    finish_rewriting(tmp_path)
    assert list(node_files(tmp_path, header).values()) == [new, new]
    assert sorted(path.name for path in tmp_path.iterdir()) == [SUMS, "nodes", "table.json"]


def test_embeddings_come_back_from_their_files(tmp_path):
    embeddings = Embeddings.of({"context": np.arange(12, dtype=np.float32).reshape(1, 3, 4)}, pieces=2)
    for name, data in embeddings.files().items():
        (tmp_path / name).write_bytes(data)
    assert Embeddings.load(tmp_path).whole("context").tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]]
