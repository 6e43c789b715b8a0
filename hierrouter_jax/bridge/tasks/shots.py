"""The worked examples of a few-shot prompt."""

import random
from collections.abc import Sequence

from hierrouter_jax.bridge.tasks.config import ShotsConfig
from hierrouter_jax.bridge.tasks.source import SourceItem
from hierrouter_jax.errors import InputError

Shots = dict[str, tuple[SourceItem, ...]]


def draw_shots(config: ShotsConfig, items: Sequence[SourceItem], where: str) -> Shots:
    """The examples of each stratum, in the order in which they are shown; under "" those of any other.

    Raises:
      InputError: if there are fewer items than are wanted.
    """
    piles: dict[str, list[SourceItem]] = {"": list(items)}
    if config.same_stratum:
        piles = {}
        for item in items:
            piles.setdefault(item.item.stratum, []).append(item)
    shots = {}
    for stratum, pile in piles.items():
        if len(pile) < config.count:
            of = f" of {stratum}" if stratum else ""
            raise InputError(f"{where}: {config.count} worked examples{of} are wanted, but there are {len(pile)}")
        shots[stratum] = tuple(random.Random(f"{config.seed}/{stratum}").sample(pile, config.count))
    return shots


def shots_for(shots: Shots, stratum: str, config: ShotsConfig, where: str) -> tuple[SourceItem, ...]:
    """The examples that a question of this stratum is shown.

    Raises:
      InputError: if they are to be of the same stratum, and it has none.
    """
    if not config.count:
        return ()
    key = stratum if config.same_stratum else ""
    if key not in shots:
        raise InputError(f"{where}: no worked example of {stratum!r}; set shots.same_stratum: false")
    return shots[key]
