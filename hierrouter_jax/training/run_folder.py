"""The run folder: where a run's configuration, metrics, evaluation and policy lie, and who made them."""

import os
import platform
import resource
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hierrouter_jax._version import __version__
from hierrouter_jax.claims import SOURCES, table_identity
from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, replacing, write_json, write_text
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.plugins import digests
from hierrouter_jax.sums import begin_sums
from hierrouter_jax.training.settings import TrainConfig

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = "identity.json"


def training_identity(table: OutcomeTable, config: TrainConfig) -> dict[str, Any]:
    """Everything that the course of training depends on, as JSON holds it."""
    algorithms = [config.of(name).static.algorithm for name in config.learners]
    return {
        "version": __version__,
        "train": to_dict(config),
        SOURCES: digests(config.static.network, *algorithms, *config.hyper.reward.custom),
        "table": table_identity(table),
    }


def training_record(checkpoints: Path) -> dict[str, Any] | None:
    """What a folder's checkpoints are of, empty where no record says so; None before the first checkpoint of any run.

    Raises:
      InputError: if the record cannot be read.
    """
    if not any(checkpoints.glob("*/*")):
        return None
    return read_json(checkpoints / IDENTITY) if (checkpoints / IDENTITY).is_file() else {}


class RunFolder:
    """Paths and writers of `runs/<name>/`, and the seconds that each stage took."""

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: is a file, but a run needs a folder")
        self.path = path
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time inside to the stage's seconds."""
        started = time.perf_counter()
        yield
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - started, 2)

    def write_config(self, config: dict[str, Any]) -> None:
        begin_sums(self.path)
        write_text(self.path / "config.yaml", yaml.safe_dump(config, sort_keys=False))

    def write_metrics(self, metrics: "pd.DataFrame") -> None:
        with replacing(self.path / "metrics.parquet") as temporary:
            metrics.to_parquet(temporary, index=False)

    def write_json(self, name: str, value: Any) -> None:
        write_json(self.path / name, value)

    def write_run(self, seed: int, **more: Any) -> None:
        """`run.json`: what was run, with what, on what, and how long it took."""
        self.write_json(
            "run.json",
            {
                "command": shlex.join(["hierrouter", *sys.argv[1:]]),
                "version": __version__,
                "seed": seed,
                "seconds": self.seconds,
                "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "machine": machine(),
                **more,
            },
        )


def machine() -> dict[str, Any]:
    """Processor, cores and the device that JAX computes on."""
    import jax

    return {"cpu": _processor(), "cores": os.cpu_count(), "device": jax.devices()[0].device_kind}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
