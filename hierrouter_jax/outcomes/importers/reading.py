"""Files of outcomes below a folder: which there are, their rows, and their digests; never a pickle."""

import hashlib
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.records import Gatherer
from hierrouter_jax.outcomes.rows import Rows, read_rows

_PICKLES = (".pkl", ".pickle", ".p")


def outcome_rows(path: Path, into: Gatherer) -> Rows:
    """The rows of a file of outcomes; those that cannot be read are rejected `into`.

    Raises:
      InputError: if the file cannot be read; a pickle never is, because reading it runs what it holds.
    """
    if path.suffix in _PICKLES:
        raise InputError(
            f"{path}: is a pickle, which runs code when it is read, so it is not; whoever trusts it converts it with "
            f"python -c \"import pandas; pandas.read_pickle('{path.name}').to_parquet('{path.stem}.parquet')\""
        )
    return read_rows(path, lambda row, reason: into.reject(path, row, reason))


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
