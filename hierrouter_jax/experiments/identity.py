"""What a run was trained with, so that it goes on only with the same."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from hierrouter_jax._version import __version__
from hierrouter_jax.config import to_dict
from hierrouter_jax.experiments.train import TrainConfig
from hierrouter_jax.outcomes.table import SPLITS, OutcomeTable


def identity(table: OutcomeTable, config: TrainConfig) -> dict[str, Any]:
    """Everything that the course of training depends on, as JSON holds it."""
    splits = [query.split for query in table.queries]
    embedding = np.ascontiguousarray(table.context_embedding)
    found = {
        "version": __version__,
        "train": to_dict(config),
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


def first_difference(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    """The first field in which two identities differ, with both values; None if there is none."""
    there, here = flatten_dict(there, sep="."), flatten_dict(here, sep=".")
    for name in [*here, *(name for name in there if name not in here)]:
        theirs, ours = there.get(name, "absent"), here.get(name, "absent")
        if theirs != ours:
            return f"{name} is {theirs} there, but {ours} here"
    return None
