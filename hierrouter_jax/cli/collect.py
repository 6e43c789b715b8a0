"""The verb `collect`: a pool run over the routes of a set of queries."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hierrouter_jax.domains import COUNT, NATURAL, POSITIVE, SEED, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.studies.partial import PartialConfig, PlanKind


@dataclass(frozen=True)
class CollectConfig:
    """A collection.

    Attributes:
      out: folder of the table, which is written; may be given first, without --out.
      pool: preset or YAML file of the pool.
      queries: .jsonl, .csv or .parquet with text, gold, split (and id, task), graded by exact match.
      tasks: benchmarks to draw queries of, each graded by its own grader: gsm8k, math, mbpp, humaneval, arc, mmlu or
        YAML files, commas between. Without tasks, mix and queries the tiny tasks are made.
      mix: preset or YAML file of how many queries each task gives; mix/paper.yaml where only tasks are given.
      data: folder of a local copy of the benchmarks, DATA/gsm8k/test.parquet and so on, to read instead of the hub.
      counts: number of queries a split: of each task, in place of the mix's; or of the tiny tasks.
      seed: seed of the draw, in place of the mix's; or of the tiny queries.
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
      assumptions: preset or YAML file of response lengths and of the machine, for a dry run.
      measured: folder of a table of the same pool, a pilot, whose lengths and times count instead in a dry run.
    """

    DOMAINS: ClassVar[Domains] = {
        "counts": NATURAL,
        "seed": SEED,
        "horizon": COUNT,
        "max_cost": POSITIVE,
        "max_hours": POSITIVE,
        "batch_size": COUNT,
        "ray": NATURAL,
    }

    out: Path | None = None
    pool: str = "pool/tiny.yaml"
    queries: Path | None = None
    tasks: str | None = None
    mix: str | None = None
    data: Path | None = None
    counts: dict[str, int] | None = None
    seed: int | None = None
    horizon: int = 3
    encoder: dict[str, Any] = field(default_factory=lambda: {"kind": "ngrams"})
    plan: PlanKind = "all"
    partial: PartialConfig = field(default_factory=PartialConfig)
    max_cost: float | None = None
    max_hours: float | None = None
    batch_size: int = 512
    ray: int = 0
    keep_failed: bool = False
    keep_prompts: bool = False
    calls: Path | None = None
    unsafe_no_sandbox: bool = False
    dry_run: bool = False
    assumptions: str = "assumptions/h100.yaml"
    measured: Path | None = None

    def __post_init__(self) -> None:
        check_domains(self)

    @property
    def written(self) -> Path | None:
        return None if self.dry_run else self.out


def collect(config: CollectConfig, json: bool = False) -> None:
    """Run a pool over the routes of a set of queries, once, into an outcome table.

    Identical calls are made once, and finished calls are kept in OUT/calls.sqlite, verdicts in OUT/verdicts.sqlite:
    run the same command again after an interruption and it goes on. While there is a file OUT/pause it waits. Exit
    code 3: the budget is used up; 4: calls failed.
    """
    from hierrouter_jax.bridge.pool import load_pool
    from hierrouter_jax.cli.collection import collect_table, source_of
    from hierrouter_jax.cli.forecast import print_forecast
    from hierrouter_jax.config import config_path

    source, pool = source_of(config), load_pool(config_path(config.pool))
    if config.dry_run:
        print_forecast(source, pool, config, json)
    elif config.measured is not None:
        raise InputError("--measured is of a forecast: add --dry_run")
    elif config.out is None:
        raise InputError("--out is missing: say in which folder the table is to be")
    else:
        collect_table(source, pool, config, config.out, json)
