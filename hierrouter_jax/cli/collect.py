"""The verb that runs a pool over the routes of a set of queries: collect."""

import json as jsonlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.bridge.backends import Backend, load_backends
from hierrouter_jax.bridge.backends.load import over_ray
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import Budget, Calls, Collection
from hierrouter_jax.bridge.collect.summary import TIMING, Timing
from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.grading import Grader, Verdict, exact_match, one_by_one
from hierrouter_jax.bridge.grading.parallel import VerdictCache, grade_all
from hierrouter_jax.bridge.pool import PoolConfig, load_pool
from hierrouter_jax.bridge.servers import Servers
from hierrouter_jax.bridge.tasks import MixConfig, draw_mix, load_mix
from hierrouter_jax.bridge.tasks.graders import Run, with_identities
from hierrouter_jax.cli.calls import CALLS, take_over
from hierrouter_jax.cli.forecast import dry_run as show_dry_run
from hierrouter_jax.cli.inspect_tasks import split_names
from hierrouter_jax.config import config_path
from hierrouter_jax.domains import COUNT, NATURAL, POSITIVE, SEED
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.notes import table_notes
from hierrouter_jax.outcomes.rows import read_queries
from hierrouter_jax.outcomes.store import EXTERNAL, save_table
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from hierrouter_jax.studies.partial import PartialConfig, PlanKind, collect_partly
from hierrouter_jax.tiny.queries import make_queries

DEFAULT_COUNTS = {"train": 1200, "validation": 300, "test": 600}
DEFAULT_MIX = "mix/paper.yaml"


def collect(
    out: Path | None = None,
    pool: str = "pool/tiny.yaml",
    queries: Path | None = None,
    tasks: str | None = None,
    mix: str | None = None,
    data: Path | None = None,
    counts: dict[str, int] | None = None,
    seed: int | None = None,
    horizon: int = 3,
    encoder: dict[str, Any] = {"kind": "ngrams"},  # noqa: B006 (read only)
    plan: PlanKind = "all",
    partial: PartialConfig = PartialConfig(),  # noqa: B008 (frozen)
    max_cost: float | None = None,
    max_hours: float | None = None,
    batch_size: int = 512,
    ray: int = 0,
    keep_failed: bool = False,
    keep_prompts: bool = False,
    calls: Path | None = None,
    unsafe_no_sandbox: bool = False,
    dry_run: bool = False,
    assumptions: str = "assumptions/h100.yaml",
    measured: Path | None = None,
    json: bool = False,
) -> None:
    """Run a pool over the routes of a set of queries, once, into an outcome table.

    Identical calls are made once, and finished calls are kept in OUT/calls.sqlite, verdicts in OUT/verdicts.sqlite:
    run the same command again after an interruption and it goes on. While there is a file OUT/pause it waits. Exit
    code 3: the budget is used up; 4: calls failed.

    Args:
      out: folder of the table; may be given first, without --out.
      pool: preset or YAML file.
      queries: .jsonl, .csv or .parquet with text, gold, split (and id, task), graded by exact match.
      tasks: benchmarks to draw queries of, each graded by its own grader: gsm8k, math, mbpp, humaneval, arc, mmlu or
        YAML files, commas between. Without tasks, mix and queries the tiny tasks are made.
      mix: preset or YAML file of how many queries each task gives; mix/paper.yaml where only tasks are given.
      data: folder of a local copy of the benchmarks, DATA/gsm8k/test.parquet and so on, to read instead of the hub.
      counts: queries a split: of each task, in place of the mix's; or of the tiny tasks.
      seed: of the draw, in place of the mix's; or of the tiny queries.
      horizon: largest number of hops.
      encoder: kind and settings of the context encoder.
      plan: all routes of training queries, the promising ones, or the frontier that trained policies visit.
      partial: numbers of the last two plans.
      max_cost: stop before calls that might take the cost of all runs past this, in the pool's money unit.
      max_hours: stop before calls that are likely to take this run's calls past this.
      batch_size: calls of a local model generated at once; an endpoint has its concurrency.
      ray: workers of a Ray cluster that share the calls of a batch, a GPU each; 0 is none.
      keep_failed: write the table although calls failed, as wrong answers of validation and test queries.
      keep_prompts: keep the prompt of each hop in the table, too.
      calls: folder of calls that 'hierrouter calls' wrote, or a collected table: none of its calls is made again.
      unsafe_no_sandbox: run programs in responses unprotected where there is no sandbox.
      dry_run: only print what a collection would take, at most; no model is loaded and nothing is written.
      assumptions: of a dry run: preset or YAML file of response lengths and of the machine.
      measured: of a dry run: folder of a table of the same pool, a pilot, whose lengths and times count instead.
      json: print a summary for machines.
    """
    budget = Budget(max_cost, max_hours)
    source = _source(queries, tasks, mix, data, counts, seed)
    config = load_pool(config_path(pool))
    if dry_run:
        show_dry_run(source, data, config, horizon, encoder, assumptions, json, plan, partial, measured)
        return
    if measured is not None:
        raise InputError("--measured is of a forecast: add --dry_run")
    if out is None:
        raise InputError("--out is missing: say in which folder the table is to be")
    folder = out

    def grading(grader: Grader, responses: Sequence[str], asked: Sequence[Query]) -> list[Verdict]:
        return grade_all(grader, responses, asked, VerdictCache(folder / "verdicts.sqlite"))

    asked = _asked(source, data, grading, unsafe_no_sandbox)
    if "tasks" in asked.settings and config.prompt.fold:
        raise InputError(
            f"{pool}: tasks are of several lines, which its prompt would fold; set prompt: {{fold: false}}"
        )
    with Servers(out / "servers") as servers:
        backends, external = (
            over_ray(config, ray) if ray else load_backends(config, servers),
            load_external(config, servers),
        )
        cache = CallCache(out / CALLS)
        if calls is not None:
            take_over(calls, cache, [*backends, *external])
        caller = Calls([*backends, *external], cache, batch_size, budget, config.money_unit, gives_up=not keep_failed)
        made = Collection(
            asked.queries,
            backends,
            HopTree(len(backends), horizon),
            build_encoder(encoder, out / "embeddings.sqlite"),
            config.prompt,
            asked.grader,
            caller,
            config.money_unit,
            settings={**asked.settings, **_sizes(config)},
            keep_failed=keep_failed,
            keep_prompts=keep_prompts,
            timing=Timing(out / TIMING),
        )
        table = _collected(made, plan, partial)
        beside = _beside(made, external)
        cache.close()
        if beside is not None:
            save_table(beside, out / EXTERNAL)
        save_table(table, out)
    _tell(table, out, caller, json)


def load_external(config: PoolConfig, servers: Servers | None = None) -> tuple[Backend, ...]:
    """The larger models beside a pool, to compare with."""
    return load_backends(replace(config, models=config.external, external=()), servers) if config.external else ()


def _sizes(config: PoolConfig) -> dict[str, Any]:
    """Whose config tells the size of each model, as a table's settings hold it; nothing where it is its source's."""
    sizes = {model.name: model.size_basis for model in (*config.models, *config.external) if model.size_from}
    return {"sizes_from": sizes} if sizes else {}


def _collected(made: Collection, plan: PlanKind, config: PartialConfig) -> OutcomeTable:
    """The table of a plan; the settings name it."""

    def ask(wanted: Bool[np.ndarray, "Q N"]) -> OutcomeTable:
        return made.table(wanted)

    def say(text: str) -> None:
        print(f"{plan}: {text}", file=sys.stderr)

    table = collect_partly(ask, made.queries, made.tree, plan, config, say)
    if "partial" not in table.settings:
        return table
    return replace(table, settings={**table.settings, "partial": {**table.settings["partial"], "plan": plan}})


def _beside(made: Collection, external: Sequence[Backend]) -> OutcomeTable | None:
    """The one-hop table of models outside the pool, each called once for each query."""
    if not external:
        return None
    return replace(made, backends=external, tree=HopTree(len(external), 1)).table()


def _tell(table: OutcomeTable, out: Path, calls: Calls, json: bool) -> None:
    meter, settings = calls.meter, table.settings
    spent = {"cost": meter.total, "cost_of_this_run": meter.cost, "calls_of_this_run": meter.calls}
    summary = {"table": str(out), "queries": table.num_queries, "fingerprint": table.fingerprint, **spent, **settings}
    if json:
        print(jsonlib.dumps(summary))
        return
    print(
        f"{out}: {table.num_queries:,} queries, {settings['hops']:,} hops from {settings['calls']:,} calls "
        f"({settings['hops_per_call']:g} hops a call), {meter.calls:,} of them made by this run"
    )
    read, written = (
        sum(model[tokens] for model in settings["compute"].values()) for tokens in ("tokens_in", "tokens_out")
    )
    finished = ", ".join(f"{name} {count:,}" for name, count in settings["finish_reasons"].items())
    print(
        f"{read:,} tokens read and {written:,} written; cost {meter.total:.6g} {table.money_unit}, {meter.cost:.6g} of "
        f"it by this run; responses ended by: {finished}"
    )
    for note in table_notes(settings):
        print(note)


@dataclass(frozen=True)
class Asked:
    """The queries of a collection, their grader, and where they are from."""

    queries: Sequence[Query]
    grader: Grader
    settings: dict[str, Any]


def _source(
    queries: Path | None,
    tasks: str | None,
    mix: str | None,
    data: Path | None,
    counts: dict[str, int] | None,
    seed: int | None,
) -> MixConfig | Sequence[Query]:
    """The mix that queries are drawn of, or the queries themselves."""
    if tasks is None and mix is None:
        if data is not None:
            raise InputError("--data is a copy of the benchmarks: say which with --tasks or --mix")
        return make_queries(counts or DEFAULT_COUNTS, seed or 0) if queries is None else read_queries(queries)
    if queries is not None:
        raise InputError("--queries brings its own queries: drop it, or --tasks and --mix")
    config = load_mix(mix or DEFAULT_MIX)
    if tasks is not None or counts is not None:
        config = config.only(split_names(tasks) if tasks else tuple(config.tasks), counts)
    return config if seed is None else replace(config, seed=seed)


def _asked(source: MixConfig | Sequence[Query], data: Path | None, grading: Run, unsafe_no_sandbox: bool) -> Asked:
    if not isinstance(source, MixConfig):
        return Asked(source, one_by_one(exact_match), {})
    drawn = draw_mix(source, data, grading, unsafe_no_sandbox)
    return Asked(drawn.queries, drawn.grader, with_identities(drawn.settings, drawn.grader.identities()))


def _out_first(arguments: list[str]) -> list[str]:
    """The folder may be given first, without --out; then it counts and not a --config's, so it is parsed last."""
    if arguments and not arguments[0].startswith("-"):
        return [*arguments[1:], "--out", arguments[0]]
    return arguments


# What the command line means, as options.
ARGUMENTS = {"collect": _out_first}
# The folder that is written; a dry run writes none.
WRITES = {"collect": lambda options: None if options["dry_run"] else options["out"]}
# The domains of numbers that are no field of a configuration.
DOMAINS = {
    "collect": {
        "counts": NATURAL,
        "seed": SEED,
        "horizon": COUNT,
        "max_cost": POSITIVE,
        "max_hours": POSITIVE,
        "batch_size": COUNT,
        "ray": NATURAL,
    }
}
