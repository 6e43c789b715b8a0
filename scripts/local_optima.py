"""How near learners come to the optimum of tables with local optima, where nothing has to be generalised.

python -m scripts.local_optima            # prints each learner's share of the optimum on each table

Twelve queries with random features serve as training, validation and test split alike. *Needle*: one route is right,
everything else is worth nothing. *Trap*: one model answers safely, worth .6; another route, unknown to it, is right.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jsonargparse import auto_cli

from hierrouter_jax.agents import learner
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.evaluation.exact import optimal_action_values
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.learner_config import LearnerHyper, LearnerStatic
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from hierrouter_jax.training.settings import static_of

QUERIES, FEATURES, SAFE = 12, 32, 0.6
# Whole trees of twelve queries a step, so that they take no longer than 51,200 sampled episodes, PPO's default.
SHAPES: dict[str, dict[str, Any]] = {key: {"num_envs": 48, "num_updates": 50} for key in ("exact", "all-actions")}


def deceptive_table(models: int, horizon: int, safe: float = 0.0, seed: int = 0) -> OutcomeTable:
    """Each query has one right route; where `safe` is not 0, any route that starts with another model is worth that.

    Every call costs the same.
    """
    rng = np.random.default_rng(seed)
    tree = HopTree(models, horizon)
    quality = np.zeros((QUERIES, tree.num_nodes), np.float32)
    for row in range(QUERIES):
        route = rng.integers(models, size=horizon)
        trap = (route[0] + rng.integers(1, models)) % models
        for node in range(1, tree.num_nodes):
            quality[row, node] = safe * (tree.route(node)[0] == trap)
        quality[row, tree.node(route.tolist())] = 1.0
    ones = np.ones(quality.shape, np.int32)
    ones[:, 0] = 0
    return OutcomeTable(
        tree=tree,
        pool=tuple(PricedModel(f"model-{m}", 1.0, 1.0, 1000) for m in range(models)),
        queries=tuple(Query(f"q{row}", f"text {row}", "task", "gold", "train") for row in range(QUERIES)),
        context_embedding=rng.normal(size=(QUERIES, tree.num_decision_nodes, FEATURES)).astype(np.float32),
        quality=quality,
        tokens_in=ones,
        tokens_out=ones,
        available=np.ones(quality.shape, bool),
        response=np.full(quality.shape, "", object),
        encoder={"kind": "ngrams", "size": FEATURES},
    )


TABLES: dict[str, tuple[Callable[..., OutcomeTable], bool]] = {
    "needle M8 L3": (partial(deceptive_table, 8, 3), False),
    "trap M3 L3": (partial(deceptive_table, 3, 3, SAFE), False),
    "trap M3 L3 STOP": (partial(deceptive_table, 3, 3, SAFE), True),
    "trap M20 L2": (partial(deceptive_table, 20, 2, SAFE), False),
    "trap M20 L2 STOP": (partial(deceptive_table, 20, 2, SAFE), True),
    "trap M3 L6 STOP": (partial(deceptive_table, 3, 6, SAFE), True),
}


def optimum(table: DeviceTable, hyper: LearnerHyper, allow_stop: bool) -> float:
    """The best mean return, by backward induction."""
    values = optimal_action_values(table, hyper.reward, decision_masks(table, allow_stop), hyper.gamma)
    return float(jnp.mean(jnp.max(values[:, 0], axis=-1)))


def shares_of_optimum(
    name: str, learner_name: str, seeds: int = 1, hyper: dict[str, Any] | None = None
) -> tuple[list[float], float]:
    """What each seed's best parameters reach of the optimum, and the seconds that a seed took, compiled before.

    Args:
      name: name of the table.
      learner_name: name of the learner, such as `ppo`; it may stop where the table is for that.
      seeds: number of runs.
      hyper: numbers of the learner that are not the default ones.
    """
    make, stop = TABLES[name]
    host = make()
    table = device_table(host, host.context_embedding, 2.0)
    static = static_of(learner_name + ("+stop" if stop else ""), LearnerStatic(**SHAPES.get(learner_name, {})))
    numbers = LearnerHyper(**(hyper or {}))
    train = jax.jit(lambda key, table: learner.train(key, table, table, static, numbers)[0].best_return)
    run = train.lower(jax.random.key(0), table).compile()
    best = optimum(table, numbers, stop)
    began = time.perf_counter()
    shares = [float(run(jax.random.key(seed), table)) / best for seed in range(seeds)]
    return shares, (time.perf_counter() - began) / seeds


def main(
    tables: tuple[str, ...] = tuple(TABLES),
    learners: tuple[str, ...] = ("exact", "all-actions", "ppo"),
    seeds: int = 3,
    hyper: dict[str, Any] | None = None,
) -> None:
    """Print a line for each table and learner: the worst and the mean share of the optimum, and seconds a seed.

    Args:
      tables: names of the tables.
      learners: names of the learners, without `+stop`.
      seeds: runs of each.
      hyper: numbers of the learners that are not the default ones, such as {guidance: 0}.
    """
    for name in tables:
        for one in learners:
            shares, seconds = shares_of_optimum(name, one, seeds, hyper)
            print(f"{name:16} {one:11} worst {min(shares):.3f} mean {np.mean(shares):.3f} {seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
