"""Is routing worth it for these models, and is a second or third hop worth collecting?

The answer needs the one-hop outcomes only: every model once on every query.
"""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.baselines import oracle, sequences
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.paired import paired_difference
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at
from hierrouter_jax.outcomes.coverage import held_ends, opponents_train
from hierrouter_jax.outcomes.replicates import first_rows, replicates_report
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.measures import co_failure, means, outcome_by_question, question_clusters
from hierrouter_jax.studies.second_hop import second_hops
from hierrouter_jax.training.features import fit_features

Answer = Literal["go", "sample", "too few queries", "no-go"]

# What the best deployable routers recover of the oracle's headroom on real data (arXiv 2608.08265: 7.5 to 14.4 %).
RECOVERED = 0.144
ONE_POINT = 0.01
# The share of hopeless queries that a second hop would have to repair for one point; above it a sample is not worth it.
LIKELY_REPAIR = 0.2
FEWEST = 20  # queries: where fewer are all alike the interval is a point, and says nothing
DEEPEST = 3
FEATURES = 64


def worth(
    table: OutcomeTable,
    split: str = "test",
    cost_weight: float = 0.0,
    external: OutcomeTable | None = None,
    controls: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Headroom of routing, what no choice can reach, and the price of depth, as plain data.

    The rules are this project's own. Routing: *go* where choosing by the predicted task beats the best single model
    with a 95 % interval above 0; *sample* where it does not, but 14.4 % of the oracle's headroom (lower bound) is a
    point or more, so that a better router may; *no-go* where that of its upper bound is less than a point. Another hop,
    where the table has it: *go* where what it adds to the best route per predicted task has an interval above 0, *no-
    go* where the interval ends below a point. Where the table does not have it: *sample* where repairing a fifth of the
    queries that no model gets right (lower bound) adds a point, *no-go* where that of the upper bound does not: nothing
    but a rewrite can help there. All else, and all of fewer than 20 queries, is *too few queries*.

    Args:
      table: outcome table of one hop or more; choices are made on its training split, the regularisation on its
        validation split. Where training trees were collected in part, routes are chosen on the whole ones and the
        validation split.
      split: name of the split that everything is measured on.
      cost_weight: lambda of the return, which is quality less lambda times cost over the training split's mean cost of
        a call.
      external: one-hop table of models beside the pool, which may be controls of a second hop.
      controls: name of each member's control; by default what the table's prompts say.

    Raises:
      InputError: if a split or a control is missing, or no query of a split has all of its one-hop outcomes.
    """
    train, validation, part = (_answered(table.split(name), name) for name in ("train", "validation", split))
    chosen_on = _answered(opponents_train(table), "train")  # what a partial tree holds was chosen for its promise
    one_hop = [one.up_to(1) for one in (train, validation, part)]
    normaliser = float(one_hop[0].cost[:, 1:].mean()) or 1.0
    weight = cost_weight / normaliser
    single = _ending(one_hop[2], sequences.best_sequence(one_hop[0], False, weight))
    best = ending_at(oracle.oracle_return(one_hop[2], weight, allow_stop=True), one_hop[2].tree)
    by_depth = [_task_sequence(chosen_on, validation, part, hops, weight) for hops in range(1, table.tree.horizon + 1)]
    ceiling = outcome_by_question(one_hop[2], best)
    rows, queries = one_hop[2].num_queries, len(first_rows(one_hop[2]))
    group = question_clusters(one_hop[2])

    def gain(one: PolicyOutcome, other: PolicyOutcome) -> dict[str, Any]:
        """The paired difference of return, which is that of quality where cost weighs nothing."""
        ours, theirs = (its.returns(cost_weight, normaliser) for its in (one, other))
        difference = paired_difference(ours, theirs, group)
        return {"value": difference.value, "ci": list(difference.interval), "p_value": difference.p_value}

    report = {
        "queries": queries,
        "left_out": table.split(split).num_queries - rows,
        "replicates": replicates_report(part),
        "split": split,
        "cost_weight": cost_weight,
        "best_single": {"model": _single_name(one_hop[0], weight), **means(single)},
        "task_sequence": {**means(by_depth[0]), "headroom": gain(by_depth[0], single)},
        "oracle": {**means(ceiling), "headroom": gain(ceiling, single)},
        "co_failure": co_failure(one_hop[2]),
        "depth": [_depth(one_hop[2], hops) for hops in range(1, DEEPEST + 1)],
        "second_hop": second_hops(chosen_on, part, external, controls),
        "money_unit": table.money_unit,
    }
    for hops, (deeper, before) in enumerate(zip(by_depth[1:], by_depth, strict=False), start=2):
        if hops <= DEEPEST:
            report["depth"][hops - 1]["gain"] = gain(deeper, before)
    return report | {"answers": _answers(report)}


def _answered(part: OutcomeTable, name: str) -> OutcomeTable:
    """The queries that every model was asked: others cannot be compared."""
    rows = np.asarray(part.available[:, part.tree.stage_slice(1)].all(axis=1))
    if not rows.any():
        raise InputError(f"no {name} query has the one-hop outcome of every model, so nothing can be compared")
    return part.select(rows)


def _ending(part: OutcomeTable, node: int) -> PolicyOutcome:
    return outcome_by_question(part, ending_at(np.full(part.num_queries, node), part.tree))


def _single_name(train: OutcomeTable, weight: float) -> str:
    return train.model_names[train.tree.last_model(sequences.best_sequence(train, False, weight))]


def _task_sequence(
    train: OutcomeTable, validation: OutcomeTable, part: OutcomeTable, hops: int, weight: float
) -> PolicyOutcome:
    """Of 1 to `hops` hops, the best training sequence of the task that a query-only classifier predicts."""
    train, validation, part = (one.up_to(hops) for one in (train, validation, part))
    reduction = fit_features(train, FEATURES).reduction
    predicted = sequences.fit_task_classifier(train, validation, reduction)(part)
    nodes = sequences.best_per_task(train, False, weight)[predicted]
    return outcome_by_question(part, ending_at(held_ends(part, nodes), part.tree))


def _depth(one_hop: OutcomeTable, hops: int) -> dict[str, Any]:
    """What a full tree of this depth costs to collect, and a route of it to serve, from one-hop means.

    A hop is taken to read the query and every response before it, and to write as much as the first one did.

    A stage's sums over all of its routes are closed forms: M^(k-1) routes end in each model, and what they carried
    adds up to (k-1) M^(k-2) times the tokens that the models write together.

    Returns:
      `calls` and `collection_cost` of one query's tree, and the `route_cost` of the cheapest and of the mean route.
    """
    models = one_hop.tree.num_models
    reads, writes = (column[:, 1:].mean(axis=0) for column in (one_hop.tokens_in, one_hop.tokens_out))
    price_in, price_out = np.array([(member.price_in, member.price_out) for member in one_hop.pool]).T
    first = reads * price_in + writes * price_out
    stages = [
        models ** (stage - 1) * first.sum() + (stage - 1) * models ** (stage - 2) * writes.sum() * price_in.sum()
        if stage > 1
        else first.sum()
        for stage in range(1, hops + 1)
    ]
    return {
        "hops": hops,
        "calls": sum(models**stage for stage in range(1, hops + 1)),
        "collection_cost": float(sum(stages)),
        "route_cost": {
            "cheapest": cheapest_route(first, writes, price_in, hops),
            "mean": float(sum(total / models**stage for stage, total in enumerate(stages, start=1))),
        },
    }


def cheapest_route(
    first: Float[np.ndarray, " M"], writes: Float[np.ndarray, " M"], price_in: Float[np.ndarray, " M"], hops: int
) -> float:
    """Cost of the cheapest route of one, two or three hops over M models.

    A last hop behind c carried tokens costs min over m of first[m] + c price_in[m], a concave function of c: its lines
    are found once, and what remains is a minimum over at most M^2 beginnings.

    Args:
      first: cost of each model as a first hop, in money.
      writes: number of tokens that each model writes.
      price_in: price of a token that each model reads, in money.
      hops: number of calls.

    Raises:
      ValueError: if there are more than three hops.
    """
    if hops == 1:
        return float(first.min())
    if hops > DEEPEST:
        raise ValueError(f"routes of at most {DEEPEST} hops are priced, not of {hops}")
    lines, starts = _lower_envelope(first, price_in)

    def last(carried: Float[np.ndarray, " C"]) -> Float[np.ndarray, " C"]:
        line = lines[np.searchsorted(starts, carried, side="right") - 1]
        return first[line] + carried * price_in[line]

    if hops == 2:
        return float((first + last(writes)).min())
    return min(
        float((first[model] + first + written * price_in + last(written + writes)).min())
        for model, written in enumerate(writes)
    )


def _lower_envelope(
    heights: Float[np.ndarray, " M"], slopes: Float[np.ndarray, " M"]
) -> tuple[Int[np.ndarray, " H"], Float[np.ndarray, " H"]]:
    """Of lines over c >= 0, those that are the lowest somewhere, in order, and the c from which each one is."""
    lines: list[int] = []
    starts: list[float] = []
    for line in np.lexsort((heights, -slopes)):  # the steepest first: it is the lowest nowhere but at the left
        start = 0.0
        while lines:
            before = lines[-1]
            rise, fall = heights[line] - heights[before], slopes[before] - slopes[line]
            start = (0.0 if rise <= 0 else np.inf) if fall == 0 else max(rise / fall, 0.0)
            if start > starts[-1]:
                break
            lines.pop()
            starts.pop()
            start = 0.0
        if np.isfinite(start):
            lines.append(int(line))
            starts.append(start)
    return np.array(lines), np.array(starts)


def _answers(report: dict[str, Any]) -> dict[str, Answer]:
    few = report["queries"] < FEWEST
    least, most = (RECOVERED * bound for bound in report["oracle"]["headroom"]["ci"])
    routed = report["task_sequence"]["headroom"]["ci"][0] > 0
    routing = "go" if routed else "sample" if least >= ONE_POINT else "no-go" if most < ONE_POINT else "too few queries"
    answers: dict[str, Answer] = {"routing": "too few queries" if few else routing}
    repairable = [LIKELY_REPAIR * bound for bound in report["co_failure"]["ci"]]
    for depth in report["depth"][1:]:
        answer: Answer = "too few queries"
        if "gain" in depth:
            low, high = depth["gain"]["ci"]
            answer = "go" if low > 0 else "no-go" if high < ONE_POINT else answer
        elif answers.get(f"hop_{depth['hops'] - 1}", "go") != "go" or repairable[1] < ONE_POINT:
            answer = "no-go"
        elif repairable[0] >= ONE_POINT:
            answer = "sample"
        answers[f"hop_{depth['hops']}"] = "too few queries" if few else answer
    return answers
