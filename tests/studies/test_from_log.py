"""Routers from a log: what is chosen where the held-out episodes can tell, and where they cannot; refusals."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.studies import from_log
from hierrouter_jax.studies.from_log import train_from_log
from hierrouter_jax.studies.named_policy import named_policy
from hierrouter_jax.studies.off_policy.estimate import estimate
from tests.outcomes.test_log_trees import logged
from tests.tables import random_table
from tests.training.test_log_training import SMALL

TABLE = random_table(queries=30, models=2)


@pytest.fixture(scope="module")
def template():
    return named_policy("best-sequence", TABLE)


def test_a_run_says_what_each_learner_reaches_on_what_was_held_out(template):
    episodes, _ = logged(TABLE, 400, allow_stop=False)
    run = train_from_log(episodes, template, SMALL, 0.3, TABLE)
    log = run.record["log"]
    assert log["episodes"] == log["judged"] == 400
    assert 50 < log["held_out"] < 200
    assert [row["name"] for row in run.record["policies"]] == ["exact", "off-policy-ppo"]
    assert all(0 <= row["truth"]["accuracy"] <= 1 for row in run.record["policies"])
    assert set(run.metrics["learner"]) == {"exact", "off-policy-ppo"}
    chosen = run.record["chosen"]
    assert run.bundle.provenance["learner"] == chosen
    assert run.record["confidence"] == pytest.approx(0.975)


def test_intervals_hold_for_all_learners_at_once(template, monkeypatch):
    """With each learner more, each interval is of a higher confidence; the estimates stay what they are."""
    asked = []

    def answer(*given, confidence, **named):
        asked.append(confidence)
        return estimate(*given, confidence=confidence, **named)

    monkeypatch.setattr(from_log, "estimate", answer)
    monkeypatch.setattr("hierrouter_jax.studies.off_policy.evidence.LEAST_ANSWERS", 0.0)
    monkeypatch.setattr("hierrouter_jax.studies.off_policy.evidence.LEAST_SAMPLE", 0.0)
    episodes, _ = logged(TABLE, 400, allow_stop=False)
    one, three = (
        train_from_log(episodes, template, SMALL, 0.3, learners=its).record["policies"][0]
        for its in (("exact",), ("exact", "doubly-robust", "off-policy-ppo"))
    )
    assert asked == pytest.approx([0.95] + [1 - 0.05 / 3] * 3)
    assert one["return"] == pytest.approx(three["return"])
    assert three["return_ci"][0] < one["return_ci"][0] < one["return_ci"][1] < three["return_ci"][1]


def test_the_truth_is_of_queries_that_were_asked(template):
    available = TABLE.available.copy()
    available[[2, 5], 1:] = False
    episodes, _ = logged(TABLE, 100, allow_stop=False)
    run = train_from_log(episodes, template, SMALL, 0.3, replace(TABLE, available=available), ("exact",))
    assert run.record["policies"][0]["truth"]["queries"] == 8


def test_what_the_log_cannot_tell_does_not_choose():
    rows = [{"answers": False, "return": 0.1}, {"answers": True, "return": 0.9}]
    assert from_log._best(rows) is rows[0]
    rows[0]["answers"] = True
    assert from_log._best(rows) is rows[1]


def test_refusals(template):
    episodes, _ = logged(TABLE, 100, allow_stop=False)
    with pytest.raises(InputError, match="the log routes a, b, but the policy m0, m1"):
        train_from_log(replace(episodes, candidates=("a", "b")), template, SMALL, 0.3)
    with pytest.raises(InputError, match="'exakt' is no learner of logs; did you mean exact"):
        train_from_log(episodes, template, SMALL, 0.3, learners=("exakt",))
    for learners in ((), ("exact", "exact")):
        with pytest.raises(InputError, match="log_learners must be one or more different names, not"):
            train_from_log(episodes, template, SMALL, 0.3, learners=learners)
    with pytest.raises(InputError, match="encoder"):
        train_from_log(replace(episodes, encoder={"kind": "other"}), template, SMALL, 0.3)
    with pytest.raises(InputError, match="0 episodes with feedback are to learn from"):
        train_from_log(replace(episodes, quality=np.full(100, np.nan)), template, SMALL, 0.3)
