"""Options that do not exist or cannot be, in a YAML file or on the command line: one sentence with the right name."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import yaml

from hierrouter_jax.config import load_yaml
from hierrouter_jax.errors import InputError

# As jsonargparse words it; whatever it words otherwise is passed on as it is.
_CLASS = r"<class '(?:\w+\.)*(\w+)'>"
_MISTYPED = re.compile(rf'Parser key "([^"]+)": Expected a {_CLASS}\. Got value: (.*)')
_NOT_IN_UNION = re.compile(
    r'Parser key "([^"]+)": Does not validate .* Subtypes: \[(.*?)\] Errors: .* Given value: (.*)'
)
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "fields (name: value)",
}


def check_options(names: set[str], arguments: list[str]) -> None:
    """Refuse what is not an option, on the command line and in the files that it names.

    Args:
      names: dotted names of all options; below a name without further names under it, anything goes.
      arguments: as parsed.

    Raises:
      InputError: naming the file or option, and the nearest right name.
    """
    for option, value in _given(arguments):
        if option != "config":
            _check_name(option, names, "--", "")
            with suppress(yaml.YAMLError):  # text, such as a query
                _check_keys(yaml.safe_load(value), option, names, f"--{option}")
        elif value:
            _check_keys(load_yaml(value), "", names, value)


def explain(error: Exception, arguments: list[str]) -> str:
    """The sentence for a value that the parser refused, with the file that it stands in."""
    text = " ".join(str(error).split())
    if found := _MISTYPED.fullmatch(text):
        name, kinds, value = found[1], [found[2]], found[3]
    elif found := _NOT_IN_UNION.fullmatch(text):
        name, kinds, value = found[1], re.findall(_CLASS, found[2]), found[3]
    else:
        return text
    given = dict(_given(arguments))
    where = "--" if name in given else f"{given['config']}: " if given.get("config") else ""
    right = " or ".join(_KINDS.get(kind, kind) for kind in kinds if kind != "NoneType") or "as --help says"
    return f"{where}{name} is {value!r}, but must be {right}"


def _given(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Every option of the command line with its value."""
    for position, argument in enumerate(arguments):
        if argument == "--":
            return
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            following = arguments[position + 1] if position + 1 < len(arguments) else ""
            yield name, value if equals else following


def _check_keys(data: Any, at: str, names: set[str], where: str) -> None:
    """Every key of nested mappings, down to options whose values are mappings themselves."""
    if not isinstance(data, Mapping) or at in names:
        return
    for key, value in data.items():
        name = f"{at}.{key}" if at else str(key)
        _check_name(name, names, f"{where}: ", at)
        _check_keys(value, name, names, where)


def _check_name(name: str, names: set[str], where: str, at: str) -> None:
    parts = name.split(".")
    prefixes = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    if not prefixes & names and not any(known.startswith(f"{name}.") for known in names):
        raise InputError(f"{where}{name} is not an option; {_way_out(name, names, at, where)}")


def _way_out(name: str, names: set[str], at: str, where: str) -> str:
    """A sibling first, as a file has it below `at`; then the same key elsewhere; then any name much like it."""
    parent, _, key = name.rpartition(".")
    start = f"{parent}." if parent else ""
    siblings = sorted({known.removeprefix(start).split(".")[0] for known in names if known.startswith(start)})
    close = [name if at else start + name for name in get_close_matches(key, siblings, n=1)]
    close += [known for known in sorted(names) if known.rpartition(".")[2] == key]
    close += get_close_matches(name, names, n=1, cutoff=0.85)
    if close:
        return f"did you mean {where if where == '--' else ''}{close[0]}?"
    return f"known are {', '.join(siblings or sorted(names))}"
