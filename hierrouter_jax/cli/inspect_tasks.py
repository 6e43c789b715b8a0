"""The views of `inspect` on tasks: a task's prompts and verdicts, and what a mix would draw."""

import json as jsonlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from hierrouter_jax.bridge.grading import Grader, Verdict
from hierrouter_jax.bridge.grading.parallel import grade_kept
from hierrouter_jax.bridge.prompts import as_text
from hierrouter_jax.bridge.tasks.config import TaskConfig, load_mix, load_task
from hierrouter_jax.bridge.tasks.examples import Example, GradedResponse, read_examples, read_responses, table_examples
from hierrouter_jax.bridge.tasks.graders import make_grader
from hierrouter_jax.bridge.tasks.mix import draw_mix
from hierrouter_jax.cli.configs import InspectConfig
from hierrouter_jax.cli.result_tables import plain_console, plain_table, result_console
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import user_cache
from hierrouter_jax.outcomes.notes import mix_notes
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import RIGHT, SPLITS, Query, Turn

_LINES = 24  # of a prompt or a response, unless --full
_WIDTH = 100
_FEW = 20  # answers that are graded before other processes have started


def inspect_task(config: InspectConfig, task: str, json: bool) -> None:
    """Show a task's prompts, and what its grader takes from responses and says of them.

    Args:
      config: everything else about what is shown.
      task: name of a preset, or a YAML file; with a table, the name of any of its tasks.
      json: print for machines.
    """
    if config.table is not None:
        for name in ("responses", "split", "data", "shots", "chat"):
            if getattr(config, name) is not None and getattr(config, name) is not False:
                raise InputError(f"--table shows the table's own texts and verdicts: drop --{name}")
    reason, limit = config.reason, config.limit
    first = limit if reason is None else None
    if config.table is not None:
        name = load_task(task).name if task.endswith((".yaml", ".yml")) else task
        examples = table_examples(load_table(config.table), name, first)
    else:
        settings = load_task(task) if config.shots is None else load_task(task).with_shots(config.shots)
        name, split = settings.name, config.split or settings.source.splits.get("test", "test")
        responses = None if config.responses is None else read_responses(config.responses)
        grading = _grading(settings, config.unsafe_no_sandbox)
        examples = read_examples(settings, split, config.data, grading, responses, first)
    matching = [e for e in examples if reason is None or any(_class(answer) == reason for answer in e.responses)]
    shown = matching[:limit]
    if json:
        print(jsonlib.dumps([_plain(example) for example in shown]))
        return
    output = plain_console(width=min(_WIDTH, Console().width))
    for example in shown:
        _show(example, output, config.chat, None if config.full else _LINES)
    counts = Counter(_class(answer) for example in examples for answer in example.responses)
    verdicts = ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"
    output.print(Rule(style="dim"))
    if reason is None:
        summary = f"{len(shown)} question{'' if len(shown) == 1 else 's'} shown; verdicts: {verdicts}"
    else:
        matched = f"{len(shown)} of {len(matching)} with a verdict {reason!r} shown"
        summary = f"{matched}; verdicts of all {len(examples)}: {verdicts}"
    output.print(f"{name}: {summary}")


def inspect_mix(config: InspectConfig, mix: str, json: bool) -> None:
    """Show what a mix draws from its tasks, and the duplicates among and across their files, without running a model.

    Args:
      config: names of the tasks to show, and where their data is.
      mix: preset or YAML file.
      json: print for machines, every pair across files included.
    """
    drawn = load_mix(mix)
    if config.tasks is not None:
        drawn = drawn.only(split_names(config.tasks), None)
    settings = draw_mix(drawn, config.data).settings
    if json:
        print(jsonlib.dumps(settings))
        return
    output = result_console()
    grid = plain_table()
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
        return grade_kept(grader, responses, queries, user_cache() / "verdicts.sqlite")

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
    for answer in example.responses:
        _part(output, answer.by or "response", answer.response, lines)
        if answer.verdict.extracted.strip() != answer.response.strip():
            _part(output, "extracted", answer.verdict.extracted or "(nothing)", lines)
        style = "green" if answer.verdict.quality >= RIGHT else "red"
        quality = Text(f"{answer.verdict.quality:g}  {answer.verdict.reason}", style=f"bold {style}")
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


def _class(answer: GradedResponse) -> str:
    return answer.verdict.reason.partition(":")[0]
