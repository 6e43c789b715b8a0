"""The verb `sign`: the SHA-256 of a folder's files, written anew after they were edited by hand, or compared."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import existing
from hierrouter_jax.sums import SUMS, damaged
from hierrouter_jax.sums import sign as write_sums


@dataclass(frozen=True)
class SignConfig:
    """A folder whose files were edited by hand.

    Attributes:
      folder: folder of an outcome table, a policy bundle, a run, a sweep or a decision log.
      check: whether the files are only compared with the sums that lie there.
    """

    folder: Path
    check: bool = False

    @property
    def written(self) -> Path | None:
        return None if self.check else existing(self.folder)


def sign(config: SignConfig, json: bool = False) -> None:
    """Sign a folder again after its files were edited, so that it is loaded; prices in table.json are an example.

    The SHA-256 of every file is written into FOLDER/hierrouter.sha256, which 'sha256sum -c' reads, too. Without it a
    changed file is refused. --check compares and writes nothing. A folder of an earlier version has no such file and
    is loaded unchecked; sign it once, and it is checked from then on.
    """
    if config.check:
        faults = damaged(config.folder)
        if faults:
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise InputError(f"{faults[0]}{more}")
        names = None
    else:
        names = write_sums(config.folder)
    if json:
        print(jsonlib.dumps({"folder": str(config.folder), "sums": SUMS, "signed": names}))
    elif names is None:
        print(f"{config.folder}: every file is as {SUMS} lists it")
    else:
        print(f"{config.folder / SUMS}: {len(names)} files")
