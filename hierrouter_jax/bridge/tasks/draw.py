"""Seeded draws that keep every stratum's share, from items of which some are duplicates of each other."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int
from sklearn.model_selection import train_test_split

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
) -> dict[str, Int[np.ndarray, " _"]]:
    """Items of each split, none of a duplicate group that another split has drawn from.

    Args:
      counts: items wanted a split.
      eligible: which items each split may be drawn from, where any are wanted.
      group: duplicate group of each item.
      strata: stratum of each item.
      taken: groups that no split may draw from; those of the items drawn are added to it.
      seed: of the draw.
      where: for messages.
    Returns:
      Positions of the drawn items, ascending, for each split.
    Raises:
      InputError: if a split wants more items than are left for it.
    """
    drawn = {}
    for place, split in enumerate(ORDER):
        if not counts[split]:
            drawn[split] = np.array([], dtype=int)
            continue
        left = np.flatnonzero(eligible[split] & ~np.isin(group, list(taken)))
        if counts[split] > len(left):
            raise InputError(
                f"{where}: {counts[split]} {split} queries are asked for, but {len(left)} are left: "
                f"{int(eligible[split].sum())} in its source, less worked examples, what other splits drew, and "
                "duplicates of both"
            )
        drawn[split] = left[stratified([strata[row] for row in left.tolist()], counts[split], seed + place)]
        taken |= set(group[drawn[split]].tolist())
    return drawn


def stratified(strata: Sequence[str], count: int, seed: int) -> Int[np.ndarray, " _"]:
    """Positions of `count` entries drawn at random, ascending, with each stratum's share kept (by scikit-learn).

    Strata too small for one entry on either side of the draw are drawn from together.
    """
    size = len(strata)
    if count in (0, size):
        return np.arange(count)
    sizes, fewest = Counter(strata), min(count, size - count)
    merged = [name if sizes[name] * fewest >= size and sizes[name] > 1 else "" for name in strata]
    if merged.count("") == 1:  # a lone entry cannot be split: it joins the largest stratum
        lone, largest = merged.index(""), Counter(merged).most_common(1)[0][0]
        merged[lone] = largest
    labels = merged if len(set(merged)) > 1 else None
    chosen, _ = train_test_split(np.arange(size), train_size=count, random_state=seed, stratify=labels)
    return np.sort(chosen)
