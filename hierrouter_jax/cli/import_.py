"""The verb `import`: outcomes that others published, as a table."""

import json as jsonlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hierrouter_jax.domains import NATURAL, NONNEGATIVE, REAL, SEED, SIMILARITY, Domains, check_domains

if TYPE_CHECKING:
    from hierrouter_jax.outcomes.importers.build import QueryEncoder
    from hierrouter_jax.outcomes.importers.tokens import TokenCounter
    from hierrouter_jax.outcomes.table import OutcomeTable

REJECTED = "rejected.jsonl"


@dataclass(frozen=True)
class ImportConfig:
    """Outcomes that others recorded, and how they become a table.

    Attributes:
      format: format of the outcomes: long, llmrouter, llmrouterbench, opencompass, routellm or routerbench.
      path: file or folder of the outcomes.
      out: folder of the table, which is written.
      columns: names that the file has for those of the long format, as in '{score: correct}'.
      prices: YAML or JSON file of every model's price, or a preset; by default what the format brings.
      tokenizer: what counts tokens that are not given: a hub id, a folder, a tokenizer.json, or words, which counts
        words and punctuation marks.
      tokens_out: tokens that a response is taken to have, where there is neither a response nor its count; by default
        cost is then of tokens read alone.
      score_range: worst and best score where they are not 0 and 1: '[0, 100]', or by column '{large: [0, 10]}'; scores
        beyond it are left out.
      encoder: kind and settings of the query encoder.
      shares: weights of train, validation and test, where the source gives no splits; counts will do.
      seed: seed of the splits that are drawn.
      leaks: side that loses a duplicate group that lies in two given splits: train (as in decontamination), test, or
        neither (keep).
      similarity: Jaccard similarity of 5-grams from which two queries are near-duplicates.
      resplit: draw splits anew, though the source gives some.
      public_test: say that the queries come from public test files, so that splits are for development only.
    """

    DOMAINS: ClassVar[Domains] = {
        "tokens_out": NATURAL,
        "score_range": REAL,
        "shares": NONNEGATIVE,
        "seed": SEED,
        "similarity": SIMILARITY,
    }

    format: str
    path: Path
    out: Path = Path("tables/imported")
    columns: dict[str, str] | None = None
    prices: str | None = None
    tokenizer: str | None = None
    tokens_out: int | None = None
    score_range: dict[str, list[float]] | list[float] | None = None
    encoder: dict[str, Any] = field(default_factory=lambda: {"kind": "ngrams"})
    shares: dict[str, float] | None = None
    seed: int = 0
    leaks: Literal["train", "test", "keep"] = "train"
    similarity: float = 0.8
    resplit: bool = False
    public_test: bool = False

    def __post_init__(self) -> None:
        check_domains(self)

    @property
    def written(self) -> Path:
        return self.out


def import_(config: ImportConfig, json: bool = False) -> None:
    """Read outcomes that others recorded into a one-hop outcome table, and report leaks and oddities.

    No model is called and no pickle is read. Rows that cannot be read are listed in OUT/rejected.jsonl.
    """
    from hierrouter_jax.cli.provenance import import_notes

    table, out = import_outcomes(config), config.out
    if json:
        print(jsonlib.dumps({"table": str(out), "fingerprint": table.fingerprint, **table.settings}))
        return
    print(f"{out}: {table.num_queries:,} queries x {len(table.pool)} models from {config.format} {config.path}")
    for note in import_notes(table.settings["import"]):
        print(note)


def import_outcomes(config: ImportConfig) -> "OutcomeTable":
    """Read outcomes that others recorded into a one-hop table, and write it; rows that cannot be read beside it.

    Raises:
      InputError: naming the file, row and field that is wrong, or the option.
    """
    from hierrouter_jax.config import config_path
    from hierrouter_jax.files import write_text
    from hierrouter_jax.outcomes.importers import ImportOptions, build_table, read_format
    from hierrouter_jax.outcomes.importers.prices import read_prices
    from hierrouter_jax.outcomes.store import save_table

    options = ImportOptions(
        seed=config.seed,
        leaks=config.leaks,
        similarity=config.similarity,
        tokens_out=config.tokens_out,
        resplit=config.resplit,
        public_test=config.public_test,
        **({} if config.shares is None else {"shares": config.shares}),
    )
    prices, unit = (None, None) if config.prices is None else read_prices(config_path(config.prices))
    counter, encoder = _counter(config.tokenizer), _encoder(config.encoder)
    records = read_format(config.format, config.path, config.columns, config.score_range)
    origin = {
        "format": config.format,
        "path": str(config.path),
        "columns": config.columns or {},
        "prices": config.prices,
        "score_range": config.score_range,
    }
    table = build_table(records, encoder, counter, prices, unit, options, origin)
    save_table(table, config.out)
    rejected = config.out / REJECTED
    rejected.unlink(missing_ok=True)
    if records.rejected:
        write_text(rejected, "".join(jsonlib.dumps(asdict(row)) + "\n" for row in records.rejected))
    return table


def _counter(source: str | None) -> "TokenCounter | None":
    from hierrouter_jax.outcomes.importers.tokens import WordCounter

    if source is None or source == WordCounter.name:
        return None if source is None else WordCounter()
    from hierrouter_jax.bridge.tokenizers import TokenizerCounter  # needs the live wing's libraries

    return TokenizerCounter(source)


def _encoder(spec: dict[str, Any]) -> "QueryEncoder":
    """The default encoder needs no live wing; all others do."""
    from hierrouter_jax.errors import InputError
    from hierrouter_jax.outcomes.ngrams import NGramEncoder

    if spec.get("kind") == "ngrams":
        try:
            return NGramEncoder(**{name: value for name, value in spec.items() if name != "kind"})
        except (TypeError, ValueError) as error:
            raise InputError(f"encoder of kind ngrams: {error}") from None
    from hierrouter_jax.bridge.encoders import build_encoder

    return build_encoder(spec)
