"""The header of an outcome table, `table.json`: its fields, checked before anything else of the folder is read."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hierrouter_jax.config import from_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.shipped import encoder_name

SCHEMA_VERSION = 1
MAX_PARTS = 99_999  # what the five digits of a part's name count


@dataclass(frozen=True)
class EncoderOfTable:
    """An encoder whose embeddings a table holds.

    Attributes:
      encoder: description from which it is built again.
      settings: settings of the table that are this encoder's alone.
    """

    encoder: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TableHeader:
    """The fields of `table.json` that a reader uses; others, of a later version, are left alone.

    Attributes:
      pool: the models in action order.
      horizon: largest number of hops.
      money_unit: unit of the pool's prices.
      settings: generation settings and provenance, carried along as they are.
      details: names of the columns of nodes beyond those that every table has.
      fingerprint: fingerprint of the outcomes.
      encoder: description of the encoder; empty where `encoders` says it.
      encoders: encoders of a shipped table by name; empty where there is the one above.
      parts: number of files in `nodes`.

    Raises:
      InputError: naming the field that is out of its domain.
    """

    pool: tuple[PricedModel, ...]
    horizon: int
    money_unit: str
    settings: dict[str, Any]
    details: list[str]
    fingerprint: str
    encoder: dict[str, Any] = field(default_factory=dict)
    encoders: dict[str, EncoderOfTable] = field(default_factory=dict)
    parts: int = 1

    def __post_init__(self) -> None:
        if not self.encoder and not self.encoders:
            raise InputError("encoder is missing")
        if not 1 <= self.parts <= MAX_PARTS:
            raise InputError(f"parts is {self.parts}, but must be 1 to {MAX_PARTS:,}")
        try:
            _ = self.tree  # it refuses what is none
        except ValueError as error:
            raise InputError(f"pool and horizon: {error}") from None

    @property
    def tree(self) -> HopTree:
        """The tree of the pool's routes."""
        return HopTree(len(self.pool), self.horizon)

    @property
    def sets(self) -> dict[str, EncoderOfTable]:
        """The encoders by name, also where there is one."""
        return self.encoders or {encoder_name(self.encoder): EncoderOfTable(self.encoder)}


def parse_header(data: dict[str, Any], path: Path) -> TableHeader:
    """The checked fields of a header.

    Args:
      data: content of `table.json`.
      path: path of it, for messages.

    Raises:
      InputError: naming the file and the field that is missing, mistyped or out of its domain.
    """
    known = {its.name for its in fields(TableHeader)}
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise InputError(f"{path}: schema_version is {version!r}, but this version reads {SCHEMA_VERSION}")
    return from_dict(TableHeader, {name: value for name, value in data.items() if name in known}, path)
