"""Which points of a search are best: ranked on validation, among those whose scores are comparable."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from hierrouter_jax.evaluation.intervals import interquartile_mean, interquartile_mean_interval
from hierrouter_jax.sweeps.search.config import SweepConfig

Score = Literal["validation_return", "validation_accuracy"]
COST_WEIGHT = "reward.hop_cost"
SCORES = {
    "validation_return": "best_return",
    "validation_accuracy": "best_accuracy",
    "validation_cost": "best_cost",
    "accuracy": "accuracy",
    "cost": "cost",
    "return": "return",
}


@dataclass(frozen=True)
class Ranking:
    """Points in order.

    Attributes:
      points: a row a point: `rank` (from 1 within those that compare), every name that varies, `seeds`, the
        interquartile mean over seeds of each of `SCORES`, `folder` and `member` of the seed that is best on
        validation. Sorted by what is compared among equals, then by rank.
      by: the score that ranks.
      within: names in whose equal values points are compared.
      varied: names that vary, those of `within` apart.
    """

    points: pd.DataFrame
    by: Score
    within: tuple[str, ...]
    varied: tuple[str, ...]
    _members: pd.DataFrame

    @property
    def explanation(self) -> str:
        """How points were ranked, and why so, in a sentence."""
        equal = f", among equals in {' and '.join(self.within)}" if self.within else ""
        if self.by == "validation_return":
            return f"ranked by validation return{equal}" + (", since other returns do not compare" if equal else "")
        return f"ranked by validation accuracy{equal}, since the rewards differ, so that their returns do not compare"

    def classes(self) -> list[tuple[dict[str, Any], pd.DataFrame]]:
        """What is compared among equals, and its points, best first."""
        if not self.within:
            return [({}, self.points)]
        grouped = self.points.groupby(list(self.within), sort=True)
        return [(dict(zip(self.within, _tuple(key), strict=True)), rows) for key, rows in grouped]

    def best(self, count: int) -> pd.DataFrame:
        """The first `count` of each class."""
        return self.points.loc[self.points["rank"] <= count]

    def interval(self, row: Any, score: str) -> tuple[float, float] | None:
        """95 % bootstrap interval over seeds of a point's interquartile mean; None for one seed."""
        values = self._members.loc[[row["_key"]], SCORES[score]].to_numpy(float)
        if len(values) < 2 or not np.isfinite(values).all():
            return None
        _, low, high = interquartile_mean_interval(values)
        return low, high


def comparison(config: SweepConfig) -> tuple[Score, tuple[str, ...]]:
    """The score by which points compare, and the names in whose equal values they do.

    Returns of different rewards, or under different conditions, mean different things. So points are compared by
    validation return among equals in all of those; where the reward is drawn from a range, and no two are equal, by
    validation accuracy, among equals in the cost weight unless that is drawn from a range too.
    """
    measures, ranges = config.measures(), config.searched.ranges
    if not set(measures) & set(ranges):
        return "validation_return", measures
    matched = COST_WEIGHT in measures and COST_WEIGHT not in ranges
    return "validation_accuracy", (COST_WEIGHT,) if matched else ()


def ranked(members: pd.DataFrame, config: SweepConfig) -> Ranking:
    """Rank the points of a search as `comparison` says.

    Args:
      members: as `parts.together` gives them; of halving, only the last rung counts.
    """
    if "rung" in members:
        members = members.loc[members["rung"] == members["rung"].max()]
    by, within = comparison(config)
    varied = _varied(members, config)
    keyed = members.assign(_key=members["folder"] + ":" + members["point"].astype(str))
    points = pd.DataFrame([_point(key, rows, varied) for key, rows in keyed.groupby("_key", sort=False)])
    order = points.sort_values(by, ascending=False, na_position="last", kind="stable")
    order = order.assign(rank=order.groupby(list(within)).cumcount() + 1 if within else np.arange(len(order)) + 1)
    order = order.sort_values([*within, "rank"], kind="stable", ignore_index=True)
    rest = tuple(name for name in varied if name not in within)
    return Ranking(order, by, within, rest, keyed.set_index("_key"))


def _varied(members: pd.DataFrame, config: SweepConfig) -> tuple[str, ...]:
    """Names that vary, the learner among them wherever there is more than one."""
    names = config.searched.varied
    learners = ("learner",) if members["learner"].nunique() > 1 and "learner" not in names else ()
    return tuple(name for name in learners + names if name in members)


def _point(key: Any, rows: pd.DataFrame, varied: tuple[str, ...]) -> dict[str, Any]:
    values = rows[list(SCORES.values())].to_numpy(float)
    means = np.where(np.isnan(values).any(axis=0), np.nan, interquartile_mean(values, axis=0))
    best = rows.loc[rows["best_return"].fillna(-np.inf).idxmax()]
    return {
        "_key": key,
        **{name: rows[name].iloc[0] for name in varied},
        "seeds": len(rows),
        **dict(zip(SCORES, means, strict=True)),
        "folder": best["folder"],
        "member": int(best["member"]),
    }


def _tuple(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)
