"""The verb `loop`: serving, learning from the log, and replacing the policy, played on an outcome table."""

import json as jsonlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from rich.table import Table

from hierrouter_jax.cli.result_tables import plain_table, print_result, result_console
from hierrouter_jax.domains import COUNT, Domains
from hierrouter_jax.files import write_json
from hierrouter_jax.studies.loop_settings import LoopSettings
from hierrouter_jax.training.settings import TrainConfig

RESULT = "loop.json"


@dataclass(frozen=True)
class LoopConfig(LoopSettings):
    """The online loop on a table.

    Attributes:
      table: folder of the outcome table, or the name of one that ships with the package.
      best: the fixed policy that regret is counted against: a run, a bundle, or one that needs no training.
      seeds: number of loops, each with draws of its own.
      opponents: play the bandits and online ppo, too.
      train: numbers and shapes of the learner.
      out: folder that loop.json is written into.
    """

    DOMAINS: ClassVar[Domains] = {**LoopSettings.DOMAINS, "seeds": COUNT}

    table: Path
    best: str = "predict-then-plan"
    seeds: int = 3
    opponents: bool = True
    train: TrainConfig = field(default_factory=lambda: TrainConfig(num_seeds=4))
    out: Path = Path("runs/loop")

    @property
    def written(self) -> Path:
        return self.out


def loop(config: LoopConfig, json: bool = False) -> None:
    """Play serving and learning on an outcome table, and count the regret beside bandits and online ppo."""
    record = play_loop(config)
    if json:
        print(jsonlib.dumps(record))
        return
    print_result(result_console(), _summary(record))


def play_loop(config: LoopConfig) -> dict[str, Any]:
    """Play the online loop on a table; writes loop.json, and returns what it holds.

    Raises:
      InputError: if the table or the best fixed policy cannot be read.
    """
    import numpy as np

    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.loop import (
        linear_bandit,
        online_ppo,
        references,
        regret,
        run_loop,
    )
    from hierrouter_jax.studies.named_policy import named_policy

    table = load_table(config.table)
    weight = float(config.train.hyper.reward.hop_cost)  # what all players learn for, and regret is counted at
    best = replace(named_policy(config.best, table, weight), cost_weight=weight)
    aims = references(table, best, best)
    seeds = range(config.train.seed, config.train.seed + config.seeds)
    players: dict[str, Any] = {"loop": lambda seed: run_loop(table, best, config.train, config, seed)}
    if config.opponents:
        for name, thompson in (("thompson", True), ("epsilon-greedy", False)):
            players[name] = lambda seed, thompson=thompson: linear_bandit(table, best, config, seed, thompson)
    record: dict[str, Any] = {
        "episodes": config.episodes,
        "every": config.every,
        "explore": config.explore,
        "references": aims,
        "players": {},
    }
    for name, play in players.items():
        played = [play(seed) for seed in seeds]
        curves = {aim: [regret(one.returns, value) for one in played] for aim, value in aims.items()}
        marks = [row["episodes"] for row in played[0].rounds]
        record["players"][name] = {
            "rounds": [one.rounds for one in played],
            "episodes": marks,
            "regret": {aim: [its[np.array(marks) - 1].tolist() for its in each] for aim, each in curves.items()},
        }
    if config.opponents:
        learner = config.train.resolve("ppo+stop" if best.may_stop else "ppo", seeds)
        played = [online_ppo(table, learner, config.episodes, seed) for seed in seeds]
        marks = [row["episodes"] for row in played[0]]
        size = marks[0]
        curves = {
            aim: [np.cumsum([size * (value - row["return"]) for row in one]).tolist() for one in played]
            for aim, value in aims.items()
        }
        record["players"]["ppo"] = {"rounds": played, "episodes": marks, "regret": curves}
    write_json(config.out / RESULT, record)
    return record


def _summary(record: dict[str, Any]) -> Table:
    """Final accuracy and regret of each player, mean and range over seeds."""
    table = plain_table(
        caption=f"after {record['episodes']:,} episodes; mean over seeds, least and largest in brackets",
    )
    table.add_column("player")
    aims = list(record["references"])
    for header in ("accuracy", *(f"regret against {aim}" for aim in aims)):
        table.add_column(header, justify="right", no_wrap=True)
    for name, one in record["players"].items():
        right = [rounds[-1]["accuracy"] for rounds in one["rounds"] if rounds[-1]["accuracy"] is not None]
        cells = [_spread(right, ".3f")] + [_spread([its[-1] for its in one["regret"][aim]], ",.0f") for aim in aims]
        table.add_row(name, *cells)
    return table


def _spread(values: list[float], form: str) -> str:
    if not values:
        return "none yet"
    return f"{sum(values) / len(values):{form}} [{min(values):{form}}, {max(values):{form}}]"
