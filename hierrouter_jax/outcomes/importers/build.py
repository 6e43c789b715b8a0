"""From the neutral frame to a one-hop outcome table with its provenance."""

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
from jaxtyping import Float

from hierrouter_jax.domains import NATURAL, NONNEGATIVE, SEED, SIMILARITY, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.duplicates import find_duplicates
from hierrouter_jax.outcomes.importers.costs import TokenCounter, check_prices, cost_meaning, fill_tokens
from hierrouter_jax.outcomes.importers.records import Price, Records, digest
from hierrouter_jax.outcomes.importers.scales import suspicious
from hierrouter_jax.outcomes.importers.splits import Leaks, draw, draw_validation, leak_report, leaked
from hierrouter_jax.outcomes.ngrams import encoder_work
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import SPLITS, Context, OutcomeTable, Query

_LISTED = 100


class QueryEncoder(Protocol):
    """What embeds queries; `spec` builds it again."""

    @property
    def spec(self) -> dict[str, Any]: ...

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]: ...


@dataclass(frozen=True)
class ImportOptions:
    """How outcomes become a table.

    Attributes:
      shares: weights of the splits, where the source has none; the validation weight, where it has only train and test.
      seed: seed of the splits that are drawn.
      leaks: the side of a leak that is dropped: train, test, or neither (keep).
      similarity: Jaccard similarity from which two texts are near-duplicates.
      tokens_out: number of tokens of a response, where there is neither response nor count.
      resplit: whether to draw the splits anew, though the source gives some.
      public_test: whether the queries come from public test files, whatever the format says.
    """

    DOMAINS: ClassVar[Domains] = {
        "shares": NONNEGATIVE,
        "seed": SEED,
        "similarity": SIMILARITY,
        "tokens_out": NATURAL,
    }

    shares: Mapping[str, float] = field(default_factory=lambda: {"train": 0.6, "validation": 0.15, "test": 0.25})
    seed: int = 0
    leaks: Leaks = "train"
    similarity: float = 0.8
    tokens_out: int | None = None
    resplit: bool = False
    public_test: bool = False

    def __post_init__(self) -> None:
        check_domains(self)


def build_table(
    records: Records,
    encoder: QueryEncoder,
    counter: TokenCounter | None = None,
    prices: Mapping[str, Price] | None = None,
    money_unit: str | None = None,
    options: ImportOptions = ImportOptions(),
    origin: Mapping[str, Any] | None = None,
) -> OutcomeTable:
    """A one-hop table of outcomes that others recorded; `settings["import"]` tells where they come from.

    Args:
      records: outcomes as a format gave them.
      encoder: encoder of the query at the root.
      counter: what counts the tokens that are not given.
      prices, money_unit: prices of the pool and their unit; those of the source by default.
      options: choices of splits, leaks and tokens.
      origin: format and path of the source, for the record.

    Raises:
      InputError: if a price or a token count is unknown, or no training query is left.
    """
    frame = records.frame[records.frame["score"].notna()].reset_index(drop=True)
    models = sorted(frame["model"].unique())
    queries = _queries(frame, len(models))
    duplicates = find_duplicates(queries["query"].tolist(), options.similarity, progress=True)
    drawn = options.resplit or bool(queries["split"].isna().all())
    report, source_splits = leak_report(queries, duplicates), set(queries["split"].dropna())
    queries["group"] = queries["query_id"].to_numpy()[duplicates.group]
    queries["dropped"] = False if drawn else leaked(queries["split"].tolist(), duplicates.group, options.leaks)
    queries["split"] = _splits(queries, duplicates.group, drawn, options)
    remaining = queries[~queries["dropped"]].reset_index(drop=True)
    if "train" not in set(remaining["split"]):
        raise InputError(
            f"the source holds no training query, only {' and '.join(sorted(set(remaining['split'])))}; "
            "--resplit draws splits anew, and --shares says how large they are"
        )
    left = frame[frame["query_id"].isin(remaining["query_id"])]
    stated = _costs_stated(left)
    filled, tokens = fill_tokens(left, counter, options.tokens_out, stated)
    pool, unit = _pool(models, filled, stated, prices or records.prices, money_unit or records.money_unit)
    provenance = {
        **(origin or {}),
        "files": {name: digest(file) for name, file in records.files.items()},
        "options": {**asdict(options), "shares": dict(options.shares)},
        "counts": _counts(queries, remaining, len(filled), len(models)),
        "rejected": {"count": len(records.rejected), "rows": [asdict(row) for row in records.rejected[:_LISTED]]},
        "duplicates": report | {"dropped": _dropped(queries)},
        "suspicious": suspicious(frame),
        "tokens": tokens,
        "cost": cost_meaning(tokens, stated),
        "costless": not _costs(filled, pool, stated).any(),
        "empty_splits": _empty_splits(remaining, drawn, options),
        "billed_over_priced": _billed_over_priced(filled, pool) if stated else None,
        "splits": "drawn" if drawn else "given",
        "validation_drawn": drawn or ("validation" not in source_splits and "validation" in set(queries["split"])),
        "dev_only": bool(records.public_test or options.public_test),
        "notes": list(records.notes),
    }
    return _table(remaining, filled, pool, unit, encoder, stated, {"import": provenance})


def _queries(frame: pd.DataFrame, models: int) -> pd.DataFrame:
    """One row a query, in order of first appearance; `complete` where every model has an outcome."""
    queries = frame.drop_duplicates("query_id")[["query_id", "query", "task", "gold", "split"]].reset_index(drop=True)
    queries["complete"] = queries["query_id"].map(frame["query_id"].value_counts()) == models
    unsplit = queries["split"].isna()
    if unsplit.any() and not unsplit.all():
        raise InputError(
            f"query {queries['query_id'][unsplit].iat[0]!r} has no split, but others do; split all or none"
        )
    return queries


def _splits(queries: pd.DataFrame, group: np.ndarray, drawn: bool, options: ImportOptions) -> list[str]:
    task, complete = queries["task"].tolist(), queries["complete"].to_numpy()
    if drawn:
        return draw(options.shares, task, group, complete, options.seed)
    splits = queries["split"].tolist()
    share = options.shares.get("validation", 0) / sum(options.shares.values())
    if "validation" in splits or "train" not in splits or not share:
        return splits
    # Of the rows that stay: those that are dropped must not take validation's places.
    rows = np.flatnonzero(~queries["dropped"])
    part = draw_validation(
        share, [splits[r] for r in rows], [task[r] for r in rows], group[rows], complete[rows], options.seed
    )
    for row, split in zip(rows.tolist(), part, strict=True):
        splits[row] = split
    return splits


def _counts(queries: pd.DataFrame, remaining: pd.DataFrame, outcomes: int, models: int) -> dict[str, Any]:
    partial = remaining[~remaining["complete"]]
    return {
        "queries_read": len(queries),
        "queries": len(remaining),
        "models": models,
        "outcomes": outcomes,
        "missing": len(remaining) * models - outcomes,
        "splits": {str(name): int(count) for name, count in remaining["split"].value_counts().items()},
        "partial_queries": {str(name): int(count) for name, count in partial["split"].value_counts().items()},
        "tasks": {str(name): int(count) for name, count in remaining["task"].value_counts().items()},
    }


def _dropped(queries: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Queries that were dropped as leaks, by split and task."""
    gone = queries[queries["dropped"]]
    by_split: dict[str, dict[str, int]] = {}
    for (split, task), rows in gone.groupby(["split", "task"]):
        by_split.setdefault(str(split), {})[str(task)] = len(rows)
    return by_split


def _costs_stated(frame: pd.DataFrame) -> bool:
    """Whether every outcome states its cost; some alone would mix two measures."""
    has = frame["cost"].notna()
    if has.any() and not has.all():
        row = frame[~has].iloc[0]
        raise InputError(
            f"query {row['query_id']!r}, model {row['model']!r}: cost is missing, though other outcomes state theirs"
        )
    return bool(has.all())


def _pool(
    models: list[str], frame: pd.DataFrame, stated: bool, prices: Mapping[str, Price], unit: str | None
) -> tuple[tuple[PricedModel, ...], str]:
    """The pool with its prices and their money unit.

    Where costs are stated and prices are not, a model's price is the mean price of a token that its costs imply: the
    costs stand, the price only describes them.
    """
    if prices or not stated:
        check_prices(prices, models, "the pool")
        return tuple(PricedModel(name, prices[name].price_in, prices[name].price_out) for name in models), str(unit)
    sums = _sums(frame)
    implied = {
        name: float(cost) / max(int(tokens), 1)
        for name, cost, tokens in zip(sums.index, sums["cost"], sums["tokens_in"] + sums["tokens_out"], strict=True)
    }
    pool = tuple(PricedModel(name, implied.get(name, 0.0), implied.get(name, 0.0)) for name in models)
    return pool, unit or "money units"


def _costs(frame: pd.DataFrame, pool: tuple[PricedModel, ...], stated: bool) -> pd.Series:
    """What every outcome cost."""
    if stated:
        return frame["cost"].astype(float)
    prices = {member.name: member for member in pool}
    reading, writing = (
        frame["model"].map({name: getattr(member, side) for name, member in prices.items()}).astype(float)
        for side in ("price_in", "price_out")
    )
    return frame["tokens_in"] * reading + frame["tokens_out"] * writing


def _sums(frame: pd.DataFrame) -> pd.DataFrame:
    """Tokens and stated costs of each model's outcomes."""
    columns = ["cost", "tokens_in", "tokens_out"]
    return frame[["model", *columns]].astype(dict.fromkeys(columns, float)).groupby("model").sum()


def _billed_over_priced(frame: pd.DataFrame, pool: tuple[PricedModel, ...]) -> dict[str, float]:
    """Of each model, its stated costs over its tokens times prices: 1 where the two agree."""
    billed = _sums(frame)["cost"]
    priced = _costs(frame, pool, stated=False).groupby(frame["model"]).sum()
    names = [member.name for member in pool if priced.get(member.name)]
    return {name: round(float(billed[name] / priced[name]), 4) for name in names}


def _empty_splits(queries: pd.DataFrame, drawn: bool, options: ImportOptions) -> dict[str, Any] | None:
    """Splits that were to be drawn and have no query, and how many queries the largest duplicate group holds."""
    empty = [name for name in SPLITS if drawn and options.shares.get(name) and name not in set(queries["split"])]
    return {"splits": empty, "largest_group": int(queries["group"].value_counts().max())} if empty else None


def _table(
    queries: pd.DataFrame,
    frame: pd.DataFrame,
    pool: tuple[PricedModel, ...],
    unit: str,
    encoder: QueryEncoder,
    stated: bool,
    settings: dict[str, Any],
) -> OutcomeTable:
    shape = (len(queries), 1 + len(pool))
    row = frame["query_id"].map({name: at for at, name in enumerate(queries["query_id"])}).to_numpy()
    node = 1 + frame["model"].map({member.name: at for at, member in enumerate(pool)}).to_numpy()

    def spread(name: str, dtype: Any, empty: Any = 0) -> np.ndarray:
        column = np.full(shape, empty, dtype=dtype)
        column[row, node] = frame[name].where(frame[name].notna(), empty).to_numpy()
        return column

    available = np.zeros(shape, dtype=bool)
    available[:, 0] = True
    available[row, node] = True
    contexts = [Context(q.query, task=q.task) for q in queries.itertuples(index=False)]
    return OutcomeTable(
        tree=HopTree(len(pool), 1),
        pool=pool,
        queries=tuple(
            Query(q.query_id, q.query, q.task, q.gold, q.split, q.group) for q in queries.itertuples(index=False)
        ),
        context_embedding=encoder.encode(contexts)[:, None, :],
        quality=spread("score", np.float32),
        tokens_in=spread("tokens_in", np.int32),
        tokens_out=spread("tokens_out", np.int32),
        available=available,
        response=spread("response", object, ""),
        encoder=encoder.spec,
        money_unit=unit,
        settings=settings | {"encoder": {"multiply_adds": encoder_work(encoder, contexts)}},
        latency=spread("latency", np.float32) if frame["latency"].notna().all() else None,
        stated_cost=spread("cost", np.float64) if stated else None,
    )
