"""256 policies of the exact learner on an outcome table, trained and exactly evaluated; prints one line of JSON.

python -m scripts.many_policies runs/quickstart/table
"""

import json
from pathlib import Path

from jsonargparse import auto_cli

from hierrouter_jax import train_many
from hierrouter_jax.learner_config import LearnerStatic, SweepLayout
from hierrouter_jax.sweeps.draws import log, sobol


def main(table: Path, draws: int = 16, seeds: int = 16, layout: SweepLayout | None = None) -> None:
    """Sweep learning rate, entropy bonus and weight decay.

    Args:
      table: folder of the outcome table.
      draws: of the hyperparameters.
      seeds: of each.
      layout: how the runs are laid over the hardware; by default the fastest of a measurement, which takes a while.
    """
    static = LearnerStatic(algorithm="exact", num_envs=256, num_updates=6, evaluate_every=3)
    ranges = {"learning_rate": log(1e-3, 6e-3), "entropy": log(0.02, 0.3), "weight_decay": log(0.01, 0.3)}
    found = train_many(table, static, sobol(ranges, draws), seeds, layout=layout)
    returns = found.frame["best_return"].tolist()
    print(json.dumps({"layout": found.layout, "returns": returns, "accuracy": found.frame["accuracy"].tolist()}))


if __name__ == "__main__":
    auto_cli(main)
