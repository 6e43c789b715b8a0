"""Single precision, whatever the process around asks of JAX: JAX_ENABLE_X64 is for the user's own arrays."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def single_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function with 32-bit types in all that it makes of numbers, also while JAX traces it.

    States, draws and rounding are then the same with and without 64-bit types, so that a run can be taken up by a
    process of either kind. Arrays of 64 bits that are handed in are read at 32 bits.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(False):
            return function(*args, **kwargs)

    return run
