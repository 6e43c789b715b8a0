"""An arm as plain data: its front the slow obvious way."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.evaluation.crossed import crossed_mean
from hierrouter_jax.evaluation.paired import holm
from hierrouter_jax.outcomes.store import load_table, save_table
from tests.studies.compare.tiny import WEIGHTS, rerun


def test_differences_and_fronts_the_slow_way(result, slowly):
    quality, cost = (values.mean(axis=(2, 3)) for values in slowly)
    reference, rows = result["reference"]["cost"], result["comparisons"]
    for w, weight in enumerate(WEIGHTS):
        row = next(row for row in rows if row["metric"] == "return" and row["cost_weight"] == weight)
        value = quality[:, w] - weight * cost[:, w] / result["cost_normaliser"]
        assert row["difference"] == pytest.approx(value[1] - value[0], abs=1e-6)
        returned = (slowly[0] - weight * slowly[1] / result["cost_normaliser"])[:, w]
        by_hand = crossed_mean(returned[1] - returned[0])
        assert row["ci"] == pytest.approx([float(by_hand.low), float(by_hand.high)], abs=1e-6)
        assert row["p_value"] == pytest.approx(float(by_hand.p_value), rel=1e-3)
    budgets = (np.arange(100_000) + 0.5) / 100_000 * reference
    areas = []
    for arm in range(2):
        within = np.where(cost[arm][:, None] <= budgets, quality[arm][:, None], 0.0)
        areas.append(within.max(axis=0).mean())
        assert result["arms"][arm]["front"]["hypervolume"]["value"] == pytest.approx(areas[-1], abs=1e-4)
    row = next(row for row in rows if row["metric"] == "hypervolume")
    assert row["difference"] == pytest.approx(areas[1] - areas[0], abs=2e-4)
    primary = [row for row in rows if row["family"] == "primary"]
    assert [row["p_holm"] for row in primary] == holm([row["p_value"] for row in primary])
    assert len(primary) == 3


def test_where_nothing_costs_a_front_is_its_best_accuracy(config, result, tmp_path):
    table = load_table(config.table)
    pool = tuple(replace(member, price_in=0.0, price_out=0.0, parameters=None) for member in table.pool)
    save_table(replace(table, pool=pool), tmp_path / "table")
    free = rerun(config, tmp_path / "out", table=tmp_path / "table", cost_weights=WEIGHTS[:1])
    assert json.loads(json.dumps(free, allow_nan=False)) == free
    for arm in free["arms"]:
        accuracy = arm["points"][0]["accuracy"]["mean"]
        assert [arm["front"][name]["value"] for name in ("hypervolume", "aiq")] == pytest.approx([accuracy] * 2)
    rows = {row["metric"]: row for row in free["comparisons"] if row["cost_weight"] is None}
    assert rows["hypervolume"]["difference"] == pytest.approx(rows["aiq"]["difference"])
