"""Which queries count: for evaluation, and for opponents where trees are partial."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.coverage import (
    evaluated_queries,
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
