"""Cost-quality fronts: which points are efficient, and the front as one number. Cost: lower is better; quality: higher.

All but `pareto_front` take any leading axes, so that thousands of bootstrap resamples are one call.
"""

import numpy as np
from jaxtyping import Float, Int

_AT_ONCE = 2_000_000  # numbers held at a time


def pareto_front(cost: Float[np.ndarray, " W"], quality: Float[np.ndarray, " W"]) -> Int[np.ndarray, " F"]:
    """Which points no other is at least as good as in both and better in one, by rising cost.

    Of equal points the first stands for all.
    """
    front, best = [], -np.inf
    for point in np.lexsort((-quality, cost)):
        if quality[point] > best:
            front.append(point)
            best = quality[point]
    return np.array(front, dtype=int)


def hypervolume(
    cost: Float[np.ndarray, "*B W"], quality: Float[np.ndarray, "*B W"], reference_cost: float
) -> Float[np.ndarray, "*B"]:
    """Area that the points dominate up to the reference (`reference_cost`, quality 0), over `reference_cost`.

    In other words: the mean, over budgets drawn evenly from 0 to the reference, of the best point's quality within
    the budget (0 where none is). Qualities are at least 0.
    """
    order = np.argsort(cost, axis=-1)
    cost = np.minimum(np.take_along_axis(cost, order, axis=-1), reference_cost)
    best = np.maximum.accumulate(np.take_along_axis(quality, order, axis=-1), axis=-1)
    end = np.full_like(cost[..., :1], reference_cost)
    return np.sum(best * np.diff(cost, axis=-1, append=end), axis=-1) / reference_cost


def hull(
    cost: Float[np.ndarray, "*B W"], quality: Float[np.ndarray, "*B W"], at: Float[np.ndarray, "*B X"]
) -> Float[np.ndarray, "*B X"]:
    """The non-decreasing convex hull at some costs: the best mean quality of any mixture of the points.

    Hu et al. (RouterBench, 2024): a router that takes one of two points by a coin reaches every point between them,
    and who pays more need not do worse. A point of no cost and no quality (answering nothing) is always there, so
    that the hull begins at 0.
    """
    shape = np.broadcast_shapes(cost.shape[:-1], at.shape[:-1])
    flat = [np.broadcast_to(array, (*shape, array.shape[-1])).reshape(-1, array.shape[-1]) for array in (cost, quality)]
    origin = np.zeros((len(flat[0]), 1))
    cost, quality = (np.concatenate([origin, array], axis=1) for array in flat)
    where = np.broadcast_to(at, (*shape, at.shape[-1])).reshape(-1, at.shape[-1])
    step = max(1, _AT_ONCE // (where.shape[1] * cost.shape[1] ** 2))
    parts = [_hull(cost[i : i + step], quality[i : i + step], where[i : i + step]) for i in range(0, len(cost), step)]
    return np.concatenate(parts).reshape(*shape, at.shape[-1])


def average_quality(
    cost: Float[np.ndarray, "*B W"], quality: Float[np.ndarray, "*B W"], low: float, high: float
) -> Float[np.ndarray, "*B"]:
    """AIQ of RouterBench: area under the non-decreasing convex hull from cost `low` to `high`, over `high - low`."""
    ends = [np.full_like(cost[..., :1], end) for end in (low, high)]
    knots = np.sort(np.concatenate([*ends, np.clip(cost, low, high)], axis=-1), axis=-1)
    return np.trapezoid(hull(cost, quality, knots), knots, axis=-1) / (high - low)  # the hull is straight between them


def _hull(
    cost: Float[np.ndarray, "B W"], quality: Float[np.ndarray, "B W"], at: Float[np.ndarray, "B X"]
) -> Float[np.ndarray, "B X"]:
    """The best of every point within the cost, and of every mixture of one within it and one above."""
    within = cost[:, None, :] <= at[:, :, None]  # [B, X, W]
    alone = np.where(within, quality[:, None, :], -np.inf).max(axis=-1)
    left, right = cost[:, None, :, None], cost[:, None, None, :]
    between = within[..., :, None] & ~within[..., None, :]
    share = (at[:, :, None, None] - left) / np.where(between, right - left, 1.0)
    mixed = quality[:, None, :, None] * (1 - share) + quality[:, None, None, :] * share
    return np.maximum(alone, np.where(between, mixed, -np.inf).max(axis=(-2, -1)))
