"""Verbs that work on tables and run folders without calling a model: inspect, train, evaluate, export."""

import json as jsonlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.members import members_by_task, print_members
from hierrouter_jax.cli.provenance import import_notes
from hierrouter_jax.cli.summary import pool_tables, splits_tables, table_summary
from hierrouter_jax.cli.tables import print_result, result_console, result_table
from hierrouter_jax.config import load_yaml, to_dict
from hierrouter_jax.domains import NATURAL
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import existing
from hierrouter_jax.outcomes.notes import table_notes
from hierrouter_jax.outcomes.shipped import lasting
from hierrouter_jax.outcomes.store import load_external, load_table
from hierrouter_jax.outcomes.table import RIGHT, SPLITS, OutcomeTable
from hierrouter_jax.studies.evaluate import behaviour
from hierrouter_jax.studies.evaluate import evaluate as evaluate_routers
from hierrouter_jax.sweeps.folder import HEADER
from hierrouter_jax.sweeps.result import load_sweep
from hierrouter_jax.training.checkpoints import RunCheckpoints, load_routers, read_train_config
from hierrouter_jax.training.router import DIVERGED, Diverged, TrainedRouter
from hierrouter_jax.training.run_folder import RunFolder
from hierrouter_jax.training.tracking import tracked
from hierrouter_jax.training.train import TrainConfig, train_routers

# Verbs that write a folder: which, by their options; one that is only added to must be there.
WRITES = {
    "train": lambda options: options["out"],
    "evaluate": lambda options: existing(options["run"]),
    "export": lambda options: options["out"],
}


def inspect(table: Path, query: str | None = None, json: bool = False) -> None:
    """Show what an outcome table holds: its pool, splits, how right each model is alone and by task, and the ceilings.

    Two other views have options of their own: 'hierrouter inspect --task gsm8k --help' tells those of a task's
    prompts and verdicts, 'hierrouter inspect --mix mix/paper.yaml --help' those of what a mix of tasks draws.

    Args:
      table: folder of the table.
      query: id of one query, whose whole hop tree is shown instead.
      json: print for machines.
    """
    loaded = load_table(table)
    if query is not None:
        _show_query(loaded, query)
        return
    summary = table_summary(loaded) | members_by_task(loaded, load_external(table))
    if json:
        print(jsonlib.dumps(summary))
        return
    output = result_console()
    print_result(output, *pool_tables(summary["pool"], loaded.money_unit))
    print_result(output, *splits_tables(summary["splits"]))
    print_members(output, summary)
    output.print(
        f"horizon {summary['horizon']}, {summary['available']:.1%} of the hops collected, "
        f"costs in {loaded.money_unit}, fingerprint {summary['fingerprint']}",
        soft_wrap=True,
    )
    notes = table_notes(loaded.settings)
    if "import" in loaded.settings:
        told = loaded.settings["import"]
        notes = [f"imported from {told.get('format')} {told.get('path')}", *import_notes(told), *notes]
    for note in dict.fromkeys(notes):
        output.print(note, soft_wrap=True, markup=False)


def train(
    table: Path,
    out: Path = Path("runs/train"),
    train: TrainConfig = TrainConfig(),  # noqa: B008 (frozen)
    fresh: bool = False,
    track: str = "",
) -> None:
    """Train routers on an outcome table.

    Run the same command again after an interruption and it goes on from the latest checkpoint, to the same end.

    Args:
      table: folder of the table.
      out: run folder.
      train: learners, seeds and every number of the learner.
      fresh: discard what the run folder holds of an earlier training, and start anew.
      track: tensorboard, wandb or mlflow, or several with commas between them; metrics.parquet is written anyway.
    """
    run, loaded = RunFolder(out), load_table(table)
    checkpoints = RunCheckpoints(out, loaded, train, fresh)
    if checkpoints.finished:
        print(f"{out}: finished already, nothing is trained; --fresh starts anew")
    else:
        run.write_config({"table": str(lasting(table)), "train": to_dict(train)})
        if checkpoints.resumed:
            print(f"{out}: goes on from {checkpoints.describe()}")
    try:
        with run.timed("train"), checkpoints, tracked(track, out, to_dict(train)) as tracking:
            routers, metrics = train_routers(loaded, train, not checkpoints.finished, checkpoints, tracking)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{out} keeps {checkpoints.describe()}") from None
    if not checkpoints.finished:
        run.write_metrics(metrics)
        run.write_run(train.seed, configurations_tried=1)
    for name, router in routers.items():
        if not router.diverged.all():
            returns = np.asarray(router.state.best_return)[~router.diverged]
            best = f"validation return {returns.max():.4f} (seed {router.chosen_seed}; {returns.min():.4f} the worst)"
            print(f"{name}: {best}")
        _tell_divergence(name, router)
    lost = [name for name, router in routers.items() if router.diverged.all()]
    if lost:
        raise Diverged(f"{out}: {', '.join(lost)}: {DIVERGED}")
    print(f"next: hierrouter evaluate {out}")


def _tell_divergence(name: str, router: TrainedRouter) -> None:
    """Which seeds' parameters are not finite in the end, on standard error."""
    stranded = np.flatnonzero(router.stranded)
    if len(stranded):
        kept = "nothing of them is kept" if router.diverged[stranded].all() else "what was best before that is kept"
        said = f"{name}: diverged in {len(stranded)} of {len(router.stranded)} seeds ({', '.join(map(str, stranded))})"
        print(f"{said}: their parameters are not finite; {kept}", file=sys.stderr)


def evaluate(run: Path, table: Path | None = None, split: str = "test", json: bool = False) -> None:
    """Evaluate a run's routers exactly, beside the opponents and oracles; writes evaluation.json.

    Args:
      run: folder that 'hierrouter train' or 'quickstart' wrote.
      table: outcome table, if it is no longer where the run found it.
      split: train, validation or test.
      json: print the evaluation for machines.
    """
    if split not in SPLITS:
        raise InputError(f"--split is {split!r}, but must be one of {', '.join(SPLITS)}")
    loaded = run_table(run, table)
    routers = load_routers(run, loaded)
    config = read_train_config(run)
    for name in (name for name in config.learners if name not in routers):
        print(f"{name}: left out, as {DIVERGED}", file=sys.stderr)
    features = next(iter(routers.values())).features
    external = load_external(_table_folder(run, table))
    evaluation = evaluate_routers(loaded, routers, features, config.hyper.reward.hop_cost, split, external)
    folder = RunFolder(run)
    folder.write_json("evaluation.json", evaluation)
    folder.write_json("behaviour.json", behaviour(loaded, routers, split))
    if json:
        print(jsonlib.dumps(evaluation))
    else:
        output = result_console()
        print_result(output, result_table(evaluation))
        for note in evaluation["table"]["notes"]:
            output.print(note, style="dim", soft_wrap=True, markup=False)


def export(
    run: Path,
    out: Path,
    learner: str = "ppo+stop",
    seed: int | None = None,
    checkpoint: int | None = None,
    member: int | None = None,
    table: Path | None = None,
) -> None:
    """Write a trained router as a policy bundle.

    Args:
      run: folder that 'hierrouter train' or 'quickstart' wrote, or a sweep.
      out: folder of the bundle.
      learner: ppo or ppo+stop.
      seed: index of the seed; by default the best on validation.
      checkpoint: updates after which the router is wanted; by default those with the best validation.
      member: of a sweep; by default the best on validation.
      table: outcome table, if it is no longer where the run found it.
    """
    if (run / HEADER).is_file():
        if checkpoint is not None:
            raise InputError(f"--checkpoint is {checkpoint}, but {run} is a sweep, which keeps none")
        found = load_sweep(run, None if table is None else load_table(table))
        bundle = found.bundle(found.best_member if member is None else member)
    elif member is not None:
        raise InputError(f"--member is {member}, but {run} holds no sweep")
    else:
        bundle = _learner_bundle(run, learner, seed, checkpoint, table)
    bundle.save(out)
    print(out)


def _learner_bundle(
    run: Path, learner: str, seed: int | None, checkpoint: int | None, table: Path | None
) -> PolicyBundle:
    loaded = run_table(run, table)
    config = read_train_config(run)
    if learner not in config.learners:
        raise InputError(f"--learner is {learner!r}, but {run} holds {', '.join(config.learners)}")
    if seed is not None and not 0 <= seed < config.num_seeds:
        raise InputError(f"--seed is {seed}, but {run} holds seeds 0..{config.num_seeds - 1}")
    bundle = load_routers(run, loaded, checkpoint, (learner,))[learner].bundle(loaded, seed)
    if checkpoint is not None:
        bundle = replace(bundle, provenance=bundle.provenance | {"checkpoint": checkpoint})
    return bundle


def run_table(run: Path, table: Path | None) -> OutcomeTable:
    return load_table(_table_folder(run, table))


def _table_folder(run: Path, table: Path | None) -> Path:
    """Where a run's outcome table is: as told, as the run was told, or the one it collected itself."""
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder")
    recorded = load_yaml(run / "config.yaml").get("table")
    return table or (Path(recorded) if recorded else run / "table")


def _show_query(table: OutcomeTable, query_id: str) -> None:
    row = next((row for row, query in enumerate(table.queries) if query.id == query_id), None)
    if row is None:
        raise InputError(
            f"--query is {query_id!r}, but the table's ids run from {table.queries[0].id!r} to {table.queries[-1].id!r}"
        )
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


# The domains of numbers that are no field of a configuration.
DOMAINS = {"export": {"seed": NATURAL, "checkpoint": NATURAL, "member": NATURAL}}
