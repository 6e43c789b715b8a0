"""The options of the verbs whose work lies in several modules: `collect` and `inspect`."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from hierrouter_jax.domains import COUNT, NATURAL, POSITIVE, SEED, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.studies.partial import PartialConfig, PlanKind

# What each view takes besides --json; the first is that of a table.
_VIEWS = {
    "": {"table", "query"},
    "--task": {"table", "responses", "split", "data", "shots", "limit", "reason", "chat", "full", "unsafe_no_sandbox"},
    "--mix": {"tasks", "data"},
}


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
      replicates: number of times that each question is asked, as rows of one question.
      replicate_by: what differs between them: the seed of sampled decoding, or the order of the options, of multiple
        choice only.
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
        "replicates": COUNT,
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
    replicates: int = 1
    replicate_by: Literal["seed", "order"] = "seed"
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

    @property
    def seeds(self) -> int:
        """Number of seeds that each question is asked under."""
        return self.replicates if self.replicate_by == "seed" else 1


@dataclass(frozen=True)
class InspectConfig:
    """What to look at: a table, or with --task a task, or with --mix a mix.

    Attributes:
      table: folder of an outcome table; may be given first, without --table. With --task, the table whose own verdicts
        on each model's first response are shown.
      query: id of one query, whose whole hop tree is shown instead.
      task: show a task's prompts, and what its grader says of responses: name of a preset (gsm8k, math, mbpp,
        humaneval, arc, mmlu), or a YAML file; with --table, of any of its tasks.
      responses: .jsonl, .csv or .parquet file with id and response (and model), to judge with --task; without it and
        --table the data set's own solutions are judged.
      split: split of the source to read with --task; by default the one that test queries are drawn from.
      data: folder of a local copy of the benchmarks, DATA/gsm8k/test.parquet and so on, to read instead of the hub with
        --task and --mix.
      shots: number of worked examples in front of each question with --task, in place of the task's own.
      limit: largest number of questions shown with --task.
      reason: class of verdict (wrong, no answer, timeout, ...) of the only questions shown with --task.
      chat: show prompts as chat turns with --task.
      full: show every line of long prompts and responses with --task.
      unsafe_no_sandbox: run programs in responses unprotected where there is no sandbox, with --task.
      mix: show what a mix draws from its tasks, and duplicates among their files: a preset (mix/paper.yaml) or YAML
        file.
      tasks: names of the only tasks shown with --mix, commas between.
    """

    DOMAINS: ClassVar[Domains] = {"shots": NATURAL, "limit": COUNT}

    table: Path | None = None
    query: str | None = None
    task: str | None = None
    responses: Path | None = None
    split: str | None = None
    data: Path | None = None
    shots: int | None = None
    limit: int = 5
    reason: str | None = None
    chat: bool = False
    full: bool = False
    unsafe_no_sandbox: bool = False
    mix: str | None = None
    tasks: str | None = None

    def __post_init__(self) -> None:
        check_domains(self)
        if self.task is not None and self.mix is not None:
            raise InputError("--task and --mix are views of inspect by themselves: give one of them")
        view = "--task" if self.task is not None else "--mix" if self.mix is not None else ""
        options = {field.name for field in fields(self) if getattr(self, field.name) != field.default} - {"task", "mix"}
        for name in sorted(options - _VIEWS[view]):
            homes = " or ".join(home or "a table" for home, names in _VIEWS.items() if name in names)
            raise InputError(f"--{name} is of the view of {homes}, not of {view or 'a table'}")
        if not view and self.table is None:
            raise InputError("the following arguments are required: table (or --task, or --mix)")
