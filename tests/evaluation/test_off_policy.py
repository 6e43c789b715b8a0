"""Off-policy estimators: by hand, and exactly unbiased over every episode of a tree that can be written down."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.evaluation import off_policy

# Two episodes of two decisions. Ratios .5 and 2 after .5 and 1 give weights .5, 1 and .5, .5.
RATIO = np.array([[0.5, 2.0], [0.5, 1.0]])
REWARD = np.array([[1.0, 3.0], [-1.0, 2.0]])
Q = np.array([[2.0, 1.0], [0.0, 1.0]])
V = np.array([[3.0, 2.0], [1.0, 2.0]])


def test_weights_and_ratios_by_hand():
    target, logged = np.array([[[1.0, 0.0], [0.5, 0.5]]]), np.array([[[0.25, 0.75], [0.5, 0.5]]])
    assert off_policy.ratios(target, logged, np.array([[0, 1]])).tolist() == [[4.0, 1.0]]
    assert off_policy.ratios(target, logged, np.array([[1, 1]])).tolist() == [[0.0, 1.0]]
    assert off_policy.ratios(target, logged, np.array([[0, 1]]), clip=3.0).tolist() == [[3.0, 1.0]]
    assert off_policy.weights(RATIO).tolist() == [[0.5, 1.0], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("name", "arguments", "estimate"),
    [
        ("importance_sampling", (RATIO, REWARD), (1 * 4 + 0.5 * 1) / 2),
        ("weighted_importance_sampling", (RATIO, REWARD), (1 * 4 + 0.5 * 1) / 1.5),
        ("per_decision_importance_sampling", (RATIO, REWARD), (0.5 + 3 - 0.5 + 1) / 2),
        ("per_decision_weighted_importance_sampling", (RATIO, REWARD), 0.0 + (3 + 1) / 1.5),
        ("direct_method", (V,), 2.0),
        # Surprises r + v' - q: 1 + 2 - 2 = 1 and 3 - 1 = 2; -1 + 2 - 0 = 1 and 2 - 1 = 1.
        ("doubly_robust", (RATIO, REWARD, Q, V), (3 + 0.5 * 1 + 1 * 2 + 1 + 0.5 * 1 + 0.5 * 1) / 2),
        ("weighted_doubly_robust", (RATIO, REWARD, Q, V), 2 + (0.5 + 0.5) / 1 + (2 + 0.5) / 1.5),
    ],
)
def test_an_estimate_by_hand(name, arguments, estimate):
    assert getattr(off_policy, name)(*arguments).mean() == pytest.approx(estimate)


def test_the_spread_of_a_self_normalised_form_is_that_of_the_ratio_by_hand():
    """Weights 1 and 3 of values 0 and 1: mean .75, contributions .75 + (1/2)(0 - .75) and .75 + (3/2)(1 - .75)."""
    ratio, reward = np.array([[1.0], [3.0]]), np.array([[0.0], [1.0]])
    assert off_policy.weighted_importance_sampling(ratio, reward).tolist() == [0.375, 1.125]


def test_where_no_weight_is_above_0_a_self_normalised_form_is_0():
    nothing = np.zeros((2, 2))
    assert off_policy.weighted_importance_sampling(nothing, REWARD).tolist() == [0.0, 0.0]
    assert off_policy.weighted_doubly_robust(nothing, REWARD, Q, V).tolist() == V[:, 0].tolist()


def test_the_effective_sample_by_hand():
    assert off_policy.effective_sample_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
    assert off_policy.effective_sample_size(np.zeros(3)) == 0


def test_a_switch_leaves_out_what_its_bound_says_is_not_worth_it():
    """A ratio of 8 in one of five episodes of one decision: at a threshold of 2 its surprise is left out."""
    target = np.tile([0.8, 0.2], (5, 1, 1))
    logged = np.tile([0.1, 0.9], (5, 1, 1))
    action = np.array([[0], [1], [1], [1], [1]])
    ratio = off_policy.ratios(target, logged, action)
    reward, q = (action == 0) * 1.0, np.zeros((5, 1))
    v = np.full((5, 1), 0.8)
    every = off_policy.switch(target, logged, ratio, reward, q, v, spread=1.0, thresholds=[2.0, np.inf])
    assert every.threshold == 2.0  # bias at most .8, against a variance of 8^2 * .16 / 5 = 2.05
    assert every.bias_bound == pytest.approx(0.8)
    assert every.contributions.tolist() == [0.8] * 5
    none = off_policy.switch(target, logged, ratio, reward, q, v, spread=10.0, thresholds=[2.0, np.inf])
    assert (none.threshold, none.bias_bound) == (np.inf, 0.0)
    assert none.contributions == pytest.approx(off_policy.doubly_robust(ratio, reward, q, v))


def test_a_switch_counts_the_weights_of_earlier_decisions_in_its_bound():
    """Two decisions: ratios 2 and 8. Beyond 4 lies .8 of the target at the second, 0 at the first: 2 * .8 = 1.6."""
    target = np.tile([[0.8, 0.2], [0.8, 0.2]], (3, 1, 1))
    logged = np.tile([[0.4, 0.6], [0.1, 0.9]], (3, 1, 1))
    ratio = off_policy.ratios(target, logged, np.zeros((3, 2), int))
    nothing = np.zeros((3, 2))
    told = off_policy.switch(target, logged, ratio, nothing, nothing, nothing, spread=1.0, thresholds=[4.0])
    assert told.bias_bound == pytest.approx(1.6)


def test_a_switch_tries_fifteen_thresholds_up_to_the_largest_ratio_and_infinity():
    """At a spread of 0 no bias counts: what has the least variance wins, which cuts every ratio above it."""
    rng = np.random.default_rng(0)
    target, logged = rng.dirichlet(np.ones(2), (40, 1)), rng.dirichlet(np.full(2, 5.0), (40, 1))
    ratio = off_policy.ratios(target, logged, rng.integers(0, 2, (40, 1)))
    reward, q, v = rng.random((40, 1)), np.zeros((40, 1)), np.zeros((40, 1))
    chosen = off_policy.switch(target, logged, ratio, reward, q, v, spread=0.0)
    tried = [*np.geomspace(1.0, ratio.max(), 15), np.inf]
    variances = [off_policy.doubly_robust(np.where(ratio <= t, ratio, 0.0), reward, q, v).var() for t in tried]
    assert chosen.threshold == pytest.approx(tried[int(np.argmin(variances))])
    none = off_policy.switch(target, logged, ratio, reward, q, v, spread=1e6)
    assert none.contributions == pytest.approx(off_policy.doubly_robust(ratio, reward, q, v))


class Tree:
    """Two hops of two models with STOP after the first, on two queries: every episode that a policy can take.

    Attributes:
      logged, target: probabilities at each node of each query, [2, 3, 3].
      probability: probability of each episode under `logged`.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.logged, self.target = (rng.dirichlet(np.ones(3), size=(2, 3)) for _ in range(2))
        for probs in (self.logged, self.target):
            probs[:, 0, 2] = 0.0
            probs[:, 0] /= probs[:, 0].sum(axis=-1, keepdims=True)
        self.target[1, 2] = [0.0, 1.0, 0.0]  # one place where the target is sure
        reward = rng.normal(size=(2, 3, 3))
        values = rng.normal(size=(2, 3, 3))  # of any fit, as wrong as can be
        rows = [(query, first, second) for query in range(2) for first, second in product(range(2), range(3))]
        nodes = [(0, 1 + first) for _, first, _ in rows]
        at = [
            ([query] * 2, list(node), [first, second]) for (query, first, second), node in zip(rows, nodes, strict=True)
        ]
        self.probability = np.array([0.5 * np.prod(self.logged[place]) for place in at])
        self.truth = sum(0.5 * np.prod(self.target[place]) * reward[place].sum() for place in at)
        self.ratio = np.array([self.target[place] / self.logged[place] for place in at])
        self.reward = np.array([reward[place] for place in at])
        self.q = np.array([values[place] for place in at])
        mean = (self.target * values).sum(axis=-1)
        self.v = np.array([mean[place[:2]] for place in at])
        exact = reward.copy()
        exact[:, 0, :2] += (self.target * reward).sum(axis=-1)[:, 1:]
        mean = (self.target * exact).sum(axis=-1)
        self.exact_q, self.exact_v = (np.array([table[place[: table.ndim]] for place in at]) for table in (exact, mean))

    def expectation(self, contributions: np.ndarray) -> float:
        return float(self.probability @ contributions)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_unbiased_is_so_over_every_episode(seed):
    tree = Tree(np.random.default_rng(seed))
    assert tree.probability.sum() == pytest.approx(1)
    for name, arguments in (
        ("importance_sampling", (tree.ratio, tree.reward)),
        ("per_decision_importance_sampling", (tree.ratio, tree.reward)),
        ("doubly_robust", (tree.ratio, tree.reward, tree.q, tree.v)),
    ):
        assert tree.expectation(getattr(off_policy, name)(*arguments)) == pytest.approx(tree.truth), name
    assert tree.expectation(off_policy.direct_method(tree.exact_v)) == pytest.approx(tree.truth)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_exact_values_leave_doubly_robust_forms_the_spread_of_queries_alone(seed):
    """Each contribution is the value of its query, whatever was drawn."""
    tree = Tree(np.random.default_rng(seed))
    arguments = tree.ratio, tree.reward, tree.exact_q, tree.exact_v
    assert off_policy.doubly_robust(*arguments) == pytest.approx(tree.exact_v[:, 0])
    assert off_policy.weighted_doubly_robust(*arguments) == pytest.approx(tree.exact_v[:, 0])


def test_self_normalised_forms_come_to_the_truth():
    """As the log grows: each episode as often as it is probable, in a log of every episode a million times."""
    tree = Tree(np.random.default_rng(3))
    times = np.round(1e6 * tree.probability).astype(int)
    rows = np.repeat(np.arange(len(times)), times)
    log = [array[rows] for array in (tree.ratio, tree.reward, tree.q, tree.v)]
    for name, needed in (
        ("weighted_importance_sampling", 2),
        ("per_decision_weighted_importance_sampling", 2),
        ("weighted_doubly_robust", 4),
    ):
        assert getattr(off_policy, name)(*log[:needed]).mean() == pytest.approx(tree.truth, abs=1e-4), name


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_policy_that_served_has_the_plain_mean(seed):
    """No weight differs from 1; without values of a fit every form is the mean of what was reached."""
    rng = np.random.default_rng(seed)
    reward, ratio = rng.normal(size=(7, 3)), np.ones((7, 3))
    mean = reward.sum(axis=1).mean()
    zero = np.zeros_like(reward)
    for name in (
        "importance_sampling",
        "weighted_importance_sampling",
        "per_decision_importance_sampling",
        "per_decision_weighted_importance_sampling",
    ):
        assert getattr(off_policy, name)(ratio, reward).mean() == pytest.approx(mean)
    for name in ("doubly_robust", "weighted_doubly_robust"):
        assert getattr(off_policy, name)(ratio, reward, zero, zero).mean() == pytest.approx(mean)
