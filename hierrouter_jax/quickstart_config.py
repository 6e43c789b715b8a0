"""What a quickstart is set to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hierrouter_jax.domains import COUNT, NATURAL, SEED, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.training.settings import TrainConfig


@dataclass(frozen=True)
class QueryCounts:
    """Queries made for each split.

    Attributes:
      train: number of training queries.
      validation: number of validation queries.
      test: number of test queries.
    """

    DOMAINS: ClassVar[Domains] = {
        "train": Domain(8, whole=True),
        "validation": Domain(8, whole=True),
        "test": Domain(8, whole=True),
    }

    train: int = 1200
    validation: int = 300
    test: int = 600

    def __post_init__(self) -> None:
        for name, count in vars(self).items():
            if count < 8:
                raise InputError(f"queries.{name} is {count}, but each of the eight tasks needs at least one query")
        check_domains(self)


@dataclass(frozen=True)
class QuickstartConfig:
    """The quickstart.

    Attributes:
      out: run folder, which is written.
      table: folder of an outcome table to use instead of collecting one.
      seed: seed of the queries and of training.
      pool: preset or YAML file of the pool.
      queries: number of queries made for each split.
      horizon: largest number of hops, L.
      encoder: kind and settings of the context encoder.
      batch_size: number of calls generated at once.
      transcripts: number of live transcripts kept for the report.
      train: settings of the routers' training; its seed is the quickstart's.
      track: tensorboard, wandb or mlflow, or several with commas between them; metrics.parquet is written anyway.
    """

    DOMAINS: ClassVar[Domains] = {
        "seed": SEED,
        "horizon": COUNT,
        "batch_size": COUNT,
        "transcripts": NATURAL,
    }

    out: Path = Path("runs/quickstart")
    table: Path | None = None
    seed: int = 0
    pool: str = "pool/tiny.yaml"
    queries: QueryCounts = field(default_factory=QueryCounts)
    horizon: int = 3
    encoder: dict[str, Any] = field(default_factory=lambda: {"kind": "ngrams"})
    batch_size: int = 512
    transcripts: int = 8
    train: TrainConfig = field(default_factory=TrainConfig)
    track: str = ""

    def __post_init__(self) -> None:
        check_domains(self)
