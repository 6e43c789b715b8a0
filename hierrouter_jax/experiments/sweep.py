"""Many policies at once: every combination of shapes, numbers and seeds, trained and exactly evaluated."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import get_args

import numpy as np
from tqdm import tqdm

from hierrouter_jax.agents.layout import replicated
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.features import FittedFeatures
from hierrouter_jax.experiments.hypers import stack
from hierrouter_jax.experiments.layouts import SweepLayout, chosen_layout, chunk_size
from hierrouter_jax.experiments.members import Chunk, Plan, Splits, Trained, chunks, run_chunk
from hierrouter_jax.experiments.sweep_folder import Finished, begin, describe, write_result
from hierrouter_jax.experiments.sweep_result import SweepResult, frame_of
from hierrouter_jax.experiments.sweep_source import Source, Tables
from hierrouter_jax.experiments.workers import Workers, cores, refuse_unguarded

Results = Iterator[tuple[Chunk, Trained]]
LAYOUTS = get_args(SweepLayout)


def sweep(
    table: Tables,
    static: LearnerStatic | Sequence[LearnerStatic] = LearnerStatic(),  # noqa: B008 (frozen)
    hypers: LearnerHyper | Sequence[LearnerHyper] = LearnerHyper(),  # noqa: B008 (frozen)
    seeds: int | Sequence[int] = 1,
    *,
    features: int | FittedFeatures = 96,
    split: str = "test",
    layout: SweepLayout | None = None,
    chunk: int | None = None,
    out: Path | str | None = None,
    progress: bool = True,
) -> SweepResult:
    """Train and exactly evaluate every combination of shapes, numbers and seeds.

    Members of one `static` share a compiled program, whatever their numbers; they run in chunks of a fixed size, so
    that a sweep of another size compiles nothing new and one larger than memory fits. The members' results do not
    depend on their company: under `map` and `processes` each is bit-equal to itself alone, under the others but for
    rounding.

    Args:
      table: the outcome table or its folder; or training, validation and test tables that are on the device already.
      static: one or several; each is compiled once.
      hypers: several, or one whose leaves may be arrays [H], such as `grid`, `random` and `sobol` draw.
      seeds: their number, or which.
      features: principal components of the context embedding that the network sees, or what was fitted before.
      split: of an outcome table, that the members are evaluated on.
      layout: how members are laid over the hardware; by default the simplest about as fast as the fastest, by a
        short measurement.
      chunk: members trained together; by default one for each core or device, or a number that vmap gains from.
      out: folder that keeps finished members, so that the same sweep run again goes on, and at the end the frame.
      progress: whether to show it.

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
    source = Source.of(table, features, split)
    source.check(plan)
    finished = Finished()
    if folder:
        where = None if source.path is None else str(source.path)
        finished = begin(folder, describe(plan, source.identity), {"table_path": where})
    fitted = source.fit(folder)
    wanting = [member for member in range(len(plan)) if member not in finished]
    started = time.perf_counter()
    if wanting:
        splits = source.splits(fitted)
        with _laid(layout, splits, plan, len(wanting), chunk, progress) as (layout, workers):
            parts = chunks(plan, wanting, lambda members: chunk or chunk_size(layout, members))
            results = workers.run(parts) if workers else _in_process(parts, splits, layout)
            _gather(results, len(plan), finished, progress)
    frame = frame_of(plan, finished, fitted)
    if folder:
        write_result(folder, frame, len(wanting), time.perf_counter() - started, layout)
    return SweepResult(frame, plan, finished, split, layout, fitted, source.table)


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
def _laid(
    layout: SweepLayout | None, splits: Splits, plan: Plan, members: int, chunk: int | None, say: bool
) -> Iterator[tuple[SweepLayout, Workers | None]]:
    """The layout, and workers where they are it."""
    if layout is None:
        with chosen_layout(splits, plan, members, chunk, say) as chosen:
            yield chosen
    else:
        with Workers(splits, cores()[:members]) if layout == "processes" else nullcontext() as workers:
            yield layout, workers


def _in_process(parts: Iterable[Chunk], splits: Splits, layout: SweepLayout) -> Results:
    assert layout != "processes"
    here = replicated(splits) if layout.startswith("devices") else splits
    for part in parts:
        yield part, run_chunk(part, here, layout)


def _gather(results: Results, members: int, finished: Finished, progress: bool) -> None:
    """Keep every chunk as soon as it is done."""
    best = np.fmax.reduce(finished.scores().get("best_return", np.zeros(0)), initial=-np.inf)
    with tqdm(total=members, initial=len(finished), desc="sweep", unit="member", disable=not progress) as bar:
        for part, trained in results:
            finished.add(part.members, trained)
            best = np.fmax(best, np.fmax.reduce(trained.scores["best_return"]))
            bar.set_postfix_str(f"best validation return {best:.4f}", refresh=False)
            bar.update(len(part.members))
