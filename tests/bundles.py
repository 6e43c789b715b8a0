"""Policy bundles of random weights, with and without conditions and a prior, and states to run them on."""

from dataclasses import replace
from typing import Any

import numpy as np

from hierrouter_jax.bundle import FeatureReduction, PolicyBundle
from hierrouter_jax.bundle_logits import PRIOR
from hierrouter_jax.outcomes.pricing import PricedModel

MODELS, EMBEDDING, FEATURES, HORIZON, STAGE_SIZE, TASKS = 3, 48, 16, 3, 8, 2
CONDITIONS = {"cost_weight": [0.01, 1.0], "budget": [0.5, 10.0]}


def kind_bundle(kind: str) -> PolicyBundle:
    """An ensemble of two networks, one with a prior, or a policy of a prior alone."""
    one, two = random_bundle(prior=True), random_bundle(seed=1)
    if kind == "ensemble":
        parts = {f"member_{i}/{name}": array for i, b in enumerate((one, two)) for name, array in b.weights.items()}
        return replace(one, kind=kind, weights=parts)
    return replace(one, kind=kind, weights={name: one.weights[name] for name in PRIOR})


def random_bundle(
    conditions: tuple[str, ...] = (), prior: bool = False, allow_stop: bool = True, seed: int = 0
) -> PolicyBundle:
    """A bundle with weights of the size that training leaves."""
    rng = np.random.default_rng(seed)

    def array(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(shape[-2] if len(shape) > 1 else 4)).astype(np.float32)

    sizes = [FEATURES + STAGE_SIZE + 1 + len(conditions), 128, 128]
    weights = {"stage_embedding": array(HORIZON, STAGE_SIZE)}
    for layer in range(2):
        weights |= {f"hidden_{layer}/kernel": array(*sizes[layer : layer + 2]), f"hidden_{layer}/bias": array(128)}
    weights |= {"logits/kernel": array(128, MODELS + 1), "logits/bias": array(MODELS + 1)}
    weights |= {"value/kernel": array(128, 1), "value/bias": array(1)}  # which only training reads
    if prior:
        shapes = {"kernel": (FEATURES, MODELS + 1), "means": (TASKS, MODELS + 1), "task_kernel": (FEATURES, TASKS)}
        weights |= {f"prior/{name}": array(HORIZON, *shape) for name, shape in shapes.items()}
        weights |= {"prior/task_bias": array(HORIZON, TASKS)}
    return PolicyBundle(
        pool=tuple(PricedModel(f"m{m}", 0.1 * (m + 1), 0.2 * (m + 1), max_new_tokens=16) for m in range(MODELS)),
        horizon=HORIZON,
        allow_stop=allow_stop,
        encoder={"kind": "ngrams", "size": EMBEDDING},
        money_unit="flops",
        cost_normaliser=2.0,
        table_fingerprint="table-1",
        provenance={"learner": "ppo", "seed": 0},
        conditions={name: CONDITIONS[name] for name in conditions},
        cost_weight=0.1,
        reduction=FeatureReduction(
            array(EMBEDDING), array(EMBEDDING, FEATURES), 0.5 + rng.random(FEATURES, np.float32)
        ),
        weights=weights,
    )


BUNDLES = {
    "plain": random_bundle(),
    "without-stop": random_bundle(allow_stop=False),
    "prior": random_bundle(prior=True),
    "conditioned": random_bundle(("cost_weight", "budget"), prior=True),
    "budgeted": random_bundle(("budget",), allow_stop=False),
    "ensemble": kind_bundle("ensemble"),
    "plan": kind_bundle("plan"),
}


def random_states(bundle: PolicyBundle, states: int = 10_000, seed: int = 1) -> dict[str, Any]:
    """Inputs of a policy, [states, ...] each; some budgets pay for no model, and some are infinite."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, Any] = {
        "embedding": rng.normal(size=(states, EMBEDDING)).astype(np.float32),
        "stage": rng.integers(HORIZON, size=states),
        "cost": rng.uniform(0, 6, states).astype(np.float32),
    }
    if "cost_weight" in bundle.conditions:
        inputs["cost_weight"] = np.float32([0.001, 0.01, 0.03, 0.2, 1, 7])[rng.integers(6, size=states)]
    if "budget" in bundle.conditions:
        inputs["budget"] = np.where(rng.random(states) < 0.1, np.inf, rng.uniform(0, 12, states)).astype(np.float32)
        inputs["charges"] = rng.uniform(0.5, 4, (states, MODELS)).astype(np.float32)
    return inputs


def reference_logits(bundle: PolicyBundle, inputs: dict[str, Any]) -> np.ndarray:
    """What the NumPy reader says of each state, [states, A]."""
    weights = inputs.get("cost_weight")
    found = np.empty((len(inputs["stage"]), MODELS + 1))
    kinds = np.zeros(len(found)) if weights is None else weights
    for stage in range(HORIZON):
        for weight in np.unique(kinds):
            rows = np.flatnonzero((inputs["stage"] == stage) & (kinds == weight))
            if rows.size:
                found[rows] = bundle.logits(
                    inputs["embedding"][rows],
                    stage,
                    inputs["cost"][rows],
                    None if weights is None else float(weight),
                    **{name: inputs[name][rows] for name in ("budget", "charges") if name in inputs},
                )
    return found


def assert_same_logits(ours: np.ndarray, reference: np.ndarray) -> None:
    """The same actions are impossible, and the others' logits agree within 1e-5."""
    assert ours.shape == reference.shape
    assert ours.dtype == np.float32
    assert (np.isfinite(ours) == np.isfinite(reference)).all()
    finite = np.isfinite(reference)
    assert 0 < finite.mean() < 1
    np.testing.assert_allclose(ours[finite], reference[finite], atol=1e-5, rtol=0)
