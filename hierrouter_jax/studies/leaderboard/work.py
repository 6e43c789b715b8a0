"""A leaderboard cut into tasks: one learner, or all opponents, on one split of one table; its results are files.

Tasks are done in this process or by one worker a core. A worker unpickles its first task, and so imports this module
and JAX, after it was pinned: XLA counts its cores and reads its flags when it starts.
"""

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hierrouter_jax._version import __version__
from hierrouter_jax.baselines.registry import OPPONENTS, Opponent, opponents_of
from hierrouter_jax.claims import table_identity
from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.files import file_name
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.plugins import digests
from hierrouter_jax.studies.leaderboard.config import Entrant
from hierrouter_jax.studies.leaderboard.controls import controlled
from hierrouter_jax.studies.leaderboard.fitting import Fitter
from hierrouter_jax.studies.leaderboard.result import Judged, load, save
from hierrouter_jax.studies.leaderboard.splits import Split
from hierrouter_jax.sweeps.workers import PinnedPool, naming_death, refuse_unguarded, settle
from hierrouter_jax.training.features import REDUCTION


@dataclass(frozen=True)
class Job:
    """One split of one table, and all that its participants' results depend on beside themselves.

    Attributes:
      path: path of the outcome table.
      folder: path of the results' folder.
      split: rows of each part.
      cost_weights, features, seed: settings of the leaderboard of the same names.
      content: digest of the table.
      digest: digest of all this.
      control: name of the control that changes the table, if it is one.
    """

    path: Path
    folder: Path
    split: Split
    cost_weights: tuple[float, ...]
    features: int
    seed: int
    content: str
    digest: str
    control: str | None = None

    def under(self, control: str) -> "Job":
        """The same split under a control."""
        about = digest({"job": self.digest, "control": control})
        folder = self.folder.parent / "controls" / control / self.folder.name
        return replace(self, folder=folder, digest=about, control=control)

    def table(self, whole: OutcomeTable) -> OutcomeTable:
        """The split's queries, each with its part as its split, and what the control leaves of them."""
        some = self.split.of(whole)
        return controlled(some, self.control, self.seed) if self.control else some

    def result(self, who: Entrant | str) -> tuple[Path, str]:
        """Where a participant's result lies, and the digest of what it depends on."""
        about: dict[str, Any] = {"job": self.digest, "opponent": who}
        name = who if isinstance(who, str) else who.name
        if isinstance(who, Entrant):
            terms = [name for point in who.points for name in point.hyper.reward.custom]
            own = digests(*filter(None, (who.fit, who.static.network, who.static.algorithm, *terms)))
            about = {"job": self.digest, "learner": _plain(who), "sources": own}
        kind = "opponents" if isinstance(who, str) else "learners"
        return self.folder / kind / f"{file_name(name)}.safetensors", digest(about)

    def load(self, who: Entrant | str) -> Judged | None:
        """A participant's result, if it is there and depends on the same."""
        return load(*self.result(who))


@dataclass(frozen=True)
class Task:
    """What one process does at a time.

    Attributes:
      who: a learner, or names of opponents, which share what they fit.
    """

    job: Job
    who: Entrant | tuple[str, ...]

    @property
    def participants(self) -> tuple[Entrant | str, ...]:
        return (self.who,) if isinstance(self.who, Entrant) else self.who


def do(task: Task) -> None:
    """Fit and judge, and keep the results that are not there yet."""
    fitter = _fitter(task.job.digest, task.job)
    opponents = chosen_opponents(fitter.test, None)
    for who in task.participants:
        if task.job.load(who) is None:
            result = fitter.learner(who) if isinstance(who, Entrant) else fitter.opponent(opponents[who])
            path, identity = task.job.result(who)
            save(path, result, identity)


def done_by_workers(tasks: Sequence[Task], cores: tuple[int, ...]) -> Generator[Task]:
    """Do all tasks, one worker a core; each is yielded when its results are on disk.

    Raises:
      WorkerError: if a worker died; the results of what was yielded are whole.
    """
    refuse_unguarded()
    with (
        naming_death("finished results are kept, so run it again to go on, or with --workers 1"),
        PinnedPool(cores, settle) as pool,
    ):
        waiting = {pool.executor.submit(do, task): task for task in tasks}
        for finished in as_completed(waiting):
            finished.result()
            yield waiting[finished]


def done_here(tasks: Sequence[Task], do: Callable[[Task], None] = do) -> Generator[Task]:
    """Do all tasks in this process."""
    for task in tasks:
        do(task)
        yield task


def chosen_opponents(table: OutcomeTable, names: tuple[str, ...] | None) -> dict[str, Opponent]:
    """The opponents on a table, and no others than named; the pool's single models always are among them.

    Raises:
      InputError: if there is no such opponent.
    """
    known = opponents_of(table)
    if names is None:
        return known
    for name in names:
        if name not in OPPONENTS and name not in known:
            raise InputError(f"opponents: {name!r} is unknown; {nearest(name, OPPONENTS)}")
    return {name: one for name, one in known.items() if name in names or name not in OPPONENTS}


def table_digest(table: OutcomeTable) -> str:
    """Of outcomes, prices, embeddings and queries."""
    return digest({"version": __version__, "features": REDUCTION, "table": table_identity(table)})


def digest(about: Any) -> str:
    """Digest of plain data."""
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:32]


def job(
    path: Path, folder: Path, split: Split, cost_weights: tuple[float, ...], features: int, seed: int, table: str
) -> Job:
    """A split's job.

    Args:
      table: digest of the outcome table.
    """
    rows = [part.tolist() for part in split]
    about = {"table": table, "split": rows, "cost_weights": cost_weights, "features": features, "seed": seed}
    return Job(path, folder, split, cost_weights, features, seed, table, digest(about))


def _plain(who: Entrant) -> dict[str, Any]:
    points = [[point.features, asdict(point.hyper)] for point in who.points]
    return {"name": who.name, "static": to_dict(who.static), "points": points} | {
        name: getattr(who, name) for name in ("seeds", "ensemble", "fit")
    }


@lru_cache(maxsize=2)
def _table(path: Path, content: str) -> OutcomeTable:
    """The table of a folder; read anew where the folder holds another one since, by its digest."""
    return load_table(path)


_LATEST: dict[str, Fitter] = {}


def _fitter(key: str, job: Job) -> Fitter:
    """The split's, kept while its participants come one after the other."""
    if key not in _LATEST:
        _LATEST.clear()
        _LATEST[key] = Fitter(job.table(_table(job.path, job.content)), job.features, job.cost_weights, job.seed)
    return _LATEST[key]
