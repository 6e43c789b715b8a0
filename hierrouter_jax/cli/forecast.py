"""The forecast of a collection, for a terminal or as JSON: `hierrouter collect --dry_run`."""

import json as jsonlib
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from hierrouter_jax.bridge.encoders import whole_spec
from hierrouter_jax.bridge.forecast import (
    Forecast,
    PartialTrees,
    forecast_collection,
    load_assumptions,
    mix_questions,
    query_questions,
    read_measured,
)
from hierrouter_jax.bridge.pool import PoolConfig
from hierrouter_jax.bridge.tasks import MixConfig
from hierrouter_jax.cli.collection import check_replicates
from hierrouter_jax.cli.configs import CollectConfig
from hierrouter_jax.cli.result_tables import plain_table, result_console
from hierrouter_jax.config import config_path
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.studies.partial import most_expanded

_HEADERS = ("calls", "read", "written", "cost", "PFLOP", "hours", "hours at\ncaps")


def print_forecast(source: MixConfig | Sequence[Query], pool: PoolConfig, config: CollectConfig, json: bool) -> None:
    """Print what a collection would take, at most; no model is loaded and no call made.

    Args:
      source: the mix that queries would be drawn of, or the queries.
      pool: pool of the collection.
      config: everything else about it.
      json: print for machines.
    """
    questions = mix_questions(source, config.data) if isinstance(source, MixConfig) else query_questions(source)
    if config.seeds > 1:
        check_replicates(pool, config)
        questions = questions.times(config.seeds)
    assumptions = load_assumptions(config_path(config.assumptions))
    measured = None if config.measured is None else read_measured(config.measured, pool)
    trees = None
    if config.plan != "all":
        tree = HopTree(len(pool.models), config.horizon)
        trees = PartialTrees(config.plan, config.partial.whole, most_expanded(config.plan, config.partial, tree))
    encoder = whole_spec(config.encoder)
    show_forecast(forecast_collection(questions, pool, config.horizon, assumptions, encoder, trees, measured), json)


def show_forecast(forecast: Forecast, json: bool) -> None:
    """Print a forecast."""
    if json:
        print(jsonlib.dumps(forecast.to_dict()))
        return
    output = result_console()
    output.print(_table(forecast))
    output.print()
    for line in _words(forecast):
        output.print(line, soft_wrap=True)


def _table(forecast: Forecast) -> Table:
    table = plain_table(pad_edge=False, collapse_padding=True)
    table.add_column("hop", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for header in _HEADERS:
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    last = forecast.calls[-1]
    for calls, following in zip(forecast.calls, [*forecast.calls[1:], None], strict=True):
        row = {
            "expected_calls": calls.expected_calls,
            "expected": vars(calls.expected),
            "at_cap": vars(calls.at_cap),
        }
        ends = calls is last or (following is not None and following.hop != calls.hop)
        table.add_row(str(calls.hop) if calls.hop else "once", calls.model, *_cells(row), end_section=ends)
    several = [name for name in forecast.sizes if any(c.hop and c.model == name for c in forecast.calls)]
    for name in several:
        table.add_row("all", name, *_cells(forecast.total(name)))
    table.add_row("all", "all", *_cells(forecast.total()), style="bold")
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    load, cap = row["expected"], row["at_cap"]
    flops = load["reading_flops"] + load["writing_flops"]
    return [
        f"{row['expected_calls']:,.0f}",
        _short(load["tokens_in"]),
        _short(load["tokens_out"]),
        _short(load["cost"]),
        _short(flops / 1e15),
        f"{load['hours']:,.2f}",
        f"{cap['hours']:,.2f}",
    ]


def _words(forecast: Forecast) -> list[str]:
    """What the numbers mean, and everything that they rest on."""
    total, taken = forecast.total(), forecast.assumptions
    lengths = ", ".join(f"{task} {tokens}" for task, tokens in taken.response_tokens.items())
    timed = {calls.model for calls in forecast.measured.calls} if forecast.measured else set()
    lines = [
        f"{forecast.questions:,} queries, {forecast.horizon} hops, {_routes(forecast)}{total['hops']:,} hops from at "
        f"most {total['most']:,} calls; at least {total['fewest']:,}, if all responses to a query were alike"
        f"{' and no partial tree grew' if forecast.trees else ''}.",
        *_bound(forecast),
        f"All else is of {_basis(forecast)}; the last column of the most calls with all of them at "
        f"their caps ({_short(total['at_cap']['tokens_out'])} tokens written, cost {_short(total['at_cap']['cost'])}).",
        f"Cost is in {forecast.money_unit}. Operations: 2 x parameters a token, and attention.",
        *_measured(forecast),
        f"Hours{' of all else' if timed or taken.rates else ''}: {taken.device}, {taken.peak_flops / 1e12:g} TFLOP/s "
        f"at its peak, {taken.reading_utilisation:.0%} of that while reading and {taken.writing_utilisation:.0%} while "
        "writing.",
    ]
    if not timed >= set(forecast.sizes):
        lines.append(f"Response tokens: {lengths or 'none stated'}; other tasks at the cap.")
    if taken.template_tokens:
        lines.append(f"Chat templates: {taken.template_tokens} tokens a prompt, where a model's own is not here.")
    for name, size in forecast.sizes.items():
        if name in timed:
            lines.append(f"{name}: {size.parameters / 1e9:.3g} billion parameters.")
            continue
        rate = taken.peak_flops * taken.writing_utilisation / (2 * size.parameters)
        if name in taken.rates:
            rate = taken.rates[name].written
        own = f", responses of {size.response_tokens:,} tokens or its cap" if size.response_tokens else ""
        lines.append(f"{name}: {size.parameters / 1e9:.3g} billion parameters, writes {rate:,.0f} tokens/s{own}.")
    if forecast.encoding is not None:
        work = forecast.encoding
        lines.append(
            f"Encoder: at most {work.texts:,} texts of {_short(work.tokens)} tokens, {work.truncated:,} of them cut; "
            f"{_short(work.flops / 1e15)} PFLOP, {work.hours:.2f} hours; {_short(work.table_bytes)}B of embeddings."
        )
    return [*lines, *(f"{note}." for note in forecast.notes)]


def _basis(forecast: Forecast) -> str:
    if forecast.measured is None:
        return "the most calls, with responses of the assumed length"
    return "as many calls, and responses as long, as were measured"


def _measured(forecast: Forecast) -> list[str]:
    """What a collected table showed: a line for each model and hop."""
    if forecast.measured is None:
        return []
    took = forecast.total()["expected"]["hours"] * 3600
    lines = [
        f"Calls take {took:,.0f} seconds, as measured in {forecast.measured.table} on {forecast.measured.queries:,} "
        "queries. The seconds of a call are wall time over calls, with as many under way as there were:"
    ]
    for calls in forecast.measured.calls:
        lengths = ", ".join(f"{task or 'no task'} {tokens:.0f}" for task, tokens in calls.response_tokens.items())
        where = f"hop {calls.hop}" if calls.hop else "once"
        lines.append(
            f"  {where}, {calls.model}: {calls.timed:,} calls of {calls.seconds_per_call:.3g} s; reads "
            f"{calls.tokens_in / calls.seconds:,.0f} and writes {calls.tokens_out / calls.seconds:,.0f} tokens/s in "
            f"that time; {calls.calls_per_hop:.2f} calls a hop; responses: {lengths} tokens"
        )
    return lines


def _routes(forecast: Forecast) -> str:
    return "every route: " if forecast.trees is None else f"plan {forecast.trees.coverage}: at most "


def _bound(forecast: Forecast) -> list[str]:
    """Of partial trees, why nobody knows how many calls they take."""
    if forecast.trees is None:
        return []
    nodes = " and ".join(f"{most:,} of hop {stage}" for stage, most in enumerate(forecast.trees.expanded) if stage)
    grown = f", and go on after at most {nodes}" if nodes else ""
    return [
        f"Trees of {forecast.partial:,} training queries are partial: they hold each model's first hop{grown}. The "
        "answers decide after which; the most is a bound and no estimate."
    ]


def _short(value: float) -> str:
    """A number in three digits: 12,345,678 is 12.3 M."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
