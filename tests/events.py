"""TensorBoard's event files, read back with its own reader."""

from pathlib import Path

import pandas as pd


def event_values(folder: Path) -> list[tuple[str, int, float]]:
    """Every value of a folder's event files with its name and step, sorted."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    read = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return sorted(
        (name, event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
        for name in read.Tags()["tensors"]
        for event in read.Tensors(name)
    )


def metric_values(metrics: pd.DataFrame, learner: str, seed: int) -> list[tuple[str, int, float]]:
    """What `event_values` should find of one learner's seed: all that was measured."""
    own = metrics[(metrics.learner == learner) & (metrics.seed == seed)].drop(columns=["learner", "seed"])
    melted = own.melt("update").dropna()
    return sorted((str(name), int(step), float(value)) for step, name, value in melted.to_numpy())
