"""A leaderboard's metrics of two models: their values by hand, and intervals that follow from those of the parts."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.leaderboard.rows import Context, row
from hierrouter_jax.studies.leaderboard.splits import Split
from tests.tables import random_table


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


def test_a_call_that_the_table_lacks_leaves_them_undefined():
    table = two_models(20)
    available = table.available.copy()
    available[3, 1] = False
    found = told(replace(table, available=available))["knows"]
    assert (found["apgr"], found["cpt"]) == (None, None)
