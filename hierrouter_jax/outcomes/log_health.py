"""Whether a log can be learned from: what makes every estimate wrong is refused, what bends one is said."""

import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import propensity_check
from hierrouter_jax.outcomes.decision_log.record import ACTION_ALONE
from hierrouter_jax.outcomes.episodes import Episodes

PROPENSITY_LEVEL = 0.001  # a log of exact propensities is flagged with at most this probability
FEEDBACK_LEVEL = 0.01  # a log whose feedback depends on nothing is flagged with at most about this probability
_TOLERANCE = 1e-6
_BINS = 10  # of costs and times
_LEAST = 5.0  # expected number of episodes in each cell of a table of counts


def check_episodes(episodes: Episodes, candidates: Sequence[str] | None = None) -> list[str]:
    """What is wrong with episodes for whoever estimates or learns from them, one sentence each.

    Args:
      episodes: episodes of a log.
      candidates: names of the models in action order that the policy or the table at hand has; by default any will do.

    Returns:
      Warnings; none where nothing speaks against the log.

    Raises:
      InputError: if no estimate can be right: logged probabilities that are none, other candidates, or no feedback.
    """
    _check_numbers(episodes)
    if candidates is not None and tuple(candidates) != episodes.candidates:
        raise InputError(
            f"the log's candidates are {', '.join(episodes.candidates)}, but must be {', '.join(candidates)} in this "
            "order, as an action is an index into them"
        )
    if not np.isfinite(episodes.quality).any():
        raise InputError(
            f"none of the log's {len(episodes)} episodes has feedback, but values are estimated from answers whose "
            "quality is known"
        )
    checks = _exploration, _propensities, feedback_dependence, _duplicates, _clock, _settings, _unfinished
    return [*episodes.left_out, *(sentence for check in checks for sentence in check(episodes))]


def feedback_dependence(episodes: Episodes, level: float = FEEDBACK_LEVEL) -> list[str]:
    """Sentences for what the absence of feedback depends on: route, stage of the end, cost, time or task.

    Whether feedback came is held against each by a chi-squared test of independence; costs and times in ten bins of
    equal size, rare groups together. The smallest p-value counts, times the number of tests (Bonferroni), so that a
    log whose feedback depends on nothing is flagged with a probability of about `level` at most.

    Args:
      episodes: episodes of a log.
      level: probability of a false alarm.
    """
    its = episodes.only(episodes.ended)
    came = np.isfinite(its.quality)
    if came.all() or not came.any():
        return []
    route = _numbers(np.where(its.taken, its.action, -1))
    groups = {
        "route": route,
        "stage of the end": (its.taken & (its.action < its.num_models)).sum(axis=1),
        "cost": _binned(its.total_cost),
        "time": _binned(its.time),
        "task": _numbers(its.task[:, None]),
    }
    groups = {name: _common(its_group, came.mean()) for name, its_group in groups.items()}
    groups = {name: its_group for name, its_group in groups.items() if its_group.max(initial=0) > 0}
    return [
        _dependence_sentence(its, came, name, group, p)
        for name, group in groups.items()
        if (p := independence(came, group) * len(groups)) < level
    ]


def independence(came: Bool[np.ndarray, " E"], group: Int[np.ndarray, " E"]) -> float:
    """P-value of Pearson's chi-squared test that `came` is as frequent in every group.

    With n_g episodes in group g, k_g of them True, and p the share of all: sum_g (k_g - n_g p)^2 / (n_g p (1 - p)),
    which has G - 1 degrees of freedom.
    """
    from scipy.special import chdtrc

    size, true = np.bincount(group), np.bincount(group, came)
    share = came.mean()
    statistic = ((true - size * share) ** 2 / (size * share * (1 - share))).sum()
    return float(chdtrc(len(size) - 1, statistic))


def _check_numbers(episodes: Episodes) -> None:
    probs, taken, action = episodes.probs, episodes.taken, episodes.action
    own = np.take_along_axis(probs, action[..., None], axis=-1)[..., 0]
    sums = probs.sum(axis=-1)
    faults = (
        (~(abs(sums - 1) <= _TOLERANCE) | ~(probs >= 0).all(axis=-1), "probs sum to {}, but must to 1", sums),
        ((probs > 0) & ~episodes.mask, "probs are above 0 where the mask is false, but must be 0 there", sums),
        (~(own > 0), "propensity is {}, but the action was taken", own),
        (
            ~(abs(episodes.propensity - own) <= _TOLERANCE),
            "propensity is {}, but must be that of the action in probs",
            episodes.propensity,
        ),
    )
    for wrong, fault, values in faults:
        wrong = (wrong.any(axis=-1) if wrong.ndim == 3 else wrong) & taken
        if wrong.any():
            row, stage = np.argwhere(wrong)[0]
            name = episodes.episode_id[row]
            raise InputError(f"episode {name!r}, stage {stage}: {fault.format(values[row, stage])}")


def _exploration(episodes: Episodes) -> list[str]:
    choice = episodes.taken & (episodes.mask.sum(axis=-1) > 1)
    sure = choice & (episodes.propensity >= 1 - _TOLERANCE)
    if not sure.any():
        return []
    if (sure == choice).all():
        return [
            "the log explores nothing: every action had probability 1, so that it identifies the value of the policy "
            "that served and of no other; serve with --explore softmax:T or epsilon:E"
        ]
    return [
        f"{int(sure.sum())} of {int(choice.sum())} decisions with a choice took an action of probability 1: there the "
        "log says nothing about the other actions"
    ]


def _propensities(episodes: Episodes) -> list[str]:
    alone = episodes.explore == ACTION_ALONE
    if alone.any():
        rest = _propensities(episodes.only(~alone)) if not alone.all() else []
        return [
            f"{int(alone.sum())} of {len(episodes)} episodes hold the probability of the action taken alone, and an "
            "even share of the rest for the others: estimates weigh by the former, but whether it is that of the draws "
            "cannot be told",
            *rest,
        ]
    check = propensity_check(episodes.probs[episodes.taken], episodes.action[episodes.taken])
    if check.p_value >= PROPENSITY_LEVEL:
        return []
    worst = int(abs(check.z).argmax()) if len(check.z) else 0
    where = (
        f"; of those between {check.low[worst]:.2g} and {check.high[worst]:.2g}, {check.taken[worst]:,} were taken "
        f"where {check.expected[worst]:,.0f} are expected"
        if len(check.z)
        else ""
    )
    return [
        f"actions were not taken as often as their logged propensities say (p = {check.p_value:.1g}){where}: they are "
        "not those of the draws, and every estimate that weighs by them is off"
    ]


def _duplicates(episodes: Episodes) -> list[str]:
    """The same time, context, actions and outcome to the last digit, under another id."""
    same_time = np.unique(episodes.time, return_inverse=True, return_counts=True)
    several = np.flatnonzero(same_time[2][same_time[1]] > 1)  # embeddings of the others need not be looked at
    names = ("probs", "action", "embedding", "cost", "seconds", "tokens_in", "tokens_out")
    first: dict[bytes, int] = {}
    again = []
    for row in several.tolist():
        content = b"".join(np.ascontiguousarray(getattr(episodes, name)[row]).tobytes() for name in names)
        at = first.setdefault(episodes.time[row].tobytes() + content, row)
        if at != row:
            again.append((row, at))
    if not again:
        return []
    row, at = again[0]
    return [
        f"{len(again)} of {len(episodes)} episodes repeat the time and the content of another under a second id "
        f"(first: {episodes.episode_id[row]!r} is {episodes.episode_id[at]!r}): they count twice, and intervals are "
        "too narrow"
    ]


def _clock(episodes: Episodes) -> list[str]:
    early = episodes.quality_time < episodes.time
    if not early.any():
        return []
    return [
        f"the feedback of {int(early.sum())} of {len(episodes)} episodes is older than its request (first: "
        f"{episodes.episode_id[early.argmax()]!r}): two clocks disagree, and drift over time cannot be told"
    ]


def _settings(episodes: Episodes) -> list[str]:
    others = episodes.settings != "{}"
    if not others.any():
        return []
    names = sorted({name for text in set(episodes.settings[others]) for name in json.loads(text)})
    return [
        f"{int(others.sum())} of {len(episodes)} episodes were generated with other settings than the table's "
        f"({', '.join(names)}): their answers are other answers, so that a value with them is of this mixture"
    ]


def _unfinished(episodes: Episodes) -> list[str]:
    lost = ~episodes.ended
    if not lost.any():
        return []
    return [
        f"{int(lost.sum())} of {len(episodes)} episodes failed or were cancelled: they have no answer, and a value is "
        "of those that came to an end"
    ]


def _dependence_sentence(
    episodes: Episodes, came: Bool[np.ndarray, " E"], name: str, group: Int[np.ndarray, " E"], p_value: float
) -> str:
    """What the dependence is, and what it does: the mean quality as it is, and with each group at its own share."""
    size, true = np.bincount(group), np.bincount(group, came)
    share = true / size
    quality = np.where(came, episodes.quality, 0.0)
    some = true > 0
    means = np.bincount(group, quality)[some] / true[some]
    even = float((size[some] * means).sum() / size[some].sum())
    unknown = "" if some.all() else f"; {int(size[~some].sum())} episodes are of groups without any"
    return (
        f"feedback depends on the {name} (p = {p_value:.1g}): it came for {share.min():.0%} to {share.max():.0%} of "
        f"the episodes of a group. The mean quality of those with feedback is {quality.sum() / came.sum():.3f}, of all "
        f"episodes {even:.3f} if only the {name} decides{unknown}; a policy that takes other routes than the log is "
        "estimated from those with feedback alone"
    )


def _common(group: Int[np.ndarray, " E"], share: float) -> Int[np.ndarray, " E"]:
    """Groups numbered from 0, those too small for the test's approximation together."""
    size = np.bincount(group)
    rare = size * min(share, 1 - share) < _LEAST
    merged = np.where(rare, len(size), np.arange(len(size)))[group]
    if rare.any() and size[rare].sum() * min(share, 1 - share) < _LEAST:
        merged[merged == len(size)] = np.where(rare, -1, size).argmax()  # still too few: with the largest
    return np.unique(merged, return_inverse=True)[1]


def _binned(values: Float[np.ndarray, " E"]) -> Int[np.ndarray, " E"]:
    edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
    return np.searchsorted(edges, values)


def _numbers(rows: Shaped[np.ndarray, "E K"]) -> Int[np.ndarray, " E"]:
    """Number of each row among the different ones."""
    known: dict[tuple, int] = {}
    return np.array([known.setdefault(tuple(row), len(known)) for row in rows.tolist()], dtype=np.int64)
