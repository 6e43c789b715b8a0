"""Names that the package had before: who imports one is answered with the name that it has now."""

import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGE = "hierrouter_jax"
_EMPTIED = "experiments"  # a folder of which nothing is left
RENAMED = {"search": "sweep"}  # names of the package itself


@cache
def moved() -> dict[str, str]:
    """Modules of earlier releases, each with the module that holds now what it held; names without the package."""
    import yaml  # only who imports an old name waits for it

    places = yaml.safe_load(Path(__file__).with_name("moved.yaml").read_text("utf-8"))
    return {old: new for new, olds in places.items() for old in olds}


def renamed(name: str) -> str:
    """The sentence about a name of the package that is unknown, with the new name where it has one."""
    if name in RENAMED:
        return f"{_PACKAGE}.{name} is now {_PACKAGE}.{RENAMED[name]}"
    return f"module {_PACKAGE!r} has no attribute {name!r}"


class MovedModules(MetaPathFinder, Loader):
    """Says where a module went that is not there any more.

    It is asked first: an update of an older checkout leaves folders with nothing but caches, and Python would take them
    for packages.
    """

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """What there is; an empty folder for the one that is gone, so that its modules are asked for by their names.

        Raises:
          ImportError: naming where what a module held is now.
        """
        if not fullname.startswith(f"{_PACKAGE}."):
            return None
        there = PathFinder.find_spec(fullname, path, target)
        if there is not None and there.origin is not None:
            return there
        name = fullname.removeprefix(f"{_PACKAGE}.")
        if name in RENAMED:
            raise ImportError(renamed(name), name=fullname)
        if name in moved():
            raise ImportError(f"{fullname} is now {_PACKAGE}.{moved()[name]}", name=fullname)
        return ModuleSpec(fullname, self, is_package=True) if fullname == f"{_PACKAGE}.{_EMPTIED}" else None

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: the folder stays empty."""


class VerbPackage(ModuleType):
    """A module or folder that has the name of a verb: calling it does what the verb does."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The verb's function, of the same arguments."""
        module, function = _VERBS[self.__name__]
        return getattr(import_module(module), function)(*arguments, **named)


_VERBS = {
    f"{_PACKAGE}.quickstart": (f"{_PACKAGE}.quickstart", "run_quickstart"),
    f"{_PACKAGE}.report": (f"{_PACKAGE}.report.build", "build_page"),
    f"{_PACKAGE}.serve": (f"{_PACKAGE}.serve.server", "run_server"),
}


def make_callable(name: str) -> None:
    """Let a module that is being loaded, and has the name of a verb, be called as the verb's function."""
    sys.modules[name].__class__ = VerbPackage
