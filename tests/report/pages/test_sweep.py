"""The page of a sweep."""

import pandas as pd
import pytest

from hierrouter_jax.report.pages.sweep import combinations, sweep_site, swept
from hierrouter_jax.report.site import write_site
from tests.report.page_reader import assert_self_contained


def test_a_sweep_is_told_by_combination_over_its_seeds(tmp_path):
    grid = [(rate, seed) for rate in (1e-4, 1e-3, 1e-2) for seed in (0, 1)]
    frame = pd.DataFrame(
        {"member": range(6), "group": 0, "learner": "exact", "seed": [seed for _, seed in grid], "gamma": 1.0}
        | {"learning_rate": [rate for rate, _ in grid], "best_return": [0.1, 0.3, 0.8, 0.6, 0.5, 0.5]}
        | {"accuracy": [0.2, 0.4, 0.9, 0.7, 0.5, 0.5], "cost": 1.0, "best_cost": [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]}
    )
    assert swept(frame) == ["learning_rate"]
    best = combinations(frame, ["learning_rate"]).iloc[0]
    assert (best["learning_rate"], best["seeds"]) == (1e-3, 2)
    assert (best["best_return_mean"], best["best_return_min"], best["best_return_max"]) == pytest.approx(
        (0.7, 0.6, 0.8)
    )
    path = write_site(tmp_path, sweep_site("rates", frame, "test", 8))
    text = assert_self_contained(path.read_text(encoding="utf-8")).text
    assert "Best mean validation return: 0.7000 (0.6000 to 0.8000 over 2 seeds)" in text
    assert "6 of 8 members are finished" in text
    assert pd.read_csv(tmp_path / "data" / "members.csv").shape == frame.shape
