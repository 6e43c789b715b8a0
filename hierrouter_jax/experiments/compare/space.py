"""A space to tune over, as YAML writes it: `log(1e-4, 3e-3)`, `uniform(0, 0.2)`, a list, or one number."""

from collections.abc import Mapping
from typing import Any

from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.experiments.draws import sobol
from hierrouter_jax.experiments.hypers import check_names, numbers
from hierrouter_jax.experiments.search.space import number_choice

COST_SCALE = "cost_scale"


def check_space(space: Mapping[str, Any], hyper: LearnerHyper) -> None:
    """Refuse a space with unknown numbers or wrong ranges; an arm's `cost_scale` may be tuned beside the numbers."""
    check_names([name for name in space if name != COST_SCALE], hyper)
    for name, value in space.items():
        number_choice(name, value)


def drawn_settings(
    space: Mapping[str, Any], count: int, base: LearnerHyper, leaf: str, seed: int = 0
) -> list[dict[str, float]]:
    """`count` settings: nothing changed, then Sobol points of the space.

    Args:
      leaf: the number that the cost weight sets, which is no part of the space; `cost_scale` is drawn in its place.
    """
    if count == 1:
        return [{}]
    drawn_as = {name: leaf if name == COST_SCALE else name for name in space}
    choices = {drawn_as[name]: number_choice(name, value) for name, value in space.items()}
    points = numbers(sobol(choices, count - 1, seed, base))
    return [{}] + [{name: float(points[drawn_as[name]][row]) for name in space} for row in range(count - 1)]
