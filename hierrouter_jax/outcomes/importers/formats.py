"""The formats that outcomes are imported from, by name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.importers import llmrouter, llmrouterbench, long, opencompass, routellm, routerbench
from hierrouter_jax.outcomes.importers.records import Gatherer, Records
from hierrouter_jax.outcomes.importers.scales import Stated

FORMATS: dict[str, Callable[[Path, Gatherer], Records]] = {
    "long": long.read,
    "llmrouter": llmrouter.read,
    "llmrouterbench": llmrouterbench.read,
    "opencompass": opencompass.read,
    "routellm": routellm.read,
    "routerbench": routerbench.read,
}


def read_format(name: str, path: Path, columns: Mapping[str, str] | None = None, score_range: Stated = None) -> Records:
    """Outcomes of a file or folder.

    Args:
      name: of the format.
      path: file or folder.
      columns: of the long format, names in the file by ours.
      score_range: worst and best score, of all columns of scores or by column; 0 and 1 where it is left out.

    Raises:
      InputError: if the format is unknown, or the files are not what it says.
    """
    if name not in FORMATS:
        raise InputError(f"format {name!r} is unknown; {nearest(name, FORMATS)}")
    if columns and name != "long":
        raise InputError(f"--columns maps columns of the long format; {name} has names of its own")
    rows = Gatherer(path, score_range)
    return long.read(path, rows, columns) if name == "long" else FORMATS[name](path, rows)
