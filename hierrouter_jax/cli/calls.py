"""The verb that writes kept calls into a folder to commit: calls; and how a collection reads them back."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hierrouter_jax.errors import InputError

if TYPE_CHECKING:
    from hierrouter_jax.bridge.backends import Backend
    from hierrouter_jax.bridge.cache import CallCache

CALLS = "calls.sqlite"  # in the folder of a table


@dataclass(frozen=True)
class CallsConfig:
    """The calls of a collection, and where they go.

    Attributes:
      out: folder of a collection, finished or not.
      folder: folder of the small files, which is made where there is none.
    """

    out: Path
    folder: Path

    @property
    def written(self) -> Path:
        return self.folder


def calls(config: CallsConfig) -> None:
    """Write the calls that OUT keeps, and FOLDER does not hold yet, into new small files there.

    Files that FOLDER holds stay as they are, so that it can be committed again and again; each is under 1.1 MB. The
    collection may be running. 'hierrouter collect ... --calls FOLDER' goes on from FOLDER alone.
    """
    from hierrouter_jax.bridge.cache import CallCache
    from hierrouter_jax.bridge.paid_calls import write_new_calls

    out, folder = config.out, config.folder
    if not (out / CALLS).is_file():
        raise InputError(f"{out / CALLS}: no such file; name the folder of a collection that has begun")
    with closing(CallCache(out / CALLS)) as cache:
        new = write_new_calls(cache, folder)
    print(f"{folder}: {new:,} new calls" if new else f"{folder}: holds all of them already, nothing is written")


def take_over(source: Path, cache: "CallCache", backends: "Sequence[Backend]") -> None:
    """Add calls to a cache and say on stderr how many.

    Args:
      source: folder of shards; folder or name of a collected table.
      cache: call cache of the collection that begins.
      backends: all that may be called.

    Raises:
      InputError: if `source` is neither, or damaged.
    """
    from hierrouter_jax.bridge.paid_calls import calls_of_table, other_models, read_calls
    from hierrouter_jax.outcomes.shipped import is_table
    from hierrouter_jax.outcomes.store import load_external, load_table

    if not is_table(source):
        held, new = read_calls(source, cache)
        print(f"{source}: {held:,} calls, {new:,} of them new to {cache.path}", file=sys.stderr)
        return
    for table in (load_table(source), load_external(source)):
        if table is None:
            continue
        for name in other_models(table, backends):
            print(
                f"{source}: its calls of {name!r} are left out, as its weights or settings are not this pool's",
                file=sys.stderr,
            )
        try:
            new = cache.keep(calls_of_table(table, backends))
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        print(f"{source}: {new:,} calls of the table are new to {cache.path}", file=sys.stderr)
