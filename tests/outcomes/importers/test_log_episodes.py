"""Decisions of a log of others become episodes: pools, contexts and orders are put together, or refused."""

from dataclasses import fields

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import read_log, write_log
from hierrouter_jax.outcomes.episodes import Episodes, episodes_of, rows_of
from hierrouter_jax.outcomes.importers.log_episodes import episodes_from
from hierrouter_jax.outcomes.importers.logs import Step
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Context

ENCODER = NGramEncoder(8)


def step(episode="e1", stage=0, **changes):
    values = {
        "where": f"log.csv: row {episode}.{stage}",
        "candidates": ("small", "large"),
        "action": "large",
        "probs": (0.25, 0.75),
        "propensity": 0.75,
        "query": "What is 2 + 2?",
    }
    return Step(episode=episode, stage=stage, **values | changes)


STOPPED = {"action": "STOP", "probs": (0.2, 0.2, 0.6), "propensity": 0.6}


def test_two_hops_by_hand():
    """The second episode came first; its third model is masked in the other."""
    episodes = episodes_from(
        [
            step("late", 1, time=21.0, quality=1.0, **STOPPED),
            step("late", 0, time=20.0, cost=0.5, tokens_in=3, response="4", task="sums", policy="p"),
            step("early", 0, time=10.0, candidates=("small", "huge"), action="huge", cost=2.0, end="max_hops"),
        ],
        ENCODER,
    )
    assert episodes.episode_id.tolist() == ["early", "late"]
    assert episodes.candidates == ("small", "large", "huge")
    assert episodes.action.tolist() == [[2, 0], [1, 3]]
    assert episodes.mask.tolist() == [
        [[True, False, True, False], [False] * 4],
        [[True, True, False, False], [True, True, False, True]],
    ]
    assert episodes.probs.tolist() == [[[0.25, 0, 0.75, 0], [0] * 4], [[0.25, 0.75, 0, 0], [0.2, 0.2, 0, 0.6]]]
    assert episodes.propensity.tolist() == [[0.75, 1.0], [0.75, 0.6]]
    assert episodes.spent.tolist() == [[0.0, 0.0], [0.0, 0.5]]
    assert episodes.end.tolist() == ["max_hops", "stop"]
    assert episodes.policy.tolist() == ["imported", "p"]
    assert episodes.task.tolist() == ["", "sums"]
    assert episodes.explore.tolist() == ["", ""]
    np.testing.assert_array_equal(episodes.quality, [np.nan, 1.0])
    np.testing.assert_array_equal(episodes.quality_time, [np.nan, 20.0])
    right = ENCODER.encode([Context("What is 2 + 2?"), Context("What is 2 + 2?", ("4",))])
    np.testing.assert_array_equal(episodes.embedding[1], right)
    assert episodes.encoder == ENCODER.spec


def test_an_imported_log_is_a_log_like_any_other(tmp_path):
    steps = [step("a", 0, quality=0.5), step("a", 1, **STOPPED), step("b", 0, probs=None, quality=1.0, cost=0.25)]
    episodes = episodes_from(steps, ENCODER)
    write_log(tmp_path / "log", *rows_of(episodes))
    again = episodes_of(read_log(tmp_path / "log"))
    for field in fields(Episodes):
        here, there = getattr(again, field.name), getattr(episodes, field.name)
        np.testing.assert_array_equal(here, there, field.name) if isinstance(here, np.ndarray) else None
    assert again.candidates == episodes.candidates


def test_where_the_action_alone_is_known_the_others_share_the_rest():
    """.4 for the action taken; .6 for the other model, or at a later stage .3 for it and for STOP."""
    alone = {"probs": None, "propensity": 0.4}
    episodes = episodes_from([step(stage=0, **alone), step(stage=1, **alone), step(stage=2, **STOPPED)], ENCODER)
    assert episodes.probs[0, :2].tolist() == [[0.6, 0.4, 0.0], [0.3, 0.4, 0.3]]
    assert episodes.explore.tolist() == ["action alone"]


def test_stop_at_probability_0_is_possible_only_after_an_answer_and_where_the_log_stops_at_all():
    """As a model at 0 is possible: a greedy policy gives 0 to all but one. A log that never stops only names it."""
    listed = {"probs": (0.25, 0.75, 0.0)}
    never = [step(**listed), step(stage=1, **listed)]
    assert not episodes_from(never, ENCODER).mask[..., -1].any()
    stopped = [step("e2"), step("e2", 1, **STOPPED)]
    episodes = episodes_from([*never, *stopped], ENCODER)
    assert episodes.mask[..., -1].tolist() == [[False, True], [False, True]]
    assert episodes.probs[0].tolist() == [[0.25, 0.75, 0.0], [0.25, 0.75, 0.0]]
    could = [step("e2"), step("e2", 1, probs=(0.2, 0.75, 0.05))]
    assert episodes_from([*never, *could], ENCODER).mask[:, 1, -1].all()


def test_without_times_the_order_of_the_rows_is_that_of_the_episodes():
    episodes = episodes_from([step("b"), step("a"), step("c")], ENCODER)
    assert episodes.episode_id.tolist() == ["b", "a", "c"]
    assert episodes.time.tolist() == [0, 1, 2]


def test_features_are_kept_as_they_are():
    episodes = episodes_from([step(features=(0.5, -1.0), query=""), step("b", features=(2.0, 3.0), query="")], ENCODER)
    assert episodes.embedding[:, 0].tolist() == [[0.5, -1.0], [2.0, 3.0]]
    assert episodes.encoder == {"kind": "features", "size": 2}


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([], "the log holds no decision"),
        ([step(), step()], "row e1.0: stage 0 of episode 'e1' is there twice"),
        ([step(stage=1)], "row e1.1: stage is 1, but episode 'e1' has no row of stage 0"),
        ([step(end="stop"), step(stage=1)], "row e1.1: stage is 1, but episode 'e1' ended at stage 0"),
        (
            [step(), step(stage=1, **STOPPED), step(stage=2)],
            "row e1.2: stage is 2, but episode 'e1' ended at stage 1",
        ),
        ([step(time=5.0), step(stage=1, time=4.0)], "row e1.1: time is before that of stage 0 of episode 'e1'"),
        ([step(quality=1.0), step(stage=1, quality=0.0)], "row e1.1: quality of episode 'e1' is another in an earlier"),
        ([step(time=5.0), step("b")], "row b.0: time is missing, but other rows have one"),
        ([step(query=" ")], "row e1.0: query and features are missing, but one is needed"),
        ([step(features=(1.0,)), step("b", features=(1.0, 2.0))], "row b.0: features has 2 numbers, but others have 1"),
        ([step(features=(1.0,)), step("b")], "row b.0: features has 0 numbers, but others have 1"),
        ([step(), step("b", features=(1.0,))], "row b.0: features are there, but other rows have none"),
        (
            [step(candidates=("large",), probs=None, propensity=0.5)],
            "row e1.0: propensity is 0.5, but no other action was possible",
        ),
    ],
)
def test_decisions_that_do_not_fit_each_other_are_refused(steps, sentence):
    with pytest.raises(InputError, match=sentence):
        episodes_from(steps, ENCODER)
