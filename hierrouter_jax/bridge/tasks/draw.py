"""Seeded draws that keep each stratum's share and are nested, from items of which some are duplicates of others."""

import random
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from hierrouter_jax.bridge.tasks.config import ShotsConfig
from hierrouter_jax.bridge.tasks.source import SourceItem
from hierrouter_jax.errors import InputError

# Test first: what it takes is what the others may not have, as when a training set is decontaminated.
ORDER = ("test", "validation", "train")


def draw_splits(
    counts: dict[str, int],
    eligible: dict[str, Bool[np.ndarray, " I"]],
    group: Int[np.ndarray, " I"],
    strata: Sequence[str],
    taken: set[int],
    seed: int,
    where: str,
    skip: int = 0,
) -> dict[str, Int[np.ndarray, " _"]]:
    """Items of each split, none of a duplicate group that another split has drawn from.

    The items that a split may be drawn from stand in one random order, every stretch of which holds each stratum's
    share. Test takes from its start, training from its end, validation from its middle. So a larger draw of the same
    seed contains the smaller one, as long as no split reaches into what another one holds.

    Args:
      counts: number of items to draw for each split.
      eligible: whether each split may be drawn from an item, for the splits that are to be drawn; test among them where
        items are skipped, though it draws none.
      group: duplicate group of each item.
      strata: stratum of each item.
      taken: duplicate groups that no split may draw from; those of the items drawn are added to it.
      seed: seed of the draw.
      where: name of the task, for messages.
      skip: number of items that test passes over at the start, with all of their groups: no split may draw them.
    Returns:
      Positions of the drawn items, ascending, for each split.
    Raises:
      InputError: if a split wants more items than are left for it.
    """
    drawn = {}
    for split in ORDER:
        if split not in eligible:
            drawn[split] = np.array([], dtype=int)
            continue
        order = _preferred(split, np.flatnonzero(eligible[split]), strata, seed)
        if split == "test" and skip:
            order = [row for row in order if group[row] not in taken]
            taken |= set(group[order[:skip]].tolist())
        left = [row for row in order if group[row] not in taken]
        if counts[split] > len(left):
            passed = f", {skip} that are skipped" if skip else ""
            raise InputError(
                f"{where}: {counts[split]} {split} queries are asked for, but {len(left)} are left: "
                f"{len(order)} in its source, less worked examples{passed}, what other splits drew, and "
                "duplicates of both"
            )
        drawn[split] = np.sort(np.array(left[: counts[split]], dtype=int))
        taken |= set(group[drawn[split]].tolist())
    return drawn


def _preferred(split: str, rows: Int[np.ndarray, " R"], strata: Sequence[str], seed: int) -> list[int]:
    """The rows that a split may be drawn from, those that it takes first in front."""
    candidates: list[int] = rows.tolist()
    order = [candidates[place] for place in stratified_order([strata[row] for row in candidates], seed)]
    if split == "test":
        return order
    if split == "train":
        return order[::-1]
    middle = len(order) // 2
    return [order[place] for place in sorted(range(len(order)), key=lambda place: (abs(place - middle), place))]


def stratified_order(strata: Sequence[str], seed: int) -> list[int]:
    """Positions of all entries in a random order of which every start holds each stratum's share, to less than one.

    At each place stands the stratum whose next entry is due first, of those that are owed one (Tijdeman 1980, The
    chairman assignment problem, section 2); which of its entries is drawn at random.
    """
    rng = random.Random(seed)
    piles: dict[str, list[int]] = {}
    for row, name in enumerate(strata):
        piles.setdefault(name, []).append(row)
    names = sorted(piles)
    rng.shuffle(names)
    for name in names:
        rng.shuffle(piles[name])
    share = np.array([len(piles[name]) for name in names]) / max(len(strata), 1)
    slack = 1 - 1 / (2 * len(names) - 2) if len(names) > 1 else 1.0
    placed, order = np.zeros(len(names)), []
    for place in range(1, len(strata) + 1):
        owed = share * place - placed
        due = np.where(owed >= 1 - slack - 1e-9, (slack - owed) / share, np.inf)
        stratum = int(np.argmin(due))
        order.append(piles[names[stratum]][int(placed[stratum])])
        placed[stratum] += 1
    return order


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
