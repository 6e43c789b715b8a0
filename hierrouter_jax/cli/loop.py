"""The verb `loop`: serving, learning from the log, and replacing the policy, played on an outcome table."""

import json as jsonlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table

from hierrouter_jax.cli.result_tables import plain_table, print_result, result_console
from hierrouter_jax.domains import COUNT, Domains
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.studies.loop_settings import LoopSettings
from hierrouter_jax.sums import begin_sums
from hierrouter_jax.training.settings import TrainConfig

if TYPE_CHECKING:
    from hierrouter_jax.bundle import PolicyBundle
    from hierrouter_jax.outcomes.table import OutcomeTable
    from hierrouter_jax.studies.loop import Served

RESULT, RECORD, PLAYS = "loop.json", "record.json", "plays"
_Player = Callable[[int, Callable[[], Any]], dict[str, Any]]  # of a seed, and of what is called after each training


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
    """Play serving and learning on an outcome table, and count the regret beside bandits and online ppo.

    Run the same command again after an interruption, or with more seeds, and only what is missing is played.
    """
    from hierrouter_jax.interrupts import what_is_kept

    with what_is_kept(f"{config.out} keeps the finished loops"):
        record = play_loop(config)
    if json:
        print(jsonlib.dumps(record))
        return
    print_result(result_console(), _summary(record))


def play_loop(config: LoopConfig, progress: bool = True) -> dict[str, Any]:
    """Play the online loop on a table; writes loop.json, and returns what it holds.

    Every loop and every opponent's play lies in OUT/plays as soon as it is over, and is not played again.

    Args:
      progress: whether a bar on stderr shows how far it is, with rate and time left.

    Raises:
      InputError: if the table or the best fixed policy cannot be read, or OUT holds another loop or something else.
    """
    from tqdm import tqdm

    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.loop import references, trainings
    from hierrouter_jax.studies.named_policy import named_policy

    table = load_table(config.table)
    weight = float(config.train.hyper.reward.hop_cost)  # what all players learn for, and regret is counted at
    best = replace(named_policy(config.best, table, weight), cost_weight=weight)
    aims = references(table, best, best)
    players = _players(config, table, best, aims)
    _claim(config, table, best.fingerprint)
    seeds = range(config.train.seed, config.train.seed + config.seeds)
    plays = [(name, seed, config.out / PLAYS / f"{name}-{seed}.json") for name in players for seed in seeds]
    steps = {name: trainings(config) if name == "loop" else 1 for name in players}
    over = sum(steps[name] for name, _, path in plays if path.is_file())
    total = sum(steps[name] for name, _, _ in plays)
    with tqdm(total=total, initial=over, unit="training", disable=not progress) as bar:
        for name, seed, path in plays:
            if not path.is_file():
                bar.set_description(f"{name}, seed {seed}")
                write_json(path, players[name](seed, bar.update))
                bar.update(0 if name == "loop" else 1)
    record: dict[str, Any] = {
        "episodes": config.episodes,
        "every": config.every,
        "explore": config.explore,
        "references": aims,
        "players": {},
    }
    for name in players:
        played = [read_json(path) for its, _, path in plays if its == name]
        regret = {aim: [one["regret"][aim] for one in played] for aim in aims}
        rounds = [one["rounds"] for one in played]
        marks = [row["episodes"] for row in rounds[0]]
        record["players"][name] = {"rounds": rounds, "episodes": marks, "regret": regret}
    write_json(config.out / RESULT, record)
    return record


def _players(
    config: LoopConfig, table: "OutcomeTable", best: "PolicyBundle", aims: dict[str, float]
) -> dict[str, "_Player"]:
    """Who plays, by name."""
    from hierrouter_jax.studies.loop import linear_bandit, online_ppo, run_loop

    def own(seed: int, trained: Callable[[], Any]) -> dict[str, Any]:
        return _play(run_loop(table, best, config.train, config, seed, trained), aims)

    def bandit(thompson: bool, seed: int, _: Callable[[], Any]) -> dict[str, Any]:
        return _play(linear_bandit(table, best, config, seed, thompson), aims)

    def ppo(seed: int, _: Callable[[], Any]) -> dict[str, Any]:
        learner = config.train.resolve("ppo+stop" if best.may_stop else "ppo", range(1))
        return _ppo_play(online_ppo(table, learner, config.episodes, seed), aims)

    bandits = {"thompson": partial(bandit, True), "epsilon-greedy": partial(bandit, False)}
    return {"loop": own} | ({**bandits, "ppo": ppo} if config.opponents else {})


def _claim(config: LoopConfig, table: "OutcomeTable", best: str) -> None:
    """Begin OUT, or go on in it where it holds this very loop, of whichever seeds.

    Raises:
      InputError: if it holds another loop, or something else.
    """
    from hierrouter_jax.claims import claim
    from hierrouter_jax.config import to_dict
    from hierrouter_jax.training.run_folder import training_identity

    settings = {one.name: getattr(config, one.name) for one in fields(LoopSettings)}
    here = {"loop": to_dict(settings), "best": best} | training_identity(table, replace(config.train, seed=0))
    path = config.out / RECORD
    if not claim(config.out, "loop", read_json(path) if path.is_file() else None, here):
        config.out.mkdir(parents=True, exist_ok=True)
        write_json(path, here)
    (config.out / PLAYS).mkdir(exist_ok=True)
    begin_sums(config.out / PLAYS)


def _play(served: "Served", aims: dict[str, float]) -> dict[str, Any]:
    """What is kept of a play: its trainings, and the regret at each of them."""
    from hierrouter_jax.studies.loop import regret

    marks = [row["episodes"] - 1 for row in served.rounds]
    return {
        "rounds": served.rounds,
        "regret": {aim: regret(served.returns, value)[marks].tolist() for aim, value in aims.items()},
    }


def _ppo_play(rounds: list[dict[str, Any]], aims: dict[str, float]) -> dict[str, Any]:
    """The same of online ppo, of which the mean return of each update's episodes is known."""
    size = rounds[0]["episodes"]
    regret = {aim: list(accumulate(size * (value - row["return"]) for row in rounds)) for aim, value in aims.items()}
    return {"rounds": rounds, "regret": regret}


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
