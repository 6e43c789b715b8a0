"""The policy of a bundle as one function of arrays, which NumPy, JAX and torch run alike."""

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.bundle_logits import VALUE, policy_logits
from hierrouter_jax.errors import InputError

Array = Any  # of NumPy, JAX or torch


def policy_tensors(bundle: PolicyBundle) -> dict[str, np.ndarray]:
    """All arrays that a bundle's decisions are made of, float32, by the names of `policy.safetensors`."""
    weights = {name: array for name, array in bundle.weights.items() if not name.endswith(VALUE)}
    reduction = {f"reduction/{name}": getattr(bundle.reduction, name) for name in ("mean", "components", "scale")}
    return {name: np.asarray(array, np.float32) for name, array in (reduction | weights).items()}


def masked_logits(
    xp: ModuleType,
    bundle: PolicyBundle,
    tensors: Mapping[str, Array],
    embedding: Float[Array, "B E"],
    stage: Int[Array, " B"],
    cost: Float[Array, " B"],
    cost_weight: Float[Array, " B"] | None = None,
    budget: Float[Array, " B"] | None = None,
    charges: Float[Array, "B M"] | None = None,
) -> Float[Array, "B A"]:
    """Masked logits over the M models and STOP, float32; impossible actions are -inf. As `PolicyBundle.logits`.

    Args:
      xp: library of the arrays: numpy, jax.numpy or torch.
      bundle: bundle of the policy, for its kind and its numbers beside the arrays.
      tensors: `policy_tensors` as arrays of that library.
      embedding: embeddings of the contexts, by the bundle's encoder.
      stage: number of hops already done in each.
      cost: money that each route has spent already.
      cost_weight: weight of each that a cost-conditioned policy is to serve, and only it.
      budget: money that each whole route may cost, infinite without a limit; of a budgeted policy, and only it.
      charges: money that calling each model now can cost at most; of a budgeted policy, and only it.
    """
    reduced = ((embedding - tensors["reduction/mean"]) @ tensors["reduction/components"]) / tensors["reduction/scale"]
    spent = (cost / bundle.cost_normaliser)[:, None]
    conditions = [reduced[:, :0]]
    if "cost_weight" in bundle.conditions:
        low, high = bundle.conditions["cost_weight"]
        conditions.append((2 / math.log(high / low) * xp.log(xp.clip(cost_weight, low, high) / low) - 1)[:, None])
    if "budget" in bundle.conditions:
        most = bundle.cost_normaliser * bundle.conditions["budget"][1]
        conditions.append(xp.clip((budget - cost) / most, 0.0, 1.0)[:, None])
    logits = policy_logits(bundle.kind, tensors, reduced, stage, spent, xp.concatenate(conditions, 1), xp)
    may_call = logits[:, :-1] < math.inf  # all of them
    if budget is not None:
        may_call = cost[:, None] + charges <= budget[:, None]
    may_stop = (stage > 0) & bundle.may_stop | ~xp.any(may_call, 1)
    return xp.where(xp.concatenate([may_call, may_stop[:, None]], 1), logits, -math.inf)


def input_names(bundle: PolicyBundle) -> tuple[str, ...]:
    """Names of the arrays that a bundle's policy reads, in the order of `masked_logits`."""
    weight = ("cost_weight",) if "cost_weight" in bundle.conditions else ()
    return ("embedding", "stage", "cost", *weight, *(("budget", "charges") if "budget" in bundle.conditions else ()))


def check_conditions(bundle: PolicyBundle, conditions: Mapping[str, Array]) -> None:
    """Refuse arrays besides embedding, stage and cost that are not those which the policy reads.

    Raises:
      InputError: naming the first that is missing or too many.
    """
    names = input_names(bundle)[3:]
    for name in names:
        if name not in conditions:
            raise InputError(f"the policy reads {name}, which is missing; it reads {', '.join(input_names(bundle))}")
    for name in conditions:
        if name not in names:
            raise InputError(f"{name} is given, but the policy was not trained to be told one")
