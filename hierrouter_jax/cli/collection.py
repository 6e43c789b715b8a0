"""What the verb `collect` does: queries drawn, models called, the table written."""

import json as jsonlib
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.bridge.backends import Backend, load_backends, load_seeds, over_ray
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import Budget, Calls, Collection
from hierrouter_jax.bridge.collect.summary import TIMING, Timing
from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.grading import Grader, exact_match, one_by_one
from hierrouter_jax.bridge.grading.parallel import grade_kept
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.servers import Servers
from hierrouter_jax.bridge.tasks import MixConfig, draw_mix, load_mix
from hierrouter_jax.bridge.tasks.graders import Run, with_identities
from hierrouter_jax.cli.calls import CALLS, take_over
from hierrouter_jax.cli.configs import CollectConfig
from hierrouter_jax.cli.inspect_tasks import split_names
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.notes import table_notes
from hierrouter_jax.outcomes.replicates import repeated_by_seed
from hierrouter_jax.outcomes.rows import read_queries
from hierrouter_jax.outcomes.store import save_table
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
    by_order = config.replicates > 1 and config.replicate_by == "order"
    if config.tasks is None and config.mix is None:
        if by_order:
            raise InputError("--replicate_by order is for multiple choice: say of which --tasks or --mix")
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
    mix = mix.in_orders(config.replicates) if by_order else mix
    return mix if config.seed is None else replace(mix, seed=config.seed)


def check_replicates(pool: PoolConfig, config: CollectConfig) -> None:
    """Refuse replicates by seed of a pool that decodes greedily, whose answers would all be the same.

    Raises:
      InputError: saying what would make them differ.
    """
    if config.seeds > 1 and all(model.sampling.greedy for model in pool.models):
        raise InputError(
            f"--replicates {config.replicates} by seed would give the same answers {config.replicates} times, as every "
            f"model of {config.pool} decodes greedily; state a sampling.temperature, or --replicate_by order"
        )


def collect_table(
    source: MixConfig | Sequence[Query], pool: PoolConfig, config: CollectConfig, out: Path, json: bool
) -> None:
    """Collect the table of some queries, write it, and print what it took."""
    check_replicates(pool, config)
    HopTree(len(pool.models), config.horizon)  # one that is too large is refused before anything is loaded
    grading = partial(grade_kept, path=out / "verdicts.sqlite")
    questions = _questions(source, config.data, grading, config.unsafe_no_sandbox)
    if config.replicates > 1:
        questions = _replicated(questions, config)
    if "tasks" in questions.settings and pool.prompt.fold:
        raise InputError(
            f"{config.pool}: tasks are of several lines, which its prompt would fold; set prompt: {{fold: false}}"
        )
    with ExitStack() as busy:
        servers = busy.enter_context(Servers(out / "servers"))
        members, external = _everyone(pool, servers, config.seeds, config.ray)
        backends, everyone = members[0], list(chain(*members, *external))
        cache = busy.enter_context(closing(CallCache(out / CALLS)))
        if config.calls is not None:
            take_over(config.calls, cache, everyone)
        budget, gives_up = Budget(config.max_cost, config.max_hours), not config.keep_failed
        calls = Calls(everyone, cache, config.batch_size, budget, pool.money_unit, gives_up=gives_up)
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
            seeds={seed: its for seed, its in enumerate(members) if seed},
        )
        table = _collected(collection, config.plan, config.partial)
        beside = _beside(collection, external)
        save_table(table, out, beside)
    _print_summary(table, out, calls, json)


_BySeed = list[tuple[Backend, ...]]


def _everyone(pool: PoolConfig, servers: Servers, seeds: int, ray: int) -> tuple[_BySeed, _BySeed]:
    """The backends of a pool under each of the seeds, and those of the models beside it."""
    if ray:
        members, size = over_ray(pool, ray, seeds), len(pool.models)
        by_seed = [members[start : start + size] for start in range(0, len(members), size)]
        return by_seed, _loaded(pool.external, pool, servers, seeds) if pool.external else []
    # All at once: what `resident` says is of the memory that all of them share.
    every, beside = _loaded((*pool.models, *pool.external), pool, servers, seeds), len(pool.external)
    by_seed = [its[: len(its) - beside] for its in every]
    return by_seed, [its[len(its) - beside :] for its in every] if beside else []


def _loaded(models: tuple[ModelConfig, ...], pool: PoolConfig, servers: Servers, seeds: int) -> _BySeed:
    """The backends of some of a pool's models that run here or behind endpoints, under each of the seeds."""
    alone = replace(pool, models=models, external=())
    return [tuple(load_backends(alone, servers))] if seeds == 1 else list(load_seeds(alone, seeds, servers))


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


def _beside(collection: Collection, external: Sequence[Sequence[Backend]]) -> OutcomeTable | None:
    """The one-hop table of models outside the pool, each called once for each query; their backends, seed by seed."""
    if not external:
        return None
    seeds = {seed: its for seed, its in enumerate(external) if seed}
    return replace(collection, backends=external[0], tree=HopTree(len(external[0]), 1), seeds=seeds).table()


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


def _replicated(questions: Questions, config: CollectConfig) -> Questions:
    """Questions as often as they are asked, and how in their settings.

    Raises:
      InputError: if no question can be asked again.
    """
    if config.replicate_by == "seed":
        questions = replace(questions, queries=repeated_by_seed(questions.queries, config.replicates))
    elif not any(query.question for query in questions.queries):
        raise InputError("--replicate_by order: no question has options that can stand in another order")
    settings = {"replicates": {"count": config.replicates, "by": config.replicate_by}}
    return replace(questions, settings=questions.settings | settings)


def _questions(
    source: MixConfig | Sequence[Query], data: Path | None, grading: Run, unsafe_no_sandbox: bool
) -> Questions:
    if not isinstance(source, MixConfig):
        return Questions(source, one_by_one(exact_match), {})
    drawn = draw_mix(source, data, grading, unsafe_no_sandbox)
    return Questions(drawn.queries, drawn.grader, with_identities(drawn.settings, drawn.grader.identities()))
