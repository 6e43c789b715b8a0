"""A network of the user's own in the place of ours, and what is asked of it."""

from collections.abc import Callable
from typing import Any

import jax

from hierrouter_jax.errors import InputError
from hierrouter_jax.learner_config import TWO_LAYER
from hierrouter_jax.plugins import load_object
from hierrouter_jax.policies.network import Network, PolicyInputs, RouterNetwork


def network_class(name: str) -> Callable[..., Network]:
    """What makes the network that a configuration names, from the fields of `RouterNetwork` by keyword.

    Raises:
      InputError: if an import path leads nowhere, or what it names does not take those fields.
    """
    if name == TWO_LAYER:
        return RouterNetwork
    chosen = load_object(name)

    def make(**fields: Any) -> Network:
        try:
            return chosen(**fields)
        except TypeError as error:
            raise InputError(f"network {name} must be a Flax module with {', '.join(fields)} ({error})") from None

    return make


def check_network(name: str, network: Network, params: Any, seen: PolicyInputs) -> None:
    """Refuse a user's network that keeps more than parameters, or whose outputs have other shapes.

    Nothing is computed: only shapes are.

    Raises:
      InputError: saying what it gives and what it should.
    """
    if name == TWO_LAYER:
        return
    if set(params) != {"params"}:
        raise InputError(f"network {name} keeps {', '.join(sorted(params))}, but may keep parameters (params) only")
    outputs = jax.eval_shape(network.apply, params, seen)
    wanted = ((*seen.stage.shape, network.num_actions), seen.stage.shape)
    found = tuple(leaf.shape for leaf in jax.tree.leaves(outputs))
    if found != wanted:
        raise InputError(
            f"network {name} gives outputs of shapes {found}, but should give logits and value of shapes {wanted}"
        )
