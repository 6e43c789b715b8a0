"""The parser of a verb, built by jsonargparse from the dataclass that its function takes."""

import re
from argparse import SUPPRESS
from collections.abc import Callable, Iterator
from dataclasses import MISSING, field, fields, is_dataclass, make_dataclass
from importlib import import_module
from inspect import cleandoc
from keyword import iskeyword
from pathlib import Path
from textwrap import fill
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

from hierrouter_jax.cli.options import check_options, explain, normalized
from hierrouter_jax.cli.verbs import VERBS
from hierrouter_jax.config import from_dict
from hierrouter_jax.domains import check_values
from hierrouter_jax.errors import InputError

JSON_HELP = "print the result as JSON, for machines."
_LEARNER = re.compile(r"(^|\.)(static|hyper)(\.|$)")  # groups of options that --help leaves to --help-all
_METAVARS = {
    bool: "",
    int: "N",
    float: "X",
    Path: "PATH",
    str: "TEXT",
    dict: "{NAME: VALUE}",
    tuple: "[A, B]",
    list: "[A, B]",
}


def function_of(verb: str) -> Callable[..., None]:
    """The function that does the work of a verb.

    Raises:
      InputError: if there is no such verb.
    """
    if verb not in VERBS:
        raise InputError(f"{verb!r} is not a verb; the verbs are {', '.join(VERBS)}")
    module = import_module(f"hierrouter_jax.cli.{VERBS[verb].module}")
    return getattr(module, f"{verb}_" if iskeyword(verb) else verb)


def config_of(verb: str) -> type:
    """The dataclass whose fields are the options of a verb."""
    return get_type_hints(function_of(verb))["config"]


def parser_of(verb: str) -> ArgumentParser:
    """The parser of a verb with all of its options: common ones first, the learner's own settings last.

    Raises:
      InputError: if there is no such verb.
    """
    config, example = config_of(verb), VERBS[verb].example
    shown = [name for name in _fields(config) if _required(config, name) and name not in _mappings(config)]
    shown = [f"{name} [{name} ...]" if name == _several(config) else name for name in shown]
    shown += [f"[{VERBS[verb].first}]"] if VERBS[verb].first else []
    parser = ArgumentParser(
        prog=f"hierrouter {verb}",
        usage=" ".join([f"hierrouter {verb}", *shown, "[OPTIONS]"]),
        description=_description(verb),
        epilog=f"example:\n  hierrouter {example}",
        formatter_class=_Formatter,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="a preset or a YAML file with any of these options.")
    parser.add_class_arguments(_form_of(config), as_group=False, as_positional=True)
    if _prints_json(verb):
        parser.add_argument("--json", type=bool, default=False, help=JSON_HELP)
    kinds = kinds_of(verb)
    for action in parser._actions:
        _describe(action, kinds)
    for group in parser._action_groups:
        group.title = " ".join((group.title or "").split())
    parser._action_groups = sorted(parser._action_groups, key=_learners)
    return parser


def help_of(verb: str, everything: bool = False) -> str:
    """The help of a verb: what most people need, or `everything`, the learner's own settings too."""
    parser = parser_of(verb)
    hidden = [action for action in parser._actions if _LEARNER.search(action.dest)]
    if hidden and not everything:
        for action in hidden:
            action.help = SUPPRESS
        parser._action_groups = [group for group in parser._action_groups if not _learners(group)]
        parser.epilog = (
            f"{len(hidden)} more options set what a learner does: hierrouter {verb} --help-all\n\n{parser.epilog}"
        )
    return parser.format_help()


def parse(verb: str, arguments: list[str]) -> tuple[Callable[..., None], dict[str, Any]]:
    """The function behind a verb, and the keyword arguments to call it with: `config`, and `json` where it has it.

    Raises:
      InputError, ArgumentError: if the verb or an option is unknown or mistyped.
    """
    function, config, kinds = function_of(verb), config_of(verb), kinds_of(verb)
    arguments = normalized(arguments, kinds, VERBS[verb], _several(config))
    check_options({*kinds, "help", "print_config"}, arguments)
    parser = parser_of(verb)
    try:
        values = parser.instantiate(parser.parse_args(arguments)).as_dict()
        keywords = {"json": values.pop("json")} if _prints_json(verb) else {}
        values.pop("config", None)
        several = _several(config)
        if several and not values[several]:
            raise InputError(f"{several} is empty, but must name one or more")
        for name, inside in _mappings(config).items():
            values |= _filled(name, inside, values.pop(name) or ({} if _required(config, name) else None))
        domains = getattr(config, "DOMAINS", {})
        check_values({f"--{key}": values.get(key) for key in domains}, {f"--{key}": domains[key] for key in domains})
        return function, {"config": config(**values)} | keywords
    except (ArgumentError, ValueError) as error:  # the parser, or a configuration, refuses a value
        raise InputError(explain(error, arguments)) from None
    except OverflowError:
        raise InputError("a number among the options is above 1.8e308, the largest that a float can hold") from None


def kinds_of(verb: str) -> dict[str, Any]:
    """The dotted names of all options of a verb, and their types."""
    return {"config": Path} | dict(options_of(config_of(verb))) | ({"json": bool} if _prints_json(verb) else {})


def options_of(config: type, at: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted name and the type of every option that holds a value, in dataclasses inside `config` too."""
    hints = get_type_hints(config)
    for name in _fields(config):
        if isinstance(hints[name], type) and is_dataclass(hints[name]):
            yield from options_of(hints[name], f"{at}{name}.")
        else:
            yield f"{at}{name}", hints[name]


def _form_of(config: type) -> type:
    """The dataclass as the parser reads it: a mapping of dataclasses is plain data, or the names alone."""
    hints, mappings = get_type_hints(config), _mappings(config)
    members: list[Any] = []
    for name, its in _fields(config).items():
        if name in mappings:
            members.append((name, Any, field(default=None)))
        else:
            default = (
                field(default=its.default)
                if its.default_factory is MISSING
                else field(default_factory=its.default_factory)
            )
            members.append((name, hints[name], default))
    members.sort(key=lambda member: not _required(config, member[0]))  # as on the command line, these come first
    inherited = "".join((base.__doc__ or "").partition("Attributes:")[2] for base in config.__mro__[1:-1])
    return make_dataclass(config.__name__, members, namespace={"__doc__": (config.__doc__ or "").rstrip() + inherited})


def _fields(config: Any) -> dict[str, Any]:
    return {its.name: its for its in fields(config) if its.init}


def _required(config: Any, name: str) -> bool:
    its = _fields(config)[name]
    return its.default is MISSING and its.default_factory is MISSING


def _several(config: Any) -> str:
    """The argument that takes one or more values, or nothing."""
    hints = get_type_hints(config)
    required = (name for name in _fields(config) if _required(config, name))
    return next((name for name in required if get_origin(hints[name]) is tuple), "")


def _mappings(config: Any) -> dict[str, type]:
    """Fields that map names to dataclasses, and the class of these."""
    hints = ((name, hint) for name, hint in get_type_hints(config).items() if get_origin(hint) is dict)
    inside = {name: get_args(hint)[1] for name, hint in hints}
    return {name: kind for name, kind in inside.items() if isinstance(kind, type) and is_dataclass(kind)}


def _filled(name: str, inside: type, value: Any) -> dict[str, Any]:
    """A mapping of dataclasses from plain data, under its name; names alone stand for all defaults."""
    if value is None:
        return {}
    if not isinstance(value, dict | list):
        raise InputError(f"{name} is {value!r}, but must be fields (name: value), or names in brackets")
    named = dict.fromkeys(value) if isinstance(value, list) else value
    return {name: {str(key): from_dict(inside, data or {}, f"{name}.{key}") for key, data in named.items()}}


def _prints_json(verb: str) -> bool:
    return "json" in get_type_hints(function_of(verb))


def _description(verb: str) -> str:
    return cleandoc(function_of(verb).__doc__ or "").partition("\n\nArgs:")[0]


def _learners(group: Any) -> bool:
    """Whether a group of options holds a learner's own settings."""
    names = [action.dest for action in group._group_actions]
    return bool(names) and all(_LEARNER.search(name) for name in names)


def _describe(action: Any, kinds: dict[str, Any]) -> None:
    """Say what a value looks like in its place."""
    if not action.option_strings:
        action.metavar = action.dest  # in place of the form of a list
    elif action.dest in kinds:
        action.metavar = "FILE" if action.dest == "config" else _metavar(kinds[action.dest])
    elif any(name.startswith(f"{action.dest}.") for name in kinds):
        action.metavar, action.help = "FILE", "a preset or a YAML file with these."
    elif action.dest == "print_config":
        action.metavar, action.help = "", "print the configuration that the other options make, and exit."
    elif action.dest.endswith(".help"):
        action.help = SUPPRESS
    if "." in action.dest:
        action.required = False  # its dataclass has a default as a whole


def _metavar(hint: Any) -> str:
    inside = [kind for kind in get_args(hint) if kind is not NoneType]
    if get_origin(hint) in (Union, UnionType):
        return _metavar(inside[0])
    if get_origin(hint) is Literal:
        return f"{{{','.join(map(str, inside))}}}"
    return _METAVARS.get(get_origin(hint) or hint, "VALUE")


class _Formatter(DefaultHelpFormatter):
    """Help whose paragraphs and examples are as they are written."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(part if "\n  " in part else fill(part, width) for part in text.split("\n\n"))

    def _get_help_string(self, action: Any) -> str:
        text, default = action.help or "", action.default
        plain = isinstance(default, int | float | str | Path | tuple | list) and default is not False
        if action.option_strings and plain and default not in ("", (), [], SUPPRESS):
            text += f" (default: {' '.join(map(str, default)) if isinstance(default, tuple | list) else default})"
        return text.replace("%", "%%")
