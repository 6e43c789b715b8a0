"""Whose a folder is: the same work goes on in it, and other work is refused by the field that differs."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax._version import __version__
from hierrouter_jax.errors import InputError, brief
from hierrouter_jax.files import holds_something
from hierrouter_jax.outcomes.table import SPLITS, OutcomeTable

SOURCES = "sources"  # digests of files that the user brings along, in a record of work
WAY_OUT = "choose another folder, or remove it"


def claim(
    folder: Path, work: str, there: Mapping[str, Any] | None, here: Mapping[str, Any], way_out: str = WAY_OUT
) -> bool:
    """Whether a folder holds this very work already; one that holds nothing becomes this work's.

    Args:
      folder: path of the folder, which need not exist yet.
      work: name of this kind of work, such as `sweep`, for messages.
      there: record of the work that the folder holds, as plain data; None where it has no such record.
      here: record of this work, as plain data: everything that its results depend on. Without a `version`, the work
        goes on across versions, but never in what a newer one wrote.
      way_out: words that say what to do where the folder holds other work.

    Raises:
      InputError: if the folder holds other work, work of a newer version, or something else.
    """
    if there is None:
        if folder.exists() and (not folder.is_dir() or holds_something(folder)):
            raise InputError(f"{folder}: is not empty and holds no {work}; choose another folder")
        return False
    version = there.get("version")
    if version is not None and _numbers(version) > _numbers(__version__):
        raise InputError(
            f"{folder}: holds a {work} of version {version}, but this is version {__version__}; "
            "update hierrouter_jax, or choose another folder"
        )
    differs = difference({name: value for name, value in there.items() if name != "version" or name in here}, here)
    if differs:
        raise InputError(f"{folder}: holds another {work} ({differs}); {way_out}")
    return True


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """The first field in which two records of work differ, with both values, as words; None if there is none."""
    theirs, ours = dict(_fields(there)), dict(_fields(here))
    # Records of before there was guidance are of training without it.
    theirs |= {name: 0.0 for name in ours.keys() - theirs.keys() if name.endswith(".guidance")}
    theirs |= {name: ours[name] for name in ours.keys() - theirs.keys() if name.endswith(".guidance_until")}
    # A field that came later and is not set changes nothing.
    theirs |= {name: None for name in ours.keys() - theirs.keys() if ours[name] is None}
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        one, other = theirs.get(name, "absent"), ours.get(name, "absent")
        if one != other and name.startswith(f"{SOURCES}."):
            return f"the file of {name.removeprefix(f'{SOURCES}.')} is not what it was there"
        if one != other:
            return "{} is {} there, but {} here".format(name, *_in_brief(one, other))
    return None


def table_identity(table: OutcomeTable) -> dict[str, Any]:
    """What tells an outcome table from others: outcomes, prices, splits and embedding, as JSON holds it."""
    splits = [query.split for query in table.queries]
    embedding = np.ascontiguousarray(table.context_embedding)
    identity = {
        "fingerprint": table.fingerprint,
        "money_unit": table.money_unit,
        "pool": {member.name: member.to_dict() for member in table.pool},
        "splits": {split: splits.count(split) for split in SPLITS} | {"sha256": _sha256(" ".join(splits).encode())},
        "encoder": table.encoder,
        "embedding": {"shape": embedding.shape, "sha256": _sha256(embedding.data)},
    }
    return json.loads(json.dumps(identity))


def refuse_other_table(folder: Path, there: Mapping[str, Any], table: OutcomeTable) -> None:
    """Refuse a table that what lies in a folder is not of; new prices make no other table of it.

    Args:
      folder: path of the folder.
      there: identity of the table that it is of, from its record.
      table: outcome table at hand.

    Raises:
      InputError: naming what differs.
    """
    differs = difference(_without_prices(there), _without_prices(table_identity(table)))
    if differs:
        raise InputError(f"{folder}: is of another outcome table ({differs}); name the one that it is of")


def _without_prices(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What a policy depends on, that which says most to a reader first."""
    fields = {name: identity.get(name) for name in ("encoder", "embedding", "splits", "fingerprint")}
    return {"pool": list(identity.get("pool", ())), **fields}


def _fields(record: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested mappings by its dotted name."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", value


def _in_brief(one: Any, other: Any) -> tuple[str, str]:
    """Two values that differ, for a message; where they begin and end alike, from a little before they differ."""
    short = brief(one), brief(other)
    if short[0] != short[1]:
        return short
    pairs = enumerate(zip(repr(one), repr(other), strict=False))
    start = max(0, next((at for at, (a, b) in pairs if a != b), 0) - 20)
    before = "... " if start else ""
    return f"{before}{brief(repr(one)[start:])}", f"{before}{brief(repr(other)[start:])}"


def _sha256(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
