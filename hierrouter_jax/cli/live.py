"""Verbs that call models: quickstart, collect, route."""

import json as jsonlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect as collect_table
from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.grading import Grader, Verdict, exact_match, one_by_one
from hierrouter_jax.bridge.grading.parallel import VerdictCache, grade_all
from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.bridge.route import Transcript
from hierrouter_jax.bridge.route import route as route_live
from hierrouter_jax.bridge.tasks import draw_mix, load_mix
from hierrouter_jax.bridge.tasks.graders import Run
from hierrouter_jax.bridge.tiny.queries import make_queries
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.tables import result_console, result_table
from hierrouter_jax.cli.tasks import mix_notes, split_names
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.quickstart import QuickstartConfig, run_quickstart
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.query_file import TABULAR, read_queries, read_questions
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.outcomes.table import Query

# Verbs whose options are the fields of a configuration, not the parameters of the function.
CONFIGURED = {"quickstart": QuickstartConfig}
DEFAULT_COUNTS = {"train": 1200, "validation": 300, "test": 600}
DEFAULT_MIX = "mix/paper.yaml"


def collect(
    out: Path,
    pool: str = "pool/tiny.yaml",
    queries: Path | None = None,
    tasks: str | None = None,
    mix: str | None = None,
    data: Path | None = None,
    counts: dict[str, int] | None = None,
    seed: int | None = None,
    horizon: int = 3,
    encoder: dict[str, Any] = {"kind": "ngrams"},  # noqa: B006 (read only)
    batch_size: int = 512,
    unsafe_no_sandbox: bool = False,
    json: bool = False,
) -> None:
    """Run a pool over every route of a set of queries, once, into an outcome table.

    Identical calls are made once, and finished calls are kept in OUT/calls.sqlite, verdicts in OUT/verdicts.sqlite:
    run the same command again after an interruption and it goes on.

    Args:
      out: folder of the table.
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
      batch_size: calls generated at once.
      unsafe_no_sandbox: run programs in responses unprotected where there is no sandbox.
      json: print a summary for machines.
    """

    def grading(grader: Grader, responses: Sequence[str], asked: Sequence[Query]) -> list[Verdict]:
        return grade_all(grader, responses, asked, VerdictCache(out / "verdicts.sqlite"))

    rows, grader, settings = _queries(queries, tasks, mix, data, counts, seed, grading, unsafe_no_sandbox)
    config = load_pool(config_path(pool))
    if "tasks" in settings and config.prompt.fold:
        raise InputError(
            f"{pool}: tasks are of several lines, which its prompt would fold; set prompt: {{fold: false}}"
        )
    backends = load_backends(config)
    cache = CallCache(out / "calls.sqlite")
    table = collect_table(
        rows,
        backends,
        HopTree(len(backends), horizon),
        build_encoder(encoder),
        config.prompt,
        grader,
        cache,
        batch_size,
        money_unit=config.money_unit,
        settings=settings,
    )
    cache.close()
    save_table(table, out)
    summary = {"table": str(out), "queries": table.num_queries, "fingerprint": table.fingerprint, **table.settings}
    if json:
        print(jsonlib.dumps(summary))
    else:
        print(f"{out}: {table.num_queries:,} queries, {summary['hops']:,} hops from {summary['calls']:,} calls")
        for note in mix_notes(settings) if settings else ():
            print(note)


def route(
    query: str,
    policy: Path = Path("runs/quickstart/policy"),
    pool: str = "pool/tiny.yaml",
    cost_weight: float | None = None,
    budget: float | None = None,
    json: bool = False,
) -> None:
    """Answer queries live: the policy chooses, the chosen model answers, hop by hop.

    Args:
      query: a query; or a .txt file with one a line; or a .jsonl, .csv or .parquet file with text
        (of any number of lines) and optionally id; or - for standard input, one a line.
      policy: policy bundle, as a run's policy/ or 'hierrouter export' gives.
      pool: preset or YAML file of the pool that the policy was trained on.
      cost_weight: lambda that a cost-conditioned policy is to serve; by default the one of its run.
      budget: the most that each query's route may cost, in the pool's money unit, for a budgeted policy.
      json: print transcripts for machines, one JSON object a line.
    """
    bundle = PolicyBundle.load(policy)
    config = load_pool(config_path(pool))
    questions = _read_questions(query)
    bundle.check_told(cost_weight, budget)
    transcripts = route_live(
        questions,
        bundle,
        load_backends(config),
        build_encoder(bundle.encoder),
        config.prompt,
        progress=len(questions) > 64,
        cost_weight=cost_weight,
        budget=budget,
    )
    for transcript in transcripts:
        if json:
            print(jsonlib.dumps(transcript.to_dict()))
        else:
            _show(transcript, bundle.money_unit)


def quickstart(config: QuickstartConfig) -> None:
    """Collect, train, evaluate, export and route the tiny pool, end to end."""
    console = Console(stderr=True)
    evaluation = run_quickstart(config, console)
    output = result_console()
    output.print(result_table(evaluation))
    live = evaluation["live"]
    if live:
        output.print(
            f"live: {live['routes_equal']} of {live['queries']} routes and {live['responses_equal']} of "
            f"{live['queries']} responses of {live['policy']} equal the table's",
            highlight=False,
        )
    output.print(f"report: {config.out / 'report.html'}", highlight=False, soft_wrap=True)


def _queries(
    queries: Path | None,
    tasks: str | None,
    mix: str | None,
    data: Path | None,
    counts: dict[str, int] | None,
    seed: int | None,
    grading: Run,
    unsafe_no_sandbox: bool,
) -> tuple[Sequence[Query], Grader, dict[str, Any]]:
    """The queries of a collection, their grader, and where they are from."""
    if tasks is None and mix is None:
        if data is not None:
            raise InputError("--data is a copy of the benchmarks: say which with --tasks or --mix")
        rows = make_queries(counts or DEFAULT_COUNTS, seed or 0) if queries is None else read_queries(queries)
        return rows, one_by_one(exact_match), {}
    if queries is not None:
        raise InputError("--queries brings its own queries: drop it, or --tasks and --mix")
    config = load_mix(mix or DEFAULT_MIX)
    if tasks is not None or counts is not None:
        config = config.only(split_names(tasks) if tasks else tuple(config.tasks), counts)
    drawn = draw_mix(config if seed is None else replace(config, seed=seed), data, grading, unsafe_no_sandbox)
    return drawn.queries, drawn.grader, drawn.settings


def _read_questions(query: str) -> Sequence[Query] | Sequence[str]:
    """A query, or those of a file, or of standard input."""
    path = Path(query)
    if path.suffix in TABULAR and len(query.splitlines()) == 1:
        return read_questions(path)
    if query == "-":
        lines = sys.stdin.read().splitlines()
    elif query.endswith(".txt"):
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        lines = path.read_text(encoding="utf-8").splitlines()
    else:
        return [query]
    if not lines:
        raise InputError(f"{query}: holds no query; one a line is needed")
    return lines


def _show(transcript: Transcript, money_unit: str) -> None:
    """A transcript for a person: the query, each hop, the answer."""
    output = Console(soft_wrap=True, highlight=False)
    output.print(Text(transcript.query, style="bold"))
    for number, hop in enumerate(transcript.hops, start=1):
        output.print(
            Text.assemble(
                (f"  {number} {hop.model:<12}", "cyan"),
                hop.response,
                (f"   p {hop.probability:.2f}, cost {hop.cost:.1f}", "dim"),
            )
        )
    end = "stopped" if transcript.stopped else "at the horizon"
    of = "" if transcript.budget is None else f" of {transcript.budget:.1f}"
    output.print(
        Text.assemble(
            ("  = ", "cyan"), (transcript.answer, "bold"), (f"   {end}, {transcript.cost:.1f}{of} {money_unit}", "dim")
        )
    )
