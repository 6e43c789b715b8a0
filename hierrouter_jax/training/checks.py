"""What conditioned learners need of their table and ranges, and the smallest budgets that queries need."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.envs.rewards import Hop, RewardWeights
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.plugins import load_object
from hierrouter_jax.policies.conditions import ConditionRanges, Range


def check_trainable(table: OutcomeTable, static: LearnerStatic, ranges: ConditionRanges) -> None:
    """Refuse, before training starts, conditions that cannot be drawn or held.

    Raises:
      InputError: naming the range that is none; or as `check_charges`.
    """
    for name in static.conditions:
        bounds: Range = getattr(ranges, name)
        if not 0 < bounds.low < bounds.high < np.inf:
            raise InputError(
                f"hyper.ranges.{name} is {bounds.low} to {bounds.high}, but must rise from a number above 0"
            )
    check_charges(table, static)


def check_charges(table: OutcomeTable, static: LearnerStatic) -> None:
    """Refuse a budgeted learner where the most that a call can cost is unknown, or was passed.

    Raises:
      InputError: naming the model without `max_new_tokens`, or the call that wrote more.
    """
    if not static.budgeted:
        return
    for member in table.pool:
        if member.max_new_tokens is None:
            raise InputError(
                f"model {member.name!r} has no max_new_tokens in the table's pool, but a budget needs to know the most "
                "that a call can cost; add it to table.json, or train without --train.static.budgeted"
            )
    limit = np.array([member.max_new_tokens or 0 for member in table.pool])
    nodes = np.arange(1, table.tree.num_nodes)
    passed = table.tokens_out[:, nodes] > limit[table.tree.last_model(nodes)]
    if passed.any():
        row, column = np.argwhere(passed)[0]
        member = table.pool[table.tree.last_model(int(nodes[column]))]
        raise InputError(
            f"model {member.name!r} wrote {table.tokens_out[row, nodes[column]]} tokens on query "
            f"{table.queries[row].id!r}, but its max_new_tokens is {member.max_new_tokens}: no budget would hold"
        )


def smallest_budgets(table: OutcomeTable) -> Float[np.ndarray, " Q"]:
    """Largest charge of each query's cheapest first call, in the table's money unit; 0 where it has no first call."""
    assert table.charge is not None, "check_charges comes first"
    first = table.tree.stage_slice(1)
    smallest = np.where(table.available[:, first], table.charge[:, first], np.inf).min(axis=1)
    return np.where(np.isfinite(smallest), smallest, 0.0)


def check_reward(table: OutcomeTable, weights: RewardWeights) -> None:
    """Refuse a reward that the table cannot pay out.

    Args:
      weights: weights of the reward terms, of one set or stacked.

    Raises:
      InputError: if latencies are weighed that the table does not hold, or a term of the user's own does not give a
        number for every hop.
    """
    if table.latency is None and np.any(np.asarray(weights.latency) != 0):
        raise InputError("reward.latency is not 0, but the outcome table holds no latencies")
    for path in weights.custom:
        _check_term(path)


def _check_term(path: str) -> None:
    size = (2, 3)
    number, yes = jnp.zeros(size), jnp.zeros(size, bool)
    hop = Hop(number, number, number, number, number, number, number, yes, yes, yes, overrun_limit=1.0)
    try:
        reward = jax.eval_shape(lambda hop: jnp.asarray(load_object(path)(hop)), hop)
    except InputError:
        raise
    except Exception as error:  # whatever the user's code raises
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"reward term {path}: fails on a hop ({type(error).__name__}: {reason})") from error
    if reward.shape not in (size, ()):
        raise InputError(f"reward term {path}: gives shape {reward.shape} for hops of shape {size}; one number a hop")
