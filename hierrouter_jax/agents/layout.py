"""How a batch of independent runs is laid over the hardware."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

Layout = Literal["map", "vmap", "devices", "devices-vmap"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

_AXIS = "runs"


def lay(function: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
    """`function(key, hyper, *shared)` of one run as a function of R runs: stacked keys, stacked hypers, `*shared`.

    Everything that the runs share, such as the outcome table, is an argument and never closed over: a captured
    table would be compiled into the program as a constant. The result is a pure function; `jit` it.

    Args:
      function: a function of a key, a pytree of numbers, and what all runs share; it returns any pytree.
      layout: `map` runs one after the other in one program, each bit-equal to a run alone; `vmap` all at once;
        `devices` and `devices-vmap` share the runs out among the local devices and go on in that way on each.
        Runs are repeated to fill the devices, and cut off again.

    Raises:
      ValueError: if there is no such layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}, but must be one of {', '.join(LAYOUTS)}")
    local = _at_once(function) if layout.endswith("vmap") else _in_turn(function)
    return _over_devices(local) if layout.startswith("devices") else local


def available_layouts() -> tuple[Layout, ...]:
    """The layouts that make a difference here: those over devices need more than one."""
    return LAYOUTS if jax.local_device_count() > 1 else ("map", "vmap")


def replicated(shared: Any) -> Any:
    """What all runs share, on every local device: else a layout over devices would copy it there at each call."""
    return jax.device_put(shared, NamedSharding(_mesh(), PartitionSpec()))


def _in_turn(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(keys: jax.Array, hypers: Any, *shared: Any) -> Any:
        return jax.lax.map(lambda one: function(*one, *shared), (keys, hypers))

    return run


def _at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(keys: jax.Array, hypers: Any, *shared: Any) -> Any:
        return jax.vmap(lambda key, hyper: function(key, hyper, *shared))(keys, hypers)

    return run


def _over_devices(local: Callable[..., Any]) -> Callable[..., Any]:
    mesh = _mesh()
    by_run, whole = PartitionSpec(_AXIS), PartitionSpec()

    def run(keys: jax.Array, hypers: Any, *shared: Any) -> Any:
        specs = (by_run, by_run, *[whole] * len(shared))
        # Scans inside start from constants, which the check of replication takes for replicated.
        sharded = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=by_run, check_vma=False)
        runs = len(keys)
        missing = -runs % mesh.size
        padded = jax.tree.map(lambda leaf: _pad(leaf, missing), (keys, hypers))
        return jax.tree.map(lambda leaf: leaf[:runs], sharded(*padded, *shared))

    return run


def _mesh() -> Mesh:
    devices = jax.local_devices()
    return jax.make_mesh((len(devices),), (_AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def _pad(leaf: jax.Array, missing: int) -> jax.Array:
    """`missing` more rows, each the last one again."""
    return leaf if not missing else leaf[jnp.minimum(jnp.arange(len(leaf) + missing), len(leaf) - 1)]
