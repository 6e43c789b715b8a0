"""The verb `train`: routers on an outcome table."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hierrouter_jax.training.settings import TrainConfig


@dataclass(frozen=True)
class RunConfig:
    """Training on a table.

    Attributes:
      table: folder of the outcome table, or the name of one that ships with the package.
      out: run folder, which is written.
      train: learners, seeds and every number of the learner.
      fresh: discard what the run folder holds of an earlier training, and start anew.
      track: tensorboard, wandb or mlflow, or several with commas between them; metrics.parquet is written anyway.
    """

    table: Path
    out: Path = Path("runs/train")
    train: TrainConfig = field(default_factory=TrainConfig)
    fresh: bool = False
    track: str = ""

    @property
    def written(self) -> Path:
        return self.out


def train(config: RunConfig) -> None:
    """Train routers on an outcome table.

    Run the same command again after an interruption and it goes on from the latest checkpoint, to the same end.
    """
    from hierrouter_jax.config import to_dict
    from hierrouter_jax.outcomes.shipped import lasting
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.training.checkpoints import RunCheckpoints
    from hierrouter_jax.training.router import DIVERGED, Diverged
    from hierrouter_jax.training.run_folder import RunFolder
    from hierrouter_jax.training.tracking import tracked
    from hierrouter_jax.training.train import train_routers

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
