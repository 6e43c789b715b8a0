"""How an online loop goes: numbers of episodes, exploration, and when a policy may be replaced; read without JAX."""

from dataclasses import dataclass
from typing import ClassVar

from hierrouter_jax.domains import COUNT, NONNEGATIVE, POSITIVE, Domain, Domains, check_domains
from hierrouter_jax.outcomes.exploration import Exploration


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How a loop goes.

    Attributes:
      episodes: number of episodes that are served.
      every: episodes between two trainings.
      explore: exploration that the first trained policy is served with: epsilon:E, by which whole
        episodes explore, or softmax:T, by which every decision does.
      decay: power of the number of trainings so far that the exploration's number is divided by; 0 keeps it.
      safe: replace a policy only where the lower bound of its gain is above 0.
      held_out: share of the questions whose episodes judge new policies, and teach nothing, where replacement is safe.
      level: probability of a harmful replacement over all looks of a loop.
      most: largest importance weight that counts in full.
    """

    DOMAINS: ClassVar[Domains] = {
        "episodes": COUNT,
        "every": COUNT,
        "decay": NONNEGATIVE,
        "held_out": Domain(0, 1, open_low=True, open_high=True),
        "level": Domain(0, 1, open_low=True, open_high=True),
        "most": POSITIVE,
    }

    episodes: int = 12_000
    every: int = 1_000
    explore: str = "epsilon:0.2"
    decay: float = 1.0
    safe: bool = False
    held_out: float = 0.15
    level: float = 0.05
    most: float = 10.0

    def __post_init__(self) -> None:
        check_domains(self)
        Exploration.parse(self.explore)

    def exploration(self, trainings: int) -> Exploration:
        """Exploration of a policy that is served after so many trainings, at least 1."""
        first = Exploration.parse(self.explore)
        return Exploration(first.kind, first.value / trainings**self.decay)
