"""What a reader of a table's numbers must know of how it was made, in sentences, from the table's settings."""

from typing import Any

FINISH_REASONS = ("stop", "length", "content_filter", "failed")
DEV_ONLY = "dev-only: these queries are of public test files; report no result on them as a result on unseen data"


def table_notes(settings: dict[str, Any]) -> list[str]:
    """Labels, failed calls, unknown ends, trimmed prompts, truncated contexts, missing hops; only what there is."""
    return [
        *(mix_notes(settings) if "mix" in settings else []),
        *([DEV_ONLY] if settings.get("import", {}).get("dev_only") else []),
        *_failed(settings.get("failed")),
        *_unknown_ends(settings.get("finish_reasons")),
        *_trimmed(settings),
        *_partial(settings.get("partial")),
    ]


def unanswered_note(queries: int) -> str:
    """Of queries that nobody can be judged on."""
    return f"left out: {queries:,} queries of which the table holds no hop"


def replicates_note(report: dict[str, Any]) -> str:
    """Of questions that were asked several times, from what `replicates.replicates_report` says."""
    fewest, most = report["fewest"], report["most"]
    times = f"{most}" if fewest == most else f"{fewest} to {most}"
    models = report["variance_within"].items()
    variance = ", ".join(f"{name} {value:.3f}" for name, value in models if value is not None)
    return (
        f"each of {report['questions']:,} questions was asked {times} times: means and intervals go by question, and "
        "oracles are chosen on one replicate and scored on another; variance of the first answer's quality within a "
        f"question: {variance}"
    )


def near_copy_note(counts: dict[str, int], split: str) -> str:
    """How many queries of a split have near copies among those that policies were made with.

    Args:
      counts: the split's counts, as `outcomes.duplicates.near_copies` gives them.
    """
    places = {name: counts[name] for name in ("train", "validation") if name in counts}
    if not counts["either"]:
        return f"none of {counts['queries']:,} {split} queries has a near copy in {' or '.join(places)}"
    where = " and ".join(f"{count:,} in {name}" for name, count in places.items())
    return f"near copies: {counts['either']:,} of {counts['queries']:,} {split} queries have one ({where})"


ENCODER_UNKNOWN = "the table does not say what its encoder computes: costs of deciding leave that out"


def mix_notes(settings: dict[str, Any]) -> list[str]:
    """Of a mix of tasks: the label, and the duplicates."""
    duplicates = settings["mix"]["duplicates"]
    notes = [
        f"duplicates among {duplicates['items']:,} items: {duplicates['exact_pairs']} exact and "
        f"{duplicates['near_pairs']} near pairs, {duplicates['pairs_across_files']} of them across files; "
        "none lies in two splits"
    ]
    labelled = [name for name, task in settings["tasks"].items() if task["dev_only"]]
    if labelled:
        notes.insert(0, f"dev-only, as split out of a public test file: {', '.join(labelled)}")
    return notes


def _failed(failed: dict[str, Any] | None) -> list[str]:
    if not failed:
        return []
    reasons = "; ".join(f"{count} x {reason}" for reason, count in list(failed["reasons"].items())[:3])
    names = ", ".join(failed.get("estimated_prompts", []))
    estimated = f" (estimated for {names}, which has no tokenizer)" if names else ""
    return [
        f"{failed['calls']:,} calls failed ({reasons}): {failed['hops_counted_wrong']:,} hops of validation and test "
        f"count as wrong, with their prompts charged{estimated} and {failed['hops_below_them_missing']:,} hops after "
        f"them missing; {failed['training_hops_masked']:,} hops of training are missing"
    ]


def _unknown_ends(reasons: dict[str, int] | None) -> list[str]:
    """Of words for the end of a response that nobody has explained."""
    unknown = {word: count for word, count in (reasons or {}).items() if word not in FINISH_REASONS}
    if not unknown:
        return []
    words = ", ".join(f"{count:,} x {word!r}" for word, count in list(unknown.items())[:5])
    return [
        f"{sum(unknown.values()):,} hops ended by a word of the endpoint that is not known here ({words}); their "
        "responses count as complete"
    ]


def _trimmed(settings: dict[str, Any]) -> list[str]:
    notes, hops, read = [], settings.get("trimmed_hops"), settings.get("encoder") or {}
    if hops:
        notes.append(
            f"{hops:,} of {settings['hops']:,} hops read a prompt whose oldest responses were trimmed to fit the "
            "model's context window"
        )
    if read.get("truncated"):
        notes.append(
            f"{read['truncated']:,} of {read['contexts']:,} contexts ({read['share']:.1%}) are longer than the "
            "encoder reads: the router does not see all of them"
        )
    return notes


def _partial(partial: dict[str, Any] | None) -> list[str]:
    if not partial:
        return []
    share = partial["training_hops"] / partial["of_hops"]
    plan = f" by the plan {partial['plan']!r}" if "plan" in partial else ""
    return [
        f"{partial['training_hops']:,} of {partial['of_hops']:,} hops of the training queries ({share:.1%}) were "
        f"collected{plan}; validation and test trees are whole"
    ]
