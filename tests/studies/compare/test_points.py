"""An arm as plain data: its front the slow obvious way."""

import numpy as np
import pytest

from hierrouter_jax.evaluation.crossed import crossed_mean
from hierrouter_jax.evaluation.paired import holm
from tests.studies.compare.tiny import WEIGHTS


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
