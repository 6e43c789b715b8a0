"""The verb `import`: outcomes that others published, as a table; and logs of others, as a decision log."""

import json as jsonlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hierrouter_jax.domains import NONNEGATIVE, REAL, SEED, SIMILARITY, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError, nearest

if TYPE_CHECKING:
    from hierrouter_jax.outcomes.episodes import Episodes
    from hierrouter_jax.outcomes.importers.build import QueryEncoder
    from hierrouter_jax.outcomes.importers.costs import TokenCounter
    from hierrouter_jax.outcomes.table import OutcomeTable

LOGS = ("log", "dsjson", "open-bandit")  # formats of decisions, with the probabilities that they were drawn with
_OF_LOGS = ("format", "path", "out", "columns", "score_range", "encoder")  # options that they take
REJECTED = "rejected.jsonl"
_MOST = 8  # of one kind of line


@dataclass(frozen=True)
class ImportConfig:
    """Outcomes that others recorded, and how they become a table; or decisions, which become a decision log.

    Attributes:
      format: format of the outcomes: long, trajectories, llmrouter, llmrouterbench, opencompass, routellm or
        routerbench; or of decisions: log, dsjson (Vowpal Wabbit) or open-bandit.
      path: file or folder of the outcomes, or file of the decisions.
      out: folder of the table or the log, which is written; by default tables/imported or logs/imported.
      columns: names that the file has for those of long, trajectories or log, as in '{score: correct}'.
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
        "tokens_out": Domain(0, 2**31 - 1, whole=True),  # what a table's column holds
        "score_range": REAL,
        "shares": NONNEGATIVE,
        "seed": SEED,
        "similarity": SIMILARITY,
    }

    format: str
    path: Path
    out: Path | None = None
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
        for one in fields(self) if self.format in LOGS else ():
            if one.name not in _OF_LOGS and getattr(self, one.name) != one.default:
                raise InputError(f"--{one.name} is of outcomes that become a table, but {self.format} is a log")

    @property
    def written(self) -> Path:
        return self.out or Path("logs" if self.format in LOGS else "tables") / "imported"


def import_(config: ImportConfig, json: bool = False) -> None:
    """Read outcomes that others recorded into an outcome table, and report leaks and oddities; or a log of decisions.

    No model is called and no pickle is read. Outcomes that cannot be read are listed in OUT/rejected.jsonl; of a log
    the first row that is wrong is refused.
    """
    if config.format in LOGS:
        _show_log(config, import_log(config), json)
        return
    table, out = import_outcomes(config), config.written
    if json:
        print(jsonlib.dumps({"table": str(out), "fingerprint": table.fingerprint, **table.settings}))
        return
    hops = f" x {table.tree.horizon} hops" if table.tree.horizon > 1 else ""
    print(f"{out}: {table.num_queries:,} queries x {len(table.pool)} models{hops} from {config.format} {config.path}")
    for note in import_notes(table.settings["import"]):
        print(note)


def import_outcomes(config: ImportConfig) -> "OutcomeTable":
    """Read outcomes that others recorded into a table, and write it; rows that cannot be read beside it.

    Raises:
      InputError: naming the file, row and field that is wrong, or the option.
    """
    from hierrouter_jax.config import config_path
    from hierrouter_jax.files import write_text
    from hierrouter_jax.outcomes.importers import ImportOptions, build_table, read_format
    from hierrouter_jax.outcomes.importers.costs import read_prices
    from hierrouter_jax.outcomes.store import save_table
    from hierrouter_jax.sums import remove

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
    save_table(table, config.written)
    rejected = config.written / REJECTED
    remove(rejected)
    if records.rejected:
        write_text(rejected, "".join(jsonlib.dumps(asdict(row)) + "\n" for row in records.rejected))
    return table


def import_log(config: ImportConfig) -> "Episodes":
    """Read decisions that others logged into a decision log, write it, and return its episodes.

    Raises:
      InputError: naming the file, row and field that is wrong, or if no estimate from the log can be right.
    """
    from hierrouter_jax.outcomes.decision_log import write_log
    from hierrouter_jax.outcomes.episodes import rows_of
    from hierrouter_jax.outcomes.importers.bandit_logs import LOG_FORMATS
    from hierrouter_jax.outcomes.importers.log_episodes import episodes_from
    from hierrouter_jax.outcomes.log_health import check_episodes

    if config.format not in LOGS:
        raise InputError(f"format {config.format!r} is of no log; {nearest(config.format, LOGS)}")
    steps = LOG_FORMATS[config.format](config.path, config.columns, config.score_range)
    episodes = episodes_from(steps, _encoder(config.encoder))
    check_episodes(episodes)
    write_log(config.written, *rows_of(episodes))
    return episodes


def _show_log(config: ImportConfig, episodes: "Episodes", json: bool) -> None:
    from hierrouter_jax.outcomes.log_health import check_episodes

    warnings, decisions = check_episodes(episodes), int(episodes.taken.sum())
    if json:
        summary = {"log": str(config.written), "episodes": len(episodes), "decisions": decisions}
        print(jsonlib.dumps({**summary, "candidates": list(episodes.candidates), "warnings": warnings}))
        return
    print(
        f"{config.written}: {len(episodes):,} episodes, {decisions:,} decisions among {len(episodes.candidates)} "
        f"models from {config.format} {config.path}"
    )
    for warning in warnings:
        print(f"warning: {warning}")


def _counter(source: str | None) -> "TokenCounter | None":
    from hierrouter_jax.outcomes.importers.costs import WordCounter

    if source is None or source == WordCounter.name:
        return None if source is None else WordCounter()
    from hierrouter_jax.bridge.tokenizers import TokenizerCounter  # needs the live wing's libraries

    return TokenizerCounter(source)


def _encoder(spec: dict[str, Any]) -> "QueryEncoder":
    """The default encoder needs no live wing; all others do."""
    from hierrouter_jax.outcomes.ngrams import NGramEncoder

    if spec.get("kind") == "ngrams":
        try:
            return NGramEncoder(**{name: value for name, value in spec.items() if name != "kind"})
        except (TypeError, ValueError) as error:
            raise InputError(f"encoder of kind ngrams: {error}") from None
    from hierrouter_jax.bridge.encoders import build_encoder

    return build_encoder(spec)


def import_notes(settings: Mapping[str, Any]) -> Iterator[str]:
    """Lines of `settings["import"]`: splits, leaks, oddities, what cost means, and what was not read."""
    from hierrouter_jax.outcomes.importers.records import place
    from hierrouter_jax.outcomes.notes import DEV_ONLY

    counts = settings["counts"]
    splits = ", ".join(f"{name} {counts['splits'][name]:,}" for name in sorted(counts["splits"], key=_order))
    drawn = f"drawn with seed {settings['options']['seed']}" if settings["splits"] == "drawn" else "as given"
    if settings["splits"] == "given" and settings["validation_drawn"]:
        drawn = f"train and test as given, validation drawn from train with seed {settings['options']['seed']}"
    yield f"splits: {splits} ({drawn})"
    if empty := settings.get("empty_splits"):
        group = empty["largest_group"]
        why = f", {group:,} of which are one duplicate group" if group > 1 else ""
        yield f"warning: {' and '.join(empty['splits'])} got none of the {counts['queries']:,} queries{why}"
    if settings["dev_only"]:
        yield DEV_ONLY
    if counts["missing"]:
        partial = sum(counts["partial_queries"].values())
        yield f"missing: {counts['missing']:,} outcomes of {partial:,} queries, masked"
        later = {name: count for name, count in counts["partial_queries"].items() if name != "train"}
        if later:
            yield f"warning: partial queries outside train ({_listed(later)}): every model should answer those"
    yield from _leaks(settings)
    for flag in settings["suspicious"][:_MOST]:
        yield f"suspicious: {flag['model']} scores {flag['mean']:.2f} on {flag['task']}, {flag['reason']}"
    if len(settings["suspicious"]) > _MOST:
        yield f"suspicious: {len(settings['suspicious']) - _MOST} more in table.json"
    rejected = settings["rejected"]
    if rejected["count"]:
        yield f"not read: {rejected['count']:,} rows, all of them in rejected.jsonl; the first:"
        for row in rejected["rows"][:3]:
            yield f"  {place(row['file'], row['row'])}: {row['reason']}"
    yield settings["cost"]
    if settings.get("costless"):
        yield "warning: every cost is 0, so no policy is cheaper than another and a cost weight changes nothing"
    ratios = {name: ratio for name, ratio in (settings["billed_over_priced"] or {}).items() if round(ratio, 2) != 1}
    if ratios:  # prices that the costs imply agree with them
        shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in list(ratios.items())[:_MOST])
        more = f", {len(ratios) - _MOST} more in table.json" if len(ratios) > _MOST else ""
        yield f"stated costs over tokens times the pool's prices, where they differ: {shown}{more}"
    yield from (f"note: {note}" for note in settings["notes"])


def _leaks(settings: Mapping[str, Any]) -> Iterator[str]:
    duplicates = settings["duplicates"]
    exact, near, groups = (duplicates[name] for name in ("exact_pairs", "near_pairs", "groups"))
    yield f"duplicates: {exact:,} exact and {near:,} near pairs, in {groups:,} groups"
    for split, tasks in duplicates["leaked"].items():
        for task, counts in tasks.items():
            if counts["exact"] or counts["near"]:
                near = f", and {counts['near']} nearly" if counts["near"] else ""
                yield (
                    f"leak: {counts['exact']} of {counts['queries']} {split} queries of {task} stand in an earlier "
                    f"split{near}"
                )
    for split, tasks in duplicates["dropped"].items():
        yield f"dropped from {split} for it: {_listed(tasks)}"
    leaking = any(counts["exact"] or counts["near"] for t in duplicates["leaked"].values() for counts in t.values())
    if leaking and not duplicates["dropped"]:
        yield "warning: leaked queries are kept (--leaks keep): test accuracy flatters whoever remembers training"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _order(name: str) -> int:
    return ("train", "validation", "test").index(name)
