"""The views of `inspect` on tasks: a task's prompts and verdicts, and what a mix would draw."""

import json as jsonlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from hierrouter_jax.bridge.grading import Grader, Verdict
from hierrouter_jax.bridge.grading.parallel import VerdictCache, grade_all
from hierrouter_jax.bridge.prompts import as_text
from hierrouter_jax.bridge.tasks.config import TaskConfig, load_mix, load_task
from hierrouter_jax.bridge.tasks.examples import Example, Judged, read_examples, read_responses, table_examples
from hierrouter_jax.bridge.tasks.graders import make_grader
from hierrouter_jax.bridge.tasks.mix import draw_mix
from hierrouter_jax.cli.tables import result_console
from hierrouter_jax.domains import COUNT, NATURAL
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import user_cache
from hierrouter_jax.outcomes.notes import mix_notes
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import RIGHT, SPLITS, Query, Turn

_LINES = 24  # of a prompt or a response, unless --full
_WIDTH = 100
_FEW = 20  # answers that are graded before other processes have started


def inspect_task(
    task: str,
    responses: Path | None = None,
    table: Path | None = None,
    split: str | None = None,
    data: Path | None = None,
    shots: int | None = None,
    limit: int = 5,
    reason: str | None = None,
    chat: bool = False,
    full: bool = False,
    unsafe_no_sandbox: bool = False,
    json: bool = False,
) -> None:
    """Show a task's prompts, and what its grader takes from responses and says of them.

    Without --responses and --table the data set's own solutions are judged, written as worked examples show them.

    Args:
      task: name of a preset (gsm8k, math, mbpp, humaneval, arc, mmlu), or a YAML file; with --table, of any of its
        tasks.
      responses: .jsonl, .csv or .parquet with id and response (and model), to judge.
      table: outcome table, whose own verdicts on each model's first response are shown instead.
      split: the source's split to read; by default the one that test queries are drawn from.
      data: folder of a local copy of the benchmarks, DATA/gsm8k/test.parquet and so on, to read instead of the hub.
      shots: worked examples in front of each question, in place of the task's own number.
      limit: most questions shown.
      reason: show only questions with a verdict of this class (wrong, no answer, timeout, ...).
      chat: show prompts as chat turns.
      full: show every line of long prompts and responses.
      unsafe_no_sandbox: run programs in responses unprotected where there is no sandbox.
      json: print for machines.
    """
    if limit < 1:
        raise InputError(f"--limit is {limit}, but must be at least 1")
    if table is not None and (responses is not None or chat or shots is not None):
        raise InputError("--table shows the table's own texts and verdicts: drop --responses, --chat and --shots")
    first = limit if reason is None else None
    if table is not None:
        name = load_task(task).name if task.endswith((".yaml", ".yml")) else task
        examples = table_examples(load_table(table), name, first)
    else:
        config = load_task(task) if shots is None else load_task(task).with_shots(shots)
        name, split = config.name, split or config.source.splits.get("test", "test")
        given = None if responses is None else read_responses(responses)
        examples = read_examples(config, split, data, _grading(config, unsafe_no_sandbox), given, first)
    kept = [e for e in examples if reason is None or any(_class(judged) == reason for judged in e.responses)]
    shown = kept[:limit]
    if json:
        print(jsonlib.dumps([_plain(example) for example in shown]))
        return
    output = Console(highlight=False, width=min(_WIDTH, Console().width))
    for example in shown:
        _show(example, output, chat, None if full else _LINES)
    counts = Counter(_class(judged) for example in examples for judged in example.responses)
    verdicts = ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"
    output.print(Rule(style="dim"))
    if reason is None:
        told = f"{len(shown)} question{'' if len(shown) == 1 else 's'} shown; verdicts: {verdicts}"
    else:
        told = (
            f"{len(shown)} of {len(kept)} with a verdict {reason!r} shown; verdicts of all {len(examples)}: {verdicts}"
        )
    output.print(f"{name}: {told}")


def inspect_mix(mix: str, tasks: str | None = None, data: Path | None = None, json: bool = False) -> None:
    """Show what a mix draws from its tasks, and the duplicates among and across their files, without running a model.

    Args:
      mix: preset (mix/paper.yaml) or YAML file.
      tasks: only these tasks of it, by name, commas between.
      data: folder of a local copy of the benchmarks, to read instead of the hub.
      json: print for machines, every pair across files included.
    """
    config = load_mix(mix)
    if tasks is not None:
        config = config.only(split_names(tasks), None)
    settings = draw_mix(config, data).settings
    if json:
        print(jsonlib.dumps(settings))
        return
    output = result_console()
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("task", *SPLITS, "drawn from", "label"):
        grid.add_column(column, justify="right" if column in SPLITS else "left")
    for name, task in settings["tasks"].items():
        files = ", ".join(dict.fromkeys(task["drawn_from"].values()))
        counts = [f"{task['counts'][split]:,}" for split in SPLITS]
        grid.add_row(name, *counts, files, "dev-only" if task["dev_only"] else "")
    output.print(grid)
    for line in mix_notes(settings):
        output.print(line, soft_wrap=True)
    for pair in settings["mix"]["duplicates"]["across_files"][:10]:
        output.print(f"  {pair['similarity']:.2f}  {pair['first']}  {pair['second']}", style="dim", soft_wrap=True)


def split_names(tasks: str) -> tuple[str, ...]:
    """Task names from one option.

    Raises:
      InputError: if there is none, or one occurs twice.
    """
    names = tuple(name.strip() for name in tasks.split(",") if name.strip())
    if not names or len(set(names)) < len(names):
        raise InputError(f"--tasks is {tasks!r}, but must name tasks, each once, with commas between")
    return names


def _grading(task: TaskConfig, unsafe_no_sandbox: bool) -> Grader:
    """The task's grader: a few answers in this process, many in several, with a bar and their verdicts kept."""
    grader = make_grader(task, unsafe_no_sandbox)

    def grade(responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        if len(responses) <= _FEW:
            return grader(responses, queries)
        cache = VerdictCache(user_cache() / "verdicts.sqlite")
        try:
            return grade_all(grader, responses, queries, cache)
        finally:
            cache.close()

    return grade


def _plain(example: Example) -> dict[str, Any]:
    """JSON data, turns by the names of their parts."""
    data = asdict(example)
    data["turns"] = [turn._asdict() for turn in example.turns]
    data["query"]["shots"] = [turn._asdict() for turn in example.query.shots]
    return data


def _show(example: Example, output: Console, chat: bool, lines: int | None) -> None:
    query = example.query
    about = f"{query.id}  {example.stratum}".strip()
    output.print(Rule(Text(about, style="bold"), align="left", style="dim"))
    if chat:
        for turn in example.turns:
            _part(output, turn.role, turn.content, lines)
    else:
        _part(output, "prompt", as_text((*query.shots, Turn("user", query.text))), lines)
    _part(output, "gold", _gold(query.gold), lines)
    for judged in example.responses:
        _part(output, judged.by or "response", judged.response, lines)
        if judged.verdict.extracted.strip() != judged.response.strip():
            _part(output, "extracted", judged.verdict.extracted or "(nothing)", lines)
        style = "green" if judged.verdict.quality >= RIGHT else "red"
        quality = Text(f"{judged.verdict.quality:g}  {judged.verdict.reason}", style=f"bold {style}")
        _part(output, "verdict", quality, lines)


def _part(output: Console, label: str, text: str | Text, lines: int | None) -> None:
    """A labelled part, its lines indented; of a long one the beginning and the end."""
    if isinstance(text, str):
        all_lines = text.strip("\n").splitlines() or [""]
        if lines is not None and len(all_lines) > lines + 1:  # the mark takes a line itself
            half = lines // 2
            left_out = f"[... {len(all_lines) - 2 * half} lines; --full shows them ...]"
            all_lines = [*all_lines[:half], left_out, *all_lines[-half:]]
        text = Text("\n".join(all_lines))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", width=10, no_wrap=True, overflow="ellipsis")
    grid.add_column(overflow="fold")
    grid.add_row(label, text)
    output.print(Padding(grid, (0, 0, 0, 1)))


def _gold(gold: str) -> str:
    """A gold answer for a person: the option, or the tests, that its JSON stands for."""
    try:
        data = jsonlib.loads(gold)
    except ValueError:
        return gold
    if not isinstance(data, dict):
        return gold
    if "choices" in data:
        return f"{data['answer']}. {data['choices'][data['answer']]}"
    if data.get("kind") == "mbpp":
        return "\n".join([*data["imports"], *filter(None, [data["setup"]]), *data["tests"]])
    if data.get("kind") == "humaneval":
        return f"{data['entry_point']} passes\n{data['test'].strip()}"
    return gold


def _class(judged: Judged) -> str:
    return judged.verdict.reason.partition(":")[0]


# The domains of numbers that are no field of a configuration, by the name of the view.
DOMAINS = {"inspect_task": {"shots": NATURAL, "limit": COUNT}, "inspect_mix": {}}
