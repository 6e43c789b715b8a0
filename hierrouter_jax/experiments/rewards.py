"""Reward shapings as data: presets read from YAML, and what a shaping needs of a table checked before training."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from hierrouter_jax.config import config_path, from_dict, load_yaml
from hierrouter_jax.envs.rewards import Hop, RewardWeights
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.plugins import load_object


def load_reward(name: Path | str) -> RewardWeights:
    """The weights of a YAML file or preset, such as `reward/der.yaml`; terms that it does not name keep their default.

    Raises:
      InputError: if there is no such file, or it names no term.
    """
    path = config_path(str(name))
    return from_dict(RewardWeights, load_yaml(path), path)


def check_reward(table: OutcomeTable, weights: RewardWeights) -> None:
    """Refuse a reward that the table cannot pay out.

    Args:
      weights: of one set, or stacked.

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
        given = jax.eval_shape(lambda hop: jnp.asarray(load_object(path)(hop)), hop)
    except InputError:
        raise
    except Exception as error:  # whatever the user's code raises
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"reward term {path}: fails on a hop ({type(error).__name__}: {reason})") from error
    if given.shape not in (size, ()):
        raise InputError(f"reward term {path}: gives shape {given.shape} for hops of shape {size}; one number a hop")
