"""Training of routers on an outcome table: several seeds in one program, the best chosen on validation."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import jax
import numpy as np
import pandas as pd
from flax.traverse_util import flatten_dict
from jaxtyping import Float
from tqdm import tqdm

from hierrouter_jax._version import __version__
from hierrouter_jax.agents.ppo import learner
from hierrouter_jax.agents.ppo.types import PPOHyper, PPOState, PPOStatic
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.exact import decision_masks, end_probability, greedy
from hierrouter_jax.experiments.features import FittedFeatures, fit_features
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.table_policy import decision_logits

LearnerName = Literal["ppo", "ppo+stop"]


@dataclass(frozen=True)
class TrainConfig:
    """How routers are trained; all defaults are ours, the paper gives none.

    Attributes:
      learners: `ppo` makes exactly L calls, as in the paper; `ppo+stop` may stop after any (our extension).
      num_seeds: independent runs of each; the best on validation is the policy.
      seed: of the first; also of the features' solver.
      features: principal components of the context embedding that the network sees.
      static: what fixes the learner's shapes. `allow_stop` is set by the learner's name.
      hyper: the learner's numbers, the reward's weights among them.
    """

    learners: tuple[LearnerName, ...] = ("ppo", "ppo+stop")
    num_seeds: int = 5
    seed: int = 0
    features: int = 96
    static: PPOStatic = field(default_factory=PPOStatic)
    hyper: PPOHyper = field(default_factory=PPOHyper)

    def __post_init__(self) -> None:
        if not self.learners or len(set(self.learners)) != len(self.learners):
            raise InputError(f"learners must be one or more different names, not {list(self.learners)}")
        if self.num_seeds < 1 or self.features < 1:
            raise InputError("num_seeds and features must be at least 1")


@dataclass(frozen=True)
class TrainedRouter:
    """The runs of one learner over all seeds.

    Attributes:
      name: `ppo` or `ppo+stop`.
      static: with `allow_stop` as the name says.
      state: learner states, stacked over seeds [S, ...].
      features: what was fitted on the training split.
    """

    name: str
    static: PPOStatic
    state: PPOState
    features: FittedFeatures

    @property
    def chosen_seed(self) -> int:
        """Index of the seed with the best validation return."""
        return int(np.argmax(self.state.best_return))

    def params(self, seed: int) -> dict:
        """Best parameters of one seed."""
        return jax.tree.map(lambda leaf: leaf[seed], self.state.best_params)

    def end_probability(self, table: OutcomeTable, seed: int) -> Float[np.ndarray, "Q N"]:
        """Where the greedy policy of one seed ends on each query."""
        device = self.features.on_device(table)
        network = learner.build_network(device, self.static)
        logits = decision_logits(network, self.params(seed), device)
        policy = greedy(logits, decision_masks(device, self.static.allow_stop))
        return np.asarray(end_probability(policy, device.tree))

    def bundle(self, table: OutcomeTable, seed: int | None = None) -> PolicyBundle:
        """The policy of one seed (the chosen one by default), ready to leave the learning wing."""
        seed = self.chosen_seed if seed is None else seed
        weights = {name: np.asarray(leaf) for name, leaf in flatten_dict(self.params(seed)["params"], sep="/").items()}
        return PolicyBundle(
            pool=table.pool,
            horizon=table.tree.horizon,
            allow_stop=self.static.allow_stop,
            encoder=table.encoder,
            money_unit=table.money_unit,
            cost_normaliser=self.features.cost_normaliser,
            reduction=self.features.reduction,
            weights=weights,
            table_fingerprint=table.fingerprint,
            provenance={"learner": self.name, "seed": seed, "hierrouter_jax": __version__, "jax": jax.__version__},
        )


def train_routers(
    table: OutcomeTable, config: TrainConfig, progress: bool = True
) -> tuple[dict[str, TrainedRouter], pd.DataFrame]:
    """Train every learner of the configuration.

    Returns:
      Trained routers by name, and the metrics: a row per learner, seed and update.
    """
    features = fit_features(table.split("train"), config.features, config.seed)
    train, validation = features.on_device(table.split("train")), features.on_device(table.split("validation"))
    routers, metrics = {}, []
    for name in config.learners:
        static = replace(config.static, allow_stop=name.endswith("+stop"))
        state, rows = _train_seeds(name, train, validation, static, config, progress)
        routers[name] = TrainedRouter(name, static, state, features)
        metrics.append(rows)
    return routers, pd.concat(metrics, ignore_index=True)


def seed_keys(config: TrainConfig) -> jax.Array:
    """A key per seed [S]; the same key trains the same policy alone and in a batch of seeds."""
    return jax.vmap(jax.random.key)(config.seed + np.arange(config.num_seeds))


def _train_seeds(
    name: str, train: DeviceTable, validation: DeviceTable, static: PPOStatic, config: TrainConfig, progress: bool
) -> tuple[PPOState, pd.DataFrame]:
    """All seeds of a learner, block by block so that progress shows; `lax.map` is bit-equal to each seed alone."""

    @jax.jit
    def start(keys: jax.Array, train: DeviceTable) -> PPOState:
        return jax.lax.map(lambda key: learner.init(key, train, static, config.hyper), keys)

    @partial(jax.jit, donate_argnums=0)
    def advance(state: PPOState, train: DeviceTable, validation: DeviceTable) -> tuple[PPOState, learner.Metrics]:
        return jax.lax.map(lambda one: learner.advance(one, train, validation, static, config.hyper), state)

    state = start(seed_keys(config), train)
    rows = []
    for block in _bar(name, static.num_updates // static.evaluate_every, progress):
        state, metrics = advance(state, train, validation)
        rows.append(_rows(name, block, jax.device_get(metrics), static.num_envs * train.tree.horizon))
    return jax.device_get(replace(state, key=jax.random.key_data(state.key))), pd.concat(rows, ignore_index=True)


def _bar(name: str, blocks: int, progress: bool) -> Iterator[int]:
    with tqdm(total=blocks, desc=f"train {name}", unit="block", disable=not progress) as bar:
        for block in range(blocks):
            yield block
            bar.update()


def _rows(name: str, block: int, metrics: dict[str, np.ndarray], steps_per_update: int) -> pd.DataFrame:
    """A block's metrics as rows; validation stands in the row of the block's last update."""
    seeds, updates = metrics["train_return"].shape
    frame = {key: value.ravel() for key, value in metrics.items() if value.ndim == 2}
    update = np.tile(1 + block * updates + np.arange(updates), seeds)
    for key in ("validation_return", "validation_accuracy"):
        column = np.full((seeds, updates), np.nan, dtype=np.float32)
        column[:, -1] = metrics[key]
        frame[key] = column.ravel()
    seed = np.repeat(np.arange(seeds), updates)
    steps = update * steps_per_update
    return pd.DataFrame({"learner": name, "seed": seed, "update": update, "env_steps": steps} | frame)
