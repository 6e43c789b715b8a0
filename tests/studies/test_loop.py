"""The online loop: regret by hand, what is served is the table's, learners get better, and safety holds back."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hierrouter_jax.baselines.oracle import lucky_best
from hierrouter_jax.baselines.problem import returns
from hierrouter_jax.evaluation.policy_outcome import ending_at
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.studies import loop
from hierrouter_jax.studies.loop import (
    explored_share,
    joined,
    linear_bandit,
    online_ppo,
    references,
    regret,
    route_weight,
    run_loop,
    served_probs,
)
from hierrouter_jax.studies.loop_settings import LoopSettings
from hierrouter_jax.studies.named_policy import named_policy
from hierrouter_jax.studies.simulate import simulate
from hierrouter_jax.training.log_training import learn_values, questions
from hierrouter_jax.training.settings import TrainConfig
from tests.conditioned import priced_table, random_router
from tests.outcomes.test_log_trees import logged
from tests.tables import random_table, replicated
from tests.training.test_log_training import HYPER, SMALL, STATIC

TABLE = random_table(queries=36, models=2, embedding=16)
SETTINGS = LoopSettings(episodes=600, every=200, held_out=0.2)


@pytest.fixture(scope="module")
def template():
    return named_policy("best-sequence", TABLE)


def test_regret_by_hand():
    assert regret(np.array([1.0, 0.0, 0.5]), 0.75).tolist() == [-0.25, 0.5, 0.75]


def test_the_oracle_is_no_worse_than_the_best_fixed_policy(template):
    aims = references(TABLE, template, template)
    assert aims["oracle"] > aims["best fixed"]


def with_gaps():
    """Hops that were not run, and two training queries and a test query of which none was."""
    table = random_table(queries=36, models=2, embedding=16, missing=0.2)
    available = table.available.copy()
    available[[0, 3, 2], 1:] = False
    return replace(table, available=available, quality=table.quality * available)


def test_a_reference_ends_where_the_table_holds_no_further_hop(template):
    table = with_gaps()
    tree, train = table.tree, table.select(np.array([query.split == "train" for query in table.queries]))
    weight = template.cost_weight / template.cost_normaliser
    best = []
    for row in np.flatnonzero(train.answered):
        held = [node for node in range(1, tree.num_nodes) if train.available[row, node]]
        further = {tree.parent(node) for node in held}
        spent = {node: train.cost[row, list(tree.path(node))].sum() for node in held}
        best.append(max(train.quality[row, node] - weight * spent[node] for node in held if node not in further))
    assert references(table, template, template)["oracle"] == pytest.approx(np.mean(best))


def test_the_oracle_of_replicates_is_chosen_on_the_others(template):
    table = replicated(TABLE, 2, "train")
    quality = np.random.default_rng(1).integers(0, 2, table.quality.shape).astype(np.float32)
    table = replace(table, quality=np.where(np.arange(table.tree.num_nodes) > 0, quality, 0))
    train = table.split("train")
    lucky = returns(train, ending_at(lucky_best(train, fixed_length=True), train.tree), 0.0)
    assert references(table, replace(template, cost_weight=0.0), template)["oracle"] < lucky - 0.1


def test_queries_of_which_no_hop_was_run_are_neither_served_nor_scored(template):
    """Nothing differs where they are not in the table at all."""
    table = with_gaps()
    without, short = table.select(table.answered), replace(SETTINGS, episodes=100, every=100)
    assert references(table, template, template) == references(without, template, template)
    for thompson in (True, False):
        one, other = (linear_bandit(its, template, short, 0, thompson) for its in (table, without))
        np.testing.assert_array_equal(one.returns, other.returns)
        assert one.rounds == other.rounds
    one, other = (run_loop(its, template, SMALL, short, seed=0) for its in (table, without))
    np.testing.assert_array_equal(one.returns, other.returns)
    assert one.rounds == other.rounds


@pytest.mark.parametrize(
    ("episodes", "every", "marks"), [(40, 20, [20, 40]), (120, 30, [30, 60, 90, 120]), (130, 50, [50, 100, 130])]
)
def test_bandits_are_counted_where_the_loop_trains(template, episodes, every, marks):
    played = linear_bandit(TABLE, template, replace(SETTINGS, episodes=episodes, every=every), 0, thompson=False)
    assert [row["episodes"] for row in played.rounds] == marks
    assert len(played.returns) == episodes


def test_a_temperature_is_no_share_of_episodes(template):
    """Where the loop explores by softmax:T, a fifth of epsilon-greedy's episodes does, whatever T is."""
    short = replace(SETTINGS, episodes=200)
    cold, hot, even = (
        linear_bandit(TABLE, template, replace(short, explore=explore), 0, thompson=False).returns.tolist()
        for explore in ("softmax:0.001", "softmax:5", "epsilon:0.2")
    )
    assert cold == hot == even


def test_logs_come_one_after_the_other():
    first, second = logged(TABLE, 10)[0], logged(TABLE, 20, seed=1)[0]
    both = joined([first, second])
    assert len(both) == 30
    np.testing.assert_array_equal(both.only(np.arange(10, 30)).embedding, second.embedding)


@pytest.mark.parametrize("explore", ["epsilon:0.4", "softmax:2"])
def test_the_weight_of_its_own_log_is_1(template, explore):
    explore, share = Exploration.parse(explore), np.linspace(0, 0.9, TABLE.num_queries)
    rows, rng = np.arange(TABLE.num_queries), np.random.default_rng(0)
    episodes = simulate(TABLE, served_probs(template, TABLE, explore, share), rows, 100, rng, allow_stop=False)
    asked = (episodes.embedding[:, None, 0] == TABLE.context_embedding[None, :, 0]).all(axis=-1).argmax(axis=1)
    np.testing.assert_allclose(route_weight(template, episodes, explore, share[asked]), 1.0)


def test_an_episode_explores_as_a_whole(template):
    """Of 8 routes the policy's own has probability .6 + .4 / 8, and each other .4 / 8, however many hops differ."""
    tree, explore = TABLE.tree, Exploration.parse("epsilon:0.1")
    probs = served_probs(template, TABLE, explore, np.full(TABLE.num_queries, 0.4))[0]
    np.testing.assert_allclose(probs.sum(axis=1), 1.0)
    routes = [tree.route(node) for node in range(tree.num_nodes)[tree.stage_slice(3)]]
    chance = [np.prod([probs[tree.node(route[:hop]), model] for hop, model in enumerate(route)]) for route in routes]
    np.testing.assert_allclose(np.sort(chance), [0.05] * 7 + [0.65])


def test_questions_that_promise_little_explore_most():
    """Predicted returns .9, .5 and -1: .01, .25 and 1, but never less than epsilon."""
    best = np.array([[0.1, 0.9], [0.5, 0.2], [-1.0, -2.0]])
    of = SimpleNamespace(q=SimpleNamespace(values=lambda root, embedding, stage: best))
    share = explored_share(of, np.zeros((3, 1)), Exploration.parse("epsilon:0.05"))
    np.testing.assert_allclose(share, [0.05, 0.25, 1.0])
    assert (explored_share(of, np.zeros((3, 1)), Exploration.parse("softmax:0.1")) == 0).all()


def test_exploration_falls_with_every_training():
    assert SETTINGS.exploration(4) == Exploration("epsilon", 0.05)
    assert replace(SETTINGS, explore="softmax:2", decay=0.5).exploration(4) == Exploration("softmax", 1.0)
    assert replace(SETTINGS, decay=0.0).exploration(4) == Exploration("epsilon", 0.2)


def test_what_is_held_out_teaches_nothing(template, monkeypatch):
    """A safe loop lays a share of the questions aside, any other learns from all."""
    seen = []

    def learn(episodes, *rest):
        seen.append(len(np.unique(questions(episodes))))
        return learn_values(episodes, *rest)

    monkeypatch.setattr(loop, "learn_values", learn)
    for safe in (False, True):
        run_loop(TABLE, template, SMALL, replace(SETTINGS, episodes=400, every=400, safe=safe), seed=0)
    assert seen == [12, 10]


def test_a_loop_learns(template):
    played = run_loop(TABLE, template, SMALL, SETTINGS, seed=0)
    assert [row["episodes"] for row in played.rounds] == [200, 400, 600]
    assert len(played.returns) == 600
    assert played.returns[400:].mean() > played.returns[:200].mean() + 0.05


def test_a_budgeted_policy_may_stop_as_it_is_served():
    table = priced_table(queries=36, models=2, embedding=16)
    budgeted = random_router(table, budgeted=True).bundle(table)
    assert (budgeted.allow_stop, budgeted.may_stop) == (False, True)
    assert len(run_loop(table, budgeted, SMALL, replace(SETTINGS, episodes=60, every=60), seed=0).returns) == 60


def test_a_safe_loop_replaces_nothing_that_so_few_episodes_cannot_prove(template):
    played = run_loop(TABLE, template, SMALL, replace(SETTINGS, safe=True), seed=0)
    assert not any(row["replaced"] for row in played.rounds)
    assert all(row["bound"] < 0 for row in played.rounds)


@pytest.mark.parametrize("thompson", [True, False])
def test_bandits_learn(template, thompson):
    played = linear_bandit(TABLE, template, replace(SETTINGS, episodes=2000, every=1000), 0, thompson)
    assert len(played.rounds) == 2
    assert played.returns[1500:].mean() > played.returns[:200].mean() + 0.05


def test_ppo_is_counted_by_its_episodes(template):
    learner = TrainConfig(("ppo",), 1, 0, static=STATIC, hyper=HYPER, features=8, checkpoint_every=1).of("ppo")
    rows = online_ppo(TABLE, learner, 640, seed=0)
    assert [row["episodes"] for row in rows] == list(range(64, 641, 64))
    assert all(0 <= row["accuracy"] <= 1 for row in rows)
