"""The outcome table on disk: a folder of Parquet, safetensors and JSON that others can open without this package."""

import shutil
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.files import read_json, read_tensors, replacing, write_json
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.header import SCHEMA_VERSION, parse_header
from hierrouter_jax.outcomes.parts import Embeddings, finish_rewriting, node_paths
from hierrouter_jax.outcomes.shipped import HEADER, TableChoice, find_table
from hierrouter_jax.outcomes.table import OutcomeTable, Query, Turn
from hierrouter_jax.sums import begin_anew, check_sum

NODES, QUERIES, EMBEDDINGS = "nodes/part-00000.parquet", "queries.parquet", "embeddings.safetensors"
SETS = "embeddings"  # folder of a shipped table's embeddings, one folder in it an encoder
EXTERNAL = "external"  # inside a table's folder: the one-hop table of models outside the pool, where there are any
_OPTIONAL = ("shots", "question", "seed")  # columns of queries.parquet
_NODE_COLUMNS = {
    "quality": np.float32,
    "tokens_in": np.int32,
    "tokens_out": np.int32,
    "latency": np.float32,
    "stated_cost": np.float64,
    "tokens_cached": np.int32,
}

_TYPES = {
    "query_id": pa.string(),
    "node": pa.int64(),
    "model": pa.string(),
    "response": pa.string(),
    **{name: pa.from_numpy_dtype(dtype) for name, dtype in _NODE_COLUMNS.items()},
}


def save_table(table: OutcomeTable, folder: Path | str, external: OutcomeTable | None = None) -> None:
    """Write a table, and the one-hop table of models outside the pool into it; what an older table had there goes.

    An old one stays until all is on the disk; then `table.json` goes first and comes last, so that a folder without it
    is known to be unfinished.
    """
    folder = Path(folder)
    tables = {folder: table} | ({} if external is None else {folder / EXTERNAL: external})
    with ExitStack() as stack:
        for at, one in tables.items():
            finish_rewriting(at)
            nodes, queries, embeddings = (
                stack.enter_context(replacing(at / name)) for name in (NODES, QUERIES, EMBEDDINGS)
            )
            pq.write_table(node_rows(one), nodes, compression="zstd")
            pq.write_table(query_rows(one.queries), queries, compression="zstd")
            save_file({"context_embedding": one.context_embedding}, embeddings)
        for at in tables:
            begin_anew(at / HEADER)
        if external is None and (folder / EXTERNAL).is_dir():
            shutil.rmtree(folder / EXTERNAL)
    for at, one in reversed(tables.items()):
        write_json(at / HEADER, header_of(one))


def load_table(folder: Path | str) -> OutcomeTable:
    """Read and validate a table.

    Args:
      folder: folder of the table, or the name of one that ships with the package; `<table>@<encoder>` chooses the
        embeddings of one of a shipped table's encoders.

    Raises:
      InputError: in one sentence naming the file, and the row and field where there is one.
    """
    choice = find_table(folder)
    return _load(choice.folder, read_header(choice.folder), choice, "context")


def load_external(folder: Path | str) -> OutcomeTable | None:
    """The one-hop table of models outside the pool that lies in a table's folder, if there is one.

    Args:
      folder: folder of the table that it lies in, as for `load_table`.

    Raises:
      InputError: as `load_table`.
    """
    choice = find_table(folder)
    inside = choice.folder / EXTERNAL
    if not (inside / HEADER).is_file():
        return None
    header = read_header(inside)
    return _load(inside, header, choice if "encoders" in header else TableChoice(inside), "external")


def header_of(table: OutcomeTable) -> dict[str, Any]:
    """What `table.json` holds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "pool": [member.to_dict() for member in table.pool],
        "money_unit": table.money_unit,
        "horizon": table.tree.horizon,
        "encoder": table.encoder,
        "settings": table.settings,
        "details": sorted(table.details),
        "fingerprint": table.fingerprint,
    }


def _load(folder: Path, header: dict[str, Any], choice: TableChoice, which: str) -> OutcomeTable:
    """The table of a folder; `choice` says where its embeddings are, and of which encoder, `which` what they are of."""
    known = parse_header(header, folder / HEADER)
    sets, tree = known.sets, known.tree
    encoder = choice.named(sets)
    paths = node_paths(folder, header)
    queries = _read_queries(folder / QUERIES)
    embedding = (
        _read_set(choice.folder / SETS / encoder, which) if known.encoders else _read_embeddings(folder / EMBEDDINGS)
    )
    if embedding.shape[:2] != (len(queries), tree.num_decision_nodes):  # before arrays of the header's size are made
        raise InputError(
            f"{folder}: context_embedding: shape is {embedding.shape} but {len(queries)} queries x "
            f"{tree.num_decision_nodes} decision nodes x E are needed"
        )
    columns = _read_nodes(paths, queries, tree, tuple(member.name for member in known.pool), known.details)
    try:
        table = OutcomeTable(
            tree=tree,
            pool=known.pool,
            queries=queries,
            context_embedding=embedding,
            encoder=sets[encoder].encoder,
            money_unit=known.money_unit,
            settings=known.settings | sets[encoder].settings,
            details={name: columns.pop(name) for name in known.details},
            **columns,
        )
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    if table.fingerprint != known.fingerprint:
        raise InputError(
            f"{folder / HEADER}: fingerprint is {known.fingerprint} but the outcomes have {table.fingerprint}; "
            "the folder was changed after it was written: collect or import it again"
        )
    return table


def read_header(folder: Path) -> dict[str, Any]:
    """The content of `table.json`."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such outcome table (a folder with {HEADER} is needed)")
    finish_rewriting(folder)
    header = read_json(folder / HEADER)
    parse_header(header, folder / HEADER)
    return header


def query_rows(queries: tuple[Query, ...]) -> pa.Table:
    """One row per query; the columns of worked examples and of replicates only where there are some."""
    rows = [{**asdict(query), "shots": [turn._asdict() for turn in query.shots]} for query in queries]
    empty = {name for name in _OPTIONAL if not any(getattr(query, name) for query in queries)}
    names = [field.name for field in fields(Query) if field.name not in empty]
    return pa.Table.from_pylist(rows).select(names)


def node_rows(table: OutcomeTable) -> pa.Table:
    """One row per generated hop, query by query, breadth-first."""
    query, node = np.nonzero(table.available)
    query, node = query[node > 0], node[node > 0]
    names = np.array(table.model_names, dtype=object)
    routes = [[names[model] for model in table.tree.route(n)] for n in range(table.tree.num_nodes)]
    ids = np.array([q.id for q in table.queries], dtype=object)
    columns: dict[str, Any] = {
        "query_id": ids[query],
        "node": node.astype(np.int32),
        "route": [routes[n] for n in node],
        "model": names[table.tree.last_model(node)],
        "response": table.response[query, node],
    }
    for name in (*_NODE_COLUMNS, *table.details):
        array = table.details.get(name, getattr(table, name, None))
        if array is not None and (name != "tokens_cached" or array.any()):
            columns[name] = array[query, node]
    return pa.table(columns)


def _read_nodes(
    paths: list[Path], queries: tuple[Query, ...], tree: HopTree, models: tuple[str, ...], details: list[str]
) -> dict[str, Any]:
    """Columns [Q, N]; nodes without a row are not available."""
    path = paths[0] if len(paths) == 1 else paths[0].parent
    rows = pa.concat_tables(map(_read_parquet, paths))
    needed = ["query_id", "node", "model", "response", "quality", "tokens_in", "tokens_out", *details]
    missing = [name for name in needed if name not in rows.column_names]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing")
    rows = _typed(rows, path)
    clash = next((name for name in details if name in _TYPES or name == "available"), None)
    if clash is not None:
        raise InputError(f"{path}: details name {clash!r}, which is a column of every table")
    index = {query.id: row for row, query in enumerate(queries)}
    ids = rows["query_id"].to_pylist()
    unknown = next((i for i in ids if i not in index), None)
    if unknown is not None:
        raise InputError(f"{path}: query_id {unknown!r} is not in {QUERIES}")
    query = np.array([index[i] for i in ids], dtype=np.int64)
    node = rows["node"].to_numpy()
    for wrong, why in (
        (~((node > 0) & (node < tree.num_nodes)), f"outside 1..{tree.num_nodes - 1} for horizon {tree.horizon}"),
        (np.array(models)[tree.last_model(node)] != rows["model"].to_numpy(zero_copy_only=False), "of another model"),
        (_repeated(query * tree.num_nodes + node), "there twice"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"{path}: row {row} (query {ids[row]!r}): node {node[row]} is {why}")
    shape = (len(queries), tree.num_nodes)
    columns: dict[str, Any] = {"available": np.zeros(shape, dtype=bool), "response": np.full(shape, "", dtype=object)}
    columns["available"][:, 0] = True
    columns["available"][query, node] = True
    columns["response"][query, node] = rows["response"].to_numpy(zero_copy_only=False)
    for name, dtype in _NODE_COLUMNS.items():
        if name in rows.column_names:
            columns[name] = np.zeros(shape, dtype=dtype)
            columns[name][query, node] = rows[name].to_numpy(zero_copy_only=False)
    for name in details:
        column = rows[name].to_numpy(zero_copy_only=False)
        columns[name] = np.full(shape, "" if column.dtype == object else 0, dtype=column.dtype)
        columns[name][query, node] = column
    return columns


def _typed(rows: pa.Table, path: Path) -> pa.Table:
    """The rows with the columns that a table reads in the types that it needs, none of their values missing."""
    for name, kind in _TYPES.items():
        if name not in rows.column_names:
            continue
        column = rows[name]
        if column.null_count and not pa.types.is_floating(kind):  # a missing float is NaN, which is refused where it is
            raise InputError(f"{path}: row {column.is_null().index(True).as_py()}: {name} is missing")
        try:
            rows = rows.set_column(rows.schema.get_field_index(name), name, column.cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"{path}: {name} must hold {kind} ({reason_of(error)})") from None
    return rows


def _read_queries(path: Path) -> tuple[Query, ...]:
    rows = _read_parquet(path)
    names = [field.name for field in fields(Query)]
    missing = [name for name in names if name not in rows.column_names and name not in _OPTIONAL]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing")
    for name in (name for name in names if name in rows.column_names and name != "shots"):
        if rows[name].null_count:
            raise InputError(f"{path}: row {rows[name].is_null().index(True).as_py()}: {name} is missing")
        if name not in ("unseen", "seed") and rows[name].type not in (pa.string(), pa.large_string()):
            raise InputError(f"{path}: {name} holds {rows[name].type}, but must hold texts")
    known = rows.select([name for name in names if name in rows.column_names]).to_pylist()
    try:
        return tuple(Query(**row | {"shots": tuple(Turn(**turn) for turn in row.get("shots") or ())}) for row in known)
    except TypeError as error:
        raise InputError(f"{path}: column 'shots' must hold lists of turns with role and content ({error})") from None


def _read_embeddings(path: Path) -> np.ndarray:
    return read_tensors(path, "context_embedding")["context_embedding"].astype(np.float32)


def _read_set(folder: Path, which: str) -> np.ndarray:
    held = Embeddings.load(folder)
    if which not in held.places:
        raise InputError(f"{folder}: holds no embeddings of the {which} table")
    return held.whole(which)


def _repeated(keys: np.ndarray) -> np.ndarray:
    first = np.zeros(len(keys), dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return ~first


def _read_parquet(path: Path) -> pa.Table:
    try:
        check_sum(path)
        return pq.read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a Parquet file ({error})") from None
