"""A sweep's progress: a live table in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from hierrouter_jax.cli.result_tables import in_words, value_text
from hierrouter_jax.sweeps.members import Plan
from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.search.run import comparison, work
from hierrouter_jax.training.settings import learner_name, numbers

_BETWEEN_LINES = 20.0  # seconds
_MOST_ROWS = 6
_COLUMNS = {"validation_return": "best_return", "validation_accuracy": "best_accuracy"}


@dataclass
class SweepProgress:
    """How far a search has come, and its best run so far among equals in what makes scores comparable.

    Attributes:
      config: configuration of the search.
      now: clock, in seconds.
      done: runs finished, those of an earlier call among them.
      best: score and settings, by what is equal.
    """

    config: SweepConfig
    now: Callable[[], float] = time.monotonic
    done: int = 0
    best: dict[tuple[Any, ...], tuple[float, dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.total, self._updates_in_all = work(self.config)
        self._by, self._within = comparison(self.config)
        self._updates = 0.0
        self._since: tuple[float, int, float] | None = None  # seconds, runs, updates

    def note(self, plan: Plan, members: np.ndarray, scores: dict[str, Any], trained: bool) -> None:
        """Take in finished runs, that were trained just now or read."""
        updates = [plan.statics[group].num_updates for group in np.atleast_1d(plan.group(members))]
        self.done += len(members)
        self._updates += sum(updates)
        # The first runs wait for the compiler: time is measured from their end.
        if self._since is None and trained:
            self._since = (self.now(), self.done, self._updates)
        for row, member in enumerate(members):
            self._note_best(plan, int(member), float(scores[_COLUMNS[self._by]][row]))

    @property
    def rate(self) -> float | None:
        """Runs a minute, compilation apart; None where it is not known yet."""
        if self._since is None or self.done == self._since[1]:
            return None
        return 60 * (self.done - self._since[1]) / max(self.now() - self._since[0], 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds left, by the updates that are left; None where it is not known yet."""
        if self._since is None or self._updates == self._since[2]:
            return None
        speed = (self._updates - self._since[2]) / max(self.now() - self._since[0], 1e-9)
        return max(self._updates_in_all - self._updates, 0.0) / speed

    @property
    def speed(self) -> str:
        """Runs a minute and time left, in words."""
        if self.rate is None or self.left is None:
            return "the first runs wait for the compiler" if self.done < self.total else ""
        rate = f"{self.rate:,.0f}" if self.rate >= 10 else f"{self.rate:.2g}"
        return f"{rate} runs/min, {timedelta(seconds=round(self.left))} left"

    @property
    def score_name(self) -> str:
        return self._by.replace("_", " ")

    def equal(self, key: tuple[Any, ...]) -> dict[str, Any]:
        """What a key of `best` stands for."""
        return dict(zip(self._within, key, strict=True))

    def _note_best(self, plan: Plan, member: int, score: float) -> None:
        static = plan.statics[int(plan.group(member))]
        point = {"learner": learner_name(static), **vars(static), **numbers(plan.hyper(member))}
        point = {name: value.item() if isinstance(value, np.generic) else value for name, value in point.items()}
        key = tuple(point[name] for name in self._within)
        if score > self.best.get(key, (-np.inf, {}))[0]:
            learner = ("learner",) if len({learner_name(one) for one in self.config.statics}) > 1 else ()
            names = [name for name in dict.fromkeys(learner + self.config.searched.varied) if name not in self._within]
            settings = {name: point[name] for name in names} | {"seed": int(plan.seed(member))}
            self.best[key] = (score, settings)


@contextmanager
def shown(progress: SweepProgress, console: Console) -> Iterator[tuple[Callable[..., None], Callable[[str], None]]]:
    """Show progress while inside.

    Yields:
      What to call as `sweep` calls its watcher, and what to call with a message to the user.
    """
    if not console.is_terminal:
        yield _lines(progress, console), console.print
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}", style="dim"),
        console=console,
    )
    task = bar.add_task("sweep", total=progress.total, speed="")

    def render() -> Group:
        bar.update(task, completed=progress.done, speed=progress.speed)
        return Group(bar, best_table(progress))

    with Live(get_renderable=render, console=console, transient=True, refresh_per_second=4):
        first = _First()
        yield (
            lambda plan, members, scores: progress.note(plan, members, scores, first.trained(plan)),
            lambda message: bar.update(task, description=message),
        )


def best_table(progress: SweepProgress) -> Table:
    """The best run so far; of each reward, where returns of several do not compare."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = list(progress.equal(next(iter(progress.best)))) if progress.best else []
    for header in (*names, f"best {progress.score_name}", "with"):
        table.add_column(header, no_wrap=True)
    for key, (score, settings) in sorted(progress.best.items())[:_MOST_ROWS]:
        table.add_row(*map(value_text, progress.equal(key).values()), f"{score:.4f}", in_words(settings))
    if len(progress.best) > _MOST_ROWS:
        table.add_row(f"and {len(progress.best) - _MOST_ROWS} more")
    return table if progress.best else Table(box=None)


def _lines(progress: SweepProgress, console: Console) -> Callable[..., None]:
    """A line now and then, and one at the end."""
    first, last_line = _First(), -np.inf

    def watch(plan: Plan, members: np.ndarray, scores: dict[str, Any]) -> None:
        nonlocal last_line
        progress.note(plan, members, scores, first.trained(plan))
        if progress.now() - last_line < _BETWEEN_LINES and progress.done < progress.total:
            return
        last_line = progress.now()
        speed = f" ({progress.speed})" if progress.speed else ""
        best = ""
        for key, (score, settings) in sorted(progress.best.items())[:_MOST_ROWS]:
            at = f" at {in_words(progress.equal(key))}" if key else ""
            best += f"; best {progress.score_name} {score:.4f}{at}: {in_words(settings)}"
        console.print(f"sweep: {progress.done} of {progress.total} runs{speed}{best}", highlight=False, soft_wrap=True)

    return watch


class _First:
    """Whether runs were trained just now: the first call for each plan tells what was finished before."""

    def __init__(self) -> None:
        self._plan: Plan | None = None

    def trained(self, plan: Plan) -> bool:
        before, self._plan = self._plan, plan
        return before is plan
