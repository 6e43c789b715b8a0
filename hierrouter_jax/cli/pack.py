"""The verb `pack`: a table in the form in which tables ship."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path

from hierrouter_jax.errors import InputError


@dataclass(frozen=True)
class PackConfig:
    """Tables to pack.

    Attributes:
      tables: folders of outcome tables; the first one's encoder is the default.
      out: folder of the packed table, named as the table is to be called.
      encoders: names of the encoders, in the order of the tables; by default the end of each encoder's source.
      licence: licence of the queries and the responses.
    """

    tables: tuple[Path, ...]
    out: Path | None = None
    encoders: tuple[str, ...] | None = None
    licence: str = ""

    @property
    def written(self) -> Path | None:
        return self.out


def pack(config: PackConfig, json: bool = False) -> None:
    """Write a table in the form in which tables ship: files under 1.1 MB, at most 8 MB in all.

    The tables hold the same outcomes with the embeddings of another encoder each; a packed table will do, too. What
    an earlier packing left in OUT is replaced; OUT/README.md, the datasheet, stays. With --json the files' sizes.
    """
    from hierrouter_jax.outcomes.packing import DATASHEET, pack_tables

    out = config.out
    if out is None:
        raise InputError("--out is missing: say in which folder the packed table is to be")
    sizes = pack_tables(config.tables, out, config.encoders or (), config.licence)
    if json:
        print(jsonlib.dumps({"table": str(out), "bytes": sum(sizes.values()), "files": sizes}))
        return
    print(f"{out}: {sum(sizes.values()):,} bytes in {len(sizes)} files, the largest of {max(sizes.values()):,}")
    if not (out / DATASHEET).is_file():
        print(f"next: write {out / DATASHEET}, the datasheet: what, how, licences, command, known faults")
