"""One learner over several devices: episodes are spread over a mesh, gradients come together by themselves.

The program is the same; only where its arrays lie is said, and XLA adds the communication. Random numbers do not
depend on the mesh, so a run differs from that on one device by the order of its sums alone.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import jax
from jax.flatten_util import ravel_pytree
from jax.sharding import AxisType, NamedSharding, PartitionSpec

Tree = TypeVar("Tree")
AXIS = "data"


def data_mesh(devices: int | None = None) -> AbstractContextManager[object]:
    """Context in which learners spread their episodes over that many devices, all by default; one needs none.

    Raises:
      ValueError: if there are fewer devices.
    """
    devices = jax.device_count() if devices is None else devices
    if devices > jax.device_count():
        raise ValueError(f"{devices} devices are asked for, but JAX sees {jax.device_count()}")
    if devices == 1:
        return nullcontext()
    mesh = jax.make_mesh((devices,), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    return jax.set_mesh(mesh)


def spread(tree: Tree) -> Tree:
    """The arrays split over the mesh along their first axis, which its size divides; as they are without a mesh."""
    if not _in_mesh():
        return tree
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, PartitionSpec(AXIS)), tree)


def gather(tree: Tree) -> Tree:
    """The arrays whole on every device of the mesh; as they are where there is none."""
    if not _in_mesh():
        return tree
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, PartitionSpec()), tree)


def add_up(function: Callable[..., Tree], whole: tuple[Any, ...], parts: tuple[Any, ...]) -> Tree:
    """function(*whole, *parts) of every device's share of `parts`, added up over the mesh by one communication.

    XLA would add up every array of a gradient by itself, waiting for all devices each time.
    """
    if not _in_mesh():
        return function(*whole, *parts)

    def of_device(whole, parts):
        # As if they differed between devices: else differentiating adds up, array by array.
        result, unravel = ravel_pytree(function(*jax.lax.pcast(whole, AXIS, to="varying"), *parts))
        return unravel(jax.lax.psum(result, AXIS))

    return jax.shard_map(of_device, in_specs=(PartitionSpec(), PartitionSpec(AXIS)), out_specs=PartitionSpec())(
        whole, parts
    )


def replicate(tree: Tree) -> Tree:
    """Put host or device arrays whole on every device of the mesh."""
    return _put(tree, PartitionSpec())


def shard_queries(table: Tree) -> Tree:
    """Put a table's queries evenly on the devices of the mesh, which must divide them: for tables beyond one device.

    Its rows then travel to where the episodes are; a table that fits every device is faster replicated.
    """
    return _put(table, PartitionSpec(AXIS))


def _put(tree: Tree, spec: PartitionSpec) -> Tree:
    if not _in_mesh():
        return tree
    sharding = NamedSharding(jax.sharding.get_mesh(), spec)
    return jax.tree.map(lambda leaf: jax.device_put(leaf, sharding), tree)


def _in_mesh() -> bool:
    return AXIS in jax.sharding.get_abstract_mesh().axis_names
