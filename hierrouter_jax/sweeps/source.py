"""What a sweep trains on: an outcome table, whose features are fitted, or tables that are on the device already."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.shipped import lasting
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import SPLITS, OutcomeTable
from hierrouter_jax.sweeps.folder import load_features, save_features
from hierrouter_jax.sweeps.members import Plan, Splits
from hierrouter_jax.training.checks import check_reward, check_trainable
from hierrouter_jax.training.features import FittedFeatures, fit_features
from hierrouter_jax.training.run_folder import identity
from hierrouter_jax.training.settings import TrainConfig

Tables = OutcomeTable | Sequence[DeviceTable] | Path | str


@dataclass(frozen=True)
class Source:
    """A sweep's data.

    Attributes:
      split: evaluated on.
      features: components to fit, or what was fitted before.
      table: the outcome table, or else
      device: training, validation and test tables on the device.
      path: of the outcome table's folder, where it is known.
    """

    split: str
    features: int | FittedFeatures
    table: OutcomeTable | None = None
    device: Splits | None = None
    path: Path | None = None

    @classmethod
    def of(cls, table: Tables, features: int | FittedFeatures, split: str) -> "Source":
        """Whatever was given.

        Raises:
          InputError: if it is no table, or the split or number of features is wrong.
        """
        if split not in SPLITS:
            raise InputError(f"split is {split!r}, but must be one of {', '.join(SPLITS)}")
        if isinstance(features, int) and features < 1:
            raise InputError(f"features is {features}, but must be at least 1")
        if isinstance(table, Path | str):
            return cls(split, features, table=load_table(table), path=lasting(table))
        if isinstance(table, OutcomeTable):
            return cls(split, features, table=table)
        if len(table) != len(Splits._fields) or not all(isinstance(part, DeviceTable) for part in table):
            raise InputError("device tables are three: of the training, the validation and the test split")
        return cls(split, features, device=Splits(*table))

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this data from other data, as JSON holds it."""
        if self.device is not None:
            trees = [(part.tree.num_models, part.tree.horizon) for part in self.device]
            return {"table": {"fingerprint": None, "sha256": _digest(trees, self.device)}, "split": self.split}
        features = self.features
        if isinstance(features, FittedFeatures):
            features = {"sha256": _digest(features.cost_normaliser, asdict(features.reduction))}
        table = identity(self._outcomes, TrainConfig())["table"]
        return {"table": table, "features": features, "split": self.split}

    def check(self, plan: Plan) -> None:
        """Refuse conditions that cannot be drawn from the ranges, or held on this table, and rewards it cannot pay.

        Raises:
          InputError: naming the range, the model or the term.
        """
        if self.table is None:
            return
        check_reward(self.table, plan.hypers.reward)
        bounds = np.stack(jax.tree.leaves(plan.hypers.ranges), axis=1)
        for point in np.unique(bounds, axis=0, return_index=True)[1]:
            ranges = jax.tree.map(lambda leaf, point=point: float(leaf[point]), plan.hypers.ranges)
            for static in plan.statics:
                check_trainable(self.table, static, ranges)

    def fit(self, folder: Path | None) -> FittedFeatures | None:
        """What is fitted on the training split; what the folder keeps of it, where it does."""
        if self.device is not None:
            return None
        fitted = load_features(folder) if folder else None
        if fitted is None:
            given = self.features
            fitted = given if isinstance(given, FittedFeatures) else fit_features(self._outcomes.split("train"), given)
            if folder:
                save_features(folder, fitted)
        return fitted

    def splits(self, fitted: FittedFeatures | None) -> Splits:
        """The tables on the device."""
        if fitted is None:
            assert self.device is not None
            return self.device
        names = ("train", "validation", self.split)
        return Splits(*(fitted.on_device(self._outcomes.split(name)) for name in names))

    @property
    def _outcomes(self) -> OutcomeTable:
        assert self.table is not None
        return self.table


def _digest(data: Any, arrays: Any) -> str:
    """SHA-256 of plain data and of a pytree of arrays."""
    found = hashlib.sha256(repr(data).encode())
    for array in map(np.ascontiguousarray, jax.tree.leaves(arrays)):
        found.update(repr((array.dtype.str, array.shape)).encode())
        found.update(array.data)
    return found.hexdigest()[:32]
