"""Pools as files."""

import json
from dataclasses import asdict
from pathlib import Path

import yaml

from hierrouter_jax.bridge.pool import PoolConfig


def written(pool: PoolConfig, path: Path) -> Path:
    """The pool as a YAML file."""
    path.write_text(yaml.safe_dump(json.loads(json.dumps(asdict(pool))), sort_keys=False))
    return path
