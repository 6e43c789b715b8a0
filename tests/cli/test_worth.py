"""The sentences of `worth`, by hand."""

import pytest

from hierrouter_jax.cli.worth import WorthConfig, sentences
from hierrouter_jax.errors import InputError

REPORT = {
    "best_single": {"model": "large"},
    "task_sequence": {"headroom": {"value": 0.05, "ci": [0.01, 0.09]}},
    "oracle": {"headroom": {"value": 0.2, "ci": [0.1, 0.3]}},
    "co_failure": {"value": 0.25, "ci": [0.2, 0.3]},
    "queries": 40,
    "depth": [{"hops": 1, "calls": 3}, {"hops": 2, "calls": 12}, {"hops": 3, "calls": 39}],
}


def test_an_answer_on_routing_and_one_for_each_hop_more():
    answers = {"routing": "go", "hop_2": "sample", "hop_3": "no-go"}
    assert sentences(REPORT | {"answers": answers}) == [
        "Routing: go: choosing a model by the query's task beats large alone by 5.0 points [1.0, 9.0].",
        "Hop 2: collect a sample of it first: no model alone is right on 25.0 % of the queries, and only a rewriting "
        "hop can help there. A full tree costs 12 calls a query.",
        "Hop 3: no-go: see first what the second hop brings.",
    ]


def test_too_few_queries_are_said_to_be_too_few():
    few = REPORT | {"answers": {"routing": "too few queries", "hop_2": "too few queries"}, "depth": REPORT["depth"][:2]}
    routing, hop = sentences(few)
    assert routing.endswith(
        "adds 5.0 points [1.0, 9.0] to large alone, and the best choice for every query 20.0 points "
        "[10.0, 30.0], over 40 queries; answer more of them."
    )
    assert hop == (
        "Hop 2: too few queries to say: no model alone is right on 25.0 % [20.0, 30.0] of the queries, over 40 queries."
    )


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="--split is 'dev', but must be one of train, validation, test"):
        WorthConfig("t", split="dev")
    with pytest.raises(InputError, match="cost_weight is -1"):
        WorthConfig("t", cost_weight=-1)
