"""What a conditioned policy knows beside its state: the cost weight that it serves and the budget that it has."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from hierrouter_jax.learner_config import CONDITIONS, ConditionRanges, Range

jax.tree_util.register_dataclass(Range)
jax.tree_util.register_dataclass(ConditionRanges)


@struct.dataclass
class Conditions:
    """One value an episode [*B], or None where the policy is not conditioned on it."""

    cost_weight: Float[Array, "*B"] | None = None
    budget: Float[Array, "*B"] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in CONDITIONS if getattr(self, name) is not None)


NONE = Conditions()


def draw(key: PRNGKeyArray, names: tuple[str, ...], ranges: ConditionRanges, shape: tuple[int, ...]) -> Conditions:
    """A value of each named condition for every episode."""
    keys = jax.random.split(key, 2)
    values = {}
    for name, its_key in zip(CONDITIONS, keys, strict=True):
        bounds: Range = getattr(ranges, name)
        if name in names:
            position = jax.random.uniform(its_key, shape)
            values[name] = bounds.low * (bounds.high / bounds.low) ** position
    return Conditions(**values)


def grid(names: tuple[str, ...], ranges: ConditionRanges, points: int) -> Conditions:
    """Every combination of `points` values of each condition, from its low to its high end [points ** K]."""
    axes = []
    for name in names:
        bounds: Range = getattr(ranges, name)
        axes.append(bounds.low * (bounds.high / bounds.low) ** jnp.linspace(0.0, 1.0, points))
    values = [axis.ravel() for axis in jnp.meshgrid(*axes, indexing="ij")]
    return Conditions(**dict(zip(names, values, strict=True)))


def inputs(conditions: Conditions, spent: Float[Array, "*B"], ranges: ConditionRanges) -> Float[Array, "*B K"]:
    """The network's inputs for K conditions.

    The cost weight's logarithm on [-1, 1] between its bounds; the budget that is left, on [0, 1] up to its upper
    bound.
    """
    columns = []
    if conditions.cost_weight is not None:
        bounds = ranges.cost_weight
        position = jnp.log(conditions.cost_weight / bounds.low) / jnp.log(bounds.high / bounds.low)
        columns.append(2 * jnp.clip(position, 0.0, 1.0) - 1)
    if conditions.budget is not None:
        columns.append(jnp.clip((conditions.budget - spent) / ranges.budget.high, 0.0, 1.0))
    columns = [jnp.broadcast_to(column, spent.shape) for column in columns]
    return jnp.stack(columns, axis=-1) if columns else jnp.zeros((*spent.shape, 0), spent.dtype)
