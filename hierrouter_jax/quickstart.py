"""The main job end to end: real models collected, routed by a learned policy, evaluated, and routed again live."""

from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console

from hierrouter_jax.bridge.backends import Backend, load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bridge.transcript import Transcript
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.claims import difference
from hierrouter_jax.config import config_path, to_dict
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.files import sole_writer
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.moved import make_callable
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.quickstart_config import QuickstartConfig
from hierrouter_jax.report.data.headlines import choose_transcripts
from hierrouter_jax.report.pages.run import build_report
from hierrouter_jax.serve.router import Router
from hierrouter_jax.studies.choice import Candidate, bundle_ends, candidates, choose
from hierrouter_jax.studies.evaluate import behaviour, evaluate
from hierrouter_jax.tiny.queries import make_queries
from hierrouter_jax.training.checkpoints import FINISHED, FOLDER, RunCheckpoints
from hierrouter_jax.training.router import DIVERGED, Diverged
from hierrouter_jax.training.run_folder import RunFolder, training_identity, training_record
from hierrouter_jax.training.tracking import tracked
from hierrouter_jax.training.train import train_routers

make_callable(__name__)  # `hierrouter_jax.quickstart(config)` is the verb


@single_precision
def run_quickstart(config: QuickstartConfig, console: Console | None = None) -> dict[str, Any]:
    """Do it all; writes the run folder and returns what `evaluation.json` holds. By default it speaks on stderr."""
    with sole_writer(config.out):
        return _quickstart(config, console or Console(stderr=True))


def _quickstart(config: QuickstartConfig, console: Console) -> dict[str, Any]:
    train_config = replace(config.train, seed=config.seed)
    run = RunFolder(config.out)
    run.write_config(to_dict(replace(config, train=train_config)))
    pool = load_pool(config_path(config.pool))
    with run.timed("load models"):
        backends = load_backends(pool)
    table = _table(config, backends, pool.prompt, pool.money_unit, run, console)
    _say(console, f"Training routers on {sum(q.split == 'train' for q in table.queries):,} queries")
    with run.timed("train"):
        there = training_record(run.path / FOLDER)
        other = there is not None and difference(there, training_identity(table, train_config)) is not None
        anew = other or (run.path / FINISHED).is_file()
        with (
            RunCheckpoints(run.path, table, train_config, fresh=anew) as checkpoints,
            tracked(config.track, run.path, to_dict(train_config)) as tracking,
        ):
            routers, metrics = train_routers(table, train_config, keeper=checkpoints, tracking=tracking)
        run.write_metrics(metrics)
    lost = [name for name, router in routers.items() if router.diverged.all()]
    if lost:
        raise Diverged(f"{config.out}: {', '.join(lost)}: {DIVERGED}")
    _say(console, "Evaluating exactly on the test split")
    with run.timed("evaluate"):
        features = next(iter(routers.values())).features
        rivals = candidates(table, routers) if any(router.exportable for router in routers.values()) else []
        hop_cost = train_config.hyper.reward.hop_cost
        evaluation = evaluate(table, routers, features, hop_cost, "test", rivals=rivals)
        run.write_json("behaviour.json", behaviour(table, routers, "test"))
    (run.path / "live.json").unlink(missing_ok=True)
    if rivals:
        chosen = choose(rivals)
        chosen.bundle.save(run.path / "policy", evaluation)
        evaluation["live"] = _route_live(config, chosen, table, backends, pool.prompt, run, console)
    else:
        _say(console, f"Not exported, nor routed live: a policy bundle cannot hold {train_config.static.network}")
    run.write_json("evaluation.json", evaluation)
    run.write_run(config.seed, configurations_tried=1)
    with run.timed("report"):
        build_report(run.path)
    run.write_run(config.seed, configurations_tried=1)
    return evaluation


def _route_live(
    config: QuickstartConfig,
    chosen: Candidate,
    table: OutcomeTable,
    backends: tuple[Backend, ...],
    prompt: HopPrompt,
    run: RunFolder,
    console: Console,
) -> dict[str, Any]:
    """Route every test query with the exported bundle, and compare with the table."""
    bundle = PolicyBundle.load(run.path / "policy")
    _say(console, f"Routing every test query live with {chosen.name}, from the exported bundle")
    with run.timed("route live"):
        test = table.split("test")
        live = Router(bundle, backends, build_encoder(bundle.encoder), prompt)
        transcripts = live.route_many(test.queries, batch_size=config.batch_size)
        shown = choose_transcripts(_graded(test, transcripts), config.transcripts)
        run.write_json("live.json", {"transcripts": {chosen.name: shown}})
        return compare_live(chosen, test, transcripts)


def compare_live(chosen: Candidate, table: OutcomeTable, transcripts: list[Transcript]) -> dict[str, Any]:
    """How many live routes, and all of their responses, equal the table's."""
    nodes = bundle_ends(chosen.bundle, table).argmax(axis=1)
    routes, responses = 0, 0
    for row, (node, transcript) in enumerate(zip(nodes, transcripts, strict=True)):
        path = list(table.tree.path(int(node)))
        same = [table.model_names[m] for m in table.tree.route(int(node))] == [hop.model for hop in transcript.hops]
        routes += same
        responses += same and list(table.response[row, path]) == [hop.response for hop in transcript.hops]
    return {
        "policy": chosen.name,
        "queries": len(transcripts),
        "routes_equal": routes,
        "responses_equal": responses,
        "accuracy": float(np.mean([exact_match(t.answer, q) for t, q in zip(transcripts, table.queries, strict=True)])),
    }


def _table(
    config: QuickstartConfig,
    backends: tuple[Backend, ...],
    prompt: HopPrompt,
    money_unit: str,
    run: RunFolder,
    console: Console,
) -> OutcomeTable:
    if config.table is not None:
        with run.timed("load table"):
            return load_table(config.table)
    queries = make_queries(vars(config.queries), config.seed)
    tree = HopTree(len(backends), config.horizon)
    _say(
        console,
        f"Running {len(backends)} models over every route of {len(queries):,} queries ({tree.num_nodes - 1} hops each)",
    )
    with run.timed("collect"):
        encoder = build_encoder(config.encoder)
        with closing(CallCache(run.path / "calls.sqlite")) as cache:
            table = collect(
                queries,
                backends,
                tree,
                encoder,
                prompt,
                one_by_one(exact_match),
                cache,
                config.batch_size,
                money_unit=money_unit,
            )
        save_table(table, run.path / "table")
    return table


def _graded(table: OutcomeTable, transcripts: list[Transcript]) -> list[dict[str, Any]]:
    """Transcripts as plain data, with the task, the right answer and the quality reached."""
    return [
        transcript.to_dict()
        | {"task": query.task, "gold": query.gold, "quality": exact_match(transcript.answer, query)}
        for transcript, query in zip(transcripts, table.queries, strict=True)
    ]


def _say(console: Console, text: str) -> None:
    console.print(text, style="bold", highlight=False, markup=False)
