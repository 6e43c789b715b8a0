"""The verb `route`: queries answered live by a policy bundle and its pool."""

import json as jsonlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.console import Console
from rich.text import Text

from hierrouter_jax.domains import COUNT, NONNEGATIVE, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.rows import TABULAR, kind, read_questions, read_text
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.outcomes.texts import decoded, lines_of
from hierrouter_jax.processor import importing

if TYPE_CHECKING:
    from hierrouter_jax.bridge.transcript import Transcript

_MOST_NAMED = 3  # failed queries, in the message at the end


@dataclass(frozen=True)
class RouteConfig:
    """Queries, and what answers them.

    Attributes:
      query: a query; or a .txt file with one a line; or a .jsonl, .json, .csv or .parquet file with text
        (of any number of lines) and optionally id and task; or - for standard input, one a line.
      policy: folder of a policy bundle, as a run's policy/ or 'hierrouter export' gives; or hf://OWNER/NAME of one on
        the Hugging Face hub, and @REVISION.
      pool: preset or YAML file of the pool that the policy was trained on.
      cost_weight: lambda that a cost-conditioned policy is to serve; by default the one of its run.
      budget: the most that each query's route may cost, in the pool's money unit, for a budgeted policy.
      task: task of the queries that name none, for a policy that reads the task.
      max_hops: largest number of hops of a route; by default the policy's horizon.
      url: address of a running 'hierrouter serve' to ask, in place of policy and pool.
      key_env: the environment variable that holds the key of that server; by default none is sent.
    """

    DOMAINS: ClassVar[Domains] = {"cost_weight": NONNEGATIVE, "budget": NONNEGATIVE, "max_hops": COUNT}

    query: str
    policy: Path = Path("runs/quickstart/policy")
    pool: str = "pool/tiny.yaml"
    cost_weight: float | None = None
    budget: float | None = None
    task: str = ""
    max_hops: int | None = None
    url: str = ""
    key_env: str | None = None

    def __post_init__(self) -> None:
        check_domains(self)


def route(config: RouteConfig, json: bool = False) -> None:
    """Answer queries live: the policy chooses, the chosen model answers, hop by hop.

    A query whose call fails keeps the hops before it; the others go on. Exit code 4: calls failed. With --json a
    transcript is one JSON object a line.
    """
    questions = questions_of(config.query)
    transcripts, money_unit = _asked(config, questions) if config.url else _routed(config, questions)
    for transcript in transcripts:
        if json:
            print(jsonlib.dumps(transcript.to_dict()))
        else:
            _show(transcript, money_unit)
    failed = [transcript for transcript in transcripts if transcript.failed]
    if failed:
        from hierrouter_jax.bridge.collect import CallsFailed

        named = "; ".join(f"{transcript.query_id}: {transcript.failed}" for transcript in failed[:_MOST_NAMED])
        more = f"; and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
        raise CallsFailed(f"{len(failed):,} of {len(transcripts):,} queries have no full route ({named}{more})")


def _routed(config: RouteConfig, questions: Sequence[Query] | Sequence[str]) -> tuple[list["Transcript"], str]:
    """Transcripts by a policy and models of this process, and the unit of their costs."""
    with importing():
        from hierrouter_jax.bridge.route import contexts_of
        from hierrouter_jax.serve.router import Router

        contexts_of(questions, config.task)  # refuses an empty one before models are loaded
        loaded = Router.load(config.policy, config.pool)
    with loaded as router:
        transcripts = router.route_many(
            questions,
            cost_weight=config.cost_weight,
            budget=config.budget,
            max_hops=config.max_hops,
            task=config.task,
            progress=len(questions) > 64,
        )
    return transcripts, router.bundle.money_unit


def _asked(config: RouteConfig, questions: Sequence[Query] | Sequence[str]) -> tuple[list["Transcript"], str]:
    """Transcripts by a running server, and the unit of their costs."""
    from hierrouter_jax.serve.client import ask_server

    key = os.environ.get(config.key_env, "").strip() if config.key_env else None
    if config.key_env and not key:
        raise InputError(f"key_env: the environment variable {config.key_env} holds no key")
    names = ("cost_weight", "budget", "max_hops", "task")
    return ask_server(config.url, questions, {name: getattr(config, name) for name in names}, key)


def questions_of(query: str) -> Sequence[Query] | Sequence[str]:
    """The queries of a file that exists, those of standard input, or else the one that the text itself is."""
    if query == "-":
        buffer = getattr(sys.stdin, "buffer", None)  # a notebook's input has none
        text = sys.stdin.read() if buffer is None else decoded(buffer.read(), "standard input")
        return _lines(text, "standard input")
    path = Path(query)
    suffix = kind(path) if len(query.splitlines()) == 1 else ""
    if not os.path.exists(query) and suffix not in (".txt", *TABULAR):
        if query != query.encode("utf-8", "replace").decode():
            raise InputError("the query is not UTF-8; give it in a UTF-8 file, or on standard input")
        return [query]
    if not os.path.exists(query):
        raise InputError(f"{query}: no such file; a query that ends like a file's name is given on standard input")
    if suffix in TABULAR:
        return read_questions(path)
    if suffix != ".txt":
        what = "a folder" if path.is_dir() else f"neither a .txt nor a {', '.join(TABULAR[:-1])} or {TABULAR[-1]} file"
        raise InputError(f"{query}: is {what}, so no queries are read; a query of this text is given on standard input")
    return _lines(read_text(path), query)


def _lines(text: str, where: str) -> list[str]:
    """A query a line; empty lines at the end are none."""
    lines = lines_of(text.rstrip("\r\n"))
    empty = next((number for number, line in enumerate(lines, start=1) if not line.strip()), None)
    if not lines or (empty and len(lines) == 1):
        raise InputError(f"{where}: holds no query; one a line is needed")
    if empty:
        raise InputError(f"{where}: line {empty} is empty, but must hold a query")
    return lines


def _show(transcript: "Transcript", money_unit: str) -> None:
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
    if transcript.failed:
        output.print(Text.assemble(("  x ", "red"), transcript.failed))
        return
    end = "stopped" if transcript.stopped else "at the horizon"
    of = "" if transcript.budget is None else f" of {transcript.budget:.1f}"
    output.print(
        Text.assemble(
            ("  = ", "cyan"), (transcript.answer, "bold"), (f"   {end}, {transcript.cost:.1f}{of} {money_unit}", "dim")
        )
    )
