"""One learner's checkpoints on disk, by step: written whole in the background, removed when they need not be kept."""

from pathlib import Path
from types import ModuleType
from typing import Any

import jax


class Steps:
    """The steps of one learner: the latest is kept, the best, and every multiple of `keep_every` (0: no other).

    Args:
      folder: made if need be.
      keep_every: steps.
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
        self._checkpointer = ocp.training.Checkpointer(
            folder.absolute(), preservation_policy=self._policy, cleanup_tmp_directories=writes
        )
        if writes:
            for step in {checkpoint.step for checkpoint in self._checkpointer.checkpoints} - set(self.kept()):
                self._checkpointer.delete(step)

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *_: object) -> None:
        self._checkpointer.close()

    def kept(self) -> list[int]:
        """Ascending. What a killed process was removing may still lie there in part: the policy says it is gone."""
        found = self._checkpointer.checkpoints
        keep = self._policy.should_preserve(found, context=self._policies.PreservationContext()) if found else []
        return [checkpoint.step for checkpoint, wanted in zip(found, keep, strict=True) if wanted]

    def load(self, step: int) -> Any:
        """The tree of a step, as numpy arrays."""
        return jax.device_get(self._checkpointer.load(step))

    def save(self, step: int, tree: Any, value: float) -> None:
        """Begin to write a step, once the one before is on disk.

        Args:
          tree: dictionaries of numpy arrays that nobody changes any more.
          value: the larger, the better the step.
        """
        self._checkpointer.save_async(step, tree, metrics={"value": value}, force=True)


def _orbax() -> ModuleType:
    from orbax.checkpoint import v1  # takes a while to import, and most commands do without

    return v1
