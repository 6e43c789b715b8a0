"""Verbs that call models as they answer: quickstart and route."""

import json as jsonlib
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.bridge.route import Transcript
from hierrouter_jax.bridge.route import route as route_live
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.tables import print_result, result_console, result_table
from hierrouter_jax.config import config_path
from hierrouter_jax.domains import NONNEGATIVE
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.quickstart import QuickstartConfig, run_quickstart
from hierrouter_jax.outcomes.query_file import TABULAR, read_questions
from hierrouter_jax.outcomes.table import Query

# Verbs whose options are the fields of a configuration, not the parameters of the function.
DOMAINS = {"route": {"cost_weight": NONNEGATIVE, "budget": NONNEGATIVE}}  # of numbers that no configuration holds
CONFIGURED = {"quickstart": QuickstartConfig}


def route(
    query: str,
    policy: Path = Path("runs/quickstart/policy"),
    pool: str = "pool/tiny.yaml",
    cost_weight: float | None = None,
    budget: float | None = None,
    task: str = "",
    json: bool = False,
) -> None:
    """Answer queries live: the policy chooses, the chosen model answers, hop by hop.

    Args:
      query: a query; or a .txt file with one a line; or a .jsonl, .csv or .parquet file with text
        (of any number of lines) and optionally id and task; or - for standard input, one a line.
      policy: policy bundle, as a run's policy/ or 'hierrouter export' gives.
      pool: preset or YAML file of the pool that the policy was trained on.
      cost_weight: lambda that a cost-conditioned policy is to serve; by default the one of its run.
      budget: the most that each query's route may cost, in the pool's money unit, for a budgeted policy.
      task: of the queries that name none, for a policy that is told the task.
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
        task=task,
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
    print_result(output, result_table(evaluation))
    live = evaluation["live"]
    if live:
        output.print(
            f"live: {live['routes_equal']} of {live['queries']} routes and {live['responses_equal']} of "
            f"{live['queries']} responses of {live['policy']} equal the table's",
            highlight=False,
        )
    output.print(f"report: {config.out / 'report.html'}", highlight=False, soft_wrap=True)


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
