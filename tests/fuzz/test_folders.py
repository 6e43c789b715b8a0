"""Tables, bundles and decision logs whose files are whole but say odd things: refused in a sentence, or sound."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.decision_log import LogOptions, LogWriter, read_log
from hierrouter_jax.outcomes.decision_log.frames import MAGIC, pack
from hierrouter_jax.outcomes.store import EMBEDDINGS, HEADER, NODES, QUERIES, load_table, save_table
from hierrouter_jax.sums import drop_sums, sign
from tests.bundles import BUNDLES, EMBEDDING
from tests.fuzz.engine import ODD_NUMBERS, ODD_TEXTS, fuzz, mutations, no_hang, odd_values
from tests.outcomes.decision_log.served import decision
from tests.tables import random_table


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "table"
    save_table(random_table(queries=4), folder)
    drop_sums(folder)
    return folder


def sound_or_refused(folder, scratch):
    """What a table that loads may be trusted to be."""
    try:
        loaded = load_table(folder)
    except InputError as error:
        message = str(error)
        assert "\n" not in message
        return
    assert (loaded.quality >= 0).all()
    assert (loaded.quality <= 1).all()
    assert (loaded.tokens_in >= 0).all()
    assert (loaded.tokens_out >= 0).all()
    assert np.isfinite(loaded.cost).all()
    assert np.isfinite(loaded.context_embedding).all()
    assert len({query.id for query in loaded.queries}) == loaded.num_queries
    save_table(loaded, scratch)
    assert load_table(scratch).fingerprint == loaded.fingerprint


@pytest.mark.fuzzed("tables")
def test_odd_headers_of_tables(table, tmp_path):
    header = json.loads((table / HEADER).read_text())
    shutil.copytree(table, tmp_path / "t")

    def law(odd):
        (tmp_path / "t" / HEADER).write_text(json.dumps(odd))
        sound_or_refused(tmp_path / "t", tmp_path / "again")

    fuzz(law, mutations(header), examples=60)


COLUMNS = {
    "quality": ODD_NUMBERS,
    "tokens_in": [-1, 0, 2**31 - 1, 2**40, -(2**31)],
    "tokens_out": [-5, 10, 2**62],
    "latency": [-1.0, float("nan"), float("inf")],
    "node": [-1, 0, 1, 2**31 - 1],
    "model": [*ODD_TEXTS, "m0", None],
    "query_id": [*ODD_TEXTS, "q0", None],
    "response": [*ODD_TEXTS, "x" * 10_000_000, None],
}


@pytest.mark.fuzzed("tables")
def test_odd_rows_of_nodes(table, tmp_path):
    rows = pq.read_table(table / NODES).to_pandas().to_dict("list")
    shutil.copytree(table, tmp_path / "t")

    def law(name, row, value, also):
        columns = {key: list(values) for key, values in rows.items()}
        columns[name][row % len(columns[name])] = value
        if also == "drop":
            del columns[name]
        elif also == "double":
            columns = {key: values * 2 for key, values in columns.items()}
        elif also == "empty":
            columns = {key: values[:0] for key, values in columns.items()}
        try:
            pq.write_table(pa.table(columns), tmp_path / "t" / NODES)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError):
            return  # no Parquet file can hold it
        sound_or_refused(tmp_path / "t", tmp_path / "again")

    pairs = st.sampled_from([(name, value) for name, values in COLUMNS.items() for value in values])
    also = st.sampled_from(["", "", "", "drop", "double", "empty"])
    fuzz(lambda pair, row, also: law(pair[0], row, pair[1], also), pairs, st.integers(0, 99), also, examples=60)


@pytest.mark.fuzzed("tables")
def test_odd_queries(table, tmp_path):
    rows = pq.read_table(table / QUERIES).to_pylist()
    shutil.copytree(table, tmp_path / "t")

    def law(odd):
        try:
            pq.write_table(pa.Table.from_pylist(odd), tmp_path / "t" / QUERIES)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError, AttributeError):
            return
        sound_or_refused(tmp_path / "t", tmp_path / "again")

    fuzz(law, mutations(rows), examples=60)


@pytest.mark.fuzzed("tables")
def test_odd_embeddings(table, tmp_path):
    whole = load_file(table / EMBEDDINGS)["context_embedding"]
    shutil.copytree(table, tmp_path / "t")

    def law(value, dtype, shape, name):
        odd = np.resize(whole, shape).astype(np.float64)
        odd.ravel()[:1] = value
        with np.errstate(all="ignore"):
            save_file({name: odd.astype(dtype)}, tmp_path / "t" / EMBEDDINGS)
        sound_or_refused(tmp_path / "t", tmp_path / "again")

    shapes = st.sampled_from([whole.shape, whole.shape[:2], (0, 0, 0), (4, 0, 3), (1,), ()])
    dtypes = st.sampled_from(["float16", "float32", "float64", "int8", "bool", "uint64"])
    names = st.sampled_from(["context_embedding", "other", ""])
    fuzz(law, st.sampled_from(ODD_NUMBERS[:4] + ODD_NUMBERS[7:]), dtypes, shapes, names, examples=60)


def test_a_header_that_promises_a_huge_table_allocates_nothing(table, tmp_path):
    """3^30 nodes would be terabytes: the check comes before the arrays."""
    shutil.copytree(table, tmp_path / "t")
    header = json.loads((table / HEADER).read_text())
    for horizon in (12, 30, 10_000, 10**9, 10**18):
        (tmp_path / "t" / HEADER).write_text(json.dumps(header | {"horizon": horizon}))
        with pytest.raises(InputError, match=str(tmp_path)), no_hang(5):
            load_table(tmp_path / "t")


@pytest.mark.parametrize("claim", [2**20, 2**40, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("file", ["table", "bundle"])
def test_a_tensor_that_promises_more_than_its_file_holds_is_refused(file, claim, table, tmp_path):
    if file == "table":
        shutil.copytree(table, tmp_path / "t")
        load, path, name = load_table, tmp_path / "t" / EMBEDDINGS, "context_embedding"
    else:
        BUNDLES["plain"].save(tmp_path / "t")
        drop_sums(tmp_path / "t")
        load, path, name = PolicyBundle.load, tmp_path / "t" / "policy.safetensors", "logits/bias"
    text = json.dumps({name: {"dtype": "F32", "shape": [claim, 4], "data_offsets": [0, 16 * claim]}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 64)
    with pytest.raises(InputError, match=path.name):
        load(tmp_path / "t")
    path.write_bytes(claim.to_bytes(8, "little") + text)
    with pytest.raises(InputError, match=path.name):
        load(tmp_path / "t")


@pytest.mark.fuzzed("bundles")
def test_odd_headers_of_bundles(tmp_path):
    BUNDLES["conditioned"].save(tmp_path / "t")
    header = json.loads((tmp_path / "t" / "policy.json").read_text())

    def law(odd):
        (tmp_path / "t" / "policy.json").write_text(json.dumps(odd))
        sign(tmp_path / "t")
        usable_or_refused(tmp_path / "t")

    fuzz(law, mutations(header), examples=60)


@pytest.mark.fuzzed("bundles")
def test_odd_tensors_of_bundles(tmp_path):
    BUNDLES["prior"].save(tmp_path / "t")
    drop_sums(tmp_path / "t")
    path = tmp_path / "t" / "policy.safetensors"
    tensors = load_file(path)

    def law(name, value, shape, dtype):
        odd = tensors[name] if shape is None else np.resize(tensors[name], shape)
        odd = np.ascontiguousarray(odd).astype(np.float64)
        odd.ravel()[:1] = value
        with np.errstate(all="ignore"):
            save_file(tensors | {name: odd.astype(dtype)}, path)
        usable_or_refused(tmp_path / "t")

    values = st.sampled_from([0.0, -1.0, 1e30, -1e30, float("nan"), float("inf")])
    shapes = st.sampled_from([None, None, (0,), (1,), (), (2, 2), (1, 1, 1)])
    dtypes = st.sampled_from(["float32", "float32", "float16", "float64", "int32", "bool"])
    fuzz(law, st.sampled_from(sorted(tensors)), values, shapes, dtypes, examples=60)


def usable_or_refused(folder):
    try:
        bundle = PolicyBundle.load(folder)
    except InputError as error:
        message = str(error)
        assert "\n" not in message
        return
    size = bundle.reduction.mean.shape[0]
    for stage in range(min(bundle.horizon, 3)):
        _, probs = bundle.act(np.ones((2, size), np.float32), stage, np.ones(2, np.float32))
        assert np.isfinite(probs).all()
        np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


def test_a_bundle_of_another_encoder_size_is_told_apart():
    """The law above would also hold of a bundle that loads whatever it is given."""
    assert BUNDLES["prior"].reduction.mean.shape == (EMBEDDING,)


@pytest.mark.fuzzed("logs")
def test_odd_rows_of_logs(tmp_path):
    with LogWriter(tmp_path / "l", LogOptions()) as log:
        for number in range(3):
            log.append(decision(f"e{number}"))
    (path,) = (tmp_path / "l" / "decisions").glob("*.parquet")
    drop_sums(tmp_path / "l")
    whole = pq.read_table(path)
    rows = whole.to_pylist()

    def law(odd):
        try:
            pq.write_table(pa.Table.from_pylist(odd, schema=whole.schema), path)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError, AttributeError):
            return
        consistent_or_refused(tmp_path / "l")

    fuzz(law, mutations(rows), examples=80)


def consistent_or_refused(folder):
    try:
        log = read_log(folder)
        log.draws()
    except InputError as error:
        message = str(error)
        assert "\n" not in message
        return
    for probs, mask, propensity, action in zip(
        *(log.rows[name].to_pylist() for name in ("probs", "mask", "propensity", "action")), strict=True
    ):
        assert abs(sum(probs) - 1) < 1e-4
        assert mask[action]
        assert abs(probs[action] - propensity) < 1e-5


@pytest.mark.fuzzed("logs")
def test_odd_records_of_write_ahead_files(tmp_path):
    """Records whose checksum is right, of whatever a broken or hostile writer may have put there."""
    for room in ("decisions", "feedback", "write-ahead"):
        (tmp_path / "l" / room).mkdir(parents=True)
    path = tmp_path / "l" / "write-ahead" / "00000000.wal"
    good = {"episode_id": "e", "stage": 0, "probs": [1.0, 0.0], "candidates": ["a"], "mask": [True, False]}

    def law(kind, fields, blob):
        try:
            content = pack(kind, fields, blob)
        except (InputError, RecursionError):
            return
        path.write_bytes(MAGIC + content)
        consistent_or_refused(tmp_path / "l")

    kinds = st.sampled_from([b"D", b"F", b"x", b"\0"])
    fields = st.one_of(mutations(good), odd_values.filter(lambda value: isinstance(value, dict)))
    fuzz(law, kinds, fields, st.binary(max_size=9), examples=80)


@pytest.mark.fuzzed("logs")
def test_bytes_that_are_no_log(tmp_path):
    for room in ("decisions", "feedback", "write-ahead"):
        (tmp_path / "l" / room).mkdir(parents=True)

    def law(room, content, magic):
        name = "00000000.wal" if room == "write-ahead" else "part-00000000.parquet"
        (tmp_path / "l" / room / name).write_bytes((MAGIC if magic else b"") + content)
        consistent_or_refused(tmp_path / "l")
        (tmp_path / "l" / room / name).unlink()

    rooms = st.sampled_from(["decisions", "feedback", "write-ahead"])
    fuzz(law, rooms, st.binary(max_size=64), st.booleans(), examples=80)


def test_a_tree_of_no_size_is_refused():
    for models, horizon in ((0, 3), (-1, 2), (3, 0), (3, -1)):
        with pytest.raises((ValueError, AssertionError)):
            HopTree(models, horizon)
