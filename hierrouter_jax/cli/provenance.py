"""What an imported table says of itself: sentences for a person."""

from collections.abc import Iterator, Mapping
from typing import Any

from hierrouter_jax.outcomes.importers.records import place
from hierrouter_jax.outcomes.notes import DEV_ONLY

_MOST = 8  # of one kind of line


def import_notes(settings: Mapping[str, Any]) -> Iterator[str]:
    """Lines of `settings["import"]`: splits, leaks, oddities, what cost means, and what was not read."""
    counts = settings["counts"]
    splits = ", ".join(f"{name} {counts['splits'][name]:,}" for name in sorted(counts["splits"], key=_order))
    drawn = f"drawn with seed {settings['options']['seed']}" if settings["splits"] == "drawn" else "as given"
    if settings["splits"] == "given" and settings["validation_drawn"]:
        drawn = f"train and test as given, validation drawn from train with seed {settings['options']['seed']}"
    yield f"splits: {splits} ({drawn})"
    if empty := settings.get("empty_splits"):
        group = empty["largest_group"]
        why = f", {group:,} of which are one duplicate group" if group > 1 else ""
        yield f"warning: {' and '.join(empty['splits'])} got none of the {counts['queries']:,} queries{why}"
    if settings["dev_only"]:
        yield DEV_ONLY
    if counts["missing"]:
        partial = sum(counts["partial_queries"].values())
        yield f"missing: {counts['missing']:,} outcomes of {partial:,} queries, masked"
        later = {name: count for name, count in counts["partial_queries"].items() if name != "train"}
        if later:
            yield f"warning: partial queries outside train ({_listed(later)}): every model should answer those"
    yield from _leaks(settings)
    for flag in settings["suspicious"][:_MOST]:
        yield f"suspicious: {flag['model']} scores {flag['mean']:.2f} on {flag['task']}, {flag['reason']}"
    if len(settings["suspicious"]) > _MOST:
        yield f"suspicious: {len(settings['suspicious']) - _MOST} more in table.json"
    rejected = settings["rejected"]
    if rejected["count"]:
        yield f"not read: {rejected['count']:,} rows, all of them in rejected.jsonl; the first:"
        for row in rejected["rows"][:3]:
            yield f"  {place(row['file'], row['row'])}: {row['reason']}"
    yield settings["cost"]
    if settings.get("costless"):
        yield "warning: every cost is 0, so no policy is cheaper than another and a cost weight changes nothing"
    ratios = {name: ratio for name, ratio in (settings["billed_over_priced"] or {}).items() if round(ratio, 2) != 1}
    if ratios:  # prices that the costs imply agree with them
        shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in list(ratios.items())[:_MOST])
        more = f", {len(ratios) - _MOST} more in table.json" if len(ratios) > _MOST else ""
        yield f"stated costs over tokens times the pool's prices, where they differ: {shown}{more}"
    yield from (f"note: {note}" for note in settings["notes"])


def _leaks(settings: Mapping[str, Any]) -> Iterator[str]:
    duplicates = settings["duplicates"]
    exact, near, groups = (duplicates[name] for name in ("exact_pairs", "near_pairs", "groups"))
    yield f"duplicates: {exact:,} exact and {near:,} near pairs, in {groups:,} groups"
    for split, tasks in duplicates["leaked"].items():
        for task, counts in tasks.items():
            if counts["exact"] or counts["near"]:
                near = f", and {counts['near']} nearly" if counts["near"] else ""
                yield (
                    f"leak: {counts['exact']} of {counts['queries']} {split} queries of {task} stand in an earlier "
                    f"split{near}"
                )
    for split, tasks in duplicates["dropped"].items():
        yield f"dropped from {split} for it: {_listed(tasks)}"
    leaking = any(counts["exact"] or counts["near"] for t in duplicates["leaked"].values() for counts in t.values())
    if leaking and not duplicates["dropped"]:
        yield "warning: leaked queries are kept (--leaks keep): test accuracy flatters whoever remembers training"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _order(name: str) -> int:
    return ("train", "validation", "test").index(name)
