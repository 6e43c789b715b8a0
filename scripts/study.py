"""What studies that go on where they were cut off share: whose a folder is, and rows of results as JSON lines."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def begin(folder: Path, work: str, here: Mapping[str, Any]) -> None:
    """Go on in the folder of this very study, or begin it in an empty one; `record.json` says whose it is.

    Args:
      folder: path of the folder of the results.
      work: name of this kind of study, for messages.
      here: everything that results depend on, beside what each row of them says itself.

    Raises:
      InputError: if the folder holds another study, or something else.
    """
    from hierrouter_jax._version import __version__  # here, as what mutates the package must not load it
    from hierrouter_jax.claims import claim
    from hierrouter_jax.files import read_json, write_json

    record = folder / "record.json"
    if not claim(folder, work, read_json(record) if record.exists() else None, here):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(record, {"version": __version__, **here})


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines; none where it is not there."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]


def add_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Add records to a file of JSON lines, each of them in the file before the next is made: a kill loses none."""
    with path.open("a", encoding="utf-8", buffering=1) as file:
        for record in records:
            file.write(json.dumps(record) + "\n")
