"""Reading a task's rows with `datasets`: from the hub, from a local copy in the hub's layout, or from files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierrouter_jax.bridge.tasks.config import FILE_FORMATS, SourceConfig, TaskConfig
from hierrouter_jax.bridge.tasks.items import Item, Row, item_maker, make_item
from hierrouter_jax.errors import InputError


@dataclass(frozen=True)
class SourceItem:
    """An item and where it is from.

    Attributes:
      id: unique among all tasks: task, source split, key or row number.
      task: name of its task.
      split: the source's split.
      item: what it asks.
    """

    id: str
    task: str
    split: str
    item: Item


def read_items(task: TaskConfig, split: str, data: Path | None = None) -> tuple[SourceItem, ...]:
    """The items of one split of a task's source, in its order.

    Args:
      task: the task.
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


def read_rows(source: SourceConfig, split: str, data: Path | None, where: str) -> list[Row]:
    """The rows of one split.

    Raises:
      InputError: if the source cannot be read or holds no row.
    """
    arguments = _arguments(source, split, data, where)
    from datasets import disable_progress_bars, load_dataset  # half of torch comes along: only where rows are read
    from datasets.exceptions import DatasetsError

    disable_progress_bars()
    try:
        rows: list[Any] = list(load_dataset(**arguments))
    except (OSError, ValueError, DatasetsError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{where}: {arguments.get('data_files', source.path)} cannot be read ({reason}); "
            "--data DIR reads a local copy in the hub's layout"
        ) from None
    if not rows:
        raise InputError(f"{where}: holds no rows")
    return rows


def _arguments(source: SourceConfig, split: str, data: Path | None, where: str) -> dict[str, Any]:
    """Of `load_dataset`. Files are streamed: they need no second copy in the cache of `datasets`."""
    local = source.path in FILE_FORMATS
    if data is None and not local:
        return {"path": source.path, "name": source.config, "revision": source.revision, "split": split}
    if local:
        if split not in source.files:
            raise InputError(f"{where}: the source has no such split; its files are {', '.join(source.files)}")
        file, reader = Path(source.files[split]), source.path
    else:
        assert data is not None
        file, reader = data / source.folder / f"{split}.parquet", "parquet"
    if not file.is_file():
        raise InputError(f"{where}: {file}: no such file; name another split of the source, or leave --data out")
    if not file.stat().st_size:
        raise InputError(f"{where}: {file}: holds no rows")
    return {"path": reader, "data_files": {split: str(file)}, "split": split, "streaming": True}
