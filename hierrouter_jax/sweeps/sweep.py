"""Many policies at once: every combination of shapes, numbers and seeds, trained and exactly evaluated."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import jax
import numpy as np
from tqdm import tqdm

from hierrouter_jax.agents.layout import replicated
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.claims import table_identity
from hierrouter_jax.envs.types import DeviceTable, single_precision
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import sole_writer
from hierrouter_jax.learner_config import SweepLayout
from hierrouter_jax.outcomes.shipped import lasting
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import SPLITS, OutcomeTable
from hierrouter_jax.sweeps.draws import stack
from hierrouter_jax.sweeps.folder import Finished, begin, describe, keep_layout, kept_layout, write_result
from hierrouter_jax.sweeps.layouts import chosen_layout, chunk_size, warn_of_vmap
from hierrouter_jax.sweeps.members import Chunk, Plan, Scores, Splits, Trained, chunks, run_chunk
from hierrouter_jax.sweeps.result import SweepResult, frame_of
from hierrouter_jax.sweeps.workers import Workers, cores, refuse_unguarded
from hierrouter_jax.training.checks import check_reward, check_trainable
from hierrouter_jax.training.features import FEATURES, FittedFeatures, fit_features, fitted_once

Results = Iterator[tuple[Chunk, Trained]]
# Called with the plan, finished members [n] and their scores: once with what was finished before, then as they finish.
Watcher = Callable[[Plan, np.ndarray, Scores], None]
LAYOUTS = get_args(SweepLayout)
Tables = OutcomeTable | Sequence[DeviceTable] | Path | str


@dataclass(frozen=True)
class Source:
    """A sweep's data.

    Attributes:
      split: split of the table that members are evaluated on.
      features: components to fit, or what was fitted before.
      table: the outcome table, or else
      device: training, validation and test tables on the device.
      path: path of the outcome table's folder, where it is known.
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
            trees = [(part.tree.num_models, part.tree.horizon, *part.tie_order) for part in self.device]
            return {"table": {"fingerprint": None, "sha256": _digest(trees, self.device)}, "split": self.split}
        features = self.features
        if isinstance(features, FittedFeatures):
            ties = {"tie_order": list(features.tie_order)} if features.tie_order else {}
            features = {"sha256": _digest(features.cost_normaliser, asdict(features.reduction))} | ties
        return {"table": table_identity(self._outcomes), "features": features, "split": self.split}

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

        def fit() -> FittedFeatures:
            size = self.features
            return size if isinstance(size, FittedFeatures) else fit_features(self._outcomes.split("train"), size)

        return fitted_once(folder / FEATURES, fit) if folder else fit()

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


@single_precision
def train_many(
    table: Tables | Source,
    static: LearnerStatic | Sequence[LearnerStatic] = LearnerStatic(),
    hypers: LearnerHyper | Sequence[LearnerHyper] = LearnerHyper(),
    seeds: int | Sequence[int] = 1,
    *,
    features: int | FittedFeatures = 96,
    split: str = "test",
    layout: SweepLayout | None = None,
    chunk: int | None = None,
    out: Path | str | None = None,
    progress: bool | Watcher = True,
) -> SweepResult:
    """Train and exactly evaluate every combination of shapes, numbers and seeds.

    Members of one `static` share a compiled program, whatever their numbers; they run in chunks of a fixed size, so
    that a sweep of another size compiles nothing new and one larger than memory fits. The members' results do not
    depend on their company: under `map` and `processes` each is bit-equal to itself alone, under the others but for
    rounding.

    Args:
      table: the outcome table or its folder; or training, validation and test tables that are on the device already;
        or a source made of any of them, which says itself what its features and split are.
      static: one or several; each is compiled once.
      hypers: several, or one whose leaves may be arrays [H], such as `grid`, `random` and `sobol` draw.
      seeds: their number, or which.
      features: principal components of the context embedding that the network sees, or what was fitted before.
      split: split of an outcome table that the members are evaluated on.
      layout: how members are laid over the hardware; by default the simplest about as fast as the fastest, by a
        short measurement, or what the same sweep ran under before it was cut off, so that it ends the same.
      chunk: members trained together; by default one for each core or device, or a number that vmap gains from.
      out: folder that keeps finished members, so that the same sweep run again goes on, and at the end the frame.
      progress: whether to show it, or what is to be called as members finish.

    Raises:
      InputError: if an argument is wrong, or the folder holds another sweep.
      WorkerError: if a worker process died.
    """
    refuse_unguarded()
    plan = _plan(static, hypers, seeds)
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout is {layout!r}, but must be one of {', '.join(LAYOUTS)}")
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk is {chunk}, but must be at least 1")
    folder = None if out is None else Path(out)
    source = table if isinstance(table, Source) else Source.of(table, features, split)
    source.check(plan)
    with sole_writer(folder) if folder else nullcontext():
        return _sweep(source, plan, layout, chunk, folder, progress)


def _sweep(
    source: Source,
    plan: Plan,
    layout: SweepLayout | None,
    chunk: int | None,
    folder: Path | None,
    progress: bool | Watcher,
) -> SweepResult:
    finished = Finished()
    if folder:
        where = None if source.path is None else str(source.path)
        finished = begin(folder, describe(plan, source.identity), {"table_path": where})
    fitted = source.fit(folder)
    remaining = [member for member in range(len(plan)) if member not in finished]
    started = time.perf_counter()
    with _watching(progress, len(plan), len(finished)) as watch:
        scores = finished.scores()
        watch(plan, scores.pop("member"), scores)
        if remaining:
            splits = source.splits(fitted)
            layout = layout or (kept_layout(folder) if folder else None)
            with _layout(layout, splits, plan, len(remaining), chunk, bool(progress)) as (layout, workers):
                if folder:
                    keep_layout(folder, layout)
                parts = chunks(plan, remaining, lambda members: chunk or chunk_size(layout, members))
                for part, trained in workers.run(parts) if workers else _in_process(parts, splits, layout):
                    finished.add(part.members, trained)
                    watch(plan, part.members, trained.scores)
    frame = frame_of(plan, finished, fitted)
    if folder:
        write_result(folder, frame, len(remaining), time.perf_counter() - started, layout)
    return SweepResult(frame, plan, finished, source.split, layout, fitted, source.table)


def _plan(
    static: LearnerStatic | Sequence[LearnerStatic],
    hypers: LearnerHyper | Sequence[LearnerHyper],
    seeds: int | Sequence[int],
) -> Plan:
    statics = (static,) if isinstance(static, LearnerStatic) else tuple(static)
    numbered = tuple(range(seeds)) if isinstance(seeds, int) else tuple(map(int, seeds))
    for name, several in (("static", statics), ("seeds", numbered)):
        if not several or len(set(several)) != len(several):
            raise InputError(f"{name} must be one or more different ones, not {list(several)}")
    if min(numbered) < 0 or max(numbered) >= 2**31:
        raise InputError(f"seeds must be from 0 to 2**31 - 1, not {list(numbered)}")
    return Plan(statics, stack(hypers), numbered)


@contextmanager
def _layout(
    layout: SweepLayout | None, splits: Splits, plan: Plan, members: int, chunk: int | None, say: bool
) -> Iterator[tuple[SweepLayout, Workers | None]]:
    """The layout, and workers where they are it."""
    if layout is None:
        with chosen_layout(splits, plan, members, chunk, say) as chosen:
            yield chosen
    else:
        warn_of_vmap(layout)
        with Workers(splits, cores()[:members]) if layout == "processes" else nullcontext() as workers:
            yield layout, workers


def _in_process(parts: Iterable[Chunk], splits: Splits, layout: SweepLayout) -> Results:
    assert layout != "processes"
    here = replicated(splits) if layout.startswith("devices") else splits
    for part in parts:
        yield part, run_chunk(part, here, layout)


@contextmanager
def _watching(progress: bool | Watcher, members: int, done: int) -> Iterator[Watcher]:
    """Whoever was given, or else a bar."""
    if callable(progress):
        yield progress
        return
    best, shown = -np.inf, 0
    with tqdm(total=members, initial=done, desc="sweep", unit="member", disable=not progress) as bar:

        def watch(_: Plan, some: np.ndarray, scores: Scores) -> None:
            nonlocal best, shown
            shown += len(some)
            if len(some):
                best = np.fmax(best, np.fmax.reduce(scores["best_return"]))
                bar.set_postfix_str(f"best validation return {best:.4f}", refresh=False)
            bar.update(shown - bar.n)

        yield watch


def _digest(data: Any, arrays: Any) -> str:
    """SHA-256 of plain data and of a pytree of arrays."""
    digest = hashlib.sha256(repr(data).encode())
    for array in map(np.ascontiguousarray, jax.tree.leaves(arrays)):
        digest.update(repr((array.dtype.str, array.shape)).encode())
        digest.update(array.data)
    return digest.hexdigest()[:32]
