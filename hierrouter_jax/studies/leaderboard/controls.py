"""Controls of a leaderboard: everybody again where nothing can be learned; who then beats chance leaks.

`shuffled`: within each part of a split, what answers are worth is dealt out anew, whole rows at a time, while queries,
their texts and embeddings stay. Costs are each node's mean, so that no cost tells which row a query was given. Whatever
a policy does, its accuracy is then expected to be a mean over nodes: at most that of the best fixed sequence, with or
without STOP, on the same test part. That is chance.

`random-features`: embeddings are random numbers, and texts, responses and task labels say nothing of the query. Chance
is the best fixed sequence again, and the same learner with no features at all (`blind`), which sees stage and cost
only; a policy must beat both.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
from jaxtyping import Float

from hierrouter_jax.baselines.problem import Opponent, ending_best
from hierrouter_jax.baselines.sequences import candidates, mean_returns
from hierrouter_jax.evaluation.paired import Difference, Repeats, verdicts
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.outcomes.replicates import first_rows
from hierrouter_jax.outcomes.table import SPLITS, OutcomeTable
from hierrouter_jax.outcomes.ties import route_order
from hierrouter_jax.studies.leaderboard.config import Entrant
from hierrouter_jax.studies.leaderboard.result import Judged
from hierrouter_jax.studies.leaderboard.splits import Split, at_first_rows

SHUFFLED, RANDOM, BLIND = "shuffled", "random-features", "blind"
CONTROLS = (SHUFFLED, RANDOM, BLIND)
_WHERE = {SHUFFLED: "where outcomes are shuffled", RANDOM: "where features are random"}


def controlled(table: OutcomeTable, control: str, seed: int) -> OutcomeTable:
    """A split's table with what the control leaves of it.

    Args:
      table: the split's queries, each with its part as its split.
      control: name of the control.
      seed: seed of what is drawn.
    """
    rng = np.random.default_rng([seed, crc32("\n".join(query.id for query in table.queries).encode())])
    if control == SHUFFLED:
        return _shuffled(table, rng)
    embedding = np.zeros_like(table.context_embedding)
    if control == RANDOM:
        embedding = rng.normal(size=embedding.shape).astype(np.float32)
    dealt = rng.permutation([table.queries[row].task for row in first_rows(table)])
    tasks = dealt[table.question].tolist()  # a question's replicates keep one task between them
    queries = (
        replace(query, text=f"query {row}", task=task, shots=())
        for row, (query, task) in enumerate(zip(table.queries, tasks, strict=True))
    )
    response = np.where(table.response == "", "", "response").astype(object)
    return replace(table, queries=tuple(queries), context_embedding=embedding, response=response)


def _shuffled(table: OutcomeTable, rng: np.random.Generator) -> OutcomeTable:
    part = np.array([SPLITS.index(query.split) for query in table.queries])
    order, cost = np.arange(table.num_queries), np.zeros(table.cost.shape)
    for which in range(len(SPLITS)):
        rows = np.flatnonzero(part == which)
        order[rows] = rng.permutation(rows)
        held = table.available[rows]
        cost[rows] = np.where(held, table.cost[rows], 0.0).sum(axis=0) / np.maximum(held.sum(axis=0), 1)
    dealt = table.select(order)
    return replace(
        dealt,
        queries=table.queries,
        context_embedding=table.context_embedding,
        response=table.response,
        stated_cost=cost,
    )


def taking_part(
    control: str, opponents: Mapping[str, Opponent], learners: Mapping[str, Entrant]
) -> tuple[dict[str, Opponent], dict[str, Entrant]]:
    """Who is fitted under a control: all but oracles; blind, the learners of this package alone."""
    if control == BLIND:
        return {}, {name: one for name, one in learners.items() if one.fit is None}
    return {name: one for name, one in opponents.items() if one.kind != "oracle"}, dict(learners)


def control_results(
    table: OutcomeTable, splits: list[Split], repeats: Repeats, results: dict[str, dict[str, list[Judged]]], seed: int
) -> dict[str, Any]:
    """`controls` of a board: every participant beside chance on accuracy, Holm-corrected over all of them.

    Args:
      repeats: splits and clusters of queries, as the board has them.
      results: results of everybody by name, one a split, under each control.
      seed: seed of what the controls draw.
    """
    blind = {name: (its[0].about, _quality(its, splits, table)) for name, its in results[BLIND].items()}
    rows: list[dict[str, Any]] = []
    tests: list[Difference] = []
    for control in (SHUFFLED, RANDOM):
        tables = [controlled(split.of(table), control, seed).split("test") for split in splits]
        fixed = {stops: _best_sequence(tables, splits, table, stops) for stops in (False, True)}
        for name, its in results[control].items():
            stops = its[0].about["may_stop"]
            chance = {"best-sequence" + "+stop" * stops: fixed[stops]}
            if control == RANDOM:
                twins = {name: blind[name]} if name in blind else blind
                chance |= {f"{twin}, blind": of for twin, (about, of) in twins.items() if about["may_stop"] == stops}
            mine = _quality(its, splits, table)
            beside = {who: repeats.difference(mine - of) for who, of in chance.items()}
            who = max(beside, key=lambda who: (beside[who].p_value if beside[who].value > 0 else 1.0, who))
            tests.append(beside[who])
            rows.append(
                {
                    "control": control,
                    "policy": name,
                    "kind": its[0].about["kind"],
                    "accuracy": float(repeats.mean(mine)),
                    "beside": who,
                    "chance": float(repeats.mean(chance[who])),
                    "difference": beside[who].value,
                    "ci": list(beside[who].interval),
                    "p_value": beside[who].p_value,
                }
            )
    for row, verdict in zip(rows, verdicts(tests), strict=True):
        row |= {"p_holm": verdict.p_holm, "leaks": verdict.word == "better"}
    leaking = (row["policy"] for row in rows if row["leaks"])
    return {"sentence": _sentence(rows), "leaks": list(dict.fromkeys(leaking)), "rows": rows}


def _sentence(rows: list[dict[str, Any]]) -> str:
    leaks = [row for row in rows if row["leaks"]]
    if not leaks:
        return f"Controls: of {len(rows)} comparisons with chance none is better after correction; no leak is seen."
    parts = []
    for row in leaks:
        low, high = (100 * end for end in row["ci"])
        size = f"{100 * row['difference']:+.1f} points, {low:+.1f} to {high:+.1f}"
        parts.append(f"{row['policy']} beats chance {_WHERE[row['control']]} ({size})")
    return f"Controls: {'; '.join(parts)}. Who beats chance there knows what no router can know: it leaks."


def _quality(results: list[Judged], splits: list[Split], table: OutcomeTable) -> Float[np.ndarray, "S Q"]:
    """Quality at the first cost weight, as the board has it: 0 where a split does not test the query."""
    quality = np.zeros((len(splits), table.num_queries))
    for row, (result, split) in enumerate(zip(results, splits, strict=True)):
        first, means = at_first_rows(result.at(0)["quality"], split.test, table.question)
        quality[row, first] = means
    return quality


def _best_sequence(
    tests: list[OutcomeTable], splits: list[Split], table: OutcomeTable, stops: bool
) -> Float[np.ndarray, "S Q"]:
    """Quality of the fixed sequence that turns out best on each test part."""
    quality = np.zeros((len(splits), table.num_queries))
    for row, (test, split) in enumerate(zip(tests, splits, strict=True)):
        scores = mean_returns(test, not stops, 0.0)
        ends = ending_best(scores, test, candidates(test.tree, not stops), route_order(test))
        first, means = at_first_rows(policy_outcome(test, ends).quality, split.test, table.question)
        quality[row, first] = means
    return quality
