"""The verb `transfer`: what routers do with a benchmark or a model that they were not trained on."""

import json as jsonlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text

from hierrouter_jax.cli.result_tables import Name, plain_table, print_result, result_console
from hierrouter_jax.domains import NATURAL, Domains, check_domains
from hierrouter_jax.report import formats
from hierrouter_jax.training.settings import TrainConfig

RESULT = "transfer.json"


@dataclass(frozen=True)
class TransferConfig:
    """A study of transfer.

    Attributes:
      table: folder of the outcome table.
      out: folder of the results, which is written.
      train: learners, seeds and every number of the learner; opponents share its features, seed and cost weight.
      opponents: names of those that take part; by default the usual ones that learn or choose.
      model: name of a model of the pool that is taken to be new.
      known: numbers of training queries whose outcomes with it are known.
    """

    DOMAINS: ClassVar[Domains] = {"known": NATURAL}

    table: Path
    out: Path = Path("runs/transfer")
    train: TrainConfig = field(default_factory=lambda: TrainConfig(learners=("exact",), num_seeds=3))
    opponents: tuple[str, ...] | None = None
    model: str | None = None
    known: tuple[int, ...] = (0, 20, 100)

    def __post_init__(self) -> None:
        check_domains(self)

    @property
    def written(self) -> Path:
        return self.out


def transfer(config: TransferConfig, json: bool = False) -> None:
    """Leave each benchmark of a table out of training, and compare on its queries with having trained on it.

    With --model also: what becomes of a model that joined the pool after training, when only a few training queries
    have been sent to it.
    """
    from hierrouter_jax.config import to_dict
    from hierrouter_jax.outcomes.shipped import lasting
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.transfer import transfer as study
    from hierrouter_jax.training.run_folder import RunFolder

    run, table = RunFolder(config.out), load_table(config.table)
    with run.timed("transfer"):
        result = study(table, config.train, config.opponents, config.model, config.known)
    settings = {"train": to_dict(config.train), "opponents": to_dict(config.opponents)}
    settings |= {"model": config.model, "known": list(config.known)}
    run.write_config({"table": str(lasting(config.table))} | settings)
    run.write_json(RESULT, result)
    run.write_run(config.train.seed)
    if json:
        print(jsonlib.dumps(result))
        return
    console = result_console()
    print_result(console, left_out_table(result))
    for sentence in sentences(result):
        console.print(f"\N{MIDDLE DOT} {sentence}", soft_wrap=True)
    if result["added_model"]:
        console.print()
        print_result(console, added_table(result))
    console.print(f"numbers: {config.out / RESULT}", style="dim", soft_wrap=True)


def left_out_table(result: dict[str, Any]) -> Table:
    """A row a task and policy: accuracy without and with the task in training, and the paired difference."""
    table = _table("95 % intervals over the task's test queries, the same with and without; * learned")
    names = tuple(_marked(row, result) for row in result["left_out_task"])
    for header in ("queries", "without it %", "with it %", "difference"):
        table.add_column(header, justify="right", no_wrap=True)
    table.columns[0].header = "benchmark left out"
    for task in result["table"]["tasks"]:
        some = [row for row in result["left_out_task"] if row["task"] == task]
        table.add_row(Text(task, "bold"))
        for row in some:
            learned = row["policy"] in result["learners"]
            lost = "red" if row["ci"][1] < 0 else "green" if row["ci"][0] > 0 else ""
            low, high = (formats.signed_points(end) for end in row["ci"])
            table.add_row(
                Name(_marked(row, result), names),
                str(row["queries"]),
                _accuracy(row),
                formats.percent(row["in_distribution"]),
                Text.assemble((formats.signed_points(row["difference"]), lost), (f" {low} to {high}", _DIM)),
                style="magenta" if learned else "",
                end_section=row is some[-1],
            )
    return table


def added_table(result: dict[str, Any]) -> Table:
    """A row a number of known outcomes and policy: accuracy, cost, and how often the new model is called."""
    rows, unit = result["added_model"], result["cheapest_cost"]
    table = _table(f"{rows[0]['model']} is new in the pool; cost 1 is the cheapest model; * learned")
    names = tuple(_marked(row, result) for row in rows)
    table.columns[0].header = f"outcomes known of {rows[0]['model']}"
    for header in ("accuracy %", "cost", "calls it %"):
        table.add_column(header, justify="right", no_wrap=True)
    for number in dict.fromkeys(row["known"] for row in rows):
        some = [row for row in rows if row["known"] == number]
        table.add_row(Text(f"{number}", "bold"))
        for row in some:
            learned = row["policy"] in result["learners"]
            cells = _accuracy(row), formats.multiple(row["cost"] / unit if unit else None), formats.percent(row["used"])
            style = "magenta" if learned else ""
            table.add_row(Name(_marked(row, result), names), *cells, style=style, end_section=row is some[-1])
    return table


def sentences(result: dict[str, Any]) -> list[str]:
    """What each learner loses, by the mean of the tasks and at worst; and what could not be asked."""
    lines = []
    for name in result["learners"]:
        rows = [row for row in result["left_out_task"] if row["policy"] == name]
        mean = sum(row["difference"] for row in rows) / len(rows)
        worst = min(rows, key=lambda row: row["difference"])
        off, low, high = map(formats.signed_points, (worst["difference"], *worst["ci"]))
        lines.append(
            f"Not trained on the benchmark, {name} is off by {formats.signed_points(mean)} points in the mean of "
            f"{len(rows)}, at worst by {off} ({low} to {high}) on {worst['task']}."
        )
    if result["untested_tasks"]:
        lines.append(f"Without test queries, and so never left out: {', '.join(result['untested_tasks'])}.")
    return lines


_DIM = "dim not bold default"


def _table(caption: str) -> Table:
    table = plain_table(pad_edge=False, collapse_padding=True, caption=caption)
    table.add_column("")
    return table


def _marked(row: dict[str, Any], result: dict[str, Any]) -> str:
    return f"  {row['policy']} *" if row["policy"] in result["learners"] else f"  {row['policy']}"


def _accuracy(row: dict[str, Any]) -> Text:
    low, high = (formats.percent(end) for end in row["accuracy_ci"])
    return Text.assemble(formats.percent(row["accuracy"]), (f" {low}\N{EN DASH}{high}", _DIM))
