"""Which live transcripts a page shows, and what each of them shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.tree_policy import run_policy
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.training.checks import check_charges
from hierrouter_jax.training.router import TrainedRouter

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


@dataclass(frozen=True)
class Choices:
    """A router on the Q queries of a table.

    Attributes:
      probabilities: pi(a | n) at the D decision nodes, STOP last; rows sum to 1.
      ends: node at which the greedy policy answers each query.
    """

    probabilities: Float[np.ndarray, "Q D A"]
    ends: Int[np.ndarray, " Q"]


def choices(router: TrainedRouter, table: OutcomeTable) -> Choices:
    """The chosen seed's policy, under the cost weight of its run and without a budget where it is told either."""
    check_charges(table, router.static)
    device = router.features.on_device(table)
    conditions = router.conditions(table.num_queries)

    @jax.jit
    def log_probs(params: Any, device: DeviceTable) -> Any:
        return run_policy(router.static, params, device, conditions, router.hyper.ranges).log_probs()

    logs = np.asarray(log_probs(router.params(router.chosen_seed), device))
    return Choices(np.exp(logs), greedy_ends(logs, table.tree))


def greedy_ends(preference: Float[np.ndarray, "Q D A"], tree: HopTree) -> Int[np.ndarray, " Q"]:
    """Where taking the most preferred action everywhere ends, ties to the lowest index."""
    best = preference.argmax(axis=-1)
    queries, nodes = np.arange(len(best)), np.zeros(len(best), dtype=int)
    for stage in range(tree.horizon):
        here = tree.stages[nodes] == stage  # the others have stopped
        taken = best[queries, np.minimum(nodes, tree.num_decision_nodes - 1)]
        nodes = np.where(here & (taken < tree.num_models), tree.child(nodes, taken), nodes)
    return nodes
