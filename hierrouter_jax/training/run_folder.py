"""The run folder: where a run's configuration, metrics, evaluation and policy lie, and who made them."""

import hashlib
import json
import os
import platform
import resource
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import yaml
from flax.traverse_util import flatten_dict

from hierrouter_jax._version import __version__
from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, replacing, write_json, write_text
from hierrouter_jax.outcomes.table import SPLITS, OutcomeTable
from hierrouter_jax.plugins import digests
from hierrouter_jax.training.settings import TrainConfig, static_of

FILE = "identity.json"
SOURCES = "sources"


def identity(table: OutcomeTable, config: TrainConfig) -> dict[str, Any]:
    """Everything that the course of training depends on, as JSON holds it."""
    splits = [query.split for query in table.queries]
    algorithms = [static_of(name, config.static).algorithm for name in config.learners]
    embedding = np.ascontiguousarray(table.context_embedding)
    found = {
        "version": __version__,
        "train": to_dict(config),
        SOURCES: digests(config.static.network, *algorithms, *config.hyper.reward.custom),
        "table": {
            "fingerprint": table.fingerprint,
            "money_unit": table.money_unit,
            "pool": {member.name: asdict(member) for member in table.pool},
            "splits": {split: splits.count(split) for split in SPLITS}
            | {"sha256": hashlib.sha256(" ".join(splits).encode()).hexdigest()[:32]},
            "encoder": table.encoder,
            "embedding": {"shape": embedding.shape, "sha256": hashlib.sha256(embedding.data).hexdigest()[:32]},
        },
    }
    return json.loads(json.dumps(found))


def begun(folder: Path) -> bool:
    """Whether the folder holds anything of a learner: before that, it may become any run's."""
    return any(folder.glob("*/*"))


def difference(folder: Path, table: OutcomeTable, config: TrainConfig) -> str | None:
    """The first field in which what a folder's checkpoints are of differs from this, with both values; None if none.

    Raises:
      InputError: if the record of what they are of cannot be read.
    """
    if not begun(folder):
        return None
    if not (folder / FILE).is_file():
        return f"{folder.name}/{FILE} is missing, which says what the checkpoints are of"
    there, here = (flatten_dict(it, sep=".") for it in (read_json(folder / FILE), identity(table, config)))
    for name in [*here, *(name for name in there if name not in here)]:
        theirs, ours = there.get(name, "absent"), here.get(name, "absent")
        if theirs != ours and name.startswith(f"{SOURCES}."):
            return f"the file of {name.removeprefix(f'{SOURCES}.')} is not what it was there"
        if theirs != ours:
            return f"{name} is {theirs} there, but {ours} here"
    return None


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
        write_text(self.path / "config.yaml", yaml.safe_dump(config, sort_keys=False))

    def write_metrics(self, metrics: pd.DataFrame) -> None:
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
    return {"cpu": _processor(), "cores": os.cpu_count(), "device": jax.devices()[0].device_kind}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
