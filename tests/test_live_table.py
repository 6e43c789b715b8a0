"""Live routes beside a table's: counted by hand, and all equal for the tiny pool, whose text no batch changes."""

from dataclasses import replace

import numpy as np
import pytest

from scripts.live_table import compared
from tests.tables import random_table


@pytest.fixture
def part():
    """Two queries, two models a and b, two hops; the response at node n of query q is "q.n"."""
    table = random_table(models=2, horizon=2, queries=2)
    texts = np.array([[f"{row}.{node}" for node in range(7)] for row in range(2)], dtype=object)
    quality = np.zeros_like(table.quality)
    quality[0, 3] = 1.0
    return replace(table, response=texts, quality=quality, available=np.ones_like(table.available))


def route(part, *hops: tuple[int, str]) -> dict:
    return {"route": [part.model_names[model] for model, _ in hops], "responses": [text for _, text in hops]}


def test_counts_by_hand(part):
    """On the table query 0 goes to a > a (node 3), query 1 to b and stops (node 2)."""
    ends = np.array([3, 2])
    same = compared(part, ends, [route(part, (0, "0.1"), (0, "0.3")), route(part, (1, "1.2"))])
    assert same == {
        "queries": 2,
        "choices": 4,  # two hops; one hop and STOP
        "equal_choices": 4,
        "responses": 3,
        "equal_responses": 3,
        "routes": 2,
        "answers": 2,
        "accuracy_on_the_table": 0.5,
    }


def test_what_follows_another_response_is_no_choice_of_the_table(part):
    other = compared(
        part, np.array([3, 2]), [route(part, (0, "else"), (1, "0.4")), route(part, (0, "1.1"), (1, "1.4"))]
    )
    assert (other["choices"], other["equal_choices"]) == (3, 1)
    assert (other["responses"], other["equal_responses"]) == (3, 2)
    assert (other["routes"], other["answers"]) == (0, 0)
