"""What a user brings along, by import path: `package.module:name`, or `path/to/file.py:name`."""

import hashlib
import importlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError

IMPORT_PATH = "an import path"  # as messages name what may stand beside our short names


def is_import_path(name: str) -> bool:
    """Whether `name` names something by where it is, and not something of ours by its short name."""
    return ":" in name


def load_object(path: str) -> Any:
    """What an import path names. A file is imported once, under the name of its stem.

    Raises:
      InputError: if the module or file cannot be imported, or has no such name.
    """
    where, name = _parts(path)
    module = _file(Path(where).absolute()) if where.endswith(".py") else _module(where, path)
    if not hasattr(module, name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise InputError(f"{path}: {where} has no {name!r}; it has {', '.join(public) or 'nothing public'}")
    return getattr(module, name)


def source_digest(path: str) -> str | None:
    """SHA-256 of the Python file that an import path leads to; None where there is none, as of what is compiled.

    Raises:
      InputError: if there is no such file or module.
    """
    where, _ = _parts(path)
    file = where if where.endswith(".py") else getattr(_module(where, path), "__file__", None)
    if file is None or not file.endswith(".py"):
        return None
    if not Path(file).is_file():
        raise InputError(f"{path}: {Path(file).absolute()} is no file")
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:32]


def digests(*paths: str) -> dict[str, str | None]:
    """The digest of every import path among the names, so that a changed file is noticed."""
    return {path: source_digest(path) for path in paths if is_import_path(path)}


def _parts(path: str) -> tuple[str, str]:
    where, _, name = path.rpartition(":")
    if not where or not name:
        raise InputError(f"{path!r} is not an import path; write package.module:name or path/to/file.py:name")
    return where, name


def _module(name: str, path: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the user's code raises while it is imported
        raise InputError(f"{path}: {name} cannot be imported ({error})") from error


@lru_cache(maxsize=256)
def _file(file: Path) -> Any:
    if not file.is_file():
        raise InputError(f"{file} is no file")
    name = f"hierrouter_plugin_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{file} cannot be imported ({error})") from error
    return module
