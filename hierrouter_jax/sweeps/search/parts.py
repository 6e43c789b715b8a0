"""The sweeps that a search consists of, each in a folder of its own, so that it goes on where it was cut off."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.claims import claim
from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, replacing, write_json
from hierrouter_jax.sums import begin_sums
from hierrouter_jax.sweeps.folder import FRAME, HEADER, kept_layout
from hierrouter_jax.sweeps.result import SweepResult, shape_columns
from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.sweep import Source, Watcher, train_many

DESCRIPTION = "search.json"
# Left out of the record, since it changes nothing that is trained, or described there in another form.
_APART = {"table", "out", "layout", "chunk", "export", "space", "axes", "draw"}


@dataclass(frozen=True)
class Part:
    """One sweep.

    Attributes:
      name: name of its folder within the search's; empty where it is the whole search.
      about: what its rows are told apart by: `rung` or `batch`.
      result: result of the sweep.
    """

    name: str
    about: dict[str, int]
    result: SweepResult

    @property
    def frame(self) -> pd.DataFrame:
        """A row a member, with `point`: its shapes and numbers, whatever the seed."""
        frame = self.result.frame
        return frame.assign(folder=self.name, point=frame["member"] // len(self.result.plan.seeds), **self.about)


@dataclass
class Parts:
    """A search's folder that holds several sweeps.

    Attributes:
      config: configuration of the search.
      progress: whether to show progress, or what is called as members finish, as of `sweep`.
      done: sweeps, in their order.
    """

    config: SweepConfig
    progress: bool | Watcher
    done: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the folder: a new one, or the same search's.

        Raises:
          InputError: if it holds something else, naming what differs.
        """
        config, folder = self.config, self.config.out
        source = Source.of(config.table, config.train.features, config.split)
        here, record = _described(config) | {"table": source.identity["table"]}, folder / DESCRIPTION
        if (folder / HEADER).exists():
            raise InputError(f"{folder}: holds a sweep of one part; choose another folder")
        if not claim(folder, "search", read_json(record) if record.exists() else None, here):
            begin_sums(folder)
            write_json(record, here)
        # All sweeps look at one table through one set of features.
        fitted = source.fit(folder)
        assert fitted is not None
        self.source = replace(source, features=fitted)

    def train(self, name: str, about: dict[str, int], static: LearnerStatic, hypers: LearnerHyper) -> Part:
        """One more sweep, of points [H] of one combination of shapes."""
        first = self.config.out / self.done[0].name if self.done else None
        # Measured once: a layout of its own for each of many small sweeps would take longer than it saves.
        layout = self.config.layout or (kept_layout(first) if first else None)
        options: dict[str, Any] = {"layout": layout, "chunk": self.config.chunk, "progress": self.progress}
        result = train_many(self.source, static, hypers, self.config.seeds, out=self.config.out / name, **options)
        self.done.append(Part(name, about, result))
        return self.done[-1]

    def write_frame(self) -> None:
        """`sweep.parquet` of all sweeps together; `folder` says in which a member is."""
        frame = together(self.done, self.config)
        with replacing(self.config.out / FRAME) as temporary:
            frame.to_parquet(temporary, index=False)


def whole(config: SweepConfig, progress: bool | Watcher) -> list[Part]:
    """A search that is one sweep, since all its points are known beforehand."""
    options: dict[str, Any] = {"layout": config.layout, "chunk": config.chunk, "progress": progress}
    result = train_many(
        config.table,
        config.statics,
        config.points(),
        config.seeds,
        features=config.train.features,
        split=config.split,
        out=config.out,
        **options,
    )
    return [Part("", {}, result)]


def together(parts: list[Part], config: SweepConfig) -> pd.DataFrame:
    """The members of all parts, with a column for every shape that varies."""
    frames = []
    for part in parts:
        statics = [part.result.plan.statics[group] for group in part.frame["group"]]
        shapes = [name for name in config.searched.shapes if name != "learner"]
        frames.append(part.frame.assign(**shape_columns(statics, shapes)))
    return pd.concat(frames, ignore_index=True)


def means_by_point(part: Part) -> np.ndarray:
    """Mean validation return over the seeds of each point [H], by which the next points are chosen."""
    returns = part.result.frame["best_return"].to_numpy(float)
    return returns.reshape(-1, len(part.result.plan.seeds)).mean(axis=1)


def _described(config: SweepConfig) -> dict[str, Any]:
    names = [field.name for field in fields(SweepConfig) if field.name not in _APART]
    settings = {name: to_dict(getattr(config, name)) for name in names}
    return settings | {"space": config.searched.text, "draw": config.drawing}
