"""A participant's result on disk, ours beside the opponents, and the sentence that sums it up."""

import numpy as np
import pytest

from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome
from hierrouter_jax.studies.leaderboard.config import OURS
from hierrouter_jax.studies.leaderboard.result import Judged, compared, headline, load, save, stacked
from hierrouter_jax.studies.leaderboard.rows import Context
from hierrouter_jax.studies.leaderboard.splits import Split
from tests.tables import random_table


def outcome(value: float, queries: int = 3) -> PolicyOutcome:
    return PolicyOutcome(*(np.full(queries, value + at) for at in range(5)))


def test_a_result_comes_back_if_it_depends_on_the_same(tmp_path):
    judged = Judged(stacked([outcome(0.0), outcome(10.0)]), np.array([[0.5, 0.25]]), {"kind": "learned"})
    save(tmp_path / "one.safetensors", judged, "identity")
    back = load(tmp_path / "one.safetensors", "identity")
    assert back is not None
    assert back.about == {"kind": "learned"}
    assert back.validation.tolist() == [[0.5, 0.25]]
    assert back.at(1)["quality"].tolist() == [10.0] * 3
    assert back.at(7)["damaged"].tolist() == [14.0] * 3  # the last one, where no cost weight changes the policy
    assert load(tmp_path / "one.safetensors", "another") is None
    assert load(tmp_path / "none.safetensors", "identity") is None
    (tmp_path / "one.safetensors").write_bytes(b"cut off")
    assert load(tmp_path / "one.safetensors", "identity") is None


def values(quality: list[float]) -> dict[str, np.ndarray]:
    ones = np.ones((1, 1, len(quality)))
    return {"quality": np.array([[quality]]), "cost": 2.0 * ones}


def test_ours_is_held_against_everybody_on_the_same_queries_by_hand():
    """Right on all of 40 queries beside one that is right on half, and one that is right on all."""
    table = random_table(queries=40, models=2, horizon=1, splits=("test",))
    split = Split(np.arange(0), np.arange(0), np.arange(40))
    repeats = Repeats(np.ones((1, 40), bool), np.arange(40), 200)
    context = Context(table, [split], repeats, (0.0,), np.ones(1), {})
    everybody = {OURS: values([1.0] * 40), "half": values([1.0, 0.0] * 20), "all": values([1.0] * 40)}
    half, same = compared(everybody, ["half", "all"], context)
    assert (half["opponent"], half["metric"], half["difference"]) == ("half", "accuracy", 0.5)
    assert half["ci"][0] > 0.3
    assert half["p_value"] == pytest.approx(2**-19)  # twenty queries differ, all to one side
    assert half["p_holm"] == pytest.approx(2**-18)
    assert (half["verdict"], same["verdict"]) == ("better", "tied")
    assert (same["difference"], same["p_holm"], same["relative_cost"]) == (0.0, 1.0, 1.0)
    rows = [
        {"name": OURS, "accuracy": 1.0, "accuracy_ci": [1.0, 1.0]},
        {"name": "all", "accuracy": 1.0},
        {"name": "half", "accuracy": 0.5},
    ]
    words = headline(rows, [half, same])
    assert (words["standing"], words["place"], words["leader"]) == ("tied-first", 1, "all")
    assert words["counts"] == {"better": 1, "tied": 1, "undecided": 0, "worse": 0}
    assert "Of 2 opponents it is better than 1, tied with 1, undecided with 0 and worse than 0." in words["sentence"]
