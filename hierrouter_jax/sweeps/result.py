"""What a sweep found: a frame with a row a member, and every member's best policy."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from hierrouter_jax.agents.types import LearnerState, LearnerStatic
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.claims import refuse_other_table
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.shipped import is_table
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.sweeps import folder as sweep_folder
from hierrouter_jax.sweeps.folder import Finished
from hierrouter_jax.sweeps.members import Plan
from hierrouter_jax.training.features import FEATURES, FittedFeatures, load_features
from hierrouter_jax.training.router import DIVERGED, TrainedRouter
from hierrouter_jax.training.settings import SET_BY_NAME, learner_name, numbers


@dataclass(frozen=True)
class SweepResult:
    """A sweep's members, those that are finished.

    Attributes:
      frame: a row a member: `member`, `group` (position of its shapes), `learner`, the fields in which shapes
        differ, `seed`, every number of the learner by its dotted name; `best_return`, `best_accuracy`, `best_cost` and
        `best_update`, the validation's, of the kept policy; `train_return`, the last updates' mean; `accuracy`,
        `cost` and `return` of the kept policy on `split`, exact and greedy; `diverged`, whether no update had finite
        parameters. Costs are in the table's money unit (over the normaliser, where device tables were given), without
        the router's own; `return` is accuracy minus the cost weight times the normalised cost.
      plan: combination of shapes, numbers and seed that each member is.
      finished: scores, curves and parameters of the finished members.
      split: split of the table that `accuracy`, `cost` and `return` are of.
      layout: layout that the members ran under; None where none had to be trained.
      features: what was fitted on the training split; None where device tables were given.
      table: the outcome table, where it is at hand.
    """

    frame: pd.DataFrame
    plan: Plan
    finished: Finished
    split: str
    layout: str | None = None
    features: FittedFeatures | None = None
    table: OutcomeTable | None = None

    @property
    def best_member(self) -> int:
        """The member with the best validation return, which compares members of one reward only.

        Raises:
          InputError: if none is finished.
        """
        if self.frame.empty:
            raise InputError("no member of the sweep is finished; run it again, and it goes on")
        if not np.isfinite(self.frame["best_return"]).any():
            raise InputError(f"every member of the sweep: {DIVERGED}")
        ranked = self.frame.sort_values("best_return", ascending=False, na_position="last", kind="stable")
        return int(ranked["member"].iloc[0])

    @property
    def best_params(self) -> list[Any]:
        """The best parameters of all members, stacked group by group."""
        members = self.frame["member"].to_numpy()
        groups = [members[self.plan.group(members) == group] for group in range(len(self.plan.statics))]
        return [jax.tree.map(lambda *leaves: np.stack(leaves), *map(self.params, group)) for group in groups]

    def params(self, member: int) -> Any:
        """The best parameters of a member.

        Raises:
          InputError: if there is no such member, or it is not finished.
        """
        self._check(member)
        return self.finished.params(member)

    def curves(self, member: int) -> dict[str, np.ndarray]:
        """`validation_return`, `validation_accuracy`, `validation_cost` [B] after each block of updates; `ends` [Q].

        `ends` is the node at which the greedy policy answers each query of the evaluated split.

        Raises:
          InputError: if there is no such member, or it is not finished.
        """
        self._check(member)
        return self.finished.curves(member)

    def router(self, member: int) -> TrainedRouter:
        """A member as a trained router of one seed.

        Raises:
          InputError: if there is no such member, or the sweep was given device tables.
        """
        if self.features is None:
            raise InputError("the sweep was given device tables; it can make a router only of an outcome table's")
        params = jax.tree.map(lambda leaf: np.asarray(leaf)[None], self.params(member))
        row = self.frame.set_index("member").loc[member]
        best_update = np.array([row["best_update"]], np.int32)
        state = LearnerState(
            params=params,
            optimizer=(),  # it cannot go on learning
            key=jax.random.key(int(row["seed"]))[None],
            update=jnp.asarray(best_update),
            best_params=params,
            best_return=jnp.asarray([row["best_return"]], jnp.float32),
            best_update=jnp.asarray(best_update),
            cost_weight=jnp.zeros(1),
        )
        hyper = jax.tree.map(float, self.plan.hyper(member))
        static = self.plan.statics[self.plan.group(member)]
        seeds = (int(self.plan.seed(member)),)
        return TrainedRouter(learner_name(static), static, hyper, state, self.features, seeds)

    def bundle(self, member: int) -> PolicyBundle:
        """A member's policy, ready to leave the learning wing.

        Raises:
          InputError: if there is no such member, or the outcome table is not at hand.
        """
        router = self.router(member)
        if self.table is None:
            raise InputError("a policy is exported with its outcome table's pool; load the sweep with that table")
        bundle = router.bundle(self.table, 0)
        return replace(bundle, provenance=bundle.provenance | {"member": member})

    def _check(self, member: int) -> None:
        if member not in self.finished:
            whole = len(self.finished) == len(self.plan)
            members = f"0..{len(self.plan) - 1}" if whole else self.frame.member.tolist()
            raise InputError(f"member is {member}, but the sweep's finished members are {members}")


def varied_shapes(statics: Sequence[LearnerStatic]) -> list[str]:
    """Fields in which shapes differ, beside what the learner's name says."""
    names = [field.name for field in fields(LearnerStatic) if field.name not in SET_BY_NAME]
    return [name for name in names if len({getattr(static, name) for static in statics}) > 1]


def shape_columns(statics: Sequence[LearnerStatic], names: Sequence[str]) -> dict[str, list[Any]]:
    """Those fields of every row's shapes, lists as text."""
    columns = {name: [getattr(static, name) for static in statics] for name in names}
    return {
        name: [str(list(value)) if isinstance(value, tuple) else value for value in column]
        for name, column in columns.items()
    }


def frame_of(plan: Plan, finished: Finished, features: FittedFeatures | None) -> pd.DataFrame:
    """A row a finished member, in their order."""
    scores = finished.scores()
    members = scores.pop("member")
    groups = plan.group(members)
    frame = {
        "member": members,
        "group": groups,
        "learner": [learner_name(plan.statics[group]) for group in groups],
        **shape_columns([plan.statics[group] for group in groups], varied_shapes(plan.statics)),
        "seed": plan.seed(members),
        **numbers(plan.hyper(members)),
        **scores,
    }
    if "best_return" in scores:
        frame["diverged"] = ~np.isfinite(scores["best_return"])
    for name in ("cost", "best_cost"):
        if features is not None and name in frame:
            frame[name] = frame[name] * np.float32(features.cost_normaliser)
    return pd.DataFrame(frame)


def load_sweep(folder: Path | str, table: OutcomeTable | None = None) -> SweepResult:
    """Read a sweep's folder, finished or not.

    Args:
      table: the outcome table, for exporting members; by default the one where the sweep found it, if it said.

    Raises:
      InputError: if it holds no sweep, or the table is another one.
    """
    folder = Path(folder)
    header = sweep_folder.read_header(folder)
    recorded = header["table_path"]
    if table is None and recorded and is_table(recorded):
        table = load_table(recorded)
    if table is not None:
        refuse_other_table(folder, header["table"], table)
    plan = sweep_folder.planned(header, folder / sweep_folder.HEADER)
    finished = Finished(folder / sweep_folder.CHUNKS)
    features = load_features(folder / FEATURES) if (folder / FEATURES).is_file() else None
    layout = header.get("last_run", {}).get("layout")
    return SweepResult(frame_of(plan, finished, features), plan, finished, header["split"], layout, features, table)
