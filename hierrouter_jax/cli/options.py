"""Options in the one form that the parser takes; and the sentence about one that does not exist or cannot be."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import yaml

from hierrouter_jax.cli.verbs import Verb
from hierrouter_jax.config import config_path, load_yaml
from hierrouter_jax.errors import InputError

# As jsonargparse words it; whatever it words otherwise is passed on as it is.
_MISTYPED = re.compile(r'Parser key "([^"]+)": Expected a (<class .*?>|typing\.Literal\[.*?\])\. Got value: (.*)')
_NOT_IN_UNION = re.compile(
    r'Parser key "([^"]+)": Does not validate .* Subtypes: \[(.*?)\] Errors: .* Given value: (.*)'
)
_TYPE = re.compile(r"<class '(?:\w+\.)*(\w+)'>|\bLiteral\[(.*?)\]|\bdict\[str, (\w+)|\b(list|tuple)\[")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "fields (name: value)",
}


_AXIS = re.compile(r"[A-Za-z_][\w.+:/-]*=")
_TEXT = {True: "true", False: "false"}


def normalized(arguments: Sequence[str], kinds: Mapping[str, Any], verb: Verb, several: str = "") -> list[str]:
    """Arguments as the parser takes them: options as `--name=value` with underscores, then what has no name.

    Args:
      arguments: command line as the shell gives it: hyphens will do for underscores, a bare flag for true, `--no-flag`
        for false, the name of a preset for its file.
      kinds: dotted names of all options, and their types.
      verb: what its arguments without a name stand for.
      several: the argument that takes one or more values, if there is one.
    """
    options, bare, rest = [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            bare += rest
            break
        if not argument.startswith("--"):
            (options if argument == "-h" else bare).append(argument)
            continue
        written, equals, value = argument[2:].partition("=")
        name, negative = _right_name(written, kinds)
        if kinds.get(name) is bool and not equals:
            value = rest.pop(0) if not negative and rest and rest[0] in _TEXT.values() else _TEXT[not negative]
        elif not equals:
            if not rest or rest[0].startswith("--") or name in ("help", "help-all", "print_config"):
                options.append(f"--{name}")
                continue
            value = rest.pop(0)
        group = any(known.startswith(f"{name}.") for known in kinds)
        if name == "config" or (group and value.endswith(".yaml")):
            value = str(config_path(value))
        options.append(f"--{name}={value}")
    if verb.gathers:
        axes = [argument for argument in bare if _AXIS.match(argument)]
        bare = [argument for argument in bare if argument not in axes]
        options += [f"--{verb.gathers}={json.dumps(axes)}"] if axes else []
    if verb.first and bare:
        options.append(f"--{verb.first}={bare.pop(0)}")
    if several and bare:
        bare = [json.dumps(bare)]
    return [*options, *(["--"] if any(argument.startswith("-") for argument in bare) else []), *bare]


def _right_name(written: str, kinds: Mapping[str, Any]) -> tuple[str, bool]:
    """The option's own name, and whether it is a flag that is denied; what is no option stays as it is."""
    for name in (written, written.replace("-", "_")):
        if name in kinds or any(known.startswith(f"{name}.") for known in kinds):
            return name, False
    name = written.replace("-", "_").removeprefix("no_")
    denied = kinds.get(name) is bool and written[:3] in ("no-", "no_")
    return (name, True) if denied else (written, False)


def check_options(names: set[str], arguments: list[str]) -> None:
    """Refuse what is not an option, on the command line and in the files that it names.

    Args:
      names: dotted names of all options; below a name without further names under it, anything goes.
      arguments: command line in the form that the parser takes.

    Raises:
      InputError: naming the file or option, and the nearest right name.
    """
    for option, value in _given(arguments):
        if option != "config":
            _check_name(option, names, "--", "")
            read = value  # text, such as a query, or digits beyond what Python reads
            with suppress(yaml.YAMLError, ValueError):
                read = yaml.safe_load(value)
            _check_keys(read, option, names, f"--{option}")
        elif value:
            _check_keys(load_yaml(value), "", names, value)


def explain(error: Exception, arguments: list[str]) -> str:
    """The sentence for a value that the parser refused, with the file that it stands in."""
    text = " ".join(str(error).split())
    match = _MISTYPED.fullmatch(text) or _NOT_IN_UNION.fullmatch(text)
    if match is None:
        return text
    name, types, value = match.groups()
    options = dict(_given(arguments))
    where = "--" if name in options else f"{options['config']}: " if options.get("config") else ""
    return f"{where}{name} is {value!r}, but must be {' or '.join(_kinds(types)) or 'as --help says'}"


def _kinds(types: str) -> list[str]:
    """Types in plain words, each once, None left out."""
    words = []
    for plain, choices, of_values, sequence in _TYPE.findall(types):
        if choices:
            words.append("one of " + choices.replace("'", ""))
        elif of_values:
            words.append(f"fields (name: {_KINDS.get(of_values, 'value')})")
        elif plain != "NoneType":
            words.append(_KINDS.get(plain or sequence, plain or sequence))
    return list(dict.fromkeys(words))


def _given(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Every option of the command line with its value."""
    for argument in arguments:
        if argument == "--":
            return
        if argument.startswith("--"):
            name, _, value = argument[2:].partition("=")
            yield name, value


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
