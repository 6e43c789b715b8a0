"""Which layout a sweep runs under: measured on the table at hand, or told."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import BrokenBarrierError

import jax
from tqdm import tqdm

from hierrouter_jax.agents.layout import available_layouts
from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.learner_config import SweepLayout
from hierrouter_jax.sweeps.members import Plan, Splits, updates_per_second
from hierrouter_jax.sweeps.workers import WorkerError, Workers, cores

_WORTH_MEASURING = 10_000_000  # network rows, half a minute on a core; below, measuring takes longer than it saves
_FULL = 20.0  # updates/s of one run, below which it fills a CPU, so that vmapped runs only get into each other's way
_AS_FAST = 0.95  # of the fastest: short timings tell no more, and the earlier layouts start sooner
_ENOUGH_THREADS = 4  # of XLA's pool on a CPU, with which vmapped training was never seen to hang
_AT_ONCE = {"cpu": 8, "gpu": 64, "tpu": 64}  # members vmapped on a device


def chunk_size(layout: SweepLayout, members: int) -> int:
    """Members trained at once in a group of so many.

    One after the other where the layout runs them so, since padding would be trained too. Vmapped, up to the
    device's usual number, and for a small group the power of two above it, so that other sizes compile little anew.
    """
    devices = jax.local_device_count() if layout.startswith("devices") else 1
    if not layout.endswith("vmap"):
        return devices
    most = _AT_ONCE.get(jax.default_backend(), 8)
    return devices * min(most, 1 << (-(-members // devices) - 1).bit_length())


@contextmanager
def chosen_layout(
    splits: Splits, plan: Plan, members: int, chunk: int | None = None, say: bool = True
) -> Iterator[tuple[SweepLayout, Workers | None]]:
    """The simplest layout about as fast as the fastest, each timed on this table; and workers, if it is theirs.

    Timing takes seconds, most of them for compiling. One member alone is not timed, nor is a sweep that is over
    sooner than that, nor what cannot be faster.

    Args:
      splits: the tables; the training split is timed on.
      plan: plan of the sweep, whose first member is timed.
      members: number of members that are to be trained.
      chunk: members vmapped at once, if not the usual number.
      say: whether to print the choice, in one line.
    """
    static, hyper = plan.statics[0], plan.hyper(0)
    accelerated = jax.default_backend() != "cpu"
    if members == 1 or members * _rows(static, splits.train.tree) < _WORTH_MEASURING:
        yield "vmap" if accelerated and members > 1 else "map", None
        return
    rates: dict[SweepLayout, float] = {}
    for layout in available_layouts():
        if layout.endswith("vmap") and not accelerated and (rates["map"] < _FULL or vmap_may_hang()):
            continue
        runs = min(chunk or chunk_size(layout, members), members)
        rates[layout] = updates_per_second(static, hyper, splits.train, layout, runs)
    with ExitStack() as stack:
        workers = None
        if not accelerated and len(cores()) > 1:
            workers = stack.enter_context(Workers(splits, cores()[:members]))
            with suppress(WorkerError, BrokenBarrierError):  # they do not start here, or one hangs: others are left
                rates["processes"] = workers.rate(static, hyper)
        enough = _AS_FAST * max(rates.values())
        best: SweepLayout = next(layout for layout, rate in rates.items() if rate >= enough)
        if say:
            measured = ", ".join(f"{layout} {rate:.3g}" for layout, rate in rates.items())
            tqdm.write(f"layout {best} (updates/s of all members together: {measured})", file=sys.stderr)
        if workers and best != "processes":
            workers.end_at_once()
            stack.close()
        yield best, workers if best == "processes" else None


def vmap_may_hang() -> bool:
    """Whether vmapped runs may wait for ever here: XLA's pool on a CPU, with as many threads as cores, has too few.

    Parts of such a program wait, each on a thread of the pool, for others that need one. Seen with jaxlib 0.10.0 to
    0.10.2 on two cores, at the first call or a later one; NPROC, which XLA reads, makes the pool larger.
    """
    stated = os.environ.get("NPROC", "")
    threads = int(stated) if stated.isdecimal() else len(cores()) or os.cpu_count() or 1
    return jax.default_backend() == "cpu" and threads < _ENOUGH_THREADS


def warn_of_vmap(layout: SweepLayout) -> None:
    """Say on stderr that the layout that was asked for may hang here."""
    if layout.endswith("vmap") and vmap_may_hang():
        tqdm.write(
            f"warning: layout {layout} may hang on so few cores; set NPROC={_ENOUGH_THREADS} in the environment before "
            "the start, or take layout map, which is faster here",
            file=sys.stderr,
        )


def _rows(static: LearnerStatic, tree: HopTree) -> int:
    """Rows that go through the network in all of a run's epochs: PPO's are steps, the others' whole trees."""
    an_episode = tree.horizon if static.algorithm == "ppo" else tree.num_decision_nodes
    return static.num_updates * static.epochs * static.num_envs * an_episode
