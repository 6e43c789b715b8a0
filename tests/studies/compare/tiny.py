"""The numbers of the comparison that `conftest.py` runs."""

from dataclasses import replace
from pathlib import Path

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.studies.compare.config import Arm, Base, CompareConfig
from hierrouter_jax.studies.compare.run import compare

STATIC = LearnerStatic(
    num_envs=64, num_updates=4, evaluate_every=2, epochs=1, minibatches=1, hidden=(16, 16), stage_size=4
)
BASE = Base("exact+stop", features=6, static=STATIC, hyper=LearnerHyper(learning_rate=0.003))
ARMS = {"plain": Arm(), "gain": Arm(reward={"quality_gain": 1.0})}
WEIGHTS = (0.01, 0.3)


def rerun(config: CompareConfig, folder: Path, **changes) -> dict:
    return compare(replace(config, out=folder, **changes), progress=False)
