"""Makes the form in which a table ships: small files, the embeddings of several encoders, at most 8 MB in all."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import LOCK, write_bytes
from hierrouter_jax.outcomes.parts import MAX_PART_BYTES, Embeddings, parquet_parts
from hierrouter_jax.outcomes.shipped import HEADER, encoder_name
from hierrouter_jax.outcomes.store import (
    EXTERNAL,
    QUERIES,
    SETS,
    header_of,
    load_external,
    load_table,
    node_rows,
    query_rows,
    read_header,
)
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.sums import SUMS, begin_anew

MAX_TABLE_BYTES = 8_000_000
DATASHEET = "README.md"
_OF_AN_ENCODER = ("encoder",)  # the settings that two collections of the same outcomes may differ in


def pack_tables(
    tables: Sequence[Path], out: Path, encoders: Sequence[str] = (), licence: str = "", most: int = MAX_TABLE_BYTES
) -> dict[str, int]:
    """Write a table in its shipped form; what an earlier packing left in `out` is replaced, its datasheet stays.

    Args:
      tables: folders of the same outcomes with another encoder's embeddings each; the first one's are the default.
      out: folder of the shipped table, named as the table is to be called.
      encoders: names of the encoders, in order; by default the end of each encoder's source.
      licence: licence of the queries and responses, kept in the header.
      most: number of bytes that all files together may take.
    Returns:
      Bytes of each file, by its path in `out`.
    Raises:
      InputError: if the tables are not of the same outcomes, a name occurs twice, the whole is too large, or `out`
        holds something else. Nothing is written then.
    """
    loaded = [load_table(table) for table in tables]
    names = list(encoders) or [encoder_name(table.encoder) for table in loaded]
    _check(tables, loaded, names, out)
    beside = _beside(tables)
    files: dict[str, bytes] = {}
    sets = {name: _own(table) for name, table in zip(names, loaded, strict=True)}
    for name, table, external in zip(names, loaded, beside, strict=True):
        embeddings = {"context": table.context_embedding}
        if external is not None:
            embeddings["external"] = external.context_embedding
        try:
            held = Embeddings.of(embeddings, _pieces(table))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        files |= {f"{SETS}/{name}/{file}": data for file, data in held.files().items()}
    if beside[0] is not None:
        own = {name: _own(table) for name, table in zip(names, beside, strict=True) if table is not None}
        files |= {f"{EXTERNAL}/{file}": data for file, data in _outcomes(beside[0], own, licence).items()}
    files |= _outcomes(loaded[0], sets, licence)
    sizes = {file: len(data) for file, data in files.items()}
    if sum(sizes.values()) > most:
        largest = {top: sum(size for file, size in sizes.items() if file.startswith(top)) for top in ("nodes", SETS)}
        raise InputError(
            f"{out}: would take {sum(sizes.values()):,} bytes, but a shipped table may take {most:,}; its responses "
            f"take {largest['nodes']:,}, its embeddings {largest[SETS]:,}: fewer encoders or queries are needed"
        )
    _write(files, out)
    return sizes | {SUMS: (out / SUMS).stat().st_size}


def describe_table(folder: Path) -> dict[str, Any]:
    """What a list of tables says of one, without loading it: counts, names, bytes, licence."""
    header = read_header(folder)
    tasks = pq.read_table(folder / QUERIES, columns=["task"])["task"].to_pylist()
    external = read_header(folder / EXTERNAL) if (folder / EXTERNAL / HEADER).is_file() else {"pool": []}
    return {
        "name": folder.name,
        "queries": len(tasks),
        "tasks": dict(Counter(tasks)),
        "models": [member["name"] for member in header["pool"]],
        "external": [member["name"] for member in external["pool"]],
        "horizon": header["horizon"],
        "encoders": list(header.get("encoders") or [encoder_name(header["encoder"])]),
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "licence": header.get("licence", ""),
        "fingerprint": header["fingerprint"],
        "folder": str(folder),
    }


def _outcomes(table: OutcomeTable, encoders: Mapping[str, Any], licence: str) -> dict[str, bytes]:
    """All files but the embeddings; the header last."""
    parts = list(parquet_parts(node_rows(table)))
    header = header_of(table) | {"parts": len(parts), "encoders": encoders, "licence": licence}
    shared = {name: value for name, value in table.settings.items() if name not in _OF_AN_ENCODER}
    (queries, *more) = parquet_parts(query_rows(table.queries))
    if more:
        raise InputError(f"the queries take {len(queries) * (1 + len(more)):,} bytes, but a file {MAX_PART_BYTES:,}")
    return {
        **{f"nodes/part-{number:05d}.parquet": part for number, part in enumerate(parts)},
        QUERIES: queries,
        HEADER: (json.dumps(header | {"settings": shared}, indent=2, allow_nan=False) + "\n").encode(),
    }


def _own(table: OutcomeTable) -> dict[str, Any]:
    """What is one encoder's alone."""
    settings = {name: table.settings[name] for name in _OF_AN_ENCODER if name in table.settings}
    return {"encoder": table.encoder, "settings": settings}


def _pieces(table: OutcomeTable) -> int:
    """As many as the encoder has parts, which repeat from context to context, where they are of one size."""
    parts = len(table.encoder.get("parts") or [""])
    return parts if table.context_embedding.shape[2] % parts == 0 else 1


def _check(paths: Sequence[Path], tables: Sequence[OutcomeTable], names: Sequence[str], out: Path) -> None:
    if len(names) != len(tables):
        raise InputError(f"{len(names)} names of encoders are given for {len(tables)} tables")
    for name in names:
        if not name or names.count(name) > 1 or set(name) & set("/@"):
            raise InputError(f"encoders: {name!r} must be a name without / or @ that occurs once; name all encoders")
    for path, table in zip(paths, tables, strict=True):
        if table.fingerprint != tables[0].fingerprint or table.queries != tables[0].queries:
            raise InputError(f"{path}: holds other outcomes, queries or splits than {paths[0]}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, but must be a folder")
    foreign = [p.name for p in out.iterdir() if p.name not in _OURS] if out.is_dir() else []
    if foreign:
        raise InputError(f"{out}: holds {sorted(foreign)[0]!r}, so it is no shipped table; name another folder")


def _beside(paths: Sequence[Path]) -> list[OutcomeTable | None]:
    """The tables of models outside the pool: none, or the same of each encoder."""
    tables = [load_external(path) for path in paths]
    prints = [None if table is None else table.fingerprint for table in tables]
    for path, fingerprint in zip(paths, prints, strict=True):
        if fingerprint != prints[0]:
            raise InputError(f"{path}: the table of models outside the pool is not that of {paths[0]}")
    return tables


_OURS = {HEADER, QUERIES, "nodes", SETS, EXTERNAL, DATASHEET, LOCK, SUMS}


def _write(files: Mapping[str, bytes], out: Path) -> None:
    """The header goes first and comes last, so that a folder without it is known to be unfinished."""
    for name in (HEADER, "nodes", SETS, EXTERNAL):
        shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink(missing_ok=True)
    begin_anew(out / HEADER)
    for name, data in files.items():
        write_bytes(out / name, data)
