"""The fitted prior: what the plan knows, that a policy starts from it; and the warm start's imitation."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.fit_prior import (
    FOLDS,
    classifier,
    fit_prior,
    folds,
    imitation_loss,
    plan,
    stage_design,
    standard_error,
)
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.baselines.oracle import oracle_fixed
from hierrouter_jax.baselines.sequences import best_per_task
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.evaluation.exact import (
    expected_return,
)
from hierrouter_jax.evaluation.tree_policy import decision_logits, greedy
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import build_network
from hierrouter_jax.policies.prior import PRIOR, PriorWeights, prior_logits
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.router import TrainedRouter
from tests.agents.trees import FIXED, SMALL, on_device
from tests.tables import random_table, replicated

STATIC = LearnerStatic(
    algorithm="exact", num_envs=16, num_updates=2, epochs=1, minibatches=1, hidden=(8,), evaluate_every=1, prior=True
)


QUALITY = LearnerHyper(reward=RewardWeights(hop_cost=0.0))


def all_logits(weights: PriorWeights, table: DeviceTable) -> jax.Array:
    stages = jnp.asarray(table.tree.stages[: table.tree.num_decision_nodes])
    return prior_logits(weights, table.features, jnp.broadcast_to(stages, table.features.shape[:2]))


def test_the_task_classifier_by_hand():
    """One feature, -1.5 and -.5 of one task, .5 and 1.5 of another: variance .25, drawn to .275; a third never seen."""
    features = jnp.array([-1.5, -0.5, 0.5, 1.5]).reshape(4, 1, 1)
    kernel, bias = classifier(features, jnp.ones((4, 1), bool), jnp.array([0, 0, 1, 1]), 3)
    np.testing.assert_allclose(kernel, [[-1 / 0.275, 1 / 0.275, 0.0]], rtol=1e-4)
    np.testing.assert_allclose(bias[:2], np.log(0.5) - 0.5 / 0.275, rtol=1e-4)
    np.testing.assert_allclose(jax.nn.softmax(jnp.array([0.0]) @ kernel + bias), [0.5, 0.5, 0.0], atol=1e-6)


def test_where_features_tell_the_task_alone_the_plan_is_each_tasks_best():
    table = random_table(3, queries=60, models=3, horizon=1, embedding=4, tasks=3)
    embedding = np.eye(4, dtype=np.float32)[table.task][:, None] * 5
    device = device_table(table, embedding, 1.0)
    logits = all_logits(fit_prior(device, STATIC, replace(QUALITY, prior_caution=1e6)), device)[:, 0, :-1]
    best = best_per_task(table, True, 0.0)
    assert (np.asarray(logits.argmax(axis=-1)) == best[table.task] - 1).all()


@pytest.mark.extended
def test_the_plan_foresees_what_the_second_hop_can_do():
    """Only 0 then 1 is right where a feature is positive, only 1 then 0 where negative: two hops to be planned."""
    table = random_table(0, queries=80, models=2, horizon=2, embedding=3, tasks=1)
    sign = np.where(np.arange(80) % 3 == 0, 1.0, -1.0)
    quality = np.zeros_like(table.quality)
    quality[sign > 0, table.tree.node([0, 1])] = 1.0
    quality[sign < 0, table.tree.node([1, 0])] = 1.0
    embedding = np.random.default_rng(0).normal(size=table.context_embedding.shape).astype(np.float32)
    embedding[..., 0] = sign[:, None]
    table = replace(table, quality=quality, context_embedding=embedding)
    device = device_table(table, embedding, 1.0)
    policy = greedy(all_logits(fit_prior(device, STATIC, QUALITY), device), decision_masks(device, False))
    assert float(expected_return(policy, device, QUALITY.reward).mean()) == 1.0
    assert (table.quality[np.arange(80), oracle_fixed(table)] == 1.0).all()


@pytest.mark.extended
def test_what_the_plan_says_it_earns_is_what_its_greedy_policy_earns():
    table = random_table(1, queries=40, models=3, horizon=2, embedding=5, missing=0.3)
    device, stops = device_table(table, table.context_embedding, 5.0), replace(STATIC, allow_stop=True)
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.3))
    designs = [stage_design(device, stops, stage) for stage in range(2)]
    weights, returns = plan(device, designs, jnp.ones(FOLDS), 0.1, hyper)
    policy = greedy(all_logits(weights, device), decision_masks(device, True))
    np.testing.assert_allclose(returns, expected_return(policy, device, hyper.reward), atol=1e-5)


def test_rows_of_one_question_are_one_piece_of_evidence():
    """Each of two questions twice, with 0 and with 1: what two rows say, .5 / sqrt(2)."""
    table = random_table(queries=2, splits=("train",))
    twice = on_device(replicated(table, 2, "train"))
    assert folds(twice).tolist() == [0, 1, 0, 1]
    error = standard_error(jnp.array([[0.0, 1.0, 0.0, 1.0]]), twice)
    np.testing.assert_allclose(error, [0.5 / np.sqrt(2)], rtol=1e-6)
    np.testing.assert_allclose(standard_error(jnp.array([0.0, 1.0]), on_device(table)), 0.5 / np.sqrt(2), rtol=1e-6)


@pytest.fixture(scope="module")
def started():
    table = random_table(2, queries=60, models=3, horizon=2, embedding=8)
    features = fit_features(table.split("train"), 6)
    train, validation = (features.on_device(table.split(split)) for split in ("train", "validation"))
    compiled = jax.jit(lambda key, train, validation, hyper: learner.train(key, train, validation, STATIC, hyper))
    return table, features, train, validation, lambda key, hyper: compiled(key, train, validation, hyper)


@pytest.mark.extended
def test_a_policy_starts_from_its_prior_and_keeps_it_unless_the_evidence_is_strong(started):
    _, _, train, validation, run = started
    state, _ = run(jax.random.key(0), LearnerHyper(prior_evidence=1e6, learning_rate=0.01))
    fitted = fit_prior(train, STATIC, LearnerHyper())
    for params in (state.params, state.best_params):  # never trained, and never decayed
        for name, leaf in params["params"][PRIOR].items():
            np.testing.assert_allclose(leaf, getattr(fitted, name), rtol=1e-3, atol=1e-3)
    assert int(state.best_update) == 0
    network = build_network(train, STATIC)
    logits = decision_logits(network, state.best_params, validation)
    np.testing.assert_allclose(logits, all_logits(fitted, validation), rtol=1e-3, atol=1e-3)
    policy = greedy(logits, decision_masks(validation, False))
    earned = expected_return(policy, validation, LearnerHyper().reward).mean()
    assert float(state.best_return) == pytest.approx(float(earned), abs=1e-6)
    assert np.abs(decision_logits(network, state.params, validation) - logits).max() > 1e-4  # it did learn


def test_what_diverges_is_worth_its_prior(started):
    """A gradient that is no number reaches the prior's own parameters, too."""
    _, _, _, validation, run = started
    state, _ = run(jax.random.key(0), LearnerHyper(prior_evidence=1e6))
    policy = greedy(
        all_logits(PriorWeights(**state.params["params"][PRIOR]), validation), decision_masks(validation, False)
    )
    earned = float(expected_return(policy, validation, LearnerHyper().reward).mean())
    params = jax.tree.map(lambda leaf: leaf * jnp.nan, state.params)
    lost = replace(state, params=params, best_return=jnp.float32(-jnp.inf))
    kept, metrics = learner.validate(lost, validation, STATIC, LearnerHyper())
    assert np.isnan(float(metrics["validation_return"]))
    assert float(kept.best_return) == pytest.approx(earned, abs=1e-6)
    assert bool(learner.all_finite(kept.best_params))


def test_the_numpy_reader_adds_the_prior_too(started, tmp_path):
    table, features, _, _, run = started
    state, _ = run(jax.random.key(1), LearnerHyper(learning_rate=0.01))
    state = replace(state, best_params=state.params)
    router = TrainedRouter("exact", STATIC, LearnerHyper(), jax.tree.map(lambda leaf: leaf[None], state), features)
    router.bundle(table).save(tmp_path)
    bundle = PolicyBundle.load(tmp_path)
    device = features.on_device(table)
    logits = decision_logits(build_network(device, STATIC), state.params, device)
    spent = accumulate_cost(table.cost, table.tree)
    for node in range(table.tree.num_decision_nodes):
        ours = bundle.logits(table.context_embedding[:, node], int(table.tree.stages[node]), spent[:, node])
        np.testing.assert_allclose(ours[:, :-1], logits[:, node, :-1], rtol=1e-3, atol=1e-3)


def test_the_warm_start_imitates_the_best_actions_by_hand():
    """One query, M = 2, L = 1, qualities 1 and .25: at even odds the cross-entropy to the first is log 2."""
    table = random_table(queries=1, models=2, horizon=1, splits=("train",))
    table = replace(table, quality=np.array([[0.0, 1.0, 0.25]], np.float32))
    device = on_device(table)
    static = replace(SMALL, hidden=(4,))
    state = learner.init(jax.random.key(0), device, static, FIXED)
    even = jax.tree.map(jnp.zeros_like, state.params)
    network = build_network(device, static)
    loss = imitation_loss(even, device, Conditions(), network, static, FIXED)
    assert float(loss) == pytest.approx(np.log(2), abs=1e-6)
    same = replace(device, quality=jnp.array([[0.0, 1.0, 1.0]]), cost=jnp.zeros((1, 3)))
    shared = imitation_loss(even, same, Conditions(), network, static, FIXED)
    assert float(shared) == pytest.approx(np.log(2), abs=1e-6)  # the entropy of two equally good actions


def test_a_warm_start_is_nearly_there_before_the_first_update():
    table = random_table(seed=3, queries=16, embedding=16, splits=("train",))
    device = on_device(table)
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.0), weight_decay=0.0, learning_rate=3e-3)
    returns = {}
    for epochs in (0, 100):
        static = LearnerStatic(num_envs=32, hidden=(64, 64), warm_start=epochs)
        state = jax.jit(lambda key, t, s=static: learner.init(key, t, s, hyper))(jax.random.key(0), device)
        returns[epochs] = float(learner.validate(state, device, static, hyper)[0].best_return)
    best = table.quality[np.arange(16), oracle_fixed(table)].mean()
    assert returns[100] > 0.9 * best > 1.3 * returns[0]
