"""What a bundle's arrays compute, for each kind of policy, in whichever array library they are of: NumPy, JAX or torch.

The libraries agree on the few operations used here. Masking and conditions are the bundle's own work.
"""

from collections.abc import Mapping
from typing import Any

NETWORK, ENSEMBLE, PLAN, TASK_SEQUENCE = KINDS = ("network", "ensemble", "plan", "task-sequence")
LINEAR = (PLAN, TASK_SEQUENCE)  # kinds whose arrays are those of PRIOR alone
PRIOR = ("prior/kernel", "prior/means", "prior/task_kernel", "prior/task_bias")
VALUE = ("value/kernel", "value/bias")  # of the head that only training reads
MEMBER = "member_"  # an ensemble's arrays are those of its networks, under member_0/, member_1/ and so on

Arrays = Mapping[str, Any]


def policy_logits(kind: str, weights: Arrays, reduced: Any, stage: Any, spent: Any, conditions: Any, xp: Any) -> Any:
    """Unmasked logits [B, A] of B contexts.

    A `network` gives its own; an `ensemble` the mean of its networks' logits; a `plan` and a `task-sequence` are linear
    in the features, with a mean for every task weighed by how likely it is.

    Args:
      kind: kind of the policy.
      weights: arrays by name, as `PolicyBundle` says.
      reduced: features of the contexts [B, F].
      stage: number of hops already done, of all contexts or of each [B].
      spent: cost so far, over the cost normaliser [B, 1].
      conditions: scaled conditions [B, K]; only a `network` has any.
      xp: module of the array library: `numpy`, `jax.numpy` or `torch`.
    """
    if kind in LINEAR:
        return linear_logits(weights, reduced, stage, xp)
    parts = networks(weights) if kind == ENSEMBLE else [weights]
    return sum(network_logits(part, reduced, stage, spent, conditions, xp) for part in parts) / len(parts)


def network_logits(weights: Arrays, reduced: Any, stage: Any, spent: Any, conditions: Any, xp: Any) -> Any:
    """The two-layer network's logits, its prior's included where it has one."""
    row = weights["stage_embedding"][stage]
    hidden = xp.concatenate(
        [reduced, xp.broadcast_to(row, (reduced.shape[0], row.shape[-1])), spent, conditions], axis=1
    )
    for layer in range(num_layers(weights)):
        hidden = xp.tanh(hidden @ weights[f"hidden_{layer}/kernel"] + weights[f"hidden_{layer}/bias"])
    logits = hidden @ weights["logits/kernel"] + weights["logits/bias"]
    return logits + linear_logits(weights, reduced, stage, xp) if PRIOR[0] in weights else logits


def linear_logits(weights: Arrays, reduced: Any, stage: Any, xp: Any) -> Any:
    """x K + softmax(x C + c) M, with the arrays K, M, C, c of `PRIOR` of that stage."""
    kernel, means, task_kernel, task_bias = (weights[name][stage] for name in PRIOR)
    scores = _times(reduced, task_kernel, xp) + task_bias
    likely = xp.exp(scores - xp.amax(scores, axis=1, keepdims=True))
    return _times(reduced, kernel, xp) + _times(likely / likely.sum(axis=1, keepdims=True), means, xp)


def _times(rows: Any, matrices: Any, xp: Any) -> Any:
    """Each row [B, I] times the matrix of all, [I, O], or its own, [B, I, O]."""
    return rows @ matrices if matrices.ndim == 2 else xp.einsum("bi,bio->bo", rows, matrices)


def networks(weights: Arrays) -> list[dict[str, Any]]:
    """The arrays of each of an ensemble's networks, by their names in a network of its own."""
    count = len({name.split("/")[0] for name in weights if name.startswith(MEMBER)})
    starts = [f"{MEMBER}{index}/" for index in range(count)]
    return [{n.removeprefix(start): a for n, a in weights.items() if n.startswith(start)} for start in starts]


def num_layers(weights: Arrays) -> int:
    """Number of hidden layers of a network."""
    return sum(name.startswith("hidden_") and name.endswith("/kernel") for name in weights)


def multiply_adds(kind: str, weights: Arrays) -> int:
    """Multiplications of one decision on reduced features."""
    if kind == ENSEMBLE:
        return sum(multiply_adds(NETWORK, part) for part in networks(weights))
    layers = [f"hidden_{layer}/kernel" for layer in range(num_layers(weights))] + ["logits/kernel"]
    prior = sum(weights[name][0].size for name in PRIOR[:3] if name in weights)
    return sum(weights[name].size for name in layers if name in weights) + prior
