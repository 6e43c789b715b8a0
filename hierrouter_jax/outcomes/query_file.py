"""A user's own queries: a row each in a file."""

from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.rows import read_rows
from hierrouter_jax.outcomes.table import SPLITS, Query
from hierrouter_jax.outcomes.texts import NotText, as_text, gold_text, unknown

_NEEDED = ("text", "gold", "split")
_TEXTS = ("id", "text", "task", "split", "group")
_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def read_queries(path: Path) -> tuple[Query, ...]:
    """Read queries with columns `text`, `gold` and `split`, and optionally `id`, `task`, `group` and `unseen`.

    Raises:
      InputError: naming the file, and the row and column at fault.
    """
    return _read(path, _NEEDED, {"task": "queries", "group": "", "unseen": False}, (*_TEXTS, "gold", "unseen"))


def read_questions(path: Path) -> tuple[Query, ...]:
    """Read queries that only want an answer: column `text`, and optionally `id` and `task` ("" where it is
    not said); they have no gold answer.

    Raises:
      InputError: naming the file, and the row and column at fault.
    """
    defaults = {"task": "", "gold": "", "split": "test", "group": "", "unseen": False}
    queries, seen = _read(path, ("text",), defaults, ("id", "text", "task")), set()
    for row, query in enumerate(queries):
        if query.id in seen:
            raise InputError(f"{path}: row {row}: id {query.id!r} occurs twice")
        seen.add(query.id)
    return queries


def _read(path: Path, needed: tuple[str, ...], defaults: dict[str, Any], known: tuple[str, ...]) -> tuple[Query, ...]:
    found = read_rows(path)
    if not found.rows:
        raise InputError(f"{path}: holds no queries")
    found.need(path, *needed)
    return tuple(
        _query(
            f"{path}: row {row}",
            {name: record.get(name) for name in known},
            needed,
            defaults | {"id": f"query-{row:05d}"},
        )
        for row, record in found.rows
    )


def _query(where: str, record: dict[str, Any], needed: tuple[str, ...], defaults: dict[str, Any]) -> Query:
    """A row's query; what a row leaves out is as `defaults` say."""
    values: dict[str, Any] = dict(defaults)
    for name, value in record.items():
        if unknown(value):
            if name in needed:
                raise InputError(f"{where}: {name} is {'empty' if name == 'text' else 'missing'}")
            continue
        try:
            values[name] = gold_text(value) if name == "gold" else as_text(value)
        except NotText as error:
            raise InputError(f"{where}: {name} {error}") from None
    if not values["text"].strip():
        raise InputError(f"{where}: text is empty")
    if values["split"] not in SPLITS:
        raise InputError(f"{where}: split is {values['split']!r}, but must be one of {', '.join(SPLITS)}")
    unseen = str(values["unseen"]).strip().lower()
    if unseen not in _TRUTH:
        raise InputError(f"{where}: unseen is {values['unseen']!r}, but must be true or false")
    values["unseen"] = _TRUTH[unseen]
    return Query(**values)
