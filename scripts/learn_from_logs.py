"""How accurate routers become that learn from logs of one route a query: episodes against test accuracy.

    python scripts/learn_from_logs.py runs/quickstart/table --out runs/learn-from-logs --first-seed 10 --seeds 5

Episodes of fixed length are simulated on the table's training queries, under three policies that serve: `uniform`, and
an incumbent (the best training sequence of each task) with half or a fifth of its choices at random. Every learner sees
the same episodes and nothing else of the table; accuracy is that of its greedy policy on the test queries. Results are
added to results.jsonl as they come, and what is there is not run again; --figure draws them. record.json beside it says
which table they are of.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hierrouter_jax.baselines.fitted_q import FittedQ, fit_q, grouped
from hierrouter_jax.baselines.regressors import neighbours, ridge
from hierrouter_jax.baselines.sequences import best_per_task
from hierrouter_jax.claims import table_identity
from hierrouter_jax.learner_config import LOG_LEARNERS
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.log_trees import log_trees
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.named_policy import named_policy, tree_logits
from hierrouter_jax.studies.simulate import simulate
from hierrouter_jax.training.log_arrays import fit_log_features
from hierrouter_jax.training.log_training import learn_values, train_log_learner
from hierrouter_jax.training.settings import TrainConfig
from scripts.study import add_lines, begin, read_lines

BEHAVIOURS = {"uniform": 1.0, "half": 0.5, "fifth": 0.2}
SMALL = {"width": 64, "rate": 3e-3, "decay": 0.3, "batch": 128, "passes": 60, "networks": 4}


def behaviour(train: OutcomeTable, kind: str) -> np.ndarray:
    """Probabilities [Q, D, A] of the policy that serves."""
    tree, share = train.tree, BEHAVIOURS[kind]
    probs = np.full((train.num_queries, tree.num_decision_nodes, tree.num_models + 1), share / tree.num_models)
    probs[..., -1] = 0.0
    for task, node in enumerate(best_per_task(train, True, 0.0)):
        rows = np.flatnonzero(train.task == task)
        for stage, model in enumerate(tree.route(int(node))):
            nodes = np.arange(tree.num_nodes)[tree.stage_slice(stage)]
            probs[rows[:, None], nodes, model] += 1 - share
    return probs


def accuracy(table: OutcomeTable, scores: np.ndarray) -> float:
    """Accuracy of the greedy policy of fixed length, of scores [Q, D, M]."""
    at, row = np.zeros(table.num_queries, int), np.arange(table.num_queries)
    for _ in range(table.tree.horizon):
        at = table.tree.child(at, scores[row, at].argmax(axis=1))
    return float(table.quality[row, at].mean())


def greedy_values(q: FittedQ, table: OutcomeTable) -> np.ndarray:
    """Predicted values [Q, D, M] at every decision node: the direct method's greedy policy."""
    root = table.context_embedding[:, 0]
    nodes = range(table.tree.num_decision_nodes)
    by_node = [q.values(root, table.context_embedding[:, n], int(table.tree.stages[n])) for n in nodes]
    return np.stack(by_node, axis=1)[..., :-1]


def naive_scores(episodes: Episodes, test: OutcomeTable, seed: int, features: int = 96) -> np.ndarray:
    """Fitted Q backwards on single episodes: the mean of four small networks a stage, the target a maximum of it.

    A tenth of the rows stops each network at its best pass. Nothing is cross-fitted, and routes of one query are not
    put together.
    """
    reduction = fit_log_features(log_trees(episodes), features, ()).reduction
    x, models = reduction(episodes.embedding).astype(np.float32), episodes.num_models
    seen, target = reduction(test.context_embedding).astype(np.float32), episodes.quality.astype(np.float32)
    scores = np.zeros((*seen.shape[:2], models))
    for stage in reversed(range(episodes.length)):
        keys = jax.random.split(jax.random.key(seed * 10 + stage), SMALL["networks"])
        params = _small_networks(keys, x[:, stage], episodes.action[:, stage], target, models)
        nodes = test.tree.stage_slice(stage)
        scores[:, nodes] = np.asarray(_mean_outputs(params, seen[:, nodes]))
        target = np.asarray(_mean_outputs(params, x[:, stage])).max(axis=1)
    return scores


def _outputs(params: Any, x: Any) -> Any:
    return jnp.tanh(x @ params["w"] + params["b"]) @ params["v"] + params["c"]


@jax.jit
def _mean_outputs(params: Any, x: Any) -> Any:
    return jnp.mean(jax.lax.map(lambda one: _outputs(one, x), params), axis=0)


@partial(jax.jit, static_argnames="models")
def _small_networks(keys: Any, x: Any, action: Any, target: Any, models: int) -> Any:
    rows, held = len(x), len(x) // 10
    batches = (rows - held) // SMALL["batch"]
    steps = batches * SMALL["passes"]
    rate = optax.linear_schedule(SMALL["rate"], SMALL["rate"] / 10, steps)
    transform = optax.adamw(rate, weight_decay=SMALL["decay"])

    def loss(params, at):
        return jnp.mean((_outputs(params, x[at])[jnp.arange(len(at)), action[at]] - target[at]) ** 2)

    def one(key):
        first, second, split, key = jax.random.split(key, 4)
        order = jax.random.permutation(split, rows)
        width = SMALL["width"]
        params = {
            "w": jax.random.normal(first, (x.shape[1], width)) / jnp.sqrt(x.shape[1]),
            "b": jnp.zeros(width),
            "v": 0.1 * jax.random.normal(second, (width, models)) / jnp.sqrt(width),
            "c": jnp.zeros(models),  # an action that was never tried is worth nothing
        }

        def epoch(carry, epoch_key):
            params, state, best, least = carry

            def step(inner, at):
                params, state = inner
                updates, state = transform.update(jax.grad(loss)(params, at), state, params)
                return (optax.apply_updates(params, updates), state), None

            drawn = jax.random.permutation(epoch_key, order[held:])[: batches * SMALL["batch"]]
            (params, state), _ = jax.lax.scan(step, (params, state), drawn.reshape(batches, -1))
            error = loss(params, order[:held])
            best = jax.tree.map(lambda new, old: jnp.where(error < least, new, old), params, best)
            return (params, state, best, jnp.minimum(error, least)), None

        start = (params, transform.init(params), params, jnp.inf)
        return jax.lax.scan(epoch, start, jax.random.split(key, SMALL["passes"]))[0][2]

    return jax.lax.map(one, keys)


def learners(episodes: Episodes, table: OutcomeTable, seed: int) -> dict[str, Callable[[], np.ndarray]]:
    """Each learner by name: a function that gives its scores at the decision nodes of the test queries."""
    test, template = table.split("test"), named_policy("best-sequence", table)
    config = TrainConfig(seed=seed)
    material: dict[str, Any] = {}

    def of():
        return material.setdefault("of", learn_values(episodes, template, config)) if not material else material["of"]

    def bundle(name: str) -> np.ndarray:
        return tree_logits(train_log_learner(name, of(), template, config)[0], test)[..., :-1]

    def direct(regressor: Callable) -> np.ndarray:
        return greedy_values(fit_q(log_trees(episodes), grouped(regressor), 0.0), test)

    return {
        "naive fitted Q": lambda: naive_scores(episodes, test, seed),
        "ridge, direct": lambda: direct(partial(ridge, alpha=30.0)),
        "kNN, direct": lambda: direct(partial(neighbours, k=20)),
        "kernel, direct": lambda: greedy_values(of().q, test),
        **{name: partial(bundle, name) for name in LOG_LEARNERS},
    }


def figure(rows: list[dict[str, Any]], path: Path) -> None:
    """Accuracy against episodes, a panel a behaviour, mean and range over seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(1, len(BEHAVIOURS), figsize=(11, 3.6), sharey=True)
    names = list(dict.fromkeys(row["learner"] for row in rows))
    for axis, kind in zip(axes, BEHAVIOURS, strict=True):
        for name in names:
            its = [row for row in rows if row["learner"] == name and row["behaviour"] == kind]
            counts = sorted({row["episodes"] for row in its})
            by_count = [[row["accuracy"] for row in its if row["episodes"] == count] for count in counts]
            middle = [np.mean(values) for values in by_count]
            around = [np.subtract(middle, [min(v) for v in by_count]), np.subtract([max(v) for v in by_count], middle)]
            axis.errorbar(counts, middle, yerr=around, marker="o", markersize=3, capsize=2, label=name)
        axis.set(title=kind, xscale="log", xlabel="episodes", ylim=(0, 1))
        counts = sorted({row["episodes"] for row in rows})
        axis.set_xticks(counts, [f"{count:,}" for count in counts])
        axis.minorticks_off()
    axes[0].set_ylabel("test accuracy")
    axes[-1].legend(fontsize=7)
    fig.tight_layout()
    fig.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/learn-from-logs"))
    parser.add_argument("--episodes", type=int, nargs="+", default=[1200, 12000])
    parser.add_argument("--behaviours", nargs="+", default=list(BEHAVIOURS), choices=list(BEHAVIOURS))
    parser.add_argument("--learners", nargs="+", default=None)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--figure", type=Path, default=None)
    asked = parser.parse_args()
    table = load_table(asked.table)
    begin(asked.out, "study of logs", {"table": table_identity(table)})
    results = asked.out / "results.jsonl"
    rows, train = read_lines(results), table.split("train")
    there = {(row["episodes"], row["behaviour"], row["seed"], row["learner"]) for row in rows}
    for count in asked.episodes:
        for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
            for kind in asked.behaviours:
                rng, queries = np.random.default_rng(seed), np.arange(train.num_queries)
                episodes = simulate(train, behaviour(train, kind), queries, count, rng, allow_stop=False)
                for name, scores in learners(episodes, table, seed).items():
                    if (asked.learners and name not in asked.learners) or (count, kind, seed, name) in there:
                        continue
                    started = time.perf_counter()
                    row = {"episodes": count, "behaviour": kind, "seed": seed, "learner": name}
                    row |= {"accuracy": accuracy(table.split("test"), scores())}
                    row |= {"seconds": round(time.perf_counter() - started, 1)}
                    rows.append(row)
                    add_lines(results, [row])
    if asked.figure:
        figure(rows, asked.figure)
    for count in asked.episodes:
        for name in dict.fromkeys(row["learner"] for row in rows):
            its = [row for row in rows if row["learner"] == name and row["episodes"] == count]
            means = {k: np.mean([r["accuracy"] for r in its if r["behaviour"] == k] or [np.nan]) for k in BEHAVIOURS}
            number = {k: sum(r["behaviour"] == k for r in its) for k in BEHAVIOURS}
            print(count, name, *(f"{kind} {mean:.3f} ({number[kind]})" for kind, mean in means.items()))


if __name__ == "__main__":
    main()
