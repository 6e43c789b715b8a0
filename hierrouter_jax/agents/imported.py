"""A learner's update of the user's own in the place of ours, and what is asked of it."""

from collections.abc import Callable
from dataclasses import replace

import jax

from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.errors import InputError
from hierrouter_jax.plugins import load_object
from hierrouter_jax.policies.network import Network

Update = Callable[[LearnerState, DeviceTable, Network, LearnerStatic, LearnerHyper], tuple[LearnerState, Metrics]]


def imported_update(path: str) -> Update:
    """The update that an import path names; updates are counted for it.

    Raises:
      InputError: if the path leads nowhere; when it is traced, if it returns something else than a state like the
        one it was given and scalar metrics, `train_return` among them.
    """
    theirs = load_object(path)

    def update(
        state: LearnerState, table: DeviceTable, network: Network, static: LearnerStatic, hyper: LearnerHyper
    ) -> tuple[LearnerState, Metrics]:
        new, metrics = theirs(state, table, network, static, hyper)
        before, after = _shapes(state), _shapes(new)
        changed = [name for name in before | after if before.get(name) != after.get(name)]
        if changed:
            name = changed[0]
            raise InputError(
                f"learner {path}: {name} of the state it returns is {after.get(name, 'missing')}, "
                f"but was {before.get(name, 'missing')}"
            )
        for needed in ("train_return", *(("train_cost",) if static.lagrangian else ())):
            if needed not in metrics:
                raise InputError(f"learner {path}: its metrics are {sorted(metrics)}, but must hold {needed}")
        wide = [name for name, value in metrics.items() if jax.numpy.shape(value)]
        if wide:
            raise InputError(f"learner {path}: its metric {wide[0]} is an array, but metrics must be scalars")
        return replace(new, update=state.update + 1), metrics

    return update


def _shapes(state: LearnerState) -> dict[str, str]:
    """Type and shape of every leaf by its place, as in float32[3, 4]."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): str(jax.typeof(leaf)).lstrip("~")
        for path, leaf in leaves
    }
