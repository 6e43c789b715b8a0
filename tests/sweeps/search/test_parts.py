"""The sweeps of a search: their members together, and the means that the next points are chosen by."""

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.search.parts import Part, means_by_point, together

EXACT_STATICS = (LearnerStatic("exact", num_envs=64), LearnerStatic("exact", num_envs=128))


def part(name: str, about: dict[str, int], returns: list[float]) -> Part:
    """A sweep of two groups of one point, and two seeds."""
    plan = SimpleNamespace(seeds=(0, 1), statics=EXACT_STATICS)
    frame = pd.DataFrame({"member": range(4), "group": [0, 0, 1, 1], "best_return": returns})
    return Part(name, about, cast(Any, SimpleNamespace(plan=plan, frame=frame)))


def test_a_parts_rows_say_their_folder_point_and_rung():
    frame = part("rung-0", {"rung": 0}, [0.1, 0.2, 0.3, 0.4]).frame
    assert frame["folder"].tolist() == ["rung-0"] * 4
    assert frame["point"].tolist() == [0, 0, 1, 1]
    assert frame["rung"].tolist() == [0] * 4


def test_means_are_over_seeds():
    assert means_by_point(part("", {}, [0.1, 0.3, 0.5, 0.9])).tolist() == [0.2, 0.7]


def test_all_parts_together_have_a_column_for_each_shape():
    config = SweepConfig("table", space={"num_envs": [64, 128], "learner": "exact"})
    parts = [part("rung-0", {"rung": 0}, [0.1] * 4), part("rung-1", {"rung": 1}, [0.2] * 4)]
    frame = together(parts, config)
    assert frame["num_envs"].tolist() == [64, 64, 128, 128] * 2
    assert frame["rung"].tolist() == [0] * 4 + [1] * 4
    assert "learner" not in frame
