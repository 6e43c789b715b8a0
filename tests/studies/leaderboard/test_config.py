"""Who takes part in a leaderboard, and what is refused."""

from pathlib import Path

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.studies.leaderboard.config import LearnerSpec, entrants, folder_name
from tests.studies.leaderboard.known import config


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"folds": 3}, "choose one of them"),
        ({"test": 0}, "need both"),
        ({"splits": 0, "test": 0}, "give --splits and --test too"),
        ({"validation": 1.0}, "must be a finite number above 0 and below 1"),
        ({"cost_weights": (0.0, 0.0)}, "different numbers"),
        ({"learners": {"ours": LearnerSpec()}}, "'ours' is no name"),
        (
            {"learners": {"exact": LearnerSpec(hyper={"reward.hop_cost": 1.0})}},
            "learners.exact: reward.hop_cost is set",
        ),
        (
            {"learners": {"exact": LearnerSpec(hyper={"wieght_decay": 1.0})}},
            "learners.exact: .*did you mean weight_decay",
        ),
        ({"learners": {"exakt": LearnerSpec()}}, "learners.exakt: .*did you mean exact"),
    ],
)
def test_what_makes_no_leaderboard_is_refused(tmp_path, more, said):
    with pytest.raises(InputError, match=said):
        config(tmp_path, tmp_path, **more)


def test_learners_with_and_without_stop_are_two_where_there_is_something_to_stop(tmp_path):
    two = config(tmp_path, tmp_path, learners={"exact": LearnerSpec(), "exact+stop": LearnerSpec()})
    assert list(entrants(two, horizon=2)[0]) == ["exact", "exact+stop"]
    assert list(entrants(two, horizon=1)[0]) == ["exact"]
    assert folder_name(Path("runs/quickstart/table")) == "quickstart"
    assert folder_name(Path("tables/mine")) == "mine"
