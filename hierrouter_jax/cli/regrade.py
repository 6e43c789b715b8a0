"""The verb `regrade`: a table's responses judged anew."""

import json as jsonlib
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierrouter_jax.files import existing, user_cache

if TYPE_CHECKING:
    from hierrouter_jax.bridge.regrade import Change, Regrade

_SHOWN, _WIDTH = 20, 60


@dataclass(frozen=True)
class RegradeConfig:
    """A table to judge anew.

    Attributes:
      table: folder of a table that was collected with --tasks or --mix.
      unsafe_no_sandbox: run programs in responses unprotected where there is no sandbox.
      dry_run: only say what would change; nothing is written in the folder.
    """

    table: Path
    unsafe_no_sandbox: bool = False
    dry_run: bool = False

    @property
    def written(self) -> Path | None:
        return None if self.dry_run else existing(self.table)


def regrade(config: RegradeConfig, json: bool = False) -> None:
    """Judge the responses of a table anew, by the graders that it was collected with, without calling a model.

    A grader that was mended, or given other settings in the table's file, changes verdicts. The old ones are kept in
    TABLE/regrades, with what changed; the table gets the new ones, and with them another fingerprint. Run again, it
    changes nothing. Where it is stopped, the table is as it was.
    """
    from hierrouter_jax.bridge.grading.parallel import grade_kept
    from hierrouter_jax.bridge.regrade import regrade as regrade_table

    dry_run = config.dry_run
    grading = partial(grade_kept, path=(user_cache() if dry_run else config.table) / "verdicts.sqlite")
    done = regrade_table(config.table, grading, config.unsafe_no_sandbox, dry_run)
    if json:
        print(jsonlib.dumps({"dry_run": dry_run, "tables": [_plain(one) for one in done]}))
        return
    for one in done:
        _tell(one, dry_run)


def _plain(one: "Regrade") -> dict[str, Any]:
    return {
        "table": str(one.folder),
        "fingerprint": {"from": one.old.fingerprint, "to": one.new.fingerprint},
        "graders": {task: {"from": before, "to": now} for task, (before, now) in one.graders.items()},
        "kept": None if one.old_verdicts is None else str(one.old_verdicts),
        "verdicts_changed": len(one.verdicts),
        "reasons_changed": len(one.changes) - len(one.verdicts),
        "changes": [asdict(change) for change in one.changes],
    }


def _tell(one: "Regrade", dry_run: bool) -> None:
    outcomes, verdicts = int(one.old.available[:, 1:].sum()), one.verdicts
    changed = "would change" if dry_run else "changed"
    up = sum(change.new_quality > change.old_quality for change in verdicts)
    print(
        f"{one.folder}: {len(verdicts):,} of {outcomes:,} verdicts {changed}, {up:,} of "
        f"them to a higher quality; {len(one.changes) - len(verdicts):,} more by their reason or extracted answer alone"
    )
    for task, count in Counter(change.task for change in verdicts).most_common():
        print(f"  {task}: {count:,}")
    for change in verdicts[:_SHOWN]:
        print(_line(change))
    if len(verdicts) > _SHOWN:
        where = "--json prints all" if one.old_verdicts is None else f"all are in {one.old_verdicts / 'changes.jsonl'}"
        print(f"  ... and {len(verdicts) - _SHOWN:,} more; {where}")
    if one.old_verdicts is not None:
        print(
            f"  fingerprint {one.old.fingerprint} -> {one.new.fingerprint}; the old verdicts are in {one.old_verdicts}"
        )
    elif not one.differs:
        print("  the graders are those of the table: nothing was written")


def _line(change: "Change") -> str:
    old, new = (" ".join(text.split())[:_WIDTH] for text in (change.old_reason, change.new_reason))
    return (
        f"  {change.query} {' > '.join(change.route)}: {change.old_quality:g} ({old}) -> {change.new_quality:g} ({new})"
    )
