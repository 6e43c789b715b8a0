"""The domain of every number of every configuration: stated beside its field, and checked here alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from numbers import Real
from typing import Any

import numpy as np

from hierrouter_jax.errors import InputError


@dataclass(frozen=True)
class Domain:
    """An interval of finite numbers.

    Attributes:
      low, high: ends of the interval; where infinite, there is no bound, and still the number must be finite.
      open_low, open_high: whether the end is outside.
      whole: whether only whole numbers are inside.
    """

    low: float = -inf
    high: float = inf
    open_low: bool = False
    open_high: bool = False
    whole: bool = False

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, int) and not isfinite(value):  # a large whole number is finite, and no float
            return False
        if self.whole and value != int(value):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        """What a value must be, as it stands after 'must be'."""
        kind = "a whole number" if self.whole else "a finite number"
        low = "" if self.low == -inf else f"above {self.low:g}" if self.open_low else f"of at least {self.low:g}"
        high = "" if self.high == inf else f"below {self.high:g}" if self.open_high else f"at most {self.high:.10g}"
        return f"{kind} {' and '.join(filter(None, (low, high)))}".rstrip()


Domains = Mapping[str, Domain]

REAL = Domain()
NONNEGATIVE = Domain(0)
POSITIVE = Domain(0, open_low=True)
SHARE = Domain(0, 1)
NATURAL = Domain(0, whole=True)
COUNT = Domain(1, whole=True)
SEED = Domain(0, 2**31 - 1, whole=True)  # what JAX, NumPy, scikit-learn and endpoints all take
SIMILARITY = Domain(0.5, 1)  # of texts that are near-duplicates


def check_domains(config: Any) -> None:
    """Refuse a configuration one of whose numbers is not in the domain that its class states in `DOMAINS`.

    Numbers of the host are checked, in tuples, lists, mappings and NumPy arrays too; what JAX traces or holds on a
    device is left alone, so that a configuration may be a pytree.

    Raises:
      InputError: naming the field, its value and what would be right.
    """
    check_values({name: getattr(config, name) for name in type(config).DOMAINS}, type(config).DOMAINS)


def check_values(values: Mapping[str, Any], domains: Domains) -> None:
    """Refuse the first of some named values that is not in its domain; a value without a domain is left alone.

    Raises:
      InputError: naming it, its value and what would be right.
    """
    for name, domain in domains.items():
        for where, value in _numbers(name, values.get(name)):
            if value not in domain:
                raise InputError(f"{where} is {value}, but must be {domain}")


def _numbers(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every number of the host in a value, by where it stands."""
    if isinstance(value, Real) and not isinstance(value, bool | np.bool_):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            yield from _numbers(f"{name}.{key}", inside)
    elif isinstance(value, tuple | list):
        for place, inside in enumerate(value):
            yield from _numbers(f"{name}[{place}]", inside)
    elif isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.number):
        for place, inside in enumerate(value.ravel().tolist()):
            yield f"{name}[{place}]" if value.ndim else name, inside
