"""Training of routers on an outcome table: several seeds in one program, the best chosen on validation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from tqdm import tqdm

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerState, LearnerStatic
from hierrouter_jax.envs.types import DeviceTable, single_precision
from hierrouter_jax.interrupts import interrupts_put_off
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.training.checks import check_reward, check_trainable
from hierrouter_jax.training.features import FittedFeatures, fit_features
from hierrouter_jax.training.router import TrainedRouter
from hierrouter_jax.training.settings import LearnerSettings, TrainConfig
from hierrouter_jax.training.tracking import Tracking


@dataclass(frozen=True)
class Progress:
    """How far a learner has come; all that it needs to go on bit for bit.

    Attributes:
      state: stacked over seeds [S, ...], on the host; keys as their data.
      metrics: metrics of all blocks so far, stacked: [B, S, U], and [B, S] for validation.
    """

    state: LearnerState
    metrics: dict[str, np.ndarray]

    @property
    def updates(self) -> int:
        return int(self.state.update[0])


class Keeper(Protocol):
    """Where training keeps what it has, so that it can go on after an interruption."""

    def features(self, fit: Callable[[], FittedFeatures]) -> FittedFeatures:
        """What is fitted on the training split, once a run."""
        ...

    def restored(self, name: str) -> Progress | None:
        """How far the learner had come, if any of it was kept."""
        ...

    def keep(self, name: str, progress: Progress) -> None: ...


@single_precision
def train_routers(
    table: OutcomeTable,
    config: TrainConfig,
    progress: bool = True,
    keeper: Keeper | None = None,
    tracking: Tracking | None = None,
) -> tuple[dict[str, TrainedRouter], pd.DataFrame]:
    """Train every learner of the configuration, from where it had come to.

    Args:
      table: outcome table with training and validation queries.
      config: configuration of all learners.
      progress: whether to show a bar.
      keeper: gets every checkpoint; without one, training starts anew and nothing is kept on the way.
      tracking: gets every block's metrics, from the first on.

    Returns:
      Trained routers by name, and the metrics: a row per learner, seed and update, however often interrupted.

    Raises:
      InputError: if a learner is to keep budgets, but the pool's largest charges are unknown; or the table cannot
        pay out the reward.
    """

    def fit() -> FittedFeatures:
        return fit_features(table.split("train"), config.features)  # the same for every seed, as in a sweep

    check_reward(table, config.hyper.reward)
    features = keeper.features(fit) if keeper else fit()
    train, validation = features.on_device(table.split("train")), features.on_device(table.split("validation"))
    routers, metrics = {}, []
    for name in config.learners:
        settings = config.of(name)
        check_trainable(table, settings.static, settings.hyper.ranges)
        if tracking:
            tracking.begin(name, settings.seeds)
        done = _train_seeds(settings, train, validation, config.checkpoint_every, progress, keeper, tracking)
        routers[name] = TrainedRouter(name, settings.static, settings.hyper, done.state, features, settings.seeds)
        metrics += _rows(name, done.metrics, settings.static.transitions(table.tree))
    return routers, pd.concat(metrics, ignore_index=True)


@single_precision
def seed_keys(settings: LearnerSettings) -> jax.Array:
    """A key per seed [S]; the same key trains the same policy alone and in a batch of seeds."""
    return jax.vmap(jax.random.key)(np.array(settings.seeds))


def _train_seeds(
    settings: LearnerSettings,
    train: DeviceTable,
    validation: DeviceTable,
    checkpoint_every: int,
    progress: bool,
    keeper: Keeper | None,
    tracking: Tracking | None,
) -> Progress:
    """All seeds of a learner, block by block so that progress shows; `lax.map` is bit-equal to each seed alone."""
    name, static, hyper = settings.learner, settings.static, settings.hyper

    @jax.jit
    def start(keys: jax.Array, train: DeviceTable) -> LearnerState:
        return jax.lax.map(lambda key: learner.init(key, train, static, hyper), keys)

    @partial(jax.jit, donate_argnums=0)
    def advance(
        state: LearnerState, train: DeviceTable, validation: DeviceTable
    ) -> tuple[LearnerState, learner.Metrics]:
        return jax.lax.map(lambda one: learner.advance(one, train, validation, static, hyper), state)

    restored = keeper.restored(name) if keeper else None
    state, blocks = _unpacked(restored) if restored else (start(seed_keys(settings), train), [])
    transitions = static.transitions(train.tree)
    if tracking:
        for block, metrics in enumerate(blocks):
            tracking.log(block_rows(name, block, metrics, transitions))
    with interrupts_put_off() as check_interrupt:
        for updates in _bar(name, len(blocks) * static.evaluate_every, static, progress):
            state, metrics = advance(state, train, validation)
            blocks.append(jax.device_get(metrics))
            if tracking:
                tracking.log(block_rows(name, len(blocks) - 1, blocks[-1], transitions))
            if keeper and (updates % checkpoint_every == 0 or updates == static.num_updates):
                keeper.keep(name, _packed(state, blocks))
            check_interrupt()
    return _packed(state, blocks)


def _packed(state: LearnerState, blocks: list[dict[str, np.ndarray]]) -> Progress:
    """Progress as copies on the host: what `device_get` gives may be the device's own memory, soon donated."""
    state = replace(state, key=jax.random.key_data(state.key))
    metrics = {name: np.stack([block[name] for block in blocks]) for name in blocks[0]}
    return Progress(jax.tree.map(lambda leaf: np.array(leaf), state), metrics)


def _unpacked(done: Progress) -> tuple[LearnerState, list[dict[str, np.ndarray]]]:
    state = jax.tree.map(jnp.array, done.state)
    blocks = len(done.metrics["validation_return"])
    rows = [{name: stack[block] for name, stack in done.metrics.items()} for block in range(blocks)]
    return replace(state, key=jax.random.wrap_key_data(state.key)), rows


def _bar(name: str, done: int, static: LearnerStatic, progress: bool) -> Iterator[int]:
    """Updates that will have been done after each block that is left."""
    every = static.evaluate_every
    with tqdm(total=static.num_updates, initial=done, desc=f"train {name}", unit="update", disable=not progress) as bar:
        for updates in range(done + every, static.num_updates + 1, every):
            yield updates
            bar.update(every)


def _rows(name: str, metrics: dict[str, np.ndarray], steps_per_update: int) -> Iterator[pd.DataFrame]:
    """Every block's metrics as rows; validation stands in the row of the block's last update."""
    for block in range(len(metrics["train_return"])):
        yield block_rows(name, block, {key: value[block] for key, value in metrics.items()}, steps_per_update)


def block_rows(name: str, block: int, metrics: dict[str, np.ndarray], steps_per_update: int) -> pd.DataFrame:
    """A row a seed and update of one block, whose metrics are [S, U], and [S] for validation."""
    seeds, updates = metrics["train_return"].shape
    update = np.tile(1 + block * updates + np.arange(updates), seeds)
    frame = {key: value.ravel() for key, value in metrics.items() if value.ndim == 2}
    for key in ("validation_return", "validation_accuracy", "validation_cost"):
        column = np.full((seeds, updates), np.nan, dtype=np.float32)
        column[:, -1] = metrics[key]
        frame[key] = column.ravel()
    seed, steps = np.repeat(np.arange(seeds), updates), update * steps_per_update
    return pd.DataFrame({"learner": name, "seed": seed, "update": update, "env_steps": steps} | frame)
