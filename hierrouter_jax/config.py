"""Typed configs: frozen dataclasses read from YAML, strictly, and written back."""

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from hierrouter_jax.errors import InputError, brief, reason_of
from hierrouter_jax.sums import check_sum

T = TypeVar("T")

PACKAGE = Path(__file__).parent
_MOST_VALUES = 1_000_000  # of a file of settings; anchors of a few lines may stand for more than a memory holds
_DEEPEST = 100  # brackets inside brackets
_SCIENTIFIC = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")  # 3e-4 is text to YAML 1.1


def config_path(name: str) -> Path:
    """The file on disk that is called `name`, or else the preset that is, such as `pool/tiny.yaml`.

    Presets lie inside the installed package; in a checkout they are the top-level `configs/`.

    Raises:
      InputError: if there is neither; the message names the presets of that last name, or all.
    """
    installed = PACKAGE / "configs"
    presets = installed if installed.is_dir() else PACKAGE.parent / "configs"
    for path in (Path(name), presets / name):
        if path.is_file():
            return path
    known = sorted(path.relative_to(presets).as_posix() for path in presets.rglob("*.yaml"))
    namesakes = [preset for preset in known if Path(preset).stem == Path(name).stem]
    hint = f"did you mean {' or '.join(namesakes)}?" if namesakes else f"the presets are {', '.join(known) or 'none'}"
    raise InputError(f"{name}: no such file, and no such preset; {hint}")


def load_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping; an empty file is an empty mapping.

    Raises:
      InputError: naming the file, and the line where the syntax is at fault or a key occurs twice.
    """
    check_sum(Path(path))
    try:
        text = Path(path).read_text(encoding="utf-8")
        data = yaml.load(text, Loader=_StrictLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: not valid YAML ({error.problem})") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        # a date, a number or a key that Python cannot build
        raise InputError(f"{path}: not valid YAML ({reason_of(error)})") from None
    if data is None:
        return {}
    if _size(data, {}) > _MOST_VALUES:
        raise InputError(f"{path}: its anchors stand for more than {_MOST_VALUES:,} values, or for themselves")
    if not isinstance(data, dict):
        raise InputError(f"{path}: is {brief(repr(data))}, but must hold fields (name: value)")
    return data


def from_dict(cls: type[T], data: Mapping[str, Any], where: Path | str) -> T:
    """Build a dataclass, and those nested in it, from plain data.

    A field may be bool, int, float (an int will do, and 3e-4), str, Path, Literal, tuple, list, dict, a dataclass,
    Any, or a union of them. Fields that are left out take their defaults.

    Args:
      cls: dataclass to build.
      data: names to values, as YAML gives them.
      where: the file or option that `data` came from, for messages.
    Raises:
      InputError: naming `where` and the dotted field that is unknown, missing, mistyped or refused by its class.
    """
    return _build(cls, data, str(where), "")


def to_dict(obj: Any) -> Any:
    """The plain data that `from_dict` would build `obj` from: tuples become lists, paths become strings."""
    if is_dataclass(obj) and not isinstance(obj, type):
        return {field.name: to_dict(getattr(obj, field.name)) for field in fields(obj) if field.init}
    if isinstance(obj, Mapping):
        return {key: to_dict(value) for key, value in obj.items()}
    if isinstance(obj, tuple | list):
        return [to_dict(value) for value in obj]
    if isinstance(obj, Path):
        return str(obj)
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    raise TypeError(f"a config cannot hold {type(obj).__name__}")


def _size(value: Any, known: dict[int, float]) -> float:
    """How many values there are when every anchor is written out; infinite where one holds itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf  # until it is counted, so that one inside itself is
        known[id(value)] = 1 + sum(_size(one, known) for one in (value.values() if isinstance(value, dict) else value))
    return known[id(value)]


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key that occurs twice, and brackets so deep that scanning them takes for ever."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        if self.flow_level >= _DEEPEST:
            raise yaml.MarkedYAMLError(problem="it is nested too deep", problem_mark=self.get_mark())
        super().fetch_flow_collection_start(TokenClass)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int:
        number = self.construct_yaml_int(node)
        str(number)  # a hexadecimal one may be too long for Python to write it into any message
        return number


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_number)


def _build(cls: Any, data: Any, where: str, at: str) -> Any:
    if not isinstance(data, Mapping):
        raise _wrong(where, at, data, f"the fields of {cls.__name__} (name: value)")
    known = {field.name: field for field in fields(cls) if field.init}
    for key in (key for key in data if key not in known):
        close = get_close_matches(str(key), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the fields are {', '.join(known)}"
        raise InputError(f"{where}: {_dotted(at, key)} is not a field; {hint}")
    for name, field in known.items():
        if name not in data and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{where}: {_dotted(at, name)} is missing")
    kinds = get_type_hints(cls)
    values = {key: _convert(kinds[key], value, where, _dotted(at, key)) for key, value in data.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise InputError(f"{where}: {at}: {error}" if at else f"{where}: {error}") from None


def _convert(kind: Any, value: Any, where: str, at: str) -> Any:
    """`value` as a `kind`, refused where it is none."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        return _convert_union(args, value, where, at)
    if is_dataclass(kind) and isinstance(kind, type):
        return _build(kind, value, where, at)
    if origin is Literal:
        if any(choice == value and type(choice) is type(value) for choice in args):
            return value
        raise _wrong(where, at, value, _name(kind))
    if (origin or kind) in (tuple, list):
        return _convert_sequence(origin or kind, args, value, where, at)
    if (origin or kind) is dict:
        if not isinstance(value, Mapping):
            raise _wrong(where, at, value, "a mapping (name: value)")
        paths = {key: _dotted(at, key) for key in value}
        of_key, of_value = args or (Any, Any)
        return {_convert(of_key, k, where, paths[k]): _convert(of_value, v, where, paths[k]) for k, v in value.items()}
    return _scalar(kind, value, where, at)


def _scalar(kind: Any, value: Any, where: str, at: str) -> Any:
    if kind is float and (type(value) is int or (isinstance(value, str) and _SCIENTIFIC.fullmatch(value))):
        try:
            return float(value)
        except OverflowError:
            raise _wrong(where, at, value, "a number that a float can hold, of at most 1.8e308") from None
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if kind not in (bool, int, float, str, NoneType, Path):
        raise TypeError(f"{at}: a config field cannot be of type {kind}")
    if type(value) is not kind:
        raise _wrong(where, at, value, _name(kind))
    return value


def _convert_union(kinds: tuple, value: Any, where: str, at: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    some = [kind for kind in kinds if kind is not NoneType]
    if type(value) in some:
        return value
    if len(some) == 1:
        return _convert(some[0], value, where, at)
    for kind in some:
        try:
            return _convert(kind, value, where, at)
        except InputError:
            continue
    raise _wrong(where, at, value, " or ".join(map(_name, some)))


def _convert_sequence(make: Any, args: tuple, value: Any, where: str, at: str) -> Any:
    if not isinstance(value, list | tuple):
        raise _wrong(where, at, value, "a list")
    if make is list or not args or args[-1] is Ellipsis:
        args = (args[0] if args else Any,) * len(value)
    if len(value) != len(args):
        raise InputError(f"{where}: {at} holds {len(value)} values, but must hold {len(args)}")
    return make(_convert(kind, value[i], where, f"{at}[{i}]") for i, kind in enumerate(args))


def _dotted(at: str, key: Any) -> str:
    return f"{at}.{key}" if at else str(key)


def _name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in get_args(kind))
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}
    return words.get(kind, getattr(kind, "__name__", str(kind)))


def _wrong(where: str, at: str, value: Any, right: str) -> InputError:
    return InputError(f"{where}: {at or 'top level'} is {brief(repr(value))}, but must be {right}")
