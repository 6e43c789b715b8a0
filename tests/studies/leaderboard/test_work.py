"""A leaderboard's tasks: what a result depends on is in its digest, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.studies.leaderboard.config import LeaderboardConfig, LearnerSpec, entrant, entrants
from hierrouter_jax.studies.leaderboard.splits import Split
from hierrouter_jax.studies.leaderboard.work import Task, chosen_opponents, digest, do, done_here, job, table_digest
from tests.studies.leaderboard.known import config, known_table
from tests.tables import random_table

TABLE = random_table(queries=6)
SPLIT = Split(*(np.array(rows) for rows in ([0, 3], [1, 4], [2, 5])))


def one_job(**more):
    settings = {"cost_weights": (0.0,), "features": 4, "seed": 0, "table": table_digest(TABLE)} | more
    return job(Path("table"), Path("folder"), SPLIT, *settings.values())


def taking_part(name: str, spec: LearnerSpec):
    return entrant(LeaderboardConfig((Path("table"),), learners={name: spec}), name, spec)


def test_results_lie_apart_by_who_they_are_of():
    path, identity = one_job().result(taking_part("exact", LearnerSpec()))
    assert path == Path("folder/learners/exact.safetensors")
    other, of_opponent = one_job().result("best-single")
    assert other == Path("folder/opponents/best-single.safetensors")
    assert identity != of_opponent


@pytest.mark.parametrize(
    "changed",
    [
        LearnerSpec(seeds=4),
        LearnerSpec(features=7),
        LearnerSpec(ensemble=True),
        LearnerSpec(static={"num_envs": 64}),
        LearnerSpec(hyper={"clip": 0.3}),
        LearnerSpec(tune={"clip": [0.1, 0.2]}),
    ],
)
def test_every_setting_of_a_learner_is_in_its_digest(changed):
    plain = one_job().result(taking_part("exact", LearnerSpec()))[1]
    assert plain == one_job().result(taking_part("exact", LearnerSpec()))[1]
    assert one_job().result(taking_part("exact", changed))[1] != plain


@pytest.mark.parametrize("more", [{"cost_weights": (0.1,)}, {"features": 5}, {"seed": 1}, {"table": "other"}])
def test_every_setting_of_the_leaderboard_is_in_its_digest(more):
    assert one_job(**more).result("random")[1] != one_job().result("random")[1]


def test_an_edited_file_of_the_users_own_changes_the_digest(tmp_path):
    own = tmp_path / "own.py"
    for spec in (
        LearnerSpec(fit=f"{own}:name"),
        LearnerSpec(learner=f"{own}:name"),
        LearnerSpec(static={"network": f"{own}:name"}),
        LearnerSpec(hyper={f"reward.custom.{own}:name": 1.0}),
        LearnerSpec(tune={f"reward.custom.{own}:name": [0.0, 1.0]}),
    ):
        who = taking_part("exact", spec)
        own.write_text("name = 1\n")
        before = one_job().result(who)[1]
        own.write_text("name = 2\n")
        assert one_job().result(who)[1] != before, spec


def test_a_table_is_told_by_its_prices_too():
    dearer = replace(TABLE, pool=tuple(replace(member, price_in=9.0) for member in TABLE.pool))
    assert table_digest(TABLE) == table_digest(random_table(queries=6)) != table_digest(dearer)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


def test_opponents_are_those_that_are_named_and_single_models():
    everyone = chosen_opponents(TABLE, None)
    some = chosen_opponents(TABLE, ("best-single",))
    assert set(some) < set(everyone)
    assert {"best-single", "m0", "m1", "m2"} <= set(some)
    assert "random" not in some
    with pytest.raises(InputError, match=r"opponents: 'best-singel' is unknown; did you mean best-single\?"):
        chosen_opponents(TABLE, ("best-singel",))


KNOWN_SPLIT = Split(np.arange(0, 40), np.arange(40, 60), np.arange(60, 80))


def test_opponents_are_those_named_and_the_pools_own_models():
    table = known_table()
    assert set(chosen_opponents(table, ("random",))) == {"random", "m0", "m1"}
    assert set(chosen_opponents(table, ("random",))) < set(chosen_opponents(table, None))
    with pytest.raises(InputError, match="opponents: 'randon' is unknown; did you mean random"):
        chosen_opponents(table, ("randon",))


def test_a_result_is_another_one_where_what_it_depends_on_is():
    table = known_table()
    known = table_digest(table)
    assert known == table_digest(known_table())
    quality = table.quality.copy()
    quality[0, 1] = 1 - quality[0, 1]
    assert known != table_digest(replace(table, quality=quality))
    one = job(Path("table"), Path("out"), KNOWN_SPLIT, (0.0,), 4, 0, known)
    assert one.digest == job(Path("elsewhere"), Path("out"), KNOWN_SPLIT, (0.0,), 4, 0, known).digest
    assert one.digest != job(Path("table"), Path("out"), KNOWN_SPLIT, (0.1,), 4, 0, known).digest
    assert one.digest != job(Path("table"), Path("out"), KNOWN_SPLIT, (0.0,), 4, 1, known).digest
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})


def test_a_table_that_changed_in_its_folder_is_read_anew(tmp_path):
    table = known_table()
    turned = replace(table, quality=np.where(table.available & (np.arange(3) > 0), 1 - table.quality, 0))
    for name, its in (("before", table), ("after", turned)):
        save_table(its, tmp_path / "table")
        one = job(tmp_path / "table", tmp_path / name, KNOWN_SPLIT, (0.0,), 4, 0, table_digest(its))
        do(Task(one, ("m1",)))
        result = one.load("m1")
        assert result is not None
        assert result.outcome.quality[0].tolist() == its.quality[60:, 2].tolist()


def test_a_task_writes_the_results_of_its_participants(folder, tmp_path):
    table = known_table()
    one = job(folder, tmp_path, KNOWN_SPLIT, (0.0,), 4, 0, table_digest(table))
    learners, _ = entrants(config(folder, tmp_path), horizon=1)
    tasks = [Task(one, ("best-single", "m1")), Task(one, learners["task"])]
    assert [task.participants for task in tasks] == [("best-single", "m1"), (learners["task"],)]
    assert one.load("m1") is None
    assert list(done_here(tasks, do)) == tasks
    m1, task = one.load("m1"), one.load(learners["task"])
    assert m1 is not None
    assert task is not None
    assert m1.outcome.quality[0].tolist() == table.quality[60:, 2].tolist()
    assert (task.outcome.quality == 1).all()
    assert sorted(path.parent.name for path in tmp_path.rglob("*.safetensors")) == [
        "learners",
        "opponents",
        "opponents",
    ]
