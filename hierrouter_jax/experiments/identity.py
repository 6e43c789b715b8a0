"""What a run was trained with, so that it goes on only with the same."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from hierrouter_jax._version import __version__
from hierrouter_jax.config import to_dict
from hierrouter_jax.experiments.routers import static_of
from hierrouter_jax.experiments.train import TrainConfig
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.table import SPLITS, OutcomeTable
from hierrouter_jax.plugins import digests

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
