"""Which outcome table a name or a path means: a folder, a table that ships with the package, and whose embeddings.

A shipped table holds the embeddings of several encoders. `<table>@<encoder>` chooses one; without it the first counts.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hierrouter_jax.config import PACKAGE
from hierrouter_jax.errors import InputError, nearest

TABLES = PACKAGE / "tables"
HEADER = "table.json"


class TableChoice(NamedTuple):
    """A table on disk.

    Attributes:
      folder: folder of the table.
      encoder: name of the encoder whose embeddings are meant; None is the table's first.
      by_name: whether it was the name of a shipped table that led here, and not a path.
    """

    folder: Path
    encoder: str | None = None
    by_name: bool = False

    def named(self, encoders: Iterable[str]) -> str:
        """The name of the encoder, of those that the table has.

        Raises:
          InputError: if it has no such encoder.
        """
        names = list(encoders)
        if self.encoder is None:
            return names[0]
        if self.encoder not in names:
            raise InputError(
                f"{self.folder}: holds no embeddings of an encoder named {self.encoder!r}; "
                f"{nearest(self.encoder, names)}"
            )
        return self.encoder


def shipped_tables() -> dict[str, Path]:
    """Folders of the tables in the package, by name."""
    return {path.parent.name: path.parent for path in sorted(TABLES.glob(f"*/{HEADER}"))}


def find_table(table: Path | str) -> TableChoice:
    """The folder that is called `table`, or else the shipped table that is.

    Raises:
      InputError: if there is neither; the message names the nearest shipped table.
    """
    choice = _look_up(table)
    if choice is not None:
        return choice
    known = shipped_tables()
    name = str(table).rpartition("@")[0] or str(table)
    shipped = f", and no such table in the package; {nearest(name, known)}" if known else ""
    raise InputError(f"{table}: no such outcome table (a folder with {HEADER} is needed){shipped}")


def is_table(table: Path | str) -> bool:
    """Whether a finished table is called so."""
    choice = _look_up(table)
    return choice is not None and (choice.folder / HEADER).is_file()


def lasting(table: Path | str) -> Path:
    """What names the same table from any working directory: a shipped one's name as it is, else an absolute path."""
    choice = _look_up(table)
    return Path(table) if choice and choice.by_name else Path(table).absolute()


def encoder_name(spec: dict) -> str:
    """What an encoder is called where nobody names it: the end of its source, in lower case, or its kind."""
    return str(spec.get("source") or spec.get("kind", "")).replace(":", "/").rstrip("/").rpartition("/")[2].lower()


def _look_up(table: Path | str) -> TableChoice | None:
    known, (name, _, encoder) = shipped_tables(), str(table).rpartition("@")
    if Path(table).is_dir():
        return TableChoice(Path(table))
    if name and Path(name).is_dir():
        return TableChoice(Path(name), encoder)
    if str(table) in known:
        return TableChoice(known[str(table)], by_name=True)
    return TableChoice(known[name], encoder, by_name=True) if name in known else None
