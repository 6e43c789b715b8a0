"""Arms that learn from logs of one route a query: their policies, in the place that a sweep has for the others."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from tqdm import tqdm

from hierrouter_jax.baselines.fitted_q import Regression, grouped
from hierrouter_jax.baselines.kernel import kernel_ridge
from hierrouter_jax.baselines.problem import walk
from hierrouter_jax.baselines.regressors import neighbours, ridge
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, policy_outcome
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.learner_config import LOG_LEARNERS
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.choice import bundle_ends
from hierrouter_jax.studies.compare.config import CompareConfig, ResolvedArm
from hierrouter_jax.studies.named_policy import episodes_served, named_policy
from hierrouter_jax.training.features import FittedFeatures
from hierrouter_jax.training.log_training import LogMaterial, learn_values, train_log_learner
from hierrouter_jax.training.router import deciding_cost
from hierrouter_jax.training.settings import TrainConfig

LOGS = "logs"
_REGRESSIONS: dict[str, Regression] = {  # of the opponents, as in scripts/learn_from_logs.py
    "ridge": grouped(partial(ridge, alpha=30.0)),
    "knn": grouped(partial(neighbours, k=20)),
    "kernel": kernel_ridge,
}


@dataclass(frozen=True)
class LogPolicies:
    """The policies of an arm that learns from logs: what a comparison asks of a sweep.

    Attributes:
      folder: path of the arm's results; a member's are `N.json`, and its bundle `N`, if it is a network.
      frame: a row a member: `member`, `best_accuracy` and `best_cost`, in money, on the validation split.
      cost_normaliser: mean cost of one call on the training split, in the table's money unit.
    """

    folder: Path
    frame: pd.DataFrame
    cost_normaliser: float

    def curves(self, member: int) -> dict[str, np.ndarray]:
        """`ends` [Q] on the judged split, and accuracy and normalised cost on validation after the only block [1]."""
        there, row = read_json(self.folder / f"{member}.json"), self.frame.loc[member]
        accuracy, cost = (np.array([row[name]], np.float64) for name in ("best_accuracy", "best_cost"))
        normalised = cost / self.cost_normaliser
        return {"ends": np.array(there["ends"]), "validation_accuracy": accuracy, "validation_cost": normalised}

    def charged(self, member: int, outcome: PolicyOutcome, part: OutcomeTable) -> Float[np.ndarray, "... G"]:
        """Cost with what a network's decisions cost; of opponents none is counted, as everywhere."""
        if not (self.folder / str(member)).is_dir():
            return outcome.cost
        bundle = PolicyBundle.load(self.folder / str(member))
        return outcome.cost + deciding_cost(bundle.multiply_adds, bundle.may_stop, outcome, part)

    def bundle(self, member: int) -> PolicyBundle:
        """A member's policy.

        Raises:
          InputError: if it is an opponent, which is no network.
        """
        if not (self.folder / str(member)).is_dir():
            raise InputError(f"{self.folder.name}: fitted values are no policy that can be exported")
        return PolicyBundle.load(self.folder / str(member))


def learn_from_logs(
    arm: ResolvedArm,
    config: CompareConfig,
    table: OutcomeTable,
    features: FittedFeatures,
    out: Path,
    progress: bool,
) -> LogPolicies:
    """Learn every member of an arm, the seeds of a cost weight together; what is in the folder is not learned again.

    Args:
      arm: an arm with a log.
      table: the whole outcome table, of which the arm sees the simulated episodes alone.
      features: those of the other arms, for the money that cost weights are over.
      out: folder of the arm.
    """
    assert arm.log is not None
    template, rows = named_policy("best-sequence", table), []
    members = [(weight, seed) for weight in config.cost_weights for seed in range(config.seeds)]
    out.mkdir(parents=True, exist_ok=True)
    logs: dict[int, Episodes] = {}
    for member, (weight, seed) in enumerate(tqdm(members, f"learn {arm.name}", unit="policy", disable=not progress)):
        path = out / f"{member}.json"
        if not path.is_file():
            if seed not in logs:
                logs[seed] = episodes_served(table, arm.log, seed)
            one = _learned(arm, weight, seed, logs[seed], template, features)
            if isinstance(one, PolicyBundle):
                one.save(out / str(member))
            write_json(path, _record(one, table, config.split))
        rows.append({"member": member, **{name: read_json(path)[name] for name in ("best_accuracy", "best_cost")}})
    return LogPolicies(out, pd.DataFrame(rows), features.cost_normaliser)


def _learned(
    arm: ResolvedArm, weight: float, seed: int, log: Episodes, template: PolicyBundle, features: FittedFeatures
) -> PolicyBundle | LogMaterial:
    """The arm's policy at a cost weight: a network, or an opponent's fitted values."""
    learner, settings = arm.settings.learner, arm.settings
    static = settings.static
    config = TrainConfig(
        static=static,
        hyper=arm.at(weight),
        features=settings.features,
        num_seeds=1,
        seed=seed,
        checkpoint_every=static.num_updates,
    )
    regression = _REGRESSIONS.get(learner, kernel_ridge)
    of = learn_values(log, template, config, features.cost_normaliser, regression)
    return train_log_learner(learner, of, template, config)[0] if learner in LOG_LEARNERS else of


def _record(one: PolicyBundle | LogMaterial, table: OutcomeTable, split: str) -> dict[str, Any]:
    """What is kept of a member: where it ends on the judged split, and what it reaches on validation."""
    part, held = table.split(split), table.split("validation")
    reached = policy_outcome(held.select(held.answered), _ends(one, held.select(held.answered)))
    ends = np.zeros(part.num_queries, int)
    ends[part.answered] = _ends(one, part.select(part.answered)).argmax(axis=1)
    return {
        "ends": ends.tolist(),
        "best_accuracy": float(reached.quality.mean()),
        "best_cost": float(reached.cost.mean()),
    }


def _ends(one: PolicyBundle | LogMaterial, part: OutcomeTable) -> Float[np.ndarray, "Q N"]:
    if isinstance(one, PolicyBundle):
        return bundle_ends(one, part)
    root = part.context_embedding[:, 0]

    def scores(node: int, rows: Int[np.ndarray, " R"]) -> Float[np.ndarray, "R A"]:
        return one.q.values(root[rows], part.context_embedding[rows, node], int(part.tree.stages[node]))

    return walk(part, scores, bool(one.episodes.mask[..., -1].any()), one.features.tie_order)
