"""The policy of a bundle in JAX: a compiled function, and StableHLO that others compile."""

from collections.abc import Callable
from importlib.util import find_spec

import jax
import jax.numpy as jnp
from jax import export
from jaxtyping import Array, Float

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.bundle_graph import check_conditions, input_names, masked_logits, policy_tensors
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.errors import InputError

PLATFORMS = ("cpu", "cuda", "tpu")


def jax_policy(bundle: PolicyBundle) -> Callable[..., Float[Array, "B A"]]:
    """A bundle's policy as a compiled function of a batch: masked logits over the M models and STOP.

    It takes the arrays of `bundle_graph.input_names` by name, as `bundle_graph.masked_logits` gives them.

    Raises:
      InputError: by the function, if an array is missing or too many.
    """
    tensors = {name: jnp.asarray(array) for name, array in policy_tensors(bundle).items()}

    @single_precision
    @jax.jit
    def logits(**inputs: Array) -> Float[Array, "B A"]:
        check_conditions(bundle, {name: one for name, one in inputs.items() if name not in input_names(bundle)[:3]})
        return masked_logits(jnp, bundle, tensors, **inputs)

    return logits


def stablehlo(bundle: PolicyBundle) -> bytes:
    """The policy as StableHLO for CPU, CUDA and TPU and any batch size, as `jax.export.deserialize` reads it back.

    Its inputs are those of `jax_policy`, in single precision, the stage as int32.

    Raises:
      InputError: if flatbuffers is not installed.
    """
    if find_spec("flatbuffers") is None:
        raise InputError("writing StableHLO needs the extra stablehlo: pip install 'hierrouter_jax[stablehlo]'")
    sizes = {"embedding": len(bundle.reduction.mean), "charges": len(bundle.pool)}
    (batch,) = export.symbolic_shape("B")
    shapes = {
        name: jax.ShapeDtypeStruct(
            (batch, sizes[name]) if name in sizes else (batch,), jnp.int32 if name == "stage" else jnp.float32
        )
        for name in input_names(bundle)
    }
    return bytes(export.export(jax.jit(jax_policy(bundle)), platforms=PLATFORMS)(**shapes).serialize())
