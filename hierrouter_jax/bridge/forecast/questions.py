"""The questions that a forecast is made for: how many there are, and texts that stand for them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.bridge.tasks.config import MixConfig, Share, TaskConfig, shared_task
from hierrouter_jax.bridge.tasks.draw import draw_shots, shots_for
from hierrouter_jax.bridge.tasks.items import movable
from hierrouter_jax.bridge.tasks.source import SourceItem, read_items
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query, Turn


@dataclass(frozen=True)
class Questions:
    """Texts, and how many questions each of them stands for.

    Attributes:
      texts: texts of the questions.
      shots: turns of worked examples before each text, which the models read and the encoder does not.
      tasks: name of each text's task.
      weight: [T], number of distinct questions that each text stands for.
      training: [T], number of those that are asked in training alone.
      training_queries: number of training queries by task, those included that have the text of another.
      hidden: number of further questions, which have the text of another.
      notes: sentences that say where the texts are not the questions themselves.
    """

    texts: tuple[str, ...]
    shots: tuple[tuple[Turn, ...], ...]
    tasks: tuple[str, ...]
    weight: Float[np.ndarray, " T"]
    training: Float[np.ndarray, " T"]
    training_queries: Mapping[str, int]
    hidden: int = 0
    notes: tuple[str, ...] = ()

    @property
    def distinct(self) -> int:
        """Questions with a text of their own."""
        return round(float(self.weight.sum()))

    @property
    def total(self) -> int:
        return self.distinct + self.hidden

    def times(self, seeds: int) -> "Questions":
        """The questions, each asked under so many seeds. A greedy member's calls are shared, so it makes fewer."""
        queries = {task: seeds * count for task, count in self.training_queries.items()}
        weights = seeds * self.weight, seeds * self.training
        note = f"each question is asked under {seeds} seeds: members that decode greedily make fewer calls than counted"
        return Questions(
            self.texts, self.shots, self.tasks, *weights, queries, seeds * self.hidden, (*self.notes, note)
        )


def query_questions(queries: Sequence[Query]) -> Questions:
    """The queries themselves.

    Raises:
      InputError: if there are none.
    """
    if not queries:
        raise InputError("there are no queries to forecast")
    distinct = {(query.text, query.shots): query.task for query in queries}
    texts, shots = zip(*distinct, strict=True)
    elsewhere = {(query.text, query.shots) for query in queries if query.split != "train"}
    return Questions(
        texts,
        shots,
        tuple(distinct.values()),
        np.ones(len(distinct)),
        np.array([float(text not in elsewhere) for text in distinct]),
        Counter(query.task for query in queries if query.split == "train"),
        len(queries) - len(distinct),
    )


def mix_questions(config: MixConfig, data: Path | None = None) -> Questions:
    """The questions of a mix, whose texts are those of all rows that can be read.

    A task's rows stand for as many questions as the mix draws of it; which ones it draws, and what it leaves out as
    duplicates, is decided when they are collected. Where a split cannot be read another one of the task stands for it.

    Args:
      config: tasks and their counts.
      data: folder of a local copy of the benchmarks, to read instead of the hub.
    Raises:
      InputError: if no split of a task can be read, or nothing is asked for.
    """
    prompts: list[list[Turn]] = []
    tasks: list[str] = []
    weight: list[float] = []
    training: list[float] = []
    training_queries: Counter[str] = Counter()
    notes: list[str] = []
    for name, share in config.tasks.items():
        drawn = sum(share.counts.values())
        if not drawn:
            continue
        task = shared_task(name, share)
        read, orders, note = _prompts(task, share, data)
        prompts += read
        tasks += [task.name] * len(read)
        weight += [drawn / len(read) * times for times in orders]
        training += [share.train / len(read) * times for times in orders]
        training_queries[task.name] += round(share.train / len(read) * sum(orders))
        if note:
            notes.append(note)
    if not prompts:
        raise InputError("the mix asks for no query: every count is 0")
    texts, shots = tuple(turns[-1].content for turns in prompts), tuple(tuple(turns[:-1]) for turns in prompts)
    by_text = np.array(weight), np.array(training)
    return Questions(texts, shots, tuple(tasks), *by_text, training_queries, notes=tuple(notes))


def _prompts(task: TaskConfig, share: Share, data: Path | None) -> tuple[list[list[Turn]], list[int], str]:
    """Turns of every row of a task that can be read, how often a question like it is asked, and a note where those
    are not the rows that are asked for.
    """
    splits = task.source.splits | share.splits
    sources = list(dict.fromkeys(splits[split] for split, count in share.counts.items() if count and split in splits))
    by_split: dict[str, tuple[SourceItem, ...]] = {}
    refusal: InputError | None = None
    needed = [*sources, task.shots.split] if task.shots.count else sources
    for split in dict.fromkeys(needed):
        try:
            by_split[split] = read_items(task, split, data)
        except InputError as error:
            refusal = error
    items = [item for split in sources for item in by_split.get(split, ())]
    if not items:
        raise refusal or InputError(f"task {task.name}: its source has no split to read")
    where = f"task {task.name}"
    shots = draw_shots(task.shots, by_split.get(task.shots.split, ()), where) if task.shots.count else {}
    prompts = [
        task.prompt.turns(item.item, [shot.item for shot in shots_for(shots, item.item.stratum, task.shots, where)])
        for item in items
    ]
    orders = [share.orders if movable(item.item) else 1 for item in items]
    drawn, missing = sum(share.counts.values()), [split for split in sources if split not in by_split]
    if not missing and len(items) >= drawn:
        return prompts, orders, ""
    why = f", as its split {' and '.join(missing)} cannot be read here" if missing else ""
    return prompts, orders, f"{task.name}: {len(items):,} rows stand for {drawn:,} queries{why}"


@dataclass(frozen=True)
class PartialTrees:
    """The most that a coverage may ask for. Trees of validation and test queries are whole.

    Attributes:
      coverage: name of the coverage: which trees are collected.
      whole: share of each task's training queries, rounded up, whose trees are whole, too.
      expanded: most nodes of the other trees after which every model is called, at each stage but the last.
    """

    coverage: str
    whole: float
    expanded: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; the coverage's name is under `plan`, as the option is called."""
        return {"plan": self.coverage, "whole": self.whole, "expanded": self.expanded}

    def queries(self, questions: Questions) -> int:
        """Training queries whose trees are partial."""
        return sum(count - self._whole(count) for count in questions.training_queries.values())

    def weight(self, questions: Questions) -> Float[np.ndarray, " T"]:
        """Of the questions that each text stands for, those whose trees are partial.

        One that is asked outside of training as well is not, as its calls are made for the whole tree. Of the others,
        as many are taken to be whole as the coverage may draw.
        """
        tasks, left = np.array(questions.tasks), np.zeros(len(questions.texts))
        for task, count in questions.training_queries.items():
            mine = np.where(tasks == task, questions.training, 0.0)
            if mine.sum():
                left += mine * (1 - min(1.0, self._whole(count) / mine.sum()))
        return left

    def _whole(self, count: int) -> int:
        return int(np.ceil(self.whole * count))
