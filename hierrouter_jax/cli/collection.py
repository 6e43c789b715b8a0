"""What the verb `collect` does: queries drawn, models called, the table written."""

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
from hierrouter_jax.bridge.pool import PoolConfig
from hierrouter_jax.bridge.servers import Servers
from hierrouter_jax.bridge.tasks import MixConfig, draw_mix, load_mix
from hierrouter_jax.bridge.tasks.graders import Run, with_identities
from hierrouter_jax.cli.calls import CALLS, take_over
from hierrouter_jax.cli.configs import CollectConfig
from hierrouter_jax.cli.inspect_tasks import split_names
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


def source_of(config: CollectConfig) -> MixConfig | Sequence[Query]:
    """The mix that queries are drawn of, or the queries themselves.

    Raises:
      InputError: if options do not go together, or a file is wrong.
    """
    if config.tasks is None and config.mix is None:
        if config.data is not None:
            raise InputError("--data is a copy of the benchmarks: say which with --tasks or --mix")
        if config.queries is not None:
            return read_queries(config.queries)
        return make_queries(config.counts or DEFAULT_COUNTS, config.seed or 0)
    if config.queries is not None:
        raise InputError("--queries brings its own queries: drop it, or --tasks and --mix")
    mix = load_mix(config.mix or DEFAULT_MIX)
    if config.tasks is not None or config.counts is not None:
        mix = mix.only(split_names(config.tasks) if config.tasks else tuple(mix.tasks), config.counts)
    return mix if config.seed is None else replace(mix, seed=config.seed)


def collect_table(
    source: MixConfig | Sequence[Query], pool: PoolConfig, config: CollectConfig, out: Path, json: bool
) -> None:
    """Collect the table of some queries, write it, and print what it took."""

    def grading(grader: Grader, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        return grade_all(grader, responses, queries, VerdictCache(out / "verdicts.sqlite"))

    questions = _questions(source, config.data, grading, config.unsafe_no_sandbox)
    if "tasks" in questions.settings and pool.prompt.fold:
        raise InputError(
            f"{config.pool}: tasks are of several lines, which its prompt would fold; set prompt: {{fold: false}}"
        )
    with Servers(out / "servers") as servers:
        backends = over_ray(pool, config.ray) if config.ray else load_backends(pool, servers)
        external = load_external(pool, servers)
        cache = CallCache(out / CALLS)
        if config.calls is not None:
            take_over(config.calls, cache, [*backends, *external])
        budget, gives_up = Budget(config.max_cost, config.max_hours), not config.keep_failed
        calls = Calls([*backends, *external], cache, config.batch_size, budget, pool.money_unit, gives_up=gives_up)
        collection = Collection(
            questions.queries,
            backends,
            HopTree(len(backends), config.horizon),
            build_encoder(config.encoder, out / "embeddings.sqlite"),
            pool.prompt,
            questions.grader,
            calls,
            pool.money_unit,
            settings={**questions.settings, **_sizes(pool)},
            keep_failed=config.keep_failed,
            keep_prompts=config.keep_prompts,
            timing=Timing(out / TIMING),
        )
        table = _collected(collection, config.plan, config.partial)
        beside = _beside(collection, external)
        cache.close()
        if beside is not None:
            save_table(beside, out / EXTERNAL)
        save_table(table, out)
    _print_summary(table, out, calls, json)


def load_external(config: PoolConfig, servers: Servers | None = None) -> tuple[Backend, ...]:
    """The larger models beside a pool, to compare with."""
    return load_backends(replace(config, models=config.external, external=()), servers) if config.external else ()


def _sizes(config: PoolConfig) -> dict[str, Any]:
    """Whose config tells the size of each model, as a table's settings hold it; nothing where it is its source's."""
    sizes = {model.name: model.size_basis for model in (*config.models, *config.external) if model.size_from}
    return {"sizes_from": sizes} if sizes else {}


def _collected(collection: Collection, plan: PlanKind, config: PartialConfig) -> OutcomeTable:
    """The table of a plan; the settings name it."""

    def ask(nodes: Bool[np.ndarray, "Q N"]) -> OutcomeTable:
        return collection.table(nodes)

    def say(text: str) -> None:
        print(f"{plan}: {text}", file=sys.stderr)

    table = collect_partly(ask, collection.queries, collection.tree, plan, config, say)
    if "partial" not in table.settings:
        return table
    return replace(table, settings={**table.settings, "partial": {**table.settings["partial"], "plan": plan}})


def _beside(collection: Collection, external: Sequence[Backend]) -> OutcomeTable | None:
    """The one-hop table of models outside the pool, each called once for each query."""
    if not external:
        return None
    return replace(collection, backends=external, tree=HopTree(len(external), 1)).table()


def _print_summary(table: OutcomeTable, out: Path, calls: Calls, json: bool) -> None:
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
class Questions:
    """The queries of a collection, their grader, and where they are from."""

    queries: Sequence[Query]
    grader: Grader
    settings: dict[str, Any]


def _questions(
    source: MixConfig | Sequence[Query], data: Path | None, grading: Run, unsafe_no_sandbox: bool
) -> Questions:
    if not isinstance(source, MixConfig):
        return Questions(source, one_by_one(exact_match), {})
    drawn = draw_mix(source, data, grading, unsafe_no_sandbox)
    return Questions(drawn.queries, drawn.grader, with_identities(drawn.settings, drawn.grader.identities()))
