"""A search for good settings, from configuration to ranked points and exported policies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierrouter_jax.config import to_dict
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, sole_writer
from hierrouter_jax.sweeps.result import SweepResult
from hierrouter_jax.sweeps.search import adaptive
from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.search.parts import together, whole
from hierrouter_jax.sweeps.search.ranking import SCORES, Ranking, ranked
from hierrouter_jax.sweeps.sweep import Watcher
from hierrouter_jax.training.run_folder import RunFolder

RESULTS, POLICIES = "results.json", "policies"
LISTED = 10  # points of each reward in results.json; sweep.parquet holds all


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
      config: of the search.
      frame: a row a member, as of `SweepResult`; `folder` says in which of the search's sweeps it is.
      ranking: of the points.
      sweeps: by the names of their folders; a search that is one sweep has one, without a name.
      policies: folders of the exported bundles.
    """

    config: SweepConfig
    frame: pd.DataFrame
    ranking: Ranking
    sweeps: dict[str, SweepResult]
    policies: tuple[Path, ...]

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
    policies = tuple(_export(config, sweeps, *which) for which in chosen)
    result = SearchResult(config, frame, ranking, sweeps, policies)
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
