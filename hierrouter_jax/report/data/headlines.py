"""What a run's page says in words: sentences from its numbers, whichever way they point, and its live transcripts."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hierrouter_jax.evaluation.paired import Verdict, Word
from hierrouter_jax.outcomes.table import RIGHT
from hierrouter_jax.report import formats

BLIND_KINDS = frozenset({"single", "sequence", "supervised", "random"})
SHOWN = 6  # transcripts on a page


def verdict(comparison: dict[str, Any]) -> Word:
    """What a comparison allows one to say, by its interval and its p-value together: `evaluation.paired.Verdict`.

    The p-value is the corrected one; a comparison that belongs to no family has `p_value` alone.
    """
    low, high = comparison["ci"]
    p_value = comparison["p_value"]
    return Verdict(comparison["difference"], (low, high), p_value, comparison.get("p_holm", p_value)).word


def headlines(evaluation: dict[str, Any]) -> list[str]:
    """One sentence per learned router, the most accurate first."""
    learned = [row for row in formats.deployable(evaluation) if row["kind"] == "learned"]
    if not learned:
        best = formats.deployable(evaluation)[0]
        queries = f"{_queries(evaluation)} queries"
        return [f"No learned router was evaluated; {best['name']} answers {_share(best)} of {queries} right."]
    return [_sentence(row, evaluation) for row in learned]


def choice_sentence(evaluation: dict[str, Any]) -> str:
    """Which policy is exported, and before how many others on validation; empty where nothing was chosen."""
    chosen = evaluation.get("chosen")
    if not chosen:
        return ""
    start = f"Exported is {chosen['policy']}, of kind {chosen['kind']}"
    return f"{start}: its return on the validation queries is the best of {len(chosen['candidates'])} policies."


def live_sentence(evaluation: dict[str, Any]) -> str:
    """How far live routing and the table agree."""
    live = evaluation.get("live")
    if not live:
        return "Live routing was not run."
    queries, routes, responses = live["queries"], int(live["routes_equal"]), int(live["responses_equal"])
    took = f"{routes} of {queries} queries took the table\u2019s route"
    start = f"Routed live by {live['policy']}, {took} and {responses}"
    if routes == responses == queries:
        return f"{start} of {queries} got the table\u2019s responses."
    return f"{start} got its responses: the table does not fully describe the live pool."


def _sentence(row: dict[str, Any], evaluation: dict[str, Any]) -> str:
    start = f"The learned router {row['name']} answers {_share(row)} of {_queries(evaluation)} queries right"
    blind = [other for other in formats.deployable(evaluation) if other["kind"] in BLIND_KINDS]
    same = [other for other in blind if _has_moves_of(row, other, evaluation)]
    if not same:
        return f"{start}; no opponent that does not look at the responses was evaluated{_cost_clause(row, evaluation)}."
    opponent = same[0]
    moves = "" if row["name"].endswith("+stop") else " and makes as many hops"
    who = f"{opponent['name']}, the best opponent that does not look at the responses{moves}"
    against = _against(row, opponent, _comparison(row, opponent, evaluation), who)
    ahead = f"; {blind[0]['name']}, with fewer hops, answers {_share(blind[0])}"
    other = ahead if blind[0] is not opponent and blind[0]["accuracy"] > row["accuracy"] else ""
    own_clause = ";" in against  # after which "its cost" would be anybody's
    cost = _cost_clause(row, evaluation, opponent, f"the cost of {opponent['name']}" if own_clause else "its cost")
    clauses = f"{cost}{against}" if own_clause else f"{against}{cost}"
    return f"{start}{clauses}{other}{_one_call(row, evaluation)}."


def _one_call(row: dict[str, Any], evaluation: dict[str, Any]) -> str:
    """The best model outside the pool that is as accurate in one call, for no more."""
    for other in formats.deployable(evaluation):
        if other["kind"] == "external" and other["accuracy"] >= row["accuracy"] and other["cost"] <= row["cost"]:
            clause = f"; {other['name']}, one call of a model outside the pool, answers {_share(other)}"
            if not row["cost"]:
                return clause
            return f"{clause} at {formats.multiple(other['cost'] / row['cost'])} times the router\u2019s cost"
    return ""


def _has_moves_of(row: dict[str, Any], other: dict[str, Any], evaluation: dict[str, Any]) -> bool:
    """Whether a router of fixed length could have done what `other` does; one that may stop always could."""
    return row["name"].endswith("+stop") or other["hops"] > evaluation["table"]["horizon"] - 1e-6


def _against(row: dict[str, Any], opponent: dict[str, Any], known: dict[str, Any] | None, who: str) -> str:
    if known is None:
        return f"; {who}, answers {_share(opponent)} (without a paired interval in this run, so neither leads)"
    interval = f"95{formats.NARROW_SPACE}% interval {' to '.join(formats.signed_points(end) for end in known['ci'])}"
    word, seeds = verdict(known), _over_seeds(known)
    if word in ("better", "worse"):
        loses = ", so it loses to it" if word == "worse" else ""
        return f", {_points(known['difference'])} than {who} ({interval}){loses}{seeds}"
    tied = "tied: at most 1 point worse" if word == "tied" else "undecided"
    differs = formats.signed_points(known["difference"])
    return f"; from {who}, it differs by {differs} points ({interval}), which is {tied}{seeds}"


def _over_seeds(known: dict[str, Any]) -> str:
    """What holds of the learner from seed to seed, where several were trained: the policy itself is one of them."""
    seeds = known.get("over_seeds")
    if seeds is None:
        return ""
    ends = " to ".join(formats.signed_points(end) for end in seeds["ci"])
    return (
        f"; over its {seeds['seeds']} seeds {formats.signed_points(seeds['difference'])} ({ends}), {seeds['verdict']}"
    )


def _cost_clause(
    row: dict[str, Any], evaluation: dict[str, Any], opponent: dict[str, Any] | None = None, of: str = "its cost"
) -> str:
    unit = formats.cheapest_single(evaluation)
    clauses = []
    if opponent is not None and opponent["cost"] > 0:
        clauses.append(f"{formats.multiple(row['cost'] / opponent['cost'])} times {of}")
    if unit is not None and unit is not opponent:
        relative = formats.multiple(row["cost"] / unit["cost"])
        clauses.append(f"{relative} times the cost of {unit['name']}, the cheapest single model")
    return f", at {' and '.join(clauses)}" if clauses else ""


def _comparison(row: dict[str, Any], opponent: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any] | None:
    key = (row["name"], opponent["name"], "accuracy")
    pairs = evaluation.get("comparisons") or []
    return next((c for c in pairs if (c["policy"], c["opponent"], c["metric"]) == key), None)


def _points(difference: float) -> str:
    return f"{formats.percent(abs(difference))} points {'fewer' if difference < 0 else 'more'}"


def _share(row: dict[str, Any]) -> str:
    return f"{formats.percent(row['accuracy'])}{formats.NARROW_SPACE}%"


def _queries(evaluation: dict[str, Any]) -> str:
    return f"{evaluation['table']['queries']:,} {evaluation['table']['split']}".replace(",", "\u2009")


def choose_transcripts(transcripts: Sequence[dict[str, Any]], count: int = SHOWN) -> list[dict[str, Any]]:
    """At most `count` transcripts, those first that show something (repair, STOP, damage) the others do not."""
    left, chosen = list(transcripts), []
    while left and len(chosen) < count:
        seen_tags = {tag for one in chosen for tag in _events(one)}
        seen_tasks = {one["task"] for one in chosen}
        best = max(left, key=lambda one: (len(_events(one) - seen_tags), one["task"] not in seen_tasks))
        left.remove(best)
        chosen.append(best)
    return chosen


def answered_right(transcript: dict[str, Any]) -> bool:
    """Whether the answer to the query is right."""
    return transcript["quality"] >= RIGHT


def right_hops(transcript: dict[str, Any]) -> list[bool]:
    """Whether the response of each hop would have been a right answer."""
    return [_right_hop(hop, transcript) for hop in transcript["hops"]]


def transcript_notes(transcript: dict[str, Any]) -> list[str]:
    """What happened, in the words of the page."""
    words = {
        "repaired": "repaired on the way",
        "damaged": "damaged on the way",
        "stopped": f"stopped after {len(transcript['hops'])} hop{'s' if len(transcript['hops']) != 1 else ''}",
    }
    return [text for event, text in words.items() if event in _events(transcript)]


def _events(transcript: dict[str, Any]) -> set[str]:
    hops = right_hops(transcript)
    events = {"right" if answered_right(transcript) else "wrong"}
    if transcript["stopped"]:
        events.add("stopped")
    steps = list(pairwise(hops))
    if (False, True) in steps:
        events.add("repaired")
    if (True, False) in steps:
        events.add("damaged")
    return events


def _right_hop(hop: dict[str, Any], transcript: dict[str, Any]) -> bool:
    """By its own quality where that is known, else by being the gold answer, or the answer where that is right."""
    if hop.get("quality") is not None:
        return hop["quality"] >= RIGHT
    right = {str(transcript["gold"]).strip()}
    right |= {str(transcript["answer"]).strip()} if answered_right(transcript) else set()
    return str(hop["response"]).strip() in right
