"""The steps of a learner on disk, each with a digest of its arrays, so that a damaged one is refused."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
from flax.serialization import to_state_dict
from flax.traverse_util import flatten_dict

from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.files import trouble_of_place
from hierrouter_jax.sums import arrays_sum

START_ANEW = "choose another folder, or --fresh to start anew"
_DIGEST = "sha256"  # of a step's other arrays
_PATIENCE = 10**9  # seconds, by the wall clock: one that is set on by days is no disk that hangs


class Steps:
    """The steps of one learner: the latest is kept, the best, and every multiple of `keep_every` (0: no other).

    Args:
      folder: path of the learner's folder, made if need be.
      keep_every: number of updates between two steps that stay for good; 0: none does.
      writes: whether steps are to be saved; what killed processes left half-written or half-removed goes then.
    """

    def __init__(self, folder: Path, keep_every: int, writes: bool = False) -> None:
        ocp = _orbax()
        self._policies = ocp.training.preservation_policies
        best = self._policies.BestN(
            get_metric_fn=lambda metrics: metrics["value"], n=1, keep_checkpoints_without_metrics=False
        )
        every = [self._policies.EveryNSteps(keep_every)] if keep_every else []
        self._policy = self._policies.AnyPreservationPolicy([self._policies.LatestN(1), best, *every])
        self._folder = folder
        patient = ocp.Context()
        patient.asynchronous.timeout_secs = _PATIENCE
        patient.asynchronous.create_directories_asynchronously = False  # their own patience is fixed
        with _refused(folder):
            self._checkpointer = ocp.training.Checkpointer(
                folder.absolute(), context=patient, preservation_policy=self._policy, cleanup_tmp_directories=writes
            )
        if writes:
            for step in {checkpoint.step for checkpoint in self._checkpointer.checkpoints} - set(self.on_disk()):
                self._checkpointer.delete(step)

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *_: object) -> None:
        with _placed(self._folder):
            self._checkpointer.close()

    def on_disk(self) -> list[int]:
        """Ascending. What a killed process was removing may still lie there in part: the policy says it is gone."""
        with _refused(self._folder):
            steps = self._checkpointer.checkpoints
            stays = self._policy.should_preserve(steps, context=self._policies.PreservationContext()) if steps else []
            return [checkpoint.step for checkpoint, stay in zip(steps, stays, strict=True) if stay]

    def load(self, step: int) -> Any:
        """The tree of a step, as numpy arrays; refused where they are not those that were saved."""
        path = self._folder / str(step)
        with _refused(path):
            tree = jax.device_get(self._checkpointer.load(step))
            digest = tree.pop(_DIGEST, None)  # steps of older versions have none
            if digest is not None and not np.array_equal(digest, arrays_sum(flat(tree))):
                raise InputError(f"{path}: is damaged: its arrays are not those that were saved; {START_ANEW}")
        return tree

    def save(self, step: int, tree: Any, value: float) -> None:
        """Begin to write a step, once the one before is on disk.

        Args:
          tree: dictionaries of numpy arrays that nobody changes any more.
          value: the larger, the better the step.
        """
        tree = {**tree, _DIGEST: arrays_sum(flat(tree))}
        with _placed(self._folder):
            self._checkpointer.save_async(step, tree, metrics={"value": value}, force=True)


@contextmanager
def _placed(path: Path) -> Iterator[None]:
    """Say of an error of the operating system where it was met, if it does not say so itself."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Say of whatever Orbax makes of a damaged checkpoint where it lies; a full disk stays an error of its own."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if trouble_of_place(error):
            raise
        raise InputError(f"{path}: is no checkpoint that can be read ({reason_of(error)}); {START_ANEW}") from error


@cache
def _orbax() -> ModuleType:
    from orbax.checkpoint import v1  # takes a while to import, and most commands do without

    logging.getLogger("absl").addFilter(_is_not_raised)
    logging.getLogger("asyncio").addFilter(_is_no_other_read)
    show = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: None if _comes_too_late(unraisable.exc_value) else show(unraisable)
    return v1


def _is_not_raised(record: logging.LogRecord) -> bool:
    """Whether to log: not what failed in a thread of Orbax, with its traceback, as it is raised here, too."""
    return not (record.exc_info and "orbax" in record.pathname)


def _is_no_other_read(record: logging.LogRecord) -> bool:
    """Whether to log: not that a read of TensorStore failed beside the one whose failure is raised here."""
    return not (record.exc_info and "tensorstore_spec" in str(record.exc_info[1]))


def _comes_too_late(error: BaseException | None) -> bool:
    """Whether it is a thread of TensorStore that cannot tell of a failed write, as another's failure was raised."""
    elsewhere = threading.current_thread() is not threading.main_thread()
    return elsewhere and isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


def flat(tree: Any) -> dict[str, Any]:
    return flatten_dict(to_state_dict(tree), sep="/")
