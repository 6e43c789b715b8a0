"""Traffic on the queries of a table: which policy serves it, how it explores, how many requests; read without JAX."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hierrouter_jax.domains import COUNT, NONNEGATIVE, SHARE, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.outcomes.table import SPLITS

UNIFORM = "uniform"


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Traffic on the queries of a table.

    Attributes:
      policy: how actions are drawn. softmax:T and epsilon:E explore around the policy of `of`, none does not, and
        uniform takes every action with the same probability; the folder of a run or a bundle serves that policy with
        its own probabilities.
      of: policy that softmax:T, epsilon:E and none are of: folder of a run or of a bundle, or one that needs no
        training: predict-then-plan, task-sequence, best-sequence, each also with +stop, best-single-per-task+stop.
        The logits of a predict-then-plan are expected returns, so that T is in their unit.
      episodes: number of requests.
      split: part of the table whose queries are asked, each request one of them at random: train, validation or test.
      feedback: share of the episodes whose quality comes back.
      cost_weight: cost weight of the return, for a policy that needs no training.
    """

    DOMAINS: ClassVar[Domains] = {"episodes": COUNT, "feedback": SHARE, "cost_weight": NONNEGATIVE}

    policy: str = "softmax:0.1"
    of: str = "predict-then-plan"
    episodes: int = 5000
    split: str = "train"
    feedback: float = 1.0
    cost_weight: float = 0.01

    def __post_init__(self) -> None:
        check_domains(self)
        if self.split not in SPLITS:
            raise InputError(f"split is {self.split!r}, but must be one of {', '.join(SPLITS)}")
        _ = self.served  # reading it refuses a wrong policy

    @property
    def served(self) -> tuple[str, Exploration]:
        """Name of the policy that serves, and how its actions are drawn.

        Raises:
          InputError: if `policy` is none of what it may be.
        """
        if self.policy == UNIFORM:
            return self.of, Exploration("epsilon", 1.0)
        if Path(self.policy).is_dir():
            return self.policy, Exploration("softmax", 1.0)
        try:
            return self.of, Exploration.parse(self.policy)
        except InputError:
            raise InputError(
                f"policy is {self.policy!r}, but must be softmax:T with T above 0, epsilon:E with E in [0, 1], "
                "uniform, none, or the folder of a run or a bundle"
            ) from None
