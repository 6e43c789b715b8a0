"""The learner's numbers by their dotted names, alone or stacked: `learning_rate`, `reward.hop_cost`, ..."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.errors import InputError
from hierrouter_jax.plugins import is_import_path

OWN_TERMS = "reward.custom"


def numbers(hyper: Any, at: str = "") -> dict[str, Any]:
    """Every leaf of a learner's numbers by its dotted name, in the order of the fields.

    A reward term of the user's own is `reward.custom.` and its import path.
    """
    found = {}
    for field in fields(hyper):
        value, name = getattr(hyper, field.name), f"{at}{field.name}"
        if is_dataclass(value):
            found |= numbers(value, f"{name}.")
        else:
            found |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return found


def with_numbers(hyper: LearnerHyper, values: Mapping[str, Any]) -> LearnerHyper:
    """The same numbers, with those that are named replaced, by numbers or by arrays of them.

    Raises:
      InputError: if there is no number of that name; the message says which is nearest.
    """
    check_names(values, hyper)
    return _replaced(hyper, values)


def check_names(names: Mapping[str, Any] | Sequence[str], hyper: LearnerHyper | None = None) -> None:
    """Refuse names that are no number of the learner."""
    known = numbers(hyper or LearnerHyper())
    for name in names:
        if name not in known and not _is_own_term(name):
            close = get_close_matches(name, known, n=1) or [full for full in known if full.endswith(f".{name}")]
            hint = f"did you mean {close[0]}?" if close else f"the numbers are {', '.join(known)}"
            raise InputError(f"{name} is not a number of the learner; {hint}")


def stack(hypers: LearnerHyper | Sequence[LearnerHyper]) -> LearnerHyper:
    """One set of numbers whose every leaf has a leading axis [H].

    Args:
      hypers: several sets, or one whose leaves are numbers or arrays [H].

    Raises:
      InputError: if the arrays are of different lengths, or hold a number that is not finite.
    """
    one = isinstance(hypers, LearnerHyper)
    if not one and not hypers:
        raise InputError("a sweep needs at least one set of hyperparameters")
    first = hypers if one else hypers[0]
    tables = [
        {name: np.asarray(leaf, float) for name, leaf in numbers(h).items()} for h in ([first] if one else hypers)
    ]
    names = dict.fromkeys(name for table in tables for name in table)  # a term that a set does not name weighs 0
    leaves = {name: tables[0][name] if one else np.stack([t.get(name, np.zeros(())) for t in tables]) for name in names}
    lengths = {name: len(leaf) for name, leaf in leaves.items() if leaf.ndim == 1}
    for name, leaf in leaves.items():
        if leaf.ndim > 1:
            raise InputError(f"{name} has shape {leaf.shape}, but must be a number or have one axis")
        if not np.isfinite(leaf).all():
            raise InputError(f"{name} holds a number that is not finite")
    if len(set(lengths.values())) > 1:
        raise InputError(f"hyperparameters are of different lengths: {lengths}")
    count = next(iter(lengths.values()), 1)
    if not count:
        raise InputError("a sweep needs at least one set of hyperparameters")
    return _replaced(first, {name: np.broadcast_to(leaf, (count,)).copy() for name, leaf in leaves.items()})


def _replaced(hyper: Any, values: Mapping[str, Any], at: str = "") -> Any:
    changed = {}
    for field in fields(hyper):
        value, name = getattr(hyper, field.name), f"{at}{field.name}"
        if is_dataclass(value):
            changed[field.name] = _replaced(value, values, f"{name}.")
        elif isinstance(value, dict):
            start = f"{name}."
            own = {key.removeprefix(start): one for key, one in values.items() if key.startswith(start)}
            changed[field.name] = value | own
        elif name in values:
            changed[field.name] = values[name]
    return replace(hyper, **changed)


def _is_own_term(name: str) -> bool:
    return name.startswith(f"{OWN_TERMS}.") and is_import_path(name)
