"""What is exported: the best on validation, said by name; and that it does not lose to who needs no training."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.baselines.oracle import oracle_fixed, oracle_stop
from hierrouter_jax.baselines.registry import OPPONENTS
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.paired import paired_difference, verdicts
from hierrouter_jax.learner_config import LearnerHyper, LearnerStatic
from hierrouter_jax.studies.choice import Candidate, bundle_ends, candidates, choice_record, choose, named_candidate
from hierrouter_jax.studies.evaluate import CHOSEN, evaluate
from hierrouter_jax.studies.measures import problem_of
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers
from tests.conditioned import random_router
from tests.tables import random_table
from tests.weak_pool import weak_table

QUICK = TrainConfig(
    learners=("exact", "exact+stop"),
    num_seeds=3,
    static=LearnerStatic(num_envs=128, num_updates=10),
    hyper=LearnerHyper(learning_rate=0.003),
)


@pytest.fixture(scope="module")
def rivals():
    table = random_table(queries=60)
    routers = {name: random_router(table, seed, allow_stop=stop) for seed, (name, stop) in enumerate(LEARNERS)}
    return table, routers, candidates(table, routers)


LEARNERS = (("exact", False), ("exact+stop", True))


def test_every_kind_of_policy_is_a_candidate(rivals):
    names = [one.name for one in rivals[2]]
    assert names[:3] == ["best-sequence", "task-sequence", "predict-then-plan"]
    assert names[-2:] == ["exact", "exact+stop"]  # of one seed each, so that there are no ensembles
    assert {"best-single-per-task+stop", "task-sequence+stop", "predict-then-plan+stop"} < set(names)
    assert len(set(names)) == len(names)


def test_an_ensemble_says_which_seeds_it_is_of(rivals):
    table, routers, _ = rivals
    state = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), routers["exact"].state)
    router = replace(routers["exact"], state=state, seeds=(20, 21))
    bundle = named_candidate(candidates(table, {"exact": router}), "exact ensemble").bundle
    assert bundle.provenance["seeds"] == [20, 21]


def test_a_networks_bundle_ends_where_its_router_does(rivals):
    table, routers, all_of_them = rivals
    for name, router in routers.items():
        ends = bundle_ends(named_candidate(all_of_them, name).bundle, table)
        np.testing.assert_array_equal(ends, router.end_probability(table, 0))
    with pytest.raises(InputError, match="policy 'ppo' is none of the run's: best-sequence"):
        named_candidate(all_of_them, "ppo")


def test_without_tasks_to_tell_apart_the_best_sequence_is_the_opponents(rivals):
    table, routers, all_of_them = rivals
    features = routers["exact"].features
    problem = problem_of(table, features, 0.02 / features.cost_normaliser)
    for name in ("best-sequence", "best-sequence+stop"):
        ends = bundle_ends(named_candidate(all_of_them, name).bundle, table)
        np.testing.assert_array_equal(ends, OPPONENTS[name].fit(problem)(table))


def test_the_best_on_validation_is_chosen_and_the_simplest_of_equals(rivals):
    bundle = rivals[2][0].bundle
    one, two, three = (Candidate(name, bundle, value) for name, value in (("a", 0.4), ("b", 0.5), ("c", 0.5)))
    assert choose([one, two, three]).name == "b"
    assert choice_record(two, [one, two])["candidates"][0] == {
        "policy": "a",
        "kind": "task-sequence",
        "validation_return": 0.4,
    }


def test_evaluate_has_a_row_of_it(rivals):
    table, routers, all_of_them = rivals
    evaluation = evaluate(table, routers, routers["exact"].features, 0.02, "test", rivals=all_of_them)
    (row,) = [row for row in evaluation["policies"] if row["name"] == CHOSEN]
    assert evaluation["chosen"]["policy"] == choose(all_of_them).name
    test = table.split("test")
    ends = bundle_ends(choose(all_of_them).bundle, test)
    assert row["accuracy"] == pytest.approx(float((ends * test.quality).sum(axis=1).mean()))
    assert row["router_cost"] > 0


def compared(seed: int, opponents: tuple[str, ...]) -> list:
    """The chosen policy of each action set against opponents of the same, on a weak table's fresh test queries."""
    table = weak_table(seed)
    routers, _ = train_routers(table, replace(QUICK, seed=seed), progress=False)
    features, test = routers["exact"].features, table.split("test")
    problem = problem_of(table, features, 0.01 / features.cost_normaliser)
    differences = []
    for name, router in routers.items():
        chosen = choose(candidates(table, {name: router}))
        ours = (bundle_ends(chosen.bundle, test) * test.quality).sum(axis=1)
        for opponent in opponents:
            ends = OPPONENTS[opponent + name.removeprefix("exact")].fit(problem)(test)
            differences.append(paired_difference(ours, (ends * test.quality).sum(axis=1)))
    return differences


def test_the_weak_pool_is_weak():
    table = weak_table()
    rows = np.arange(table.num_queries)
    assert table.quality[:, table.tree.stage_slice(1)].mean(axis=0).max() < 0.2
    assert table.quality[rows, oracle_fixed(table)].mean() == pytest.approx(0.5, abs=0.06)
    assert table.quality[rows, oracle_stop(table)].mean() == pytest.approx(0.76, abs=0.06)


@pytest.mark.extended
def test_on_a_weak_pool_it_does_not_lose_to_the_task_sequence():
    assert "worse" not in [verdict.word for verdict in verdicts(compared(0, ("task-sequence",)))]


@pytest.mark.extended
def test_on_weak_pools_it_loses_to_nobody_who_needs_no_training():
    """Holm over three tables, two action sets and two opponents."""
    family = [one for seed in range(3) for one in compared(seed, ("task-sequence", "predict-then-plan"))]
    assert "worse" not in [verdict.word for verdict in verdicts(family)]
