"""Which queries count: for evaluation, and for opponents where trees are partial."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.coverage import (
    evaluated_queries,
    held_ends,
    opponents_train,
    whole_training_trees,
    without_partial_trees,
)
from tests.tables import random_table


def without(table, *cells):
    """The table without some hops."""
    available, quality = table.available.copy(), table.quality.copy()
    for query, node in cells:
        available[query, node], quality[query, node] = False, 0
    return replace(table, available=available, quality=quality)


def test_a_route_ends_before_the_first_hop_that_is_not_held_by_hand():
    """Of two models and hops q0 holds everything, q1 lacks node 4 and q2 all of the second model's first calls."""
    table = without(random_table(queries=3, models=2, horizon=2), (1, 4), (2, 2), (2, 5), (2, 6))
    assert held_ends(table, np.array([4, 4, 6])).tolist() == [4, 1, 0]
    assert held_ends(table, np.array([[3, 4, 6]])).tolist() == [[3, 4, 6], [3, 1, 6], [3, 4, 0]]


def ids(table) -> list[str]:
    return [query.id for query in table.queries]


def test_policies_are_evaluated_on_queries_with_any_hop():
    """Of test queries q2 and q5 the second has none."""
    table = without(random_table(models=2, horizon=1), (5, 1), (5, 2))
    assert ids(evaluated_queries(table, "test")) == ["q2"]
    assert ids(evaluated_queries(table, "train")) == ["q0", "q3"]
    with pytest.raises(InputError, match="holds no hop of any test query"):
        evaluated_queries(without(table, (2, 1), (2, 2)), "test")


def test_opponents_learn_from_whole_trees_and_validation_where_trees_are_partial_by_choice():
    """Training queries are q0 and q3, of which the second lacks a hop; validation is q1 and q4."""
    table = without(random_table(models=2, horizon=1), (3, 2))
    assert ids(opponents_train(table)) == ["q0", "q3"], "missing by chance: opponents mask it"
    partial = replace(table, settings={"partial": {"plan": "x"}, "other": 1})
    assert ids(opponents_train(partial)) == ids(whole_training_trees(table)) == ["q0", "q1", "q4"]
    assert ids(whole_training_trees(random_table())) == ["q0", "q3"]
    rest = without_partial_trees(partial)
    assert ids(rest) == ["q0", "q1", "q2", "q4", "q5"]
    assert rest.settings == {"other": 1}
    assert without_partial_trees(table) is table


def test_a_split_is_not_changed_where_every_query_has_a_hop():
    table = random_table()
    assert np.array_equal(evaluated_queries(table, "test").quality, table.split("test").quality)
