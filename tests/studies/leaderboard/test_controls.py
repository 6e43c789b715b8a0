"""Controls: what they leave of a table, a leak that is planted and caught, and how seldom chance is taken for one."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at
from hierrouter_jax.report.pages.leaderboard import build_leaderboard_page
from hierrouter_jax.studies.leaderboard.config import LearnerSpec
from hierrouter_jax.studies.leaderboard.controls import CONTROLS, control_results, controlled, taking_part
from hierrouter_jax.studies.leaderboard.result import MEASURES, Judged
from hierrouter_jax.studies.leaderboard.run import leaderboard
from hierrouter_jax.studies.leaderboard.splits import Split
from tests.studies.leaderboard.known import HERE, LEARNERS, TINY, config
from tests.tables import random_table

PEEK = f"{__name__}:peeks"


def peeks(problem):
    """A leak: it reads the outcomes of the queries that it is judged on."""
    return lambda table: ending_at(1 + table.quality[:, 1:].argmax(axis=1), table.tree)


def test_a_planted_leak_is_caught_and_honest_learners_are_not(folder, tmp_path):
    """Who knows the task is right on all queries, and on half where outcomes, or tasks, are dealt out anew."""
    learners = LEARNERS | {"peek": LearnerSpec(fit=PEEK)}
    whole = config(folder, tmp_path, learners=learners, controls=True, splits=4)
    (board,) = leaderboard(whole, progress=False)["boards"]
    controls = board["controls"]
    assert controls["leaks"] == ["peek"]
    rows = {(row["control"], row["policy"]): row for row in controls["rows"]}
    opponents = {"m0", "m1", "best-single", "best-single-per-task", "random"}
    assert {policy for _, policy in rows} == {"first", "task", "peek"} | opponents
    for control in ("shuffled", "random-features"):
        assert rows[control, "peek"]["accuracy"] == 1.0
        assert rows[control, "peek"]["leaks"]
        assert rows[control, "peek"]["ci"][0] > 0.2
        assert rows[control, "task"]["difference"] < 0.1
    assert controls["sentence"].startswith("Controls: peek beats chance where outcomes are shuffled (+")
    assert controls["sentence"].endswith("it leaks.")
    page = build_leaderboard_page(tmp_path).read_text()
    assert "Controls: who beats chance?" in page
    assert "peek beats chance where features are random" in page
    assert "leaks" in (tmp_path / "data" / "controls.csv").read_text().splitlines()[0]


def test_controls_are_kept_and_leave_the_board_as_it_is(folder, tmp_path):
    plain = leaderboard(config(folder, tmp_path / "plain"), progress=False)["boards"][0]
    both = config(folder, tmp_path / "both", controls=True)
    (board,) = leaderboard(both, progress=False)["boards"]
    assert board | {"controls": None} == plain
    assert board["controls"]["leaks"] == []
    assert board["controls"]["sentence"].endswith("no leak is seen.")
    wanted = (both.out / "leaderboard.json").read_bytes()
    leaderboard(both, progress=False)
    assert (both.out / "leaderboard.json").read_bytes() == wanted


def test_a_learner_without_features_is_what_random_features_are_held_against(folder, tmp_path):
    spec = LearnerSpec(learner="exact", seeds=1)
    whole = config(folder, tmp_path, learners={"exact": spec}, controls=True, splits=1, static=TINY)
    (board,) = leaderboard(whole, progress=False)["boards"]
    beside = {row["beside"] for row in board["controls"]["rows"] if row["control"] == "random-features"}
    assert beside <= {"best-sequence", "best-sequence+stop", "exact, blind"}
    kept = tmp_path / "splits" / "known" / "controls"
    assert sorted(path.name for path in kept.iterdir()) == sorted(CONTROLS)


@pytest.mark.parametrize("control", CONTROLS)
def test_replicates_of_a_question_stay_together_under_a_control(control):
    """Every second question is asked twice; a control that parted them would make a table that nothing takes."""
    table = random_table(queries=30, splits=("train", "validation", "test"))
    queries = list(table.queries)
    for row in range(0, 15, 2):
        first = queries[row]
        queries[row + 15] = replace(queries[row + 15], question=first.id, **{
            name: getattr(first, name) for name in ("task", "split", "group", "gold")
        })  # fmt: skip
    left = controlled(replace(table, queries=tuple(queries)), control, 0)
    assert len(np.unique(left.question)) == 22
    for row in range(0, 15, 2):
        assert left.queries[row].task == left.queries[row + 15].task


def whole_rows(table):
    """Each query's outcomes as one number, so that rows can be told apart."""
    columns = table.quality, table.tokens_in, table.tokens_out, table.available
    return [hash(tuple(column.tobytes() for column in row)) for row in zip(*columns, strict=True)]


def test_shuffling_deals_out_whole_rows_within_each_part():
    table = random_table(queries=60, missing=0.2)
    dealt = controlled(table, "shuffled", 3)
    part = np.array([query.split for query in table.queries])
    before, after = np.array(whole_rows(table)), np.array(whole_rows(dealt))
    for name in ("train", "validation", "test"):
        assert sorted(before[part == name]) == sorted(after[part == name])
        held = table.available[part == name]
        mean = np.where(held, table.cost[part == name], 0.0).sum(axis=0) / np.maximum(held.sum(axis=0), 1)
        assert dealt.cost[part == name] == pytest.approx(np.broadcast_to(mean, held.shape))
    assert (before != after).mean() > 0.8
    assert dealt.queries == table.queries
    assert (dealt.context_embedding == table.context_embedding).all()
    assert whole_rows(controlled(table, "shuffled", 3)) == whole_rows(dealt)
    assert whole_rows(controlled(table, "shuffled", 4)) != whole_rows(dealt)


def test_random_features_say_nothing_and_outcomes_stay():
    table = random_table(queries=40)
    random, blind = (controlled(table, control, 0) for control in ("random-features", "blind"))
    for one in (random, blind):
        assert whole_rows(one) == whole_rows(table)
        assert (one.cost == table.cost).all()
        assert {query.text for query in one.queries} == {f"query {row}" for row in range(40)}
        assert sorted(query.task for query in one.queries) == sorted(query.task for query in table.queries)
        assert [query.task for query in one.queries] != [query.task for query in table.queries]
        assert set(one.response.ravel()) == {"", "response"}
    assert not blind.context_embedding.any()
    assert abs(np.corrcoef(random.context_embedding.ravel(), table.context_embedding.ravel())[0, 1]) < 0.1


def judged(quality):
    zeros = np.zeros((1, len(quality)))
    about = {"kind": "learned", "may_stop": False}
    return Judged(PolicyOutcome(**dict.fromkeys(MEASURES, zeros) | {"quality": quality[None]}), None, about)


def test_chance_is_hardly_ever_taken_for_a_leak():
    """100 boards of four policies that pick nodes at random, twice: .05, and three errors of that, .065."""
    table = random_table(queries=60, models=3, horizon=2, splits=("test",))
    everything = np.arange(60)
    split, rng, leaks = Split(np.arange(0), np.arange(0), everything), np.random.default_rng(0), 0
    for seed in range(100):
        names = [replace(query, id=f"{seed}-{row}") for row, query in enumerate(table.queries)]
        drawn = replace(table, queries=tuple(names))
        results = {"blind": {}}
        for control in ("shuffled", "random-features"):
            quality = controlled(drawn, control, seed).quality
            ends = rng.integers(4, 13, size=(4, 60))
            results[control] = {f"p{at}": [judged(quality[everything, end])] for at, end in enumerate(ends)}
        controls = control_results(drawn, [split], Repeats(np.ones((1, 60), bool), everything), results, seed)
        leaks += bool(controls["leaks"])
    assert leaks / 100 <= 0.115


def test_who_takes_part():
    """Oracles see outcomes by definition, and a function of one's own has no twin without features."""
    from hierrouter_jax.baselines.registry import opponents_of
    from hierrouter_jax.studies.leaderboard.config import entrants

    table = random_table(queries=10, models=2, horizon=1)
    learners = {"own": LearnerSpec(fit=f"{HERE}always_first"), "exact": LearnerSpec()}
    whole = config("somewhere", "nowhere", learners=learners)
    taken = {name: taking_part(name, opponents_of(table), entrants(whole, 1)[0]) for name in CONTROLS}
    assert list(taken["blind"][1]) == ["exact"]
    assert taken["blind"][0] == {}
    assert "oracle_stop" not in taken["shuffled"][0]
    assert list(taken["shuffled"][1]) == ["own", "exact"]
