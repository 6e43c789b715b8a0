"""What a user brings along, by import path: `package.module:name`, or `path/to/file.py:name`."""

import importlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError


def is_import_path(name: str) -> bool:
    """Whether `name` names something by where it is, and not something of ours by its short name."""
    return ":" in name


@lru_cache(maxsize=256)
def load_object(path: str) -> Any:
    """What an import path names. A file is imported once, under the name of its stem.

    Raises:
      InputError: if the module or file cannot be imported, or has no such name.
    """
    where, _, name = path.rpartition(":")
    if not where or not name:
        raise InputError(f"{path!r} is not an import path; write package.module:name or path/to/file.py:name")
    module = _file(Path(where), path) if where.endswith(".py") else _module(where, path)
    if not hasattr(module, name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise InputError(f"{path}: {where} has no {name!r}; it has {', '.join(public) or 'nothing public'}")
    return getattr(module, name)


def _module(name: str, path: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the user's code raises while it is imported
        raise InputError(f"{path}: {name} cannot be imported ({error})") from error


def _file(file: Path, path: str) -> Any:
    if not file.is_file():
        raise InputError(f"{path}: {file.absolute()} is no file")
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
        raise InputError(f"{path}: {file} cannot be imported ({error})") from error
    return module
