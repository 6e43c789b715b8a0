"""What the field reports of a router: gains, the oracle gap, cost saved at equal quality, and two models' APGR and CPT.

Among them are fronts of cost and quality and the areas under them (AIQ, hypervolume). Leading axes are so many
bootstrap resamples. `docs/metrics.md` has every definition with its source.
"""

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.errors import InputError


def gain(quality: Float[np.ndarray, "*B"], baseline: Float[np.ndarray, "*B"]) -> Float[np.ndarray, "*B"]:
    """Mean quality above that of a baseline, such as random or the best single model; 1 is 100 points."""
    return quality - baseline


def oracle_gap_recovered(
    quality: Float[np.ndarray, "*B"], best_single: Float[np.ndarray, "*B"], oracle: Float[np.ndarray, "*B"]
) -> Float[np.ndarray, "*B"]:
    """(policy - best single) / (oracle - best single); not a number where the oracle is no better than the single."""
    gap = np.asarray(oracle - best_single, dtype=float)
    return np.divide(quality - best_single, gap, out=np.full(np.shape(gap), np.nan), where=gap > 0)


def cost_saving(
    cost: Float[np.ndarray, "*B W"],
    quality: Float[np.ndarray, "*B W"],
    single_cost: Float[np.ndarray, "*B"],
    single_quality: Float[np.ndarray, "*B"],
) -> Float[np.ndarray, "*B"]:
    """1 - c / c_single, c the least mean cost at which a router is at least as good as the best single model.

    A router is its points, one a cost weight or threshold, and what a coin between two of them reaches (as in
    RouterBench's hull). Negative where it must pay more; not a number where it never gets there.
    """
    target = single_quality[..., None]
    alone = np.where(quality >= target, cost, np.inf).min(axis=-1)
    low, high = quality[..., :, None], quality[..., None, :]
    between = (low < target[..., None]) & (high >= target[..., None])
    share = (target[..., None] - low) / np.where(between, high - low, 1.0)
    mixed = cost[..., :, None] * (1 - share) + cost[..., None, :] * share
    least = np.minimum(alone, np.where(between, mixed, np.inf).min(axis=(-2, -1)))
    saved = 1 - least / np.where(single_cost > 0, single_cost, np.nan)
    return np.where(np.isfinite(least), saved, np.nan)


def threshold_curve(
    score: Float[np.ndarray, " Q"], weak: Float[np.ndarray, " Q"], strong: Float[np.ndarray, " Q"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Share of calls to the strong model and mean quality at every threshold of a score, P = Q + 1.

    Args:
      score: preference of each query for the strong model; the k highest get it, equal ones in their order.
      weak, strong: quality of the weak and of the strong model's answers.
    """
    order = np.argsort(-score, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum((strong - weak)[order])])
    return np.arange(len(score) + 1) / len(score), weak.mean() + gained / len(score)


def apgr(share: Float[np.ndarray, " P"], quality: Float[np.ndarray, " P"], weak: float, strong: float) -> float:
    """Average performance gap recovered: the area under PGR by the trapezoid rule, as RouteLLM's code has it.

    Ong et al., RouteLLM (arXiv 2406.18665), `evals/evaluate.py`. PGR is (quality - weak) / (strong - weak) over the
    share of strong calls from 0 to 1. No call is the weak model's quality and all calls are the strong one's, whatever
    the points are, so that a coin has 1/2.

    Args:
      share: share of calls that go to the strong model, at each operating point.
      quality: mean quality at each operating point; of several at one share the best counts.
      weak, strong: mean quality of the weak and of the strong model alone.

    Raises:
      InputError: if the strong model is not the better one.
    """
    if not strong > weak:
        raise InputError(
            f"APGR and CPT need a strong model that is better than the weak one, not {strong:.4f} against {weak:.4f}"
        )
    best = {0.0: weak, 1.0: strong}
    for at, value in zip(share.tolist(), quality.tolist(), strict=True):
        if 0 < at < 1:
            best[at] = max(value, best.get(at, -np.inf))
    shares, values = np.array(sorted(best.items())).T
    return float(np.trapezoid((values - weak) / (strong - weak), shares))


def cpt(
    share: Float[np.ndarray, " P"], quality: Float[np.ndarray, " P"], weak: float, strong: float, percent: float
) -> float:
    """Call-performance threshold (RouteLLM): the least share of strong calls that recovers `percent` % of the gap.

    Between neighbouring points of the front a coin decides, so that the share is linear in the gap that is recovered.
    A point that another is at least as good as in both counts for nothing.
    """
    if not 0 < percent <= 100:
        raise InputError(f"CPT is of a percentage above 0 and up to 100, not {percent:g}")
    target = weak + percent / 100 * (strong - weak)
    at = np.concatenate([[0.0], share, [1.0]])
    reached = np.concatenate([[weak], quality, [strong]])
    front = pareto_front(at, reached)
    at, reached = at[front], reached[front]
    point = int(np.argmax(reached >= target - 1e-12))
    if point == 0:
        return float(at[0])
    part = (target - reached[point - 1]) / (reached[point] - reached[point - 1])
    return float(at[point - 1] + part * (at[point] - at[point - 1]))


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
    the budget (0 where none is). Qualities are at least 0. Of a reference of 0 the one budget is 0.
    """
    if reference_cost == 0:
        return np.where(cost > 0, 0.0, quality).max(axis=-1)
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
    """AIQ of RouterBench: area under the non-decreasing convex hull from cost `low` to `high`, over `high - low`.

    Of a range without width it is the hull's height there.
    """
    if low == high:
        return hull(cost, quality, np.full_like(cost[..., :1], low))[..., 0]
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
