"""Two policies query by query, by hand."""

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import ending_at, policy_outcome
from hierrouter_jax.report.data.routers import RunPolicies, Side, check_same_evaluation, pair_section
from tests.tables import random_table


def side(name, run, table, ends):
    """A policy that ends where it is told, without a run behind it."""
    files = SimpleNamespace(evaluation={"table": {"split": "test"}, "money_unit": "credits"}, name=run)
    cost = policy_outcome(table, ending_at(ends, table.tree)).cost
    policies = SimpleNamespace(part=table, files=files, ends=lambda _: ends, cost=lambda *_: cost)
    return Side(policies, name, run)  # type: ignore[arg-type]


def test_an_ab_counts_who_is_right_by_hand():
    """Four queries: both right, only A, neither by other routes, and neither by the same route."""
    table = random_table(1, queries=4, models=2, horizon=1)
    table.quality[:, 1:] = [[1, 1], [1, 0], [0, 0], [0, 0]]
    ends = np.array([1, 1, 1, 1]), np.array([1, 2, 2, 1])
    picture = pair_section(side("ppo", "one", table, ends[0]), side("exact", "two", table, ends[1]))
    numbers = picture.context["numbers"]
    assert numbers["counts"] == {"both": 1, "only_a": 1, "only_b": 0, "neither": 2}
    assert (numbers["accuracy"]["a"], numbers["accuracy"]["b"]) == (0.5, 0.25)
    assert numbers["accuracy"]["difference"] == 0.25
    assert numbers["same_route"] == 2
    assert [(row["query_id"], row["group"]) for row in picture.rows] == [("q1", "only_a"), ("q2", "neither")]
    row = picture.rows[0]
    assert (row["a_route"], row["a_answer"], row["b_route"], row["b_answer"]) == ("m0", "r1.1", "m1", "r1.2")
    assert row["a_cost"] == pytest.approx(table.cost[1, 1])
    assert "only the first is right on 1 queries" in picture.context["sentence"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda value: value["table"].update(fingerprint="two"), "on the table one and b on the table two"),
        (lambda value: value["table"].update(split="validation"), "on the split test and b on the split validation"),
        (lambda value: value.update(money_unit="dollars"), "in the money unit credits and b in the money unit dollars"),
        (
            lambda value: value["table"]["pool"][1].update(price_out=9.0),
            "at the prices m0 1.0 in and 2.0 out, m1 3.0 in and 4.0 out and b at the prices m0 1.0 in and 2.0 out, "
            "m1 3.0 in and 9.0 out",
        ),
        (
            lambda value: value["table"]["pool"][1].update(price_cached_in=0.5),
            "m1 3.0 in and 4.0 out and 0.5 cached, so their policies cannot be compared query by query",
        ),
    ],
)
def test_runs_of_other_queries_or_prices_are_refused_by_what_differs(edit, words):
    pool = [{"name": "m0", "price_in": 1.0, "price_out": 2.0}, {"name": "m1", "price_in": 3.0, "price_out": 4.0}]
    mine = {"table": {"fingerprint": "one", "split": "test", "pool": pool}, "money_unit": "credits"}
    other = deepcopy(mine)
    other["table"]["pool"][0]["parameters"] = 7  # no matter of cost
    check_same_evaluation((Path("a"), mine), (Path("b"), other))
    edit(other)
    with pytest.raises(InputError) as caught:
        check_same_evaluation((Path("a"), mine), (Path("b"), other))
    assert words in str(caught.value)


class Named(RunPolicies):
    """The policies of an evaluation by their names alone, without a run."""

    def __init__(self, kinds: dict[str, str]) -> None:
        ranks = enumerate(kinds.items())
        rows = [{"name": name, "kind": kind, "accuracy": -at, "cost": 1.0} for at, (name, kind) in ranks]
        self.files: Any = SimpleNamespace(evaluation={"policies": rows})
        self.routers: Any = dict.fromkeys(["ppo", "ppo+stop"])
        self._opponents: Any = dict.fromkeys(["best-single", "task-sequence", "oracle_stop"])


def test_the_best_opponent_can_be_drawn_and_is_another_policy():
    """`chosen` and models outside the pool are no opponents whose ends are known, and oracles could not serve."""
    kinds = {"oracle_stop": "oracle", "ppo": "learned", "chosen": "chosen", "other-model": "external"}
    blind = {"task-sequence": "supervised", "random": "random", "best-single": "single"}
    policies = Named(kinds | blind)
    assert policies.best_opponent("ppo") == policies.best_opponent() == "task-sequence"
    assert policies.best_opponent("task-sequence") == "best-single"
    assert Named(kinds).best_opponent("ppo+stop") == "ppo"
