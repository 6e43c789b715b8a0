"""A mix of tasks: queries for training, validation and test, drawn with a seed, none a duplicate of another split's."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax.bridge.tasks.config import MixConfig, Share, TaskConfig, shared_task
from hierrouter_jax.bridge.tasks.draw import Shots, draw_shots, draw_splits, shots_for
from hierrouter_jax.bridge.tasks.graders import ByTask, Run, make_grader
from hierrouter_jax.bridge.tasks.items import movable, reordered
from hierrouter_jax.bridge.tasks.source import SourceItem, pinned, read_items
from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.duplicates import Duplicates, find_duplicates
from hierrouter_jax.outcomes.table import SPLITS, Query

_SHOWN_PAIRS = 100


@dataclass(frozen=True)
class TaskQueries:
    """What a mix gives a collection.

    Attributes:
      queries: queries task by task, split by split, with ids, texts and golds; `group` is the duplicate group.
      grader: grader of all of them, each by its task.
      settings: entries of the table's settings: of each task its source (the hub's commit its revision), prompt,
        licence, counts and label, and what the search for duplicates gave.
    """

    queries: tuple[Query, ...]
    grader: ByTask
    settings: dict[str, Any]


@dataclass(frozen=True)
class _Part:
    """A task's part of a mix."""

    task: TaskConfig
    share: Share
    items: tuple[SourceItem, ...]
    shots: Shots

    def source_split(self, split: str) -> str:
        """The source's split that train, validation or test is drawn from."""
        splits = self.task.source.splits | self.share.splits
        if split not in splits:
            raise InputError(
                f"task {self.task.name}: its source has no split for {split} queries; name one in the mix "
                f"(splits: {{{split}: ...}}), or ask for none"
            )
        return splits[split]

    @property
    def dev_only(self) -> list[str]:
        """Splits made out of the public test file, where training or validation is among them."""
        of_test = [
            split
            for split, count in self.share.counts.items()
            if count and self.source_split(split) == self.task.source.public_test
        ]
        return [] if of_test == ["test"] else of_test


def draw_mix(
    config: MixConfig, data: Path | None = None, run: Run | None = None, allow_unsandboxed: bool = False
) -> TaskQueries:
    """Read the tasks of a mix, find duplicates among all of their items, and draw.

    Worked examples, and duplicates of them, are never asked. Where a question of the test split has a duplicate in
    the file that training is drawn from, the duplicate is not trained on.

    Args:
      config: tasks of the mix with their shares, and the seed.
      data: folder of a local copy of the benchmarks, to read instead of the hub.
      run: function that calls a grader, as `ByTask` takes it.
      allow_unsandboxed: whether to let graders run programs unprotected where there is no sandbox.
    Raises:
      InputError: if a task cannot be read, or holds fewer queries than are asked for.
    """
    if not any(count for share in config.tasks.values() for count in share.counts.values()):
        raise InputError("the mix asks for no query: every count is 0")
    parts = [_read(shared_task(name, share), share, data) for name, share in config.tasks.items()]
    names = [part.task.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two tasks of the mix are named {name!r}, but names must be unique")
    items = [item for part in parts for item in part.items]
    duplicates = find_duplicates([item.item.content for item in items], config.similarity, progress=True)
    group, ids = duplicates.group, [item.id for item in items]
    taken = {int(group[ids.index(shot.id)]) for part in parts for pile in part.shots.values() for shot in pile}
    queries: list[Query] = []
    for part in parts:
        mine = np.array([item.task == part.task.name for item in items])
        eligible = {
            split: mine & np.array([item.split == part.source_split(split) for item in items])
            for split in part.share.reads
        }
        drawn = draw_splits(
            part.share.counts,
            eligible,
            group,
            [item.item.stratum for item in items],
            taken,
            config.seed,
            f"task {part.task.name}",
            part.share.skip,
        )
        for split in SPLITS:
            queries += [
                _query(part, items[row], split, ids[group[row]], order)
                for order in range(part.share.orders)
                for row in drawn[split]
                if not order or movable(items[row].item)
            ]
    grader = ByTask({part.task.name: make_grader(part.task, allow_unsandboxed) for part in parts}, run)
    settings = {
        "tasks": {part.task.name: _provenance(part, data) for part in parts},
        "mix": {
            "seed": config.seed,
            "similarity": config.similarity,
            "duplicates": _report(duplicates, items, queries),
        },
    }
    return TaskQueries(tuple(queries), grader, settings)


def _read(task: TaskConfig, share: Share, data: Path | None) -> _Part:
    """The items of every source split that a share or the worked examples need."""
    task = pinned(task, data)
    part = _Part(task, share, (), {})
    source_splits = {part.source_split(split) for split in share.reads}
    if task.shots.count:
        source_splits.add(task.shots.split)
    by_split = {split: read_items(task, split, data) for split in sorted(source_splits)}
    shots = draw_shots(task.shots, by_split[task.shots.split], f"task {task.name}") if task.shots.count else {}
    return _Part(task, share, tuple(item for items in by_split.values() for item in items), shots)


def _query(part: _Part, item: SourceItem, split: str, group: str, order: int) -> Query:
    where = f"task {part.task.name}"
    if order:
        item = replace(item, item=reordered(item.item, order))
    shots = shots_for(part.shots, item.item.stratum, part.task.shots, where)
    try:
        *shown, question = part.task.prompt.turns(item.item, [shot.item for shot in shots])
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    name = f"{item.id}-order{order + 1}" if order else item.id
    shown, again = tuple(shown), item.id if order else ""
    return Query(name, question.content, part.task.name, item.item.gold, split, group, shots=shown, question=again)


def _provenance(part: _Part, data: Path | None) -> dict[str, Any]:
    task = part.task
    return {
        "source": to_dict(task.source),
        "data": None if data is None else str(data),
        "license": task.license,
        "metric": task.metric,
        "grader": task.grader,
        "grader_settings": task.grader_settings or {},
        "prompt": to_dict(task.prompt),
        "shots": {stratum: [shot.id for shot in pile] for stratum, pile in part.shots.items()},
        "counts": part.share.counts,
        **({"orders": part.share.orders} if part.share.orders > 1 else {}),
        **({"skipped": part.share.skip} if part.share.skip else {}),
        "drawn_from": {split: part.source_split(split) for split, count in part.share.counts.items() if count},
        "dev_only": part.dev_only,
    }


def _report(duplicates: Duplicates, items: list[SourceItem], queries: list[Query]) -> dict[str, Any]:
    """Counts of duplicates, and the pairs that lie in two files: what a train set would have leaked."""
    across = [
        pair
        for pair in duplicates.pairs
        if (items[pair.first].task, items[pair.first].split) != (items[pair.second].task, items[pair.second].split)
    ]
    sizes = Counter(query.group for query in queries)
    return {
        "items": len(items),
        **duplicates.counts,
        "pairs_across_files": len(across),
        "queries_sharing_a_group": sum(size for size in sizes.values() if size > 1),
        "across_files": [
            {"first": items[p.first].id, "second": items[p.second].id, "similarity": round(p.similarity, 3)}
            for p in across[:_SHOWN_PAIRS]
        ],
    }
