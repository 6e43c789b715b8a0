"""Off-policy estimators beside those of other libraries, on the same logs; both are optional and outside the pins."""

import numpy as np
import pytest

from hierrouter_jax.evaluation import off_policy

pytestmark = pytest.mark.extended


def logs(episodes: int, length: int, seed: int = 0):
    """Logged and target probabilities, actions, rewards, and values of any fit, all decisions made."""
    rng = np.random.default_rng(seed)
    logged, target = (rng.dirichlet(np.ones(3), size=(episodes, length)) for _ in range(2))
    action = (rng.random((episodes, length, 1)) > logged.cumsum(axis=-1)[..., :-1]).sum(axis=-1)
    reward, q, v = (rng.normal(size=(episodes, length)) for _ in range(3))
    return target, logged, action, reward, q, v


def test_one_decision_is_weighed_as_coba_does():
    """coba's IPS rewards: each action's reward over its probability where it was taken, else 0."""
    filters = pytest.importorskip("coba.environments.filters", reason="pip install coba, in an environment of its own")
    target, logged, action, reward, *_ = logs(400, 1)
    rows = [
        {
            "context": None,
            "actions": [0, 1, 2],
            "action": int(action[row, 0]),
            "reward": float(reward[row, 0]),
            "probability": float(logged[row, 0, action[row, 0]]),
        }
        for row in range(400)
    ]
    theirs = [
        sum(target[row, 0, one] * new["rewards"](one) for one in range(3))
        for row, new in enumerate(filters.OpeRewards("IPS").filter(rows))
    ]
    ours = off_policy.importance_sampling(off_policy.ratios(target, logged, action), reward)
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "weighted", "per_decision"),
    [
        ("importance_sampling", False, False),
        ("weighted_importance_sampling", True, False),
        ("per_decision_importance_sampling", False, True),
        ("per_decision_weighted_importance_sampling", True, True),
    ],
)
def test_importance_sampling_is_that_of_offline_rl_ope(name, weighted, per_decision):
    reason = "pip install offline_rl_ope, in an environment of its own"
    ope = pytest.importorskip("offline_rl_ope.OPEEstimators", reason=reason)
    import torch
    from offline_rl_ope.OPEEstimators.EmpiricalMeanDenom import EmpiricalMeanDenom
    from offline_rl_ope.OPEEstimators.WeightDenom import PassWeightDenom, PiTWeightDenom

    target, logged, action, reward, *_ = logs(300, 3)
    ratio = off_policy.ratios(target, logged, action)
    weight = off_policy.weights(ratio)
    weight = weight if per_decision else np.repeat(weight[:, -1:], 3, axis=1)
    estimator = ope.ISEstimator(EmpiricalMeanDenom(), PiTWeightDenom() if weighted else PassWeightDenom())
    theirs = estimator.predict_traj_rewards(
        rewards=[torch.tensor(row, dtype=torch.float32)[:, None] for row in reward],
        states=[torch.zeros(3, 1)] * 300,
        actions=[torch.zeros(3, 1)] * 300,
        weights=torch.tensor(weight, dtype=torch.float32),
        discount=1.0,
        is_msk=torch.ones(300, 3),
    )
    assert getattr(off_policy, name)(ratio, reward).mean() == pytest.approx(float(theirs.mean()), abs=1e-4)


@pytest.mark.parametrize(("name", "weighted"), [("doubly_robust", False), ("weighted_doubly_robust", True)])
def test_doubly_robust_forms_are_those_of_offline_rl_ope(name, weighted):
    reason = "pip install offline_rl_ope, in an environment of its own"
    ope = pytest.importorskip("offline_rl_ope.OPEEstimators", reason=reason)
    import torch
    from offline_rl_ope.OPEEstimators.DirectMethod import DirectMethodBase
    from offline_rl_ope.OPEEstimators.EmpiricalMeanDenom import EmpiricalMeanDenom
    from offline_rl_ope.OPEEstimators.WeightDenom import PassWeightDenom, PiTWeightDenom

    target, logged, action, reward, q, v = logs(300, 2)
    ratio = off_policy.ratios(target, logged, action)

    class Values(DirectMethodBase):
        """Values of the states, which are their own row."""

        def __init__(self) -> None:
            super().__init__(model=lambda state: state)

        def calculate_v(self, state):
            return torch.tensor(v[int(state[0, 0])], dtype=torch.float32)[:, None]

        def calculate_q(self, state, action):
            return torch.tensor(q[int(state[0, 0])], dtype=torch.float32)[:, None]

    denominator = PiTWeightDenom() if weighted else PassWeightDenom()
    theirs = ope.DREstimator(EmpiricalMeanDenom(), denominator, Values(), clip_weights=False).predict_traj_rewards(
        rewards=[torch.tensor(row, dtype=torch.float32)[:, None] for row in reward],
        states=[torch.full((2, 1), float(row)) for row in range(300)],
        actions=[torch.zeros(2, 1)] * 300,
        weights=torch.tensor(off_policy.weights(ratio), dtype=torch.float32),
        discount=1.0,
        is_msk=torch.ones(300, 2),
    )
    assert getattr(off_policy, name)(ratio, reward, q, v).mean() == pytest.approx(float(theirs.mean()), abs=1e-3)
