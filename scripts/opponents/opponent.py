"""What every opponent offers, and the command line of their modules."""

import json
import time
from collections.abc import Callable
from typing import Protocol

from scripts.opponents.problem import Problem, Settings, make_problem


class Opponent(Protocol):
    """A learner on a problem.

    Attributes:
      name: in tables.
      steps_per_update: environment steps of one rollout.
    """

    name: str
    steps_per_update: int

    def __init__(self, problem: Problem, settings: Settings, seed: int) -> None: ...

    def update(self) -> None:
        """One rollout of whole episodes and the epochs over it; returns when all is computed."""
        ...

    def mean_return(self) -> float:
        """Mean return of the last rollout's episodes."""
        ...


def trainer(opponent: type[Opponent]) -> Callable[..., None]:
    """The function whose parameters are an opponent's command line."""

    def train(
        settings: Settings,
        steps: int = 1_000_000,
        queries: int = 1200,
        models: int = 3,
        horizon: int = 3,
        features: int = 384,
        seed: int = 0,
    ) -> None:
        """Train, and print one line of JSON; the first update is timed apart and its steps are not counted.

        Args:
          settings: PPO's numbers.
          steps: environment steps to time, rounded up to whole updates.
          queries: Q of the random table.
          models: M.
          horizon: L.
          features: F, numbers that the network sees of a context.
          seed: of the table and the learner.
        """
        learner = opponent(make_problem(queries, models, horizon, features, seed), settings, seed)
        started = time.perf_counter()
        learner.update()
        first = time.perf_counter()
        updates = -(-steps // learner.steps_per_update)
        for _ in range(updates):
            learner.update()
        figures = {
            "name": learner.name,
            "steps": updates * learner.steps_per_update,
            "seconds_training": time.perf_counter() - first,
            "seconds_compile_and_first_update": first - started,
            "return": learner.mean_return(),
        }
        print(json.dumps(figures))

    return train
