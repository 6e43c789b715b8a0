"""A fitted prior's scores by hand, and that no gradient reaches its weights."""

import jax
import jax.numpy as jnp
import numpy as np

from hierrouter_jax.policies.prior import Prior, PriorWeights, prior_logits

# Two stages, one feature, two tasks, two actions; the second stage's weights are ten times the first's.
WEIGHTS = PriorWeights(
    kernel=jnp.array([[[1.0, 2.0]], [[10.0, 20.0]]]),
    means=jnp.array([[[0.5, 0.0], [0.0, 0.5]], [[5.0, 0.0], [0.0, 5.0]]]),
    task_kernel=jnp.zeros((2, 1, 2)),
    task_bias=jnp.log(jnp.array([[1.0, 3.0], [1.0, 1.0]])),
)


def test_scores_are_features_and_task_means_by_hand():
    """Feature 2 at stage 0, tasks 1 to 3: 2 x (1, 2) + (.125, .375); feature 1 at stage 1, tasks alike."""
    logits = prior_logits(WEIGHTS, jnp.array([[2.0], [1.0]]), jnp.array([0, 1]))
    np.testing.assert_allclose(logits, [[2.125, 4.375], [12.5, 22.5]], rtol=1e-6)


def test_scores_are_those_of_each_row_by_itself():
    """x K + softmax(x C + c) M in double precision, of three stages, five features, four tasks and two actions."""
    rng = np.random.default_rng(0)
    kernel, means, into, bias = (rng.normal(size=s) for s in ((3, 5, 2), (3, 4, 2), (3, 5, 4), (3, 4)))
    weights = PriorWeights(*(jnp.asarray(one, jnp.float32) for one in (kernel, means, into, bias)))
    features, stage = rng.normal(size=(7, 5)), rng.integers(0, 3, 7)
    expected = []
    for row, at in zip(features, stage, strict=True):
        task = np.exp(row @ into[at] + bias[at])
        expected.append(row @ kernel[at] + task / task.sum() @ means[at])
    found = prior_logits(weights, jnp.asarray(features, jnp.float32), jnp.asarray(stage))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_blank_weights_score_nothing():
    blank = PriorWeights.zeros(2, 1, 2, 2)
    assert jax.tree.map(jnp.shape, blank) == jax.tree.map(jnp.shape, WEIGHTS)
    np.testing.assert_array_equal(prior_logits(blank, jnp.ones((3, 1)), jnp.zeros(3, int)), np.zeros((3, 2)))


def test_the_networks_prior_is_set_and_never_learned():
    prior, features, stage = Prior(2, 2, 2), jnp.array([[2.0]]), jnp.array([0])
    names = PriorWeights.__dataclass_fields__
    params = {"params": {name: getattr(WEIGHTS, name) for name in names}}
    several = prior.init(jax.random.key(0), jnp.zeros((7, 1)), jnp.zeros(7, int))["params"]
    assert jax.tree.map(jnp.shape, dict(several)) == {name: getattr(WEIGHTS, name).shape for name in names}
    scores, gradient = jax.value_and_grad(lambda params: jnp.sum(prior.apply(params, features, stage)))(params)
    assert float(scores) == 6.5
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))
