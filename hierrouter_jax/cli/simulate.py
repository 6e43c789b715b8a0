"""The verb `simulate`: a decision log as a service would have written it, made from an outcome table."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hierrouter_jax.domains import COUNT, NONNEGATIVE, SEED, SHARE, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.outcomes.table import SPLITS

if TYPE_CHECKING:
    from hierrouter_jax.outcomes.episodes import Episodes

UNIFORM = "uniform"


@dataclass(frozen=True)
class SimulateConfig:
    """Traffic on the queries of an outcome table, and the policy that serves it.

    Attributes:
      table: folder of the outcome table.
      out: folder of the decision log, which is written.
      policy: how actions are drawn. softmax:T and epsilon:E explore around the policy of --of, none does not, and
        uniform takes every action with the same probability; the folder of a run or a bundle serves that policy with
        its own probabilities.
      of: policy that softmax:T, epsilon:E and none are of: folder of a run or of a bundle, or one that needs no
        training: predict-then-plan, task-sequence, best-sequence, each also with +stop, best-single-per-task+stop.
        The logits of a predict-then-plan are expected returns, so that T is in their unit.
      episodes: number of requests.
      seed: seed of the queries and actions that are drawn.
      split: part of the table whose queries are asked, each request one of them at random: train, validation or test.
      feedback: share of the episodes whose quality comes back.
      cost_weight: cost weight of the return, for a policy that needs no training.
    """

    DOMAINS: ClassVar[Domains] = {"episodes": COUNT, "seed": SEED, "feedback": SHARE, "cost_weight": NONNEGATIVE}

    table: Path
    out: Path = Path("logs/simulated")
    policy: str = "softmax:0.1"
    of: str = "predict-then-plan"
    episodes: int = 5000
    seed: int = 0
    split: str = "train"
    feedback: float = 1.0
    cost_weight: float = 0.01

    def __post_init__(self) -> None:
        check_domains(self)
        if self.split not in SPLITS:
            raise InputError(f"--split is {self.split!r}, but must be one of {', '.join(SPLITS)}")

    @property
    def written(self) -> Path:
        return self.out


def simulate(config: SimulateConfig, json: bool = False) -> None:
    """Write the decision log of requests that a policy would have served, with what the table says came of them.

    The log is what 'hierrouter serve' writes, without text: 'estimate' and 'train' read it. As the table knows every
    other route too, it tells how far an estimate from the log is off.
    """
    episodes = write_simulation(config)
    summary = {
        "log": str(config.out),
        "episodes": len(episodes),
        "decisions": int(episodes.taken.sum()),
        "explore": str(episodes.explore[0]),
        "policy": str(episodes.policy[0]),
    }
    if json:
        print(jsonlib.dumps(summary))
        return
    print(
        f"{config.out}: {summary['episodes']:,} episodes of {config.table}, {summary['decisions']:,} decisions of "
        f"policy {summary['policy']} ({summary['explore']})"
    )


def write_simulation(config: SimulateConfig) -> "Episodes":
    """Write a simulated decision log, and return its episodes.

    Raises:
      InputError: naming the option that is wrong, or if `out` holds a log already.
    """
    import numpy as np

    from hierrouter_jax.outcomes.decision_log import write_log
    from hierrouter_jax.outcomes.episodes import rows_of
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.named_policy import may_stop, named_policy, tree_probs
    from hierrouter_jax.studies.simulate import simulate as simulate_episodes

    name, explore = _served(config)
    table = load_table(config.table)
    bundle = named_policy(name, table, config.cost_weight)
    part = table.split(config.split)
    episodes = simulate_episodes(
        part,
        tree_probs(bundle, part, explore),
        np.flatnonzero(part.answered),
        config.episodes,
        np.random.default_rng(config.seed),
        may_stop(bundle),
        bundle.fingerprint,
        str(explore),
        config.feedback,
        table.fingerprint,
    )
    write_log(config.out, *rows_of(episodes))
    return episodes


def _served(config: SimulateConfig) -> tuple[str, Exploration]:
    """The name of the policy that serves, and how its actions are drawn."""
    if config.policy == UNIFORM:
        return config.of, Exploration("epsilon", 1.0)
    if Path(config.policy).is_dir():
        return config.policy, Exploration("softmax", 1.0)
    try:
        return config.of, Exploration.parse(config.policy)
    except InputError:
        raise InputError(
            f"--policy is {config.policy!r}, but must be softmax:T with T above 0, epsilon:E with E in [0, 1], "
            "uniform, none, or the folder of a run or a bundle"
        ) from None
