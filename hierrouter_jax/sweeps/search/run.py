"""A search for good settings, from configuration to ranked points and exported policies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from hierrouter_jax.config import to_dict
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.intervals import interquartile_mean, interquartile_mean_interval
from hierrouter_jax.files import read_json, sole_writer
from hierrouter_jax.sweeps.result import SweepResult
from hierrouter_jax.sweeps.search import adaptive
from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.search.parts import together, whole
from hierrouter_jax.sweeps.sweep import Watcher
from hierrouter_jax.training.run_folder import RunFolder

RESULTS, POLICIES = "results.json", "policies"
LISTED = 10  # points of each reward in results.json; sweep.parquet holds all
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
      members: frame of all members, as `parts.together` gives it; of halving, only the last rung counts.
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


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
      config: configuration of the search.
      frame: a row a member, as of `SweepResult`; `folder` says in which of the search's sweeps it is.
      ranking: ranking of the points.
      sweeps: sweeps by the names of their folders; a search that is one sweep has one, without a name.
      policies: folders of the exported bundles.
      own_networks: networks of the user's own among the best points, of which there are no bundles.
    """

    config: SweepConfig
    frame: pd.DataFrame
    ranking: Ranking
    sweeps: dict[str, SweepResult]
    policies: tuple[Path, ...]
    own_networks: tuple[str, ...]

    @property
    def points(self) -> pd.DataFrame:
        """A row a point, in order of rank."""
        return self.ranking.points.drop(columns="_key")

    def to_dict(self) -> dict[str, Any]:
        """`results.json`: what was searched, and the best points of each reward, with intervals over seeds."""
        config, first = self.config, next(iter(self.sweeps.values()))
        assert first.table is not None
        return {
            "table": {
                "fingerprint": first.table.fingerprint,
                "split": config.split,
                "queries": sum(query.split == config.split for query in first.table.queries),
                "money_unit": first.table.money_unit,
            },
            "draw": config.drawing,
            "space": config.searched.text,
            "configurations_tried": self.configurations_tried,
            "runs": len(self.frame),
            "seeds": config.seeds,
            "ranked_by": self.ranking.by,
            "ranked_within": list(self.ranking.within),
            "best": [
                {"equal": _plain(equal), "points": [self._row(row) for _, row in rows.iloc[:LISTED].iterrows()]}
                for equal, rows in self.ranking.classes()
            ],
            "policies": [str(path) for path in self.policies],
        }

    @property
    def configurations_tried(self) -> int:
        """Points of all groups, rungs and batches."""
        return len(self.frame[["folder", "point"]].drop_duplicates())

    def _row(self, row: pd.Series) -> dict[str, Any]:
        scores = {}
        for score in SCORES:
            interval = self.ranking.interval(row, score)
            scores[score] = {
                "iqm": _number(float(row[score])),
                "interval": None if interval is None else list(interval),
            }
        settings = {name: row[name] for name in self.ranking.varied}
        where = {"folder": row["folder"], "member": row["member"]}
        return {"rank": int(row["rank"]), "settings": _plain(settings), **scores, "seeds": int(row["seeds"])} | where


@single_precision
def sweep(config: SweepConfig, progress: bool | Watcher = True, *others: Any, **named: Any) -> SearchResult:
    """Train and exactly evaluate a space of settings, rank them, and export the best policies.

    Finished runs are kept: the same search again goes on where it was cut off. The folder gets `sweep.parquet` (a row
    a run), `results.json`, `config.yaml`, `run.json` and `policies/`; the sweeps of several rungs or batches lie in
    folders of their own inside it.

    Args:
      config: what is searched and how.
      progress: whether to show it, or what is to be called as runs finish.
      others, named: nothing; they are there to tell who means `train_many`, which had this name, that it has another.

    Raises:
      InputError: if the table is wrong, the folder holds something else, or Optuna is wanted and not installed.
    """
    if others or named or not isinstance(config, SweepConfig):
        raise InputError("sweep takes a SweepConfig; settings and seeds on a table are trained by train_many")
    with sole_writer(config.out):
        return _search(RunFolder(config.out), config, progress)


def _search(folder: RunFolder, config: SweepConfig, progress: bool | Watcher) -> SearchResult:
    with folder.timed("search"):
        parts = _method(config)(config, progress)
    frame = together(parts, config)
    sweeps = {part.name: part.result for part in parts}
    ranking = ranked(frame, config)
    best = ranking.best(config.export)
    chosen = [
        (rank, part, member)
        for rank, part, member in zip(*(best[name].tolist() for name in ("rank", "folder", "member")), strict=True)
        if not sweeps[part].frame.set_index("member").loc[member, "diverged"]  # else all of the point's runs did
    ]
    routers = [sweeps[part].router(member) for _, part, member in chosen]
    able = [which for which, router in zip(chosen, routers, strict=True) if router.exportable]
    own = dict.fromkeys(router.static.network for router in routers if not router.exportable)
    policies = tuple(_export(config, sweeps, *which) for which in able)
    result = SearchResult(config, frame, ranking, sweeps, policies, tuple(own))
    results = result.to_dict()
    path = config.out / RESULTS
    if not path.exists() or read_json(path) != results:  # else it was only read, and `run.json` tells of the real one
        folder.write_config(to_dict(config) | {"space": config.searched.text, "axes": []})
        folder.write_run(config.seed, configurations_tried=result.configurations_tried)
        folder.write_json(RESULTS, results)
    return result


def work(config: SweepConfig) -> tuple[int, float]:
    """Runs and updates that a search trains in all; updates are an estimate where Optuna may vary their number."""
    if config.halving:
        return adaptive.work(config)
    updates = [static.num_updates for static in config.statics]
    points = config.count if config.drawing == "optuna" else len(np.asarray(config.points().learning_rate))
    count = points * config.seeds * (1 if config.drawing == "optuna" else len(updates))
    return count, count * float(np.mean(updates))


def _method(config: SweepConfig) -> Any:
    if config.halving:
        return adaptive.halve
    return adaptive.adapt if config.drawing == "optuna" else whole


def _export(config: SweepConfig, sweeps: dict[str, SweepResult], rank: int, folder: str, member: int) -> Path:
    path = config.out / POLICIES / "-".join(filter(None, (str(rank), folder, f"member-{member}")))
    sweeps[folder].bundle(member).save(path)
    return path


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _varied(members: pd.DataFrame, config: SweepConfig) -> tuple[str, ...]:
    """Names that vary, the learner among them wherever there is more than one."""
    names = config.searched.varied
    learners = ("learner",) if members["learner"].nunique() > 1 and "learner" not in names else ()
    return tuple(name for name in learners + names if name in members)


def _point(key: Any, rows: pd.DataFrame, varied: tuple[str, ...]) -> dict[str, Any]:
    """A point's row of `Ranking.points`, and `_key`, from the rows of its runs."""
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
