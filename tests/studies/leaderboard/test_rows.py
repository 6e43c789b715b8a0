"""A leaderboard's metrics of two models: their values by hand, and intervals that follow from those of the parts."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.leaderboard.rows import Context, row
from hierrouter_jax.studies.leaderboard.splits import Split, questions_tested
from tests.tables import random_table, replicated


def two_models(queries: int) -> OutcomeTable:
    """The strong model costs 3 and is always right, the weak one costs 1 and is right on every other query."""
    table = random_table(queries=queries, models=2, horizon=1, tasks=1, splits=("test",))
    quality = np.zeros_like(table.quality)
    quality[::2, 1] = quality[:, 2] = 1.0
    return replace(table, quality=quality, stated_cost=np.broadcast_to([0.0, 1.0, 3.0], quality.shape))


def told(table: OutcomeTable, resamples: int = 400) -> dict:
    """The row of a policy that asks the strong model exactly where the weak one is wrong."""
    queries = table.num_queries
    repeats = Repeats(np.ones((1, queries), bool), np.arange(queries), resamples)
    split = Split(np.arange(0), np.arange(0), np.arange(queries))
    bounds = {"cost": 3.0, "accuracy": 0.0, "cost_range": [1.0, 3.0]}
    context = Context(table, [split], repeats, (0.0,), np.ones(1), bounds)
    zeros = np.zeros((1, 1, queries))
    values = dict.fromkeys(("hops", "repaired", "damaged"), zeros)
    weak = table.quality[:, 1].astype(float)
    values |= {"quality": zeros + 1, "cost": zeros + np.where(weak > 0, 1.0, 3.0)}
    alone = dict.fromkeys(("hops", "repaired", "damaged"), zeros) | {"quality": zeros + weak, "cost": zeros + 1}
    about = {"kind": "learned", "may_stop": True, "tried": 1}
    return {name: row(name, of, about, context) for name, of in (("knows", values), ("weak", alone))}


def test_apgr_and_cpt_by_hand_and_in_every_resample():
    """With the weak model wrong on a share b the gap is b, and b of the calls recover all of it: PGR(s) = min(s/b, 1).

    So CPT(x) = x b, APGR is known, and their ends are those of b, one less the weak model's accuracy.
    """
    rows = told(two_models(40))
    low, high = (1 - end for end in reversed(rows["weak"]["accuracy_ci"]))
    found = rows["knows"]
    assert found["apgr"] == pytest.approx(0.75)  # 1 - b / 2
    assert found["cpt"] == pytest.approx({"50": 0.25, "80": 0.4})
    for percent, share in (("50", 0.5), ("80", 0.8)):
        assert found["cpt_ci"][percent] == pytest.approx([share * low, share * high], abs=1 / 40)
    expected = [1 - b / 2 for b in (high, low)]
    assert found["apgr_ci"] == pytest.approx(expected, abs=0.03)
    assert expected[0] < 0.7 < 0.8 < expected[1]


def test_without_a_better_model_in_a_resample_an_end_is_open():
    """Two queries: in a quarter of the resamples both models are equally right."""
    found = told(two_models(2))["knows"]
    assert found["apgr_ci"][0] is None
    assert found["apgr_ci"][1] is not None
    assert found["cpt_ci"]["80"][0] is not None
    assert found["cpt_ci"]["80"][1] is None


def asked_twice() -> OutcomeTable:
    """Each of 40 questions is asked twice, the second time at twice the price, and the weak model is then wrong."""
    table = replicated(random_table(queries=40, models=2, horizon=1, tasks=1, splits=("test",)), 2)
    quality = np.zeros_like(table.quality)
    quality[:40:2, 1] = quality[:, 2] = 1.0
    cost = np.repeat([[0.0, 1.0, 3.0], [0.0, 2.0, 6.0]], 40, axis=0)
    return replace(table, quality=quality, stated_cost=cost)


def half_strong(table: OutcomeTable) -> dict:
    """The row of a policy that asks the strong model both times on the first half of the 40 questions."""
    rows = np.arange(table.num_queries)
    split = Split(rows[:0], rows[:0], rows)
    repeats = Repeats(questions_tested([split], table.question), rows, 400)
    bounds = {"cost": 4.5, "accuracy": 0.0, "cost_range": [1.5, 4.5]}
    context = Context(table, [split], repeats, (0.0,), np.ones(1), bounds)
    node = np.where(table.question < 20, 2, 1)
    values = dict.fromkeys(("hops", "repaired", "damaged"), np.zeros((1, 1, len(rows))))
    values |= {
        name: context.by_question(getattr(table, name)[rows, node][None].astype(float)) for name in ("quality", "cost")
    }
    return row("half", values, {"kind": "learned", "may_stop": True, "tried": 1}, context)


def test_who_asks_the_strong_model_for_half_of_the_questions_recovers_half_with_replicates_too():
    """Means over a question's rows: the weak model is right on a quarter, and costs 1.5 beside 4.5."""
    found = half_strong(asked_twice())
    assert found["accuracy"] == pytest.approx(0.625)
    assert found["apgr"] == pytest.approx(0.5)
    assert found["cpt"] == pytest.approx({"50": 0.5, "80": 0.8})
    available = asked_twice().available.copy()
    available[45, 1] = False  # of a question's second row
    assert half_strong(replace(asked_twice(), available=available))["apgr"] is None


def test_a_call_that_the_table_lacks_leaves_them_undefined():
    table = two_models(20)
    available = table.available.copy()
    available[3, 1] = False
    found = told(replace(table, available=available))["knows"]
    assert (found["apgr"], found["cpt"]) == (None, None)
