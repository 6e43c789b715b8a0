"""The leaderboard from end to end: splits, work, numbers, files; interrupted and run again it goes on."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from tqdm import tqdm

from hierrouter_jax._version import __version__
from hierrouter_jax.baselines.registry import left_out
from hierrouter_jax.claims import claim
from hierrouter_jax.config import load_yaml, to_dict
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.files import sole_writer, write_json
from hierrouter_jax.interrupts import interrupts_put_off
from hierrouter_jax.outcomes.shipped import lasting
from hierrouter_jax.outcomes.store import load_external, load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.leaderboard.board import Participants, board
from hierrouter_jax.studies.leaderboard.config import OURS, LeaderboardConfig, entrants, folder_name
from hierrouter_jax.studies.leaderboard.controls import CONTROLS, control_results, taking_part
from hierrouter_jax.studies.leaderboard.result import Judged, stacked
from hierrouter_jax.studies.leaderboard.splits import (
    Split,
    clusters,
    folds,
    given_split,
    questions_tested,
    random_splits,
)
from hierrouter_jax.studies.leaderboard.work import (
    Job,
    Task,
    chosen_opponents,
    do,
    done_by_workers,
    done_here,
    job,
    table_digest,
)
from hierrouter_jax.studies.measures import called_once, duplicate_groups
from hierrouter_jax.sweeps.workers import cores
from hierrouter_jax.training.run_folder import RunFolder

RESULT, SPLITS = "leaderboard.json", "splits"


@single_precision
def leaderboard(config: LeaderboardConfig, progress: bool = True) -> dict[str, Any]:
    """Fit and judge everybody on every split, and write `leaderboard.json`, what it returns.

    Every result is kept on disk by what it depends on: run again, only what is missing or has changed is fitted, and
    the same files come out.

    Raises:
      InputError: if a table, a split or a participant is wrong.
      WorkerError: if a worker process died.
    """
    with sole_writer(config.out):
        return _leaderboard(RunFolder(config.out), config, progress)


def _leaderboard(run: RunFolder, config: LeaderboardConfig, progress: bool) -> dict[str, Any]:
    _claim(config.out)
    if config.fresh:
        shutil.rmtree(config.out / SPLITS, ignore_errors=True)
    with run.timed("splits"):
        stands = [_Stand(config, path) for path in config.tables]
    run.write_config({"version": __version__, "leaderboard": to_dict(replace(config, fresh=False))})
    with run.timed("fit"):
        fitted = _fit(config, [task for stand in stands for task in stand.tasks()], progress)
    with run.timed("judge"):
        boards = [stand.board(config) for stand in stands]
    result = {
        "boards": boards,
        "record": {
            "ours": "in each split, the first named learner within a standard error of the best validation return",
            "splits": "opponents and learners see the same queries and the same embedding",
            "ci": f"95 %, {config.resamples} resamples of splits and of queries, duplicates as one query",
            "test": "splits crossed with queries, a t-quantile for each; a comparison's interval and p-value agree",
            "family": "ours against every opponent, on accuracy (and on return where cost has a weight), by Holm",
            "tied": "the lower bound of the paired difference is above -1 point",
        },
    }
    write_json(config.out / RESULT, result)
    tried = {stand.name: stand.configurations for stand in stands}
    run.write_run(config.seed, configurations_tried=tried, fitted=fitted)
    return result


def _claim(folder: Path) -> None:
    """Refuse a folder of something else; any leaderboard goes on, as every result says what it depends on."""
    path = folder / "config.yaml"
    written = load_yaml(path) if path.is_file() else {}
    claim(folder, "leaderboard", {"version": written.get("version")} if "leaderboard" in written else None, {})


class _Stand:
    """One table's part of the leaderboard."""

    def __init__(self, config: LeaderboardConfig, path: Path) -> None:
        self.path, self.name = lasting(path), folder_name(path)
        self.table = load_table(path)
        self.group = duplicate_groups(self.table, config.duplicates)
        try:
            self.splits = splits_of(config, self.table, self.group)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        self.kind = "random" if config.splits else "folds" if config.folds else "given"
        self.learners, self.left = entrants(config, self.table.tree.horizon)
        self.opponents = chosen_opponents(self.table, config.opponents)
        if config.opponents is None:
            self.left |= left_out(self.table)
        try:
            self.beside = _beside(load_external(path), self.table, self.splits)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        for name in self.beside:
            if name in (*self.opponents, OURS):
                raise InputError(f"{path}: a model beside the pool is called {name!r}, as an opponent is; rename it")
        taken = [name for name in self.learners if name in (*self.opponents, *self.beside)]
        if taken:
            raise InputError(f"learners: {taken[0]!r} is an opponent's name; take part under another")
        digest, folder = table_digest(self.table), config.out / SPLITS / self.name
        settings = config.cost_weights, config.features, config.seed
        self.jobs = [
            job(self.path, (folder / f"{number:03d}").absolute(), split, *settings, digest)
            for number, split in enumerate(self.splits)
        ]
        controls = CONTROLS if config.controls else ()
        self.controls = {control: [split.under(control) for split in self.jobs] for control in controls}

    @property
    def configurations(self) -> dict[str, int]:
        """How many each participant compares on validation, on each split and at each cost weight."""
        fitted = {name: one.tried for name, one in (self.opponents | self.learners).items()}
        return fitted | dict.fromkeys(self.beside, 1)

    def tasks(self) -> Iterator[Task]:
        """What is missing, split by split, and then under each control."""
        for control, jobs in ({None: self.jobs} | self.controls).items():
            opponents, learners = self.opponents, self.learners
            if control is not None:
                opponents, learners = taking_part(control, opponents, learners)
            for split in jobs:
                missing = tuple(name for name in opponents if split.load(name) is None)
                if missing:
                    yield Task(split, missing)
                yield from (Task(split, one) for one in learners.values() if split.load(one) is None)

    @property
    def _left_out(self) -> int:
        """Training and validation queries of the table's own split that no part holds, as copies of later ones."""
        if self.kind != "given":
            return 0
        learned = np.array([query.split != "test" for query in self.table.queries]) & self.table.answered
        return int(learned.sum() - len(self.splits[0].train) - len(self.splits[0].validation))

    def board(self, config: LeaderboardConfig) -> dict[str, Any]:
        opponents = {name: [_present(split, name) for split in self.jobs] for name in self.opponents}
        opponents |= self.beside
        learners = {name: [_present(split, one) for split in self.jobs] for name, one in self.learners.items()}
        sizes = {part: [len(getattr(split, part)) for split in self.splits] for part in Split._fields}
        about = {
            "name": self.name,
            "split": {
                "kind": self.kind,
                "count": len(self.splits),
                **{part: int(np.median(some)) for part, some in sizes.items()},
                "seed": config.seed,
                "duplicate_queries": int(len(self.group) - len(np.unique(self.group))),
                "unanswered_queries": int((~self.table.answered).sum()),
                "near_copies": self._left_out,
            },
            "left_out": self.left,
        }
        participants = Participants(opponents, learners)
        return (
            about
            | board(self.table, self.splits, self.group, participants, config.cost_weights, config.resamples)
            | {"controls": self._controls(config.seed) if self.controls else None}
        )

    def _controls(self, seed: int) -> dict[str, Any]:
        repeats = Repeats(questions_tested(self.splits, self.table.question), clusters(self.group))
        results = {}
        for control, jobs in self.controls.items():
            opponents, learners = taking_part(control, self.opponents, self.learners)
            everybody = {name: name for name in opponents} | learners
            results[control] = {name: [_present(split, who) for split in jobs] for name, who in everybody.items()}
        return control_results(self.table, self.splits, repeats, results, seed)


def _beside(external: OutcomeTable | None, table: OutcomeTable, splits: list[Split]) -> dict[str, list[Judged]]:
    """Of each model beside the pool, what its one call achieves on every split's test queries: nothing is fitted.

    Raises:
      InputError: if a test query has no such call, or the models are priced in another money unit.
    """
    calls = [called_once(external, table.select(split.test)) for split in splits]
    about = {"kind": "external", "may_stop": True, "tried": 1}
    return {name: [Judged(stacked([its[name][1]]), None, about) for its in calls] for name in calls[0]}


def splits_of(config: LeaderboardConfig, table: OutcomeTable, group: Int[np.ndarray, " Q"]) -> list[Split]:
    """The splits that the leaderboard asks for.

    Queries of which the table holds no hop are in no part.

    Args:
      group: queries of one group are duplicates of each other.

    Raises:
      InputError: if the table does not allow them.
    """
    if (config.splits or config.folds) and "partial" in table.settings:
        raise InputError(
            "its training trees were collected in part, by promise, so that nobody can be judged on them; "
            "leave out --splits and --folds for the table's own split"
        )
    rows = np.flatnonzero(table.answered)
    some, group = table.select(rows), group[rows]
    if config.splits:
        sizes = config.splits, config.train, config.test
        splits = random_splits(some.task, group, *sizes, config.validation, config.seed)
    elif config.folds:
        splits = folds(some.task, group, config.folds, config.validation, config.seed)
    else:
        splits = [given_split(some, group, config.validation, config.seed)]
    return [Split(*(rows[part] for part in split)) for split in splits]


def _present(split: Job, who: Any) -> Any:
    result = split.load(who)
    assert result is not None, f"{split.result(who)[0]} was written by this call"
    return result


def _fit(config: LeaderboardConfig, tasks: list[Task], progress: bool) -> int:
    """Do what is missing; returns how many tasks that was."""
    on = cores()[: config.workers or None] or (0,)
    crew = done_here(tasks, do) if len(on) == 1 or len(tasks) < 2 else done_by_workers(tasks, on[: len(tasks)])
    finished = 0
    bar = tqdm(total=len(tasks), desc="leaderboard", unit="fit", disable=not progress or not tasks)
    say = "stops after the fit under way; Ctrl-C again stops at once"
    try:
        with interrupts_put_off(lambda: tqdm.write(say)) as check, closing(crew), bar:
            for task in crew:
                finished += 1
                bar.set_postfix_str(f"{task.job.folder.parent.name} split {int(task.job.folder.name)}", refresh=False)
                bar.update()
                check()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{config.out} keeps {finished} of {len(tasks)} fits and what was there") from None
    return finished
