"""Episodes of a log as arrays: worked by hand, and back to the log that they came from."""

from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import DecisionLog, LogCounts, LogWriter, read_log
from hierrouter_jax.outcomes.episodes import Episodes, episodes_of, rows_of
from hierrouter_jax.studies.simulate import simulate
from hierrouter_jax.sums import SUMS
from tests.outcomes.decision_log.served import decision
from tests.studies.test_simulate import even
from tests.tables import tables

STOP = {"mask": [True] * 4, "probs": [0.1, 0.2, 0.3, 0.4], "action": 3, "end": "stop", "cost": 0.0}


def served(folder, *decisions, feedback=()):
    with LogWriter(folder) as writer:
        writer.append(*decisions)
        for episode, quality in feedback:
            writer.add_feedback(episode, quality)
    return episodes_of(read_log(folder))


def log_of(episodes: Episodes) -> DecisionLog:
    """The log of episodes, as `read_log` would give it."""
    row = np.nonzero(episodes.taken)[0]
    rows = rows_of(episodes)[0].append_column("quality", pa.array(episodes.quality[row], from_pandas=True))
    times = pa.array([None if np.isnan(time) else round(time * 1e6) for time in episodes.quality_time[row]], pa.int64())
    return DecisionLog(rows.append_column("quality_time", times.cast(pa.timestamp("us", "UTC"))), LogCounts())


def test_two_episodes_by_hand(tmp_path):
    episodes = served(
        tmp_path,
        decision("late", request_time=20.5, cost=0.25, tokens_in=7, end="failed", policy="p2", settings={"top_p": 0.5}),
        decision("early", request_time=10.0, cost=0.5, tokens_out=3, seconds=1.5, task="sums", cost_weight=0.1),
        decision("early", 1, request_time=10.0, spent=0.5, **STOP),
        feedback=[("early", 0.75)],
    )
    assert episodes.episode_id.tolist() == ["early", "late"]
    assert episodes.candidates == ("small", "medium", "large")
    assert episodes.encoder == {"kind": "ngrams", "size": 3}
    assert episodes.time.tolist() == [10.0, 20.5]
    assert episodes.policy.tolist() == ["policy-1", "p2"]
    assert episodes.task.tolist() == ["sums", ""]
    assert episodes.settings.tolist() == ["{}", '{"top_p": 0.5}']
    assert episodes.end.tolist() == ["stop", "failed"]
    assert episodes.ended.tolist() == [True, False]
    assert episodes.taken.tolist() == [[True, True], [True, False]]
    assert episodes.action.tolist() == [[1, 3], [1, 0]]
    assert episodes.propensity.tolist() == [[0.5, 0.4], [0.5, 1.0]]
    assert episodes.probs[0].tolist() == [[0.2, 0.5, 0.3, 0.0], [0.1, 0.2, 0.3, 0.4]]
    assert episodes.mask[1].tolist() == [[True, True, True, False], [False] * 4]
    assert episodes.spent.tolist() == [[0.0, 0.5], [0.0, 0.0]]
    assert episodes.total_cost.tolist() == [0.5, 0.25]
    assert episodes.tokens_in.tolist() == [[0, 0], [7, 0]]
    assert episodes.tokens_out.tolist() == [[3, 0], [0, 0]]
    assert episodes.seconds.tolist() == [[1.5, 0.0], [0.0, 0.0]]
    np.testing.assert_array_equal(episodes.cost_weight, [0.1, np.nan])
    np.testing.assert_array_equal(episodes.quality, [0.75, np.nan])
    np.testing.assert_allclose(episodes.embedding[1], [[0.1, -2.0, 3.5], [0, 0, 0]], rtol=1e-6)
    assert episodes.embedding.dtype == np.float32
    assert episodes.left_out == ()


def test_episodes_that_were_cut_off_are_left_out_and_counted(tmp_path):
    episodes = served(
        tmp_path,
        decision("whole", end="horizon"),
        decision("no end"),
        decision("no start", 1, end="horizon"),
        decision("gap", 0),
        decision("gap", 2, end="horizon"),
        decision("two ends", 0, end="horizon"),
        decision("two ends", 1, end="horizon"),
    )
    assert episodes.episode_id.tolist() == ["whole"]
    assert episodes.left_out == ("4 of 5 episodes are left out, as they were cut off: a stage or the end is missing",)


def test_an_episode_whose_clock_goes_back_is_left_out(tmp_path):
    episodes = served(
        tmp_path,
        decision("forth", 0, request_time=5.0),
        decision("forth", 1, request_time=6.0, end="horizon"),
        decision("back", 0, request_time=5.0),
        decision("back", 1, request_time=4.0, end="horizon"),
    )
    assert episodes.episode_id.tolist() == ["forth"]
    assert episodes.time.tolist() == [5.0]
    (sentence,) = episodes.left_out
    assert sentence == (
        "1 of 2 episodes are left out, as their clock went back: a later stage has an earlier request_time"
    )


def test_the_pool_of_the_most_episodes_counts(tmp_path):
    episodes = served(
        tmp_path,
        decision("a", end="horizon"),
        decision("b", end="horizon"),
        decision("c", end="horizon", candidates=("x", "y", "z")),
        decision("d", end="horizon", encoder={"kind": "mine"}),
        decision("mixed"),
        decision("mixed", 1, end="horizon", candidates=("x", "y", "z")),
    )
    assert episodes.episode_id.tolist() == ["a", "b"]
    assert episodes.left_out == (
        "1 of 5 episodes are left out, as their candidates or their encoder changed on the way",
        "2 of 5 episodes are left out, as their candidates or their encoder are others than those of most episodes",
    )


def test_a_log_without_a_whole_episode_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no complete episode among its 1"):
        served(tmp_path / "cut", decision("a"))
    with pytest.raises(InputError, match="holds no complete episode among its 0"):
        served(tmp_path / "empty")


def test_budgets_and_charges_are_there_where_the_policy_was_told_them(tmp_path):
    episodes = served(
        tmp_path,
        decision("a", end="horizon", budget=2.0, charges=[0.5, 1.0, 1.5]),
        decision("b", end="horizon"),
    )
    np.testing.assert_array_equal(episodes.budget, [2.0, np.nan])
    np.testing.assert_array_equal(episodes.charges[:, 0], [[0.5, 1.0, 1.5], [np.nan] * 3])
    again = rows_of(episodes)[0]
    assert again["charges"].to_pylist() == [[0.5, 1.0, 1.5], None]
    assert again["budget"].to_pylist() == [2.0, None]


@given(tables(), st.integers(0, 1000), st.booleans())
def test_episodes_come_back_from_their_log(table, seed, allow_stop):
    episodes = simulate(
        table, even(table, allow_stop), np.arange(3), 8, np.random.default_rng(seed), allow_stop, feedback=0.5
    )
    again = episodes_of(log_of(episodes))
    length = again.length
    assert length == episodes.taken.sum(axis=1).max()
    for one in fields(Episodes):
        here, there = getattr(again, one.name), getattr(episodes, one.name)
        if isinstance(here, np.ndarray) and one.name in ("time", "quality", "quality_time", "probs", "propensity"):
            there = there[:, :length] if there.ndim > 1 else there
            np.testing.assert_allclose(here, there, atol=1e-6)
        elif isinstance(here, np.ndarray):
            np.testing.assert_array_equal(here, there[:, :length] if there.ndim > 1 else there, one.name)
        else:
            assert here == there


def test_only_takes_masks_and_indices(tmp_path):
    episodes = served(tmp_path, *(decision(name, request_time=i, end="horizon") for i, name in enumerate("abc")))
    assert episodes.only(np.array([True, False, True])).episode_id.tolist() == ["a", "c"]
    twice = episodes.only(np.array([2, 2, 0]))
    assert twice.episode_id.tolist() == ["c", "c", "a"]
    assert twice.probs.shape == (3, 1, 4)
    assert len(twice) == 3
    assert twice.candidates == episodes.candidates


def test_a_part_of_before_tasks_were_logged_is_read(tmp_path):
    with LogWriter(tmp_path) as writer:
        writer.append(decision("a", end="horizon"))
    (part,) = (tmp_path / "decisions").iterdir()
    rows = pq.ParquetFile(part).read()
    pq.write_table(rows.drop_columns("task"), part)
    (tmp_path / SUMS).unlink()  # there were none then
    with LogWriter(tmp_path) as writer:
        writer.append(decision("b", end="horizon", task="sums", request_time=1_800_000_000.0))
    assert read_log(tmp_path).rows["task"].to_pylist() == [None, "sums"]
    assert episodes_of(read_log(tmp_path)).task.tolist() == ["", "sums"]
