"""What a decision log must be before anything is estimated from it; each fault is named by part, row and field."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int, Shaped

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log.record import (
    ACTION_ALONE,
    ENDS,
    EXPLORE_UNKNOWN,
    LATER,
    NULLABLE,
    SCHEMA_VERSION,
    VERSION_KEY,
)
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.outcomes.texts import json_value

_TOLERANCE = 1e-6  # of sums of probabilities; a log of another's may be of single precision


def check_version(there: pa.Schema, schema: pa.Schema, path: Path) -> None:
    """Refuse a part of another version of the log, or without one of its columns.

    Raises:
      InputError: naming the part.
    """
    version = (there.metadata or {}).get(VERSION_KEY, b"").decode()
    if version != str(SCHEMA_VERSION):
        raise InputError(
            f"{path}: the metadata {VERSION_KEY.decode()} is {version or 'missing'}, but this version reads "
            f"{SCHEMA_VERSION}"
        )
    missing = [name for name in schema.names if name not in there.names and name not in LATER]
    if missing:
        raise InputError(f"{path}: the column {missing[0]} is missing")
    for column in schema:
        if column.name in there.names and not _castable(there.field(column.name).type, column.type):
            raise InputError(f"{path}: {column.name} holds {there.field(column.name).type}, but must {column.type}")


def check_decisions(rows: pa.Table, path: Path) -> None:
    """Refuse rows whose distribution, mask, action and propensity do not fit each other.

    Raises:
      InputError: naming part, row and field of the first fault.
    """
    for name in rows.schema.names:
        if name not in NULLABLE and rows[name].null_count:
            _refuse(path, rows[name].is_null().to_numpy(zero_copy_only=False), name, "is missing")
    if not rows.num_rows:
        return
    stage, action = rows["stage"].to_numpy(), rows["action"].to_numpy()
    probs, starts, actions = _lists(rows, "probs")
    models = _lengths(rows, "candidates")
    _refuse(path, models < 1, "candidates", "names no model, but must name at least one")
    for name, most in (("probs", models + 1), ("mask", models + 1)):
        _refuse(path, _lengths(rows, name) != most, name, "must have a value for each candidate and STOP")
    reasons = _lengths(rows, "mask_reasons")
    _refuse(path, (reasons != actions) & (reasons > 0), "mask_reasons", "must have a text for each action, or none")
    charges = _lengths(rows, "charges")
    _refuse(path, (charges != models) & (charges >= 0), "charges", "must have a value for each candidate")
    _refuse(path, stage < 0, "stage", "is {}, but must be at least 0", stage)
    _refuse(path, (action < 0) | (action >= actions), "action", "is {}, but no action has that index", action)
    mask, propensity = _lists(rows, "mask")[0].astype(bool), rows["propensity"].to_numpy()
    wrong = ~((probs >= 0) & (probs <= 1 + _TOLERANCE))
    _refuse(path, np.logical_or.reduceat(wrong, starts), "probs", "must be numbers in [0, 1]")
    sums = np.add.reduceat(probs, starts)
    _refuse(path, abs(sums - 1) > _TOLERANCE, "probs", "sum to {}, but must to 1", sums)
    wrong = np.logical_or.reduceat(~mask & (probs > 0), starts)
    _refuse(path, wrong, "probs", "must be 0 where the mask is false")
    taken = probs[starts + action]
    wrong = ~(abs(propensity - taken) <= _TOLERANCE)
    _refuse(path, wrong, "propensity", "is {}, but must be that of the action in probs", propensity)
    _refuse(path, propensity <= 0, "propensity", "is 0, but the action was taken")
    for name in ("spent", "cost", "seconds"):
        values = rows[name].to_numpy()
        _refuse(path, ~(np.isfinite(values) & (values >= 0)), name, "is {}, but must be a number of at least 0", values)
    _check_failed(rows, path)
    embedding, _, sizes = _lists(rows, "embedding")
    if not np.isfinite(embedding).all():
        at = np.repeat(np.arange(len(sizes)), sizes)[~np.isfinite(embedding)]
        _refuse(path, np.isin(np.arange(len(sizes)), at), "embedding", "holds a number that is not finite")
    ends = rows["end"].to_numpy()
    _refuse(path, ~np.isin(ends, ENDS), "end", f"is {{!r}}, but must be one of {', '.join(ENDS[1:])}, or empty", ends)
    for name, check in _TEXTS.items():
        for text in rows[name].unique().to_pylist():
            try:
                check(name, text)
            except InputError as error:
                raise InputError(f"{path}: row {rows[name].index(text).as_py()}: {error}") from None


def _check_explore(name: str, text: str) -> None:
    if text not in (EXPLORE_UNKNOWN, ACTION_ALONE):
        Exploration.parse(text)


def _check_object(name: str, text: str) -> None:
    try:
        value = json_value(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{name} is {text!r:.40}, but must be an object (name: value) in JSON")


_TEXTS: dict[str, Callable[[str, str], None]] = {
    "explore": _check_explore,
    "encoder": _check_object,
    "settings": _check_object,
}


def _check_failed(rows: pa.Table, path: Path) -> None:
    """Refuse failed calls of models that are no candidates, or whose distribution is none over them and STOP."""
    there = np.flatnonzero(_lengths(rows, "failed") > 0)
    candidates, failed = (rows[name].take(pa.array(there)).to_pylist() for name in ("candidates", "failed"))
    for row, names, calls in zip(there.tolist(), candidates, failed, strict=True):
        for call in calls:
            probs = np.array((call or {}).get("probs") or [], dtype=float)
            fits = probs.shape == (len(names) + 1,) and (probs >= 0).all() and abs(probs.sum() - 1) <= _TOLERANCE
            if not fits or call["model"] not in names:
                raise InputError(
                    f"{path}: row {row}: failed holds a call that does not name a candidate, with the probabilities "
                    "of all candidates and STOP when it was drawn"
                )


def check_feedback(rows: pa.Table, path: Path) -> None:
    """Refuse feedback that is no quality of an episode.

    Raises:
      InputError: naming part, row and field of the first fault.
    """
    for name in rows.schema.names:
        if rows[name].null_count:
            _refuse(path, rows[name].is_null().to_numpy(), name, "is missing")
    quality = rows["quality"].to_numpy()
    _refuse(path, ~((quality >= 0) & (quality <= 1)), "quality", "is {}, but must be a number in [0, 1]", quality)


def check_unique(decisions: Sequence[tuple[Path, pa.Table]]) -> None:
    """Refuse two decisions of one episode at one stage, whether in one part or in two.

    Raises:
      InputError: naming both.
    """
    first: dict[tuple[str, int], tuple[Path, int]] = {}
    for path, rows in decisions:
        keys = zip(rows["episode_id"].to_pylist(), rows["stage"].to_pylist(), strict=True)
        for row, key in enumerate(keys):
            other, at = first.setdefault(key, (path, row))
            if (other, at) != (path, row):
                raise InputError(
                    f"{path}: row {row}: stage {key[1]} of episode_id {key[0]!r} is logged twice, first in "
                    f"{other.name}, row {at}"
                )


def _castable(there: pa.DataType, here: pa.DataType) -> bool:
    try:
        pa.array([], there).cast(here)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _lengths(rows: pa.Table, name: str) -> Int[np.ndarray, " R"]:
    """Lengths of a column of lists; -1 where there is none."""
    return rows[name].combine_chunks().value_lengths().fill_null(-1).to_numpy()


def _lists(rows: pa.Table, name: str) -> tuple[Shaped[np.ndarray, " X"], Int[np.ndarray, " R"], Int[np.ndarray, " R"]]:
    """The values of a column of lists one behind the other, where each list starts, and its length."""
    lengths = _lengths(rows, name)
    values = rows[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values, np.cumsum(lengths) - lengths, lengths


def _refuse(
    path: Path, wrong: Bool[np.ndarray, " R"], name: str, what: str, values: Shaped[np.ndarray, " R"] | None = None
) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        fault = what if values is None else what.format(values[row])
        raise InputError(f"{path}: row {row}: {name} {fault}")
