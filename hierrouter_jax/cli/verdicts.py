"""What the verb `regrade` does and says."""

import json as jsonlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hierrouter_jax.bridge.grading import Grader, Verdict
from hierrouter_jax.bridge.grading.parallel import VerdictCache, grade_all
from hierrouter_jax.bridge.regrade import Change, Regrade, regrade
from hierrouter_jax.files import user_cache
from hierrouter_jax.outcomes.table import Query

_SHOWN, _WIDTH = 20, 60


def regrade_and_tell(table: Path, allow_unsandboxed: bool, dry_run: bool, json: bool) -> None:
    """Regrade a table over all cores, verdicts of this and earlier runs kept, and print what changed."""

    def grading(grader: Grader, responses: Sequence[str], asked: Sequence[Query]) -> list[Verdict]:
        cache = VerdictCache((user_cache() if dry_run else table) / "verdicts.sqlite")
        try:
            return grade_all(grader, responses, asked, cache)
        finally:
            cache.close()

    done = regrade(table, grading, allow_unsandboxed, dry_run)
    if json:
        print(jsonlib.dumps({"dry_run": dry_run, "tables": [_plain(one) for one in done]}))
        return
    for one in done:
        _tell(one, dry_run)


def _plain(one: Regrade) -> dict[str, Any]:
    return {
        "table": str(one.folder),
        "fingerprint": {"from": one.old.fingerprint, "to": one.new.fingerprint},
        "graders": {task: {"from": before, "to": now} for task, (before, now) in one.graders.items()},
        "kept": None if one.old_verdicts is None else str(one.old_verdicts),
        "verdicts_changed": len(one.verdicts),
        "reasons_changed": len(one.changes) - len(one.verdicts),
        "changes": [asdict(change) for change in one.changes],
    }


def _tell(one: Regrade, dry_run: bool) -> None:
    judged, verdicts = int(one.old.available[:, 1:].sum()), one.verdicts
    up = sum(change.new_quality > change.old_quality for change in verdicts)
    print(
        f"{one.folder}: {len(verdicts):,} of {judged:,} verdicts {'would change' if dry_run else 'changed'}, {up:,} of "
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


def _line(change: Change) -> str:
    old, new = (" ".join(text.split())[:_WIDTH] for text in (change.old_reason, change.new_reason))
    return (
        f"  {change.query} {' > '.join(change.route)}: {change.old_quality:g} ({old}) -> {change.new_quality:g} ({new})"
    )
