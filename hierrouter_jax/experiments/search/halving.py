"""Successive halving: all points with few updates, the best of them again with more."""

from dataclasses import replace

import jax
import numpy as np

from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.experiments.hypers import numbers
from hierrouter_jax.experiments.search.config import SweepConfig
from hierrouter_jax.experiments.search.parts import Part, Parts, means_by_point
from hierrouter_jax.experiments.sweep import Watcher


def halve(config: SweepConfig, progress: bool | Watcher) -> list[Part]:
    """Train rung after rung; of each rung one point in `eta` goes on, by mean validation return over seeds.

    Points are compared among equals in reward and conditions, since returns of others are not comparable. Every rung
    trains anew, under a learning-rate schedule of its own length.
    """
    assert config.halving is not None
    parts, points = Parts(config, progress), config.points()
    measures, halving = measured_alike(config, points), config.halving
    left = [
        (group, point) for group in range(len(config.statics)) for point in range(len(np.asarray(points.learning_rate)))
    ]
    for rung in range(halving.rungs):
        returns = {}
        for group, static in enumerate(config.statics):
            here = np.array([point for its_group, point in left if its_group == group], int)
            if not len(here):
                continue
            shorter = replace(static, num_updates=halving.updates(rung, static))
            some = jax.tree.map(lambda leaf, here=here: leaf[here], points)
            part = parts.train(f"rung-{rung}-group-{group}", {"rung": rung}, shorter, some)
            returns |= {(group, int(point)): mean for point, mean in zip(here, means_by_point(part), strict=True)}
        left = promoted(returns, measures, halving.eta)
    parts.write_frame()
    return parts.done


def promoted(
    returns: dict[tuple[int, int], float], measures: dict[tuple[int, int], object], eta: int
) -> list[tuple[int, int]]:
    """The best one in `eta`, rounded up, among those that are measured alike; the earlier one of equals."""
    alike: dict[object, list[tuple[int, int]]] = {}
    for point in returns:
        alike.setdefault(measures[point], []).append(point)
    best: list[tuple[int, int]] = []
    for some in alike.values():
        ranked = sorted(some, key=lambda point: -np.nan_to_num(returns[point], nan=-np.inf))
        best += ranked[: -(-len(some) // eta)]
    return sorted(best)


def measured_alike(config: SweepConfig, points: LearnerHyper) -> dict[tuple[int, int], object]:
    """What the return of each group's points means: points of equal values compare."""
    names, leaves = config.measures(), numbers(points)
    return {
        (group, point): tuple(leaves[name][point] if name in leaves else getattr(static, name) for name in names)
        for group, static in enumerate(config.statics)
        for point in range(len(leaves["learning_rate"]))
    }


def work(config: SweepConfig) -> tuple[int, float]:
    """Runs and updates of all rungs together; updates as if all shapes had those of the first."""
    assert config.halving is not None
    alike = list(measured_alike(config, config.points()).values())
    sizes = [alike.count(value) for value in dict.fromkeys(alike)]
    runs, updates = 0, 0
    for rung in range(config.halving.rungs):
        runs += sum(sizes) * config.seeds
        updates += sum(sizes) * config.seeds * config.halving.updates(rung, config.statics[0])
        sizes = [-(-size // config.halving.eta) for size in sizes]
    return runs, updates
