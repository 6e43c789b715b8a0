"""Training from a log: what is held out stays apart, and the policy is better than the one that served."""

from datetime import datetime

import numpy as np
import pytest

from hierrouter_jax.learner_config import LOG_LEARNERS, LearnerHyper, LearnerStatic, RewardWeights
from hierrouter_jax.studies.choice import bundle_ends
from hierrouter_jax.studies.named_policy import named_policy
from hierrouter_jax.training.log_training import held_out_part, learn_values, questions, train_log_learner
from hierrouter_jax.training.settings import TrainConfig
from tests.outcomes.test_log_trees import logged
from tests.tables import random_table

STATIC = LearnerStatic(num_envs=64, num_updates=40, evaluate_every=1, hidden=(32, 32))
HYPER = LearnerHyper(learning_rate=0.01, weight_decay=0.0, entropy=0.02, reward=RewardWeights(hop_cost=0.0))
SMALL = TrainConfig(("exact",), 1, 0, static=STATIC, hyper=HYPER, features=8, checkpoint_every=1)


def test_episodes_of_a_question_are_held_out_together():
    episodes, routes = logged(random_table(queries=20), 300)
    apart = held_out_part(episodes, 0.25, seed=0)
    assert set(routes.query[apart]).isdisjoint(routes.query[~apart])
    assert len(set(routes.query[apart])) == 5
    assert (held_out_part(episodes, 0.25, seed=1) != apart).any()


def test_a_question_stays_on_its_side_while_the_log_grows():
    """Which are held out depends on the questions, and not on the order in which they came."""
    episodes, _ = logged(random_table(queries=20), 300)
    apart, back = held_out_part(episodes, 0.25, seed=0), np.arange(300)[::-1]
    np.testing.assert_array_equal(held_out_part(episodes.only(back), 0.25, seed=0), apart[back])
    few = episodes.only(np.isin(questions(episodes), np.arange(16)))
    moved = held_out_part(few, 0.25, seed=0) & ~apart[np.isin(questions(episodes), np.arange(16))]
    assert len(set(questions(few)[moved])) <= 1


@pytest.mark.parametrize("name", LOG_LEARNERS)
def test_a_learner_beats_the_even_policy_that_served(name):
    table = random_table(queries=12, models=2, embedding=16)
    episodes, _ = logged(table, 600, allow_stop=False)
    template = named_policy("best-sequence", table)
    of = learn_values(episodes, template, SMALL)
    bundle, metrics = train_log_learner(name, of, template, SMALL)
    reached = (bundle_ends(bundle, table) * table.quality).sum(axis=1).mean()
    assert reached > episodes.quality.mean() + 0.15
    assert metrics["train_return"].shape == (1, 40)
    assert bundle.provenance["learner"] == name
    assert bundle.provenance["log"]["episodes"] == 600
    assert datetime.fromisoformat(bundle.provenance["log"]["until"]).timestamp() == pytest.approx(episodes.time.max())
    assert not bundle.allow_stop
    assert bundle.horizon == 3
