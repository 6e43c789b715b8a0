"""The verb `inspect`: what a table holds, what a task asks, what a mix draws."""

import json as jsonlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from hierrouter_jax.cli.result_tables import print_result, result_console
from hierrouter_jax.domains import COUNT, NATURAL, Domains, check_domains
from hierrouter_jax.errors import InputError

if TYPE_CHECKING:
    from hierrouter_jax.outcomes.table import OutcomeTable

# What each view takes besides --json; the first is that of a table.
_VIEWS = {
    "": {"table", "query"},
    "--task": {"table", "responses", "split", "data", "shots", "limit", "reason", "chat", "full", "unsafe_no_sandbox"},
    "--mix": {"tasks", "data"},
}


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


def inspect(config: InspectConfig, json: bool = False) -> None:
    """Show what an outcome table holds: its pool, splits, how right each model is alone and by task, and the ceilings.

    With --task it shows a task's prompts and verdicts instead, with --mix what a mix of tasks draws.
    """
    if config.task is not None or config.mix is not None:
        from hierrouter_jax.cli.inspect_tasks import inspect_mix, inspect_task

        if config.task is not None:
            inspect_task(config, config.task, json)
        elif config.mix is not None:
            inspect_mix(config, config.mix, json)
    elif config.table is not None:
        _inspect_table(config.table, config.query, json)


def _inspect_table(folder: Path, query: str | None, json: bool) -> None:
    from hierrouter_jax.cli.import_ import import_notes
    from hierrouter_jax.cli.summary import members_by_task, pool_tables, print_members, splits_tables, table_summary
    from hierrouter_jax.outcomes.notes import table_notes
    from hierrouter_jax.outcomes.store import load_external, load_table

    table = load_table(folder)
    if query is not None:
        _show_query(table, query)
        return
    summary = table_summary(table) | members_by_task(table, load_external(folder))
    if json:
        print(jsonlib.dumps(summary))
        return
    output = result_console()
    print_result(output, *pool_tables(summary["pool"], table.money_unit))
    print_result(output, *splits_tables(summary["splits"]))
    print_members(output, summary)
    output.print(
        f"horizon {summary['horizon']}, {summary['available']:.1%} of the hops collected, "
        f"costs in {table.money_unit}, fingerprint {summary['fingerprint']}",
        soft_wrap=True,
    )
    notes = table_notes(table.settings)
    if "import" in table.settings:
        source = table.settings["import"]
        notes = [f"imported from {source.get('format')} {source.get('path')}", *import_notes(source), *notes]
    for note in dict.fromkeys(notes):
        output.print(note, soft_wrap=True, markup=False)


def _show_query(table: "OutcomeTable", query_id: str) -> None:
    row = next((row for row, query in enumerate(table.queries) if query.id == query_id), None)
    if row is None:
        raise InputError(
            f"--query is {query_id!r}, but the table's ids run from {table.queries[0].id!r} to {table.queries[-1].id!r}"
        )
    from hierrouter_jax.outcomes.table import RIGHT

    query = table.queries[row]
    root = Tree(Text.assemble((query.text, "bold"), (f"   {query.task}, gold {query.gold!r}", "dim")))
    branches = {0: root}
    for node in range(1, table.tree.num_nodes):
        parent = table.tree.parent(node)
        if parent in branches and table.available[row, node]:
            right = table.quality[row, node] >= RIGHT
            label = Text.assemble(
                (f"{table.model_names[table.tree.last_model(node)]} ", "cyan"),
                (str(table.response[row, node]), "green" if right else ""),
                (f"   quality {table.quality[row, node]:g}, cost {table.cost[row, node]:,.4g}", "dim"),
            )
            branches[node] = branches[parent].add(label)
    Console(highlight=False, soft_wrap=True).print(root)
