"""The verb `simulate`: a decision log as a service would have written it, made from an outcome table."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hierrouter_jax.domains import SEED, Domains
from hierrouter_jax.studies.traffic import Traffic

if TYPE_CHECKING:
    from hierrouter_jax.outcomes.episodes import Episodes


@dataclass(frozen=True, kw_only=True)
class SimulateConfig(Traffic):
    """Traffic on the queries of an outcome table, and the policy that serves it.

    Attributes:
      table: folder of the outcome table.
      out: folder of the decision log, which is written.
      seed: seed of the queries and actions that are drawn.
    """

    DOMAINS: ClassVar[Domains] = {**Traffic.DOMAINS, "seed": SEED}

    table: Path
    out: Path = Path("logs/simulated")
    seed: int = 0

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
    from hierrouter_jax.outcomes.decision_log import write_log
    from hierrouter_jax.outcomes.episodes import rows_of
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.named_policy import episodes_served

    episodes = episodes_served(load_table(config.table), config, config.seed)
    write_log(config.out, *rows_of(episodes))
    return episodes
