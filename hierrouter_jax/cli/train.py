"""The verb `train`: routers on an outcome table, or from a decision log."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from hierrouter_jax.domains import Domain, Domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.training.settings import TrainConfig

_OF_LOGS = ("like", "truth", "held_out", "log_learners")


@dataclass(frozen=True)
class RunConfig:
    """Training on a table, or from a log.

    Attributes:
      table: folder of the outcome table, or the name of one that ships with the package; or folder of a decision log.
      out: run folder, which is written.
      train: learners, seeds and every number of the learner.
      fresh: discard what the run folder holds of an earlier training, and start anew.
      track: tensorboard, wandb or mlflow, or several with commas between them, for training on a table; metrics.parquet
        is written anyway.
      like: a run or policy bundle of the pool that a log is of, for its prices and encoder; by default made of `truth`.
      truth: outcome table of a log's pool, whose test queries show the truth beside the estimates.
      held_out: share of a log's questions whose episodes judge, and teach nothing.
      log_learners: learners of a log, the best on what is held out being the policy: exact, doubly-robust,
        off-policy-ppo.
    """

    DOMAINS: ClassVar[Domains] = {"held_out": Domain(0, 1, open_low=True, open_high=True)}

    table: Path
    out: Path = Path("runs/train")
    train: TrainConfig = field(default_factory=TrainConfig)
    fresh: bool = False
    track: str = ""
    like: str | None = None
    truth: Path | None = None
    held_out: float = 0.15
    log_learners: tuple[str, ...] = ("exact", "off-policy-ppo")

    @property
    def written(self) -> Path:
        return self.out


def train(config: RunConfig) -> None:
    """Train routers on an outcome table, or from a decision log.

    Run the same command again after an interruption and it goes on from the latest checkpoint, to the same end.
    """
    from hierrouter_jax.config import to_dict
    from hierrouter_jax.outcomes.decision_log.folder import LogFolder
    from hierrouter_jax.outcomes.shipped import lasting
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.training.checkpoints import RunCheckpoints
    from hierrouter_jax.training.router import DIVERGED, Diverged
    from hierrouter_jax.training.run_folder import RunFolder
    from hierrouter_jax.training.tracking import tracked
    from hierrouter_jax.training.train import train_routers

    if LogFolder(config.table).exists:
        _train_from_log(config)
        return
    for name in _OF_LOGS:
        if getattr(config, name) != getattr(RunConfig, name):
            raise InputError(f"{config.table}: --{name} goes with a decision log, but this is none")
    out, settings = config.out, config.train
    run, table = RunFolder(out), load_table(config.table)
    checkpoints = RunCheckpoints(out, table, settings, config.fresh)
    if checkpoints.finished:
        print(f"{out}: finished already, nothing is trained; --fresh starts anew")
    else:
        run.write_config({"table": str(lasting(config.table)), "train": to_dict(settings)})
        if checkpoints.resumed:
            print(f"{out}: goes on from {checkpoints.describe()}")
    try:
        with run.timed("train"), checkpoints, tracked(config.track, out, to_dict(settings)) as tracking:
            routers, metrics = train_routers(table, settings, not checkpoints.finished, checkpoints, tracking)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{out} keeps {checkpoints.describe()}") from None
    if not checkpoints.finished:
        run.write_metrics(metrics)
        run.write_run(settings.seed, configurations_tried=1)
    for name, router in routers.items():
        if not router.diverged.all():
            returns = np.asarray(router.state.best_return)[~router.diverged]
            best = f"validation return {returns.max():.4f} (seed {router.chosen_seed}; {returns.min():.4f} the worst)"
            print(f"{name}: {best}")
        stranded = np.flatnonzero(router.stranded)
        if len(stranded):
            left = "nothing of them is kept" if router.diverged[stranded].all() else "what was best before that is kept"
            seeds = f"{len(stranded)} of {len(router.stranded)} seeds ({', '.join(map(str, stranded))})"
            print(f"{name}: diverged in {seeds}: their parameters are not finite; {left}", file=sys.stderr)
    lost = [name for name, router in routers.items() if router.diverged.all()]
    if lost:
        raise Diverged(f"{out}: {', '.join(lost)}: {DIVERGED}")
    print(f"next: hierrouter evaluate {out}")


def _train_from_log(config: RunConfig) -> None:
    """A log's run folder: config.yaml, metrics.parquet, evaluation.json of estimates, policy/, run.json."""
    from hierrouter_jax.claims import claim
    from hierrouter_jax.config import to_dict
    from hierrouter_jax.outcomes.decision_log import read_log
    from hierrouter_jax.outcomes.episodes import episodes_of
    from hierrouter_jax.outcomes.shipped import lasting
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.from_log import train_from_log
    from hierrouter_jax.studies.named_policy import named_policy
    from hierrouter_jax.training.checkpoints import FINISHED, discard
    from hierrouter_jax.training.run_folder import RunFolder

    if config.track:
        raise InputError(f"{config.table}: --track goes with a table; a log's metrics are in metrics.parquet")
    if config.like is None and config.truth is None:
        raise InputError(
            f"{config.table}: a log holds no prices; name a run or policy of its pool (--like), or a table (--truth)"
        )
    out, settings, run = config.out, config.train, RunFolder(config.out)
    if not config.fresh:
        if (out / FINISHED).exists():
            raise InputError(f"{out}: holds a run already; choose another folder, or --fresh to write over it")
        claim(out, "run", None, {})
    table = None if config.truth is None else load_table(config.truth)
    template = named_policy(config.like or "best-sequence", table if config.like is None else None)
    with run.timed("train"):
        episodes = episodes_of(read_log(config.table))
        learned = train_from_log(episodes, template, settings, config.held_out, table, config.log_learners)
    if config.fresh:
        discard(out)
    named = {"like": config.like, "truth": None if config.truth is None else str(lasting(config.truth))}
    learning = {"held_out": config.held_out, "log_learners": list(config.log_learners)}
    run.write_config({"log": str(config.table), "train": to_dict(settings)} | learning | named)
    run.write_metrics(learned.metrics)
    run.write_json("evaluation.json", learned.record)
    learned.bundle.save(out / "policy")
    run.write_run(settings.seed, configurations_tried=len(learned.record["policies"]))
    logging = learned.record["logging"]
    print(f"served: return {_figure(logging['return']['value'], logging['return']['ci'])}, as logged")
    for row in learned.record["policies"]:
        truth = "" if row["truth"] is None else f"; on the table's test queries {row['truth']['accuracy']:.4f}"
        accuracy = _figure(row["accuracy"], row["accuracy_ci"])
        print(f"{row['name']}: return {_figure(row['return'], row['return_ci'])}, accuracy {accuracy}{truth}")
        if row["reasons"]:
            print(f"{row['name']}: no interval, as {'; '.join(row['reasons'])}", file=sys.stderr)
    if len(learned.record["policies"]) > 1 and any(row["answers"] for row in learned.record["policies"]):
        print(
            "the intervals hold for all of them at once with 95 %: the chosen one's, too, though its episodes chose it"
        )
    print(f"chosen: {learned.record['chosen']}, in {out / 'policy'}")


def _figure(value: float, interval: list[float] | None) -> str:
    return f"{value:.4f}" if interval is None else f"{value:.4f} [{interval[0]:.4f}, {interval[1]:.4f}]"
