"""From the neutral frame to an outcome table with its provenance."""

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hierrouter_jax.domains import NONNEGATIVE, SEED, SIMILARITY, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.duplicates import find_duplicates
from hierrouter_jax.outcomes.importers.costs import TokenCounter, check_prices, cost_meaning, fill_tokens
from hierrouter_jax.outcomes.importers.records import Price, Records, digest
from hierrouter_jax.outcomes.importers.routes import QueryEncoder, embed, spanned_tree
from hierrouter_jax.outcomes.importers.scales import suspicious
from hierrouter_jax.outcomes.importers.splits import Leaks, check_shares, draw, draw_validation, leak_report, leaked
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import SPLITS, OutcomeTable, Query

_LISTED = 100
_UNIT = "money units"  # where nobody says which


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

    Raises:
      InputError: if a number is none of its kind, or the shares are no weights of the splits.
    """

    DOMAINS: ClassVar[Domains] = {
        "shares": NONNEGATIVE,
        "seed": SEED,
        "similarity": SIMILARITY,
        "tokens_out": Domain(0, 2**31 - 1, whole=True),  # what a table's column holds
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
        check_shares(self.shares)


def build_table(
    records: Records,
    encoder: QueryEncoder,
    counter: TokenCounter | None = None,
    prices: Mapping[str, Price] | None = None,
    money_unit: str | None = None,
    options: ImportOptions = ImportOptions(),
    origin: Mapping[str, Any] | None = None,
) -> OutcomeTable:
    """A table of outcomes that others recorded; `settings["import"]` tells where they come from.

    Rows of one hop make a one-hop table; where a `route` is longer, the tree has the hops of the longest.

    Args:
      records: outcomes as a format gave them.
      encoder: encoder of the query and the responses so far.
      counter: what counts the tokens that are not given.
      prices, money_unit: prices of the pool and their unit; those of the source by default. Costs that the source
        states keep the unit that it states.
      options: choices of splits, leaks and tokens.
      origin: format and path of the source, for the record.

    Raises:
      InputError: if a price or a token count is unknown, no training query is left, or the tree is too large.
    """
    frame = records.frame[records.frame["score"].notna()].reset_index(drop=True)
    models, tree = spanned_tree(frame["route"].tolist(), frame["query_id"].nunique())
    queries = _queries(frame, tree.num_nodes - 1)
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
    pool = _pool(models, filled, stated, prices or records.prices)
    units = (records.money_unit, money_unit) if stated else (money_unit, records.money_unit)
    provenance = {
        **(origin or {}),
        "files": {name: digest(file) for name, file in records.files.items()},
        "options": {**asdict(options), "shares": dict(options.shares)},
        "counts": _counts(queries, remaining, len(filled), tree),
        "rejected": {"count": len(records.rejected), "rows": [asdict(row) for row in records.rejected[:_LISTED]]},
        "duplicates": report | {"dropped": _dropped(queries)},
        "suspicious": suspicious(frame[frame["route"].map(len) == 1]),
        "tokens": tokens,
        "cost": cost_meaning(tokens, stated),
        "costless": not _costs(filled, pool, stated).any(),
        "empty_splits": _empty_splits(remaining, drawn, options),
        "billed_over_priced": _billed_over_priced(filled, pool) if stated else None,
        "splits": "drawn" if drawn else "given",
        "validation_drawn": drawn or ("validation" not in source_splits and "validation" in set(queries["split"])),
        "dev_only": bool(records.public_test or options.public_test),
        "notes": [*records.notes, *_unscored(records.frame, frame)],
    }
    return _table(tree, remaining, filled, pool, units[0] or units[1] or _UNIT, encoder, stated, {"import": provenance})


def _queries(frame: pd.DataFrame, hops: int) -> pd.DataFrame:
    """One row a query, in order of first appearance; `complete` where all hops of the tree have an outcome."""
    queries = frame.drop_duplicates("query_id")[["query_id", "query", "task", "gold", "split"]].reset_index(drop=True)
    queries["complete"] = queries["query_id"].map(frame["query_id"].value_counts()) == hops
    unsplit = queries["split"].isna()
    if unsplit.any() and not unsplit.all():
        raise InputError(
            f"query {queries['query_id'][unsplit].iat[0]!r} has no split, but others do; split all or none"
        )
    return queries


def _unscored(read: pd.DataFrame, scored: pd.DataFrame) -> list[str]:
    """A note on the queries that are left out, as no outcome of theirs has a score."""
    count = read["query_id"].nunique() - scored["query_id"].nunique()
    return [f"queries left out, as none of their outcomes has a score: {count:,}"] if count else []


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


def _counts(queries: pd.DataFrame, remaining: pd.DataFrame, outcomes: int, tree: HopTree) -> dict[str, Any]:
    partial = remaining[~remaining["complete"]]
    return {
        "queries_read": len(queries),
        "queries": len(remaining),
        "models": tree.num_models,
        "hops": tree.horizon,
        "outcomes": outcomes,
        "missing": len(remaining) * (tree.num_nodes - 1) - outcomes,
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


def _pool(models: list[str], frame: pd.DataFrame, stated: bool, prices: Mapping[str, Price]) -> tuple[PricedModel, ...]:
    """The pool with its prices.

    Where costs are stated and prices are not, a model's price is the mean price of a token that its costs imply: the
    costs stand, the price only describes them.
    """
    if prices or not stated:
        check_prices(prices, models, "the pool")
        return tuple(PricedModel(name, prices[name].price_in, prices[name].price_out) for name in models)
    sums = _sums(frame)
    implied = {
        name: float(cost) / max(int(tokens), 1)
        for name, cost, tokens in zip(sums.index, sums["cost"], sums["tokens_in"] + sums["tokens_out"], strict=True)
    }
    return tuple(PricedModel(name, implied.get(name, 0.0), implied.get(name, 0.0)) for name in models)


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
    tree: HopTree,
    queries: pd.DataFrame,
    frame: pd.DataFrame,
    pool: tuple[PricedModel, ...],
    unit: str,
    encoder: QueryEncoder,
    stated: bool,
    settings: dict[str, Any],
) -> OutcomeTable:
    shape = (len(queries), tree.num_nodes)
    row = frame["query_id"].map({name: at for at, name in enumerate(queries["query_id"])}).to_numpy()
    action = {member.name: at for at, member in enumerate(pool)}
    node = np.array([tree.node([action[model] for model in route]) for route in frame["route"]])

    def spread(name: str, dtype: Any, empty: Any = 0) -> np.ndarray:
        column = np.full(shape, empty, dtype=dtype)
        column[row, node] = frame[name].where(frame[name].notna(), empty).to_numpy()
        return column

    available = np.zeros(shape, dtype=bool)
    available[:, 0] = True
    available[row, node] = True
    response = spread("response", object, "")
    table_queries = tuple(
        Query(q.query_id, q.query, q.task, q.gold, q.split, q.group) for q in queries.itertuples(index=False)
    )
    embedding, work = embed(encoder, tree, table_queries, response, available)
    return OutcomeTable(
        tree=tree,
        pool=pool,
        queries=table_queries,
        context_embedding=embedding,
        quality=spread("score", np.float32),
        tokens_in=spread("tokens_in", np.int32),
        tokens_out=spread("tokens_out", np.int32),
        available=available,
        response=response,
        encoder=encoder.spec,
        money_unit=unit,
        settings=settings | {"encoder": {"multiply_adds": work}},
        latency=spread("latency", np.float32) if frame["latency"].notna().all() else None,
        stated_cost=spread("cost", np.float64) if stated else None,
    )
