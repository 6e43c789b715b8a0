"""Who is ours: by validation, the first named of those near the best."""

from typing import cast

import numpy as np

from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome
from hierrouter_jax.studies.leaderboard.board import choose
from hierrouter_jax.studies.leaderboard.result import Judged


def test_the_first_of_those_that_validation_cannot_tell_apart_is_ours():
    """Differences 1, 0, 0, 0: mean .25, error .25: not told apart. Differences 1, 1, 1, 0: mean .75, error .25."""

    def learner(*returns: float) -> list[Judged]:
        return [Judged(cast(PolicyOutcome, None), np.array([returns]), {})]

    best = learner(1.0, 1.0, 1.0, 1.0)
    assert choose({"near": learner(0.0, 1.0, 1.0, 1.0), "best": best}, 1) == ({"near": 1}, [["near"]])
    assert choose({"far": learner(0.0, 0.0, 0.0, 1.0), "best": best}, 1) == ({"best": 1}, [["best"]])
