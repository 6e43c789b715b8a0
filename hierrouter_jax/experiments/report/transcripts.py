"""Which live transcripts a page shows, and what each of them shows."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

SHOWN = 6


def choose(transcripts: Sequence[dict[str, Any]], count: int = SHOWN) -> list[dict[str, Any]]:
    """At most `count` transcripts, those first that show something (repair, STOP, damage) the others do not."""
    left, chosen = list(transcripts), []
    while left and len(chosen) < count:
        seen_tags = {tag for one in chosen for tag in _events(one)}
        seen_tasks = {one["task"] for one in chosen}
        best = max(left, key=lambda one: (len(_events(one) - seen_tags), one["task"] not in seen_tasks))
        left.remove(best)
        chosen.append(best)
    return chosen


def right(transcript: dict[str, Any]) -> bool:
    return transcript["quality"] >= 0.5


def right_hops(transcript: dict[str, Any]) -> list[bool]:
    """Whether the response of each hop would have been a right answer."""
    return [_right_hop(hop, transcript) for hop in transcript["hops"]]


def notes(transcript: dict[str, Any]) -> list[str]:
    """What happened, in the words of the page."""
    words = {
        "repaired": "repaired on the way",
        "damaged": "damaged on the way",
        "stopped": f"stopped after {len(transcript['hops'])} hop{'s' if len(transcript['hops']) != 1 else ''}",
    }
    return [text for event, text in words.items() if event in _events(transcript)]


def _events(transcript: dict[str, Any]) -> set[str]:
    hops = right_hops(transcript)
    events = {"right" if right(transcript) else "wrong"}
    if transcript["stopped"]:
        events.add("stopped")
    steps = list(pairwise(hops))
    if (False, True) in steps:
        events.add("repaired")
    if (True, False) in steps:
        events.add("damaged")
    return events


def _right_hop(hop: dict[str, Any], transcript: dict[str, Any]) -> bool:
    """By its own quality where it is known, else by being the gold answer or the right answer that was given."""
    if hop.get("quality") is not None:
        return hop["quality"] >= 0.5
    given = {str(transcript["answer"]).strip()} if right(transcript) else set()
    return str(hop["response"]).strip() in given | {str(transcript["gold"]).strip()}
