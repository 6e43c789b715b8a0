"""Where a model's weights are: a hub id, a folder, a GGUF file, or a specialist that ships with this package."""

from importlib.resources import files
from pathlib import Path

from hierrouter_jax.errors import InputError

PACKAGE_PREFIX = "package:"
SPECIALISTS = "specialists"


def resolve_source(source: str) -> str:
    """Where transformers finds a source: the folder or GGUF file, or the hub id as it is.

    Raises:
      InputError: if it can only be a folder or a file, and there is none.
    """
    if source.startswith(PACKAGE_PREFIX):
        shipped = Path(str(files("hierrouter_jax"))) / SPECIALISTS
        folder = shipped / source.removeprefix(PACKAGE_PREFIX)
        if not (folder / "config.json").is_file():
            known = sorted(config.parent.name for config in shipped.glob("*/config.json"))
            raise InputError(f"{source}: no such specialist; the package holds {', '.join(known) or 'none'}")
        return str(folder)
    path = Path(source).expanduser()
    if path.is_dir() or (is_gguf(source) and path.is_file()):
        return str(path)
    if is_gguf(source):
        raise InputError(f"{source}: no such GGUF file")
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise InputError(f"{source}: no such folder")
    return source


def is_gguf(source: str) -> bool:
    """Whether a source is a GGUF file by its name."""
    return source.endswith(".gguf")
