"""Reading a task's rows: with `datasets` from the hub or a local copy in its layout, or as written from files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hierrouter_jax.bridge.tasks.config import FILE_FORMATS, SourceConfig, TaskConfig
from hierrouter_jax.bridge.tasks.items import Item, Row, item_maker, make_item
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.rows import read_rows as read_file


@dataclass(frozen=True)
class SourceItem:
    """An item and where it is from.

    Attributes:
      id: name that is unique among all tasks: task, source split, key or row number.
      task: name of its task.
      split: the source's split that it is of.
      item: the item itself.
    """

    id: str
    task: str
    split: str
    item: Item


def read_items(task: TaskConfig, split: str, data: Path | None = None) -> tuple[SourceItem, ...]:
    """The items of one split of a task's source, in its order.

    Args:
      task: task whose source is read.
      split: the source's name for the split.
      data: folder of a local copy of the benchmarks, to read instead of the hub: `DATA/<folder>/<split>.parquet`.
    Raises:
      InputError: if the source cannot be read, or a row is not what the task expects.
    """
    where = f"task {task.name}, split {split}"
    rows = read_rows(task.source, split, data, where)
    make = item_maker(task.rows)
    items = []
    for number, row in enumerate(rows):
        item = make_item(make, row, f"{where}, row {number}")
        items.append(SourceItem(f"{task.name}-{split}-{item.key or f'{number:05d}'}", task.name, split, item))
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise InputError(f"{where}: {item.id!r} occurs twice, but an item's key must be unique in its split")
        seen.add(item.id)
    return tuple(items)


def pinned(task: TaskConfig, data: Path | None = None) -> TaskConfig:
    """The task with the commit that its source's revision names now, so that every split is read from one state.

    Args:
      task: task to pin; one that is read from files comes back as it is.
      data: folder of a local copy, as `read_items` takes it.
    Raises:
      InputError: if the hub's data set cannot be reached, or does not exist.
    """
    if not _on_hub(task.source, data):
        return task
    with _reading(f"task {task.name}", task.source.path):
        commit = _builder(task.source).hash
    return replace(task, source=replace(task.source, revision=commit))


def read_rows(source: SourceConfig, split: str, data: Path | None, where: str) -> list[Row]:
    """The rows of one split.

    Raises:
      InputError: if the source cannot be read or holds no row.
    """
    file = None if _on_hub(source, data) else _file(source, split, data, where)
    if file is not None and source.path in ("csv", "json"):  # `datasets` would take 007 for a number
        try:
            table = read_file(file)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        return _some([{name: row.get(name) for name in table.columns} for _, row in table.rows], where)
    rows: list[Any]
    with _reading(where, source.path if file is None else str(file)):
        from datasets import load_dataset  # half of torch comes along: only where rows are read

        if file is None:
            builder = _builder(source)
            builder.download_and_prepare()
            rows = list(builder.as_dataset(split=split))
        else:  # streamed: files need no second copy in the cache of `datasets`
            rows = list(load_dataset("parquet", data_files={split: str(file)}, split=split, streaming=True))
    return _some(rows, where)


def _some(rows: list[Any], where: str) -> list[Row]:
    if not rows:
        raise InputError(f"{where}: holds no rows")
    return rows


def _on_hub(source: SourceConfig, data: Path | None) -> bool:
    return data is None and source.path not in FILE_FORMATS


def _builder(source: SourceConfig) -> Any:
    """What `datasets` reads a hub's data set with; its `hash` is the commit."""
    from datasets import load_dataset_builder
    from datasets.packaged_modules.cache.cache import Cache

    builder = load_dataset_builder(source.path, source.config, revision=source.revision)
    # Where the hub is out of reach, the latest copy in the cache comes, whatever the revision.
    if isinstance(builder, Cache) and source.revision not in (None, builder.hash):
        raise ValueError(
            f"the hub is out of reach, and the copy in the cache is of commit {builder.hash}, not of revision "
            f"{source.revision}"
        )
    return builder


@contextmanager
def _reading(where: str, what: str) -> Iterator[None]:
    """Keep `datasets` from printing bars, and turn its errors into one sentence."""
    from datasets import disable_progress_bars
    from datasets.exceptions import DatasetsError

    disable_progress_bars()
    try:
        yield
    except (OSError, ValueError, DatasetsError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"{where}: {what} cannot be read ({reason}); --data DIR reads a local copy in the hub's layout"
        ) from None


def _file(source: SourceConfig, split: str, data: Path | None, where: str) -> Path:
    """Where a split lies that is not read from the hub."""
    if source.path in FILE_FORMATS:
        if split not in source.files:
            raise InputError(f"{where}: the source has no such split; its splits are {', '.join(source.files)}")
        file = Path(source.files[split])
    else:
        assert data is not None
        file = data / source.folder / f"{split}.parquet"
    if not file.is_file():
        raise InputError(f"{where}: {file}: no such file; name another split of the source, or leave --data out")
    if not file.stat().st_size:
        raise InputError(f"{where}: {file}: holds no rows")
    return file
