"""Values fitted on a log: a regression that can be done by hand, what a fold never sees, and linear truths."""

import numpy as np
import pytest

from hierrouter_jax.studies.off_policy.fitted_values import context_features, fit_values


def test_without_features_a_value_is_the_shrunken_mean_of_the_other_fold():
    """One decision, two actions. In fold 1 rewards of action 0 are 1, 1 and of action 1 0, 0; all weights 1.

    So the stage's mean is 1/2, and the constant of action 0 is shrunk by 5 episodes: 1/2 + 2/(2 + 5) (1 - 1/2).
    """
    action = np.array([[0], [1], [0], [0], [1], [1]])
    fold = np.array([0, 0, 1, 1, 1, 1])
    reward = np.array([[[9.0]], [[9.0]], [[1.0]], [[1.0]], [[0.0]], [[0.0]]])
    target = np.tile([0.25, 0.75], (6, 1, 1))
    ones = np.ones((6, 1))
    fitted = fit_values(ones[..., None], ones > 0, action, target, ones, reward, fold)
    first, second = 0.5 + 2 / 7 * 0.5, 0.5 - 2 / 7 * 0.5
    assert fitted.q[:2, 0, 0] == pytest.approx([first, second])
    assert fitted.v[:2, 0, 0] == pytest.approx(0.25 * first + 0.75 * second)


def random_log(seed: int = 0, episodes: int = 400):
    rng = np.random.default_rng(seed)
    features = np.concatenate([np.ones((episodes, 2, 1)), rng.normal(size=(episodes, 2, 3)) / 3], axis=2)
    action = rng.integers(0, 2, (episodes, 2))
    taken = np.stack([np.ones(episodes), rng.random(episodes) < 0.7], axis=1) > 0
    target = np.zeros((episodes, 2, 2))
    target[..., 0], target[..., 1] = 0.8, 0.2
    ratio = np.where(taken, np.take_along_axis(target, action[..., None], axis=2)[..., 0] / 0.5, 1.0)
    return rng, features, taken, action, target, ratio


def test_an_episode_is_not_in_its_own_fit():
    """Other rewards of fold 0 change the values of the other folds alone."""
    rng, *log = random_log()
    fold = np.arange(400) % 4
    reward = rng.normal(size=(400, 2, 1)) * log[1][..., None]
    other = reward + (fold == 0)[:, None, None] * log[1][..., None]
    one, two = (fit_values(*log, its, fold) for its in (reward, other))
    for name in ("q", "v"):
        a, b = getattr(one, name), getattr(two, name)
        assert np.array_equal(a[fold == 0], b[fold == 0])
        assert (abs(a - b)[fold != 0][log[1][fold != 0]] > 1e-6).all()
        assert not a[~log[1]].any()


def test_values_that_are_linear_are_recovered_backwards():
    """r_1 = x_1 a and r_0 = x_0 b by action, without noise: q_1 is r_1, and q_0 is r_0 plus the mean of v_1."""
    rng, features, taken, action, target, ratio = random_log(episodes=6000)
    taken = np.ones_like(taken)
    ratio = np.take_along_axis(target, action[..., None], axis=2)[..., 0] / 0.5
    slopes = rng.normal(size=(2, 2, 4))  # stage, action, feature
    each = np.einsum("esf,saf->esa", features, slopes)
    reward = np.take_along_axis(each, action[..., None], axis=2)
    fitted = fit_values(features, taken, action, target, ratio, reward, np.arange(6000) % 5, penalty=1e-6)
    v = (target * each).sum(axis=-1)
    assert abs(fitted.q[:, 1, 0] - reward[:, 1, 0]).max() < 0.02
    assert abs(fitted.v[:, 1, 0] - v[:, 1]).max() < 0.02
    assert fitted.v[:, 0, 0] == pytest.approx(v[:, 0] + v[:, 1].mean(), abs=0.05)


def test_features_are_a_constant_components_of_unit_spread_and_money():
    rng = np.random.default_rng(0)
    taken = np.array([[True, True], [True, False], [True, True]] * 30)
    embedding = rng.normal(size=(90, 2, 12)).astype(np.float32)
    spent = rng.random((90, 2)) * taken
    features = context_features(embedding, taken, spent, components=5)
    assert features.shape == (90, 2, 7)
    assert (features[..., 0] == 1).all()
    assert (features[taken][:, 2:7] ** 2).sum(axis=1).mean() == pytest.approx(1)
    assert not features[~taken][:, 2:7].any()
    assert (features[taken][:, 1] ** 2).mean() == pytest.approx(1)
