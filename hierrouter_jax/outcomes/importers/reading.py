"""Files of outcomes: JSON, JSON lines, CSV and Parquet, gzipped or not; never a pickle."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.records import Gatherer

_PICKLES = (".pkl", ".pickle", ".p")


def read_document(path: Path) -> Any:
    """The content of a .json or .json.gz file.

    Raises:
      InputError: if it is missing or not JSON.
    """
    try:
        return json.loads(_bytes(path))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def read_lines(path: Path, into: Gatherer) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each object of a .jsonl or .jsonl.gz file with its line number from 0; other lines are rejected `into`."""
    for row, line in enumerate(_bytes(path).splitlines()):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            into.reject(path, row, f"not valid JSON ({error})")
            continue
        if isinstance(value, dict):
            yield row, value
        else:
            into.reject(path, row, f"is {value!r:.40}, but must be an object (name: value)")


def read_grid(path: Path) -> pd.DataFrame:
    """A .csv (or .csv.gz) or .parquet file, every value of a CSV as the text that it is.

    Raises:
      InputError: if it cannot be read; a pickle never is, because reading it runs what it holds.
    """
    name = path.name.removesuffix(".gz")
    if path.suffix in _PICKLES:
        raise InputError(
            f"{path}: is a pickle, which runs code when it is read, so it is not; whoever trusts it converts it with "
            f"python -c \"import pandas; pandas.read_pickle('{path.name}').to_parquet('{path.stem}.parquet')\""
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if name.endswith(".csv"):
            return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        if name.endswith(".parquet"):
            return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    raise InputError(f"{path}: is no .csv or .parquet file")


def found(path: Path, *patterns: str) -> list[Path]:
    """`path` itself where it is a file, or the files below it that match, in order of name.

    Raises:
      InputError: if there are none.
    """
    if path.is_file():
        return [path]
    files = sorted({file for pattern in patterns for file in path.glob(pattern) if file.is_file()})
    if not files:
        reason = f"holds no {' or '.join(patterns)}" if path.is_dir() else "no such file or folder"
        raise InputError(f"{path}: {reason}")
    return files


def stem(path: Path) -> str:
    """The file's name without .json, .json.gz and the like."""
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def digest(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file, for the record."""
    with path.open("rb") as handle:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(handle, "sha256").hexdigest()}


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
