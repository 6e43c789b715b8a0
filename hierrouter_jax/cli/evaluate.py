"""The verb `evaluate`: a run's routers beside their opponents; and where the table of a run is."""

import json as jsonlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from hierrouter_jax.cli.result_tables import plain_table, print_result, result_console, result_table
from hierrouter_jax.config import load_yaml
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import existing
from hierrouter_jax.outcomes.table import SPLITS
from hierrouter_jax.report import formats


@dataclass(frozen=True)
class EvaluateConfig:
    """An evaluation of a run.

    Attributes:
      run: folder that 'hierrouter train' or 'quickstart' wrote.
      table: folder of the outcome table, if it is no longer where the run found it.
      split: part of the table to evaluate on: train, validation or test.
    """

    run: Path
    table: Path | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"--split is {self.split!r}, but must be one of {', '.join(SPLITS)}")

    @property
    def written(self) -> Path | None:
        return existing(self.run)


def evaluate(config: EvaluateConfig, json: bool = False) -> None:
    """Evaluate a run's routers exactly, beside the opponents and oracles; writes evaluation.json into the run."""
    from hierrouter_jax.outcomes.store import load_external, load_table
    from hierrouter_jax.studies.choice import candidates
    from hierrouter_jax.studies.evaluate import behaviour
    from hierrouter_jax.studies.evaluate import evaluate as evaluate_routers
    from hierrouter_jax.training.checkpoints import load_routers, read_train_config
    from hierrouter_jax.training.router import DIVERGED
    from hierrouter_jax.training.run_folder import RunFolder

    source = table_folder(config.run, config.table)
    table = load_table(source)
    routers = load_routers(config.run, table)
    trained = read_train_config(config.run)
    for name in (name for name in trained.learners if name not in routers):
        print(f"{name}: left out, as {DIVERGED}", file=sys.stderr)
    features, hop_cost = next(iter(routers.values())).features, trained.hyper.reward.hop_cost
    rivals = candidates(table, routers) if any(router.exportable for router in routers.values()) else None
    evaluation = evaluate_routers(table, routers, features, hop_cost, config.split, load_external(source), rivals)
    folder = RunFolder(config.run)
    folder.write_json("evaluation.json", evaluation)
    folder.write_json("behaviour.json", behaviour(table, routers, config.split))
    if json:
        print(jsonlib.dumps(evaluation))
        return
    output = result_console()
    print_result(output, result_table(evaluation))
    rows = [row for row in evaluation["policies"] if "caching" in row]
    if rows:
        output.print()
        print_result(output, _caching_table(rows, evaluation["money_unit"]))
    if evaluation["chosen"]:
        line = f"chosen on validation, what 'hierrouter export' writes: {evaluation['chosen']['policy']}"
        output.print(f"{line} ({evaluation['chosen']['kind']})", style="dim", soft_wrap=True)
    for note in evaluation["table"]["notes"]:
        output.print(note, style="dim", soft_wrap=True)


def _caching_table(rows: list[dict[str, Any]], money_unit: str) -> Table:
    """What the calls of each policy cost without and with a prefix cache, and what it pays for switching models."""
    table = plain_table(
        caption=f"cost of a query's calls in {money_unit}; switch regret: with the cache, over calling the first model "
        "as often, 95 % intervals",
    )
    table.add_column("policy")
    for header in ("no cache", "cache", "cached %", "switch regret"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        one, (low, high) = row["caching"], row["caching"]["switch_regret_ci"]
        costs = f"{one['cost_uncached']:.4g}", f"{one['cost']:.4g}", formats.percent(one["tokens_cached"])
        table.add_row(row["name"], *costs, f"{one['switch_regret']:.3g} [{low:.3g}, {high:.3g}]")
    return table


def table_folder(run: Path, table: Path | None = None) -> Path:
    """The outcome table of a run: the one that is named, the one that the run names, or the one that it collected.

    Raises:
      InputError: if there is no such run folder, or the run was trained from a log.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder")
    config = load_yaml(run / "config.yaml")
    if "log" in config:
        raise InputError(
            f"{run}: was trained from a log, and keeps no routers; its policy is {run / 'policy'}, and 'hierrouter "
            f"estimate LOG --policy {run} --table TABLE' says what it reaches"
        )
    recorded = config.get("table")
    return table or (Path(recorded) if recorded else run / "table")
