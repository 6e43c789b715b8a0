"""A whole comparison: train what is missing, judge all arms alike, write the result."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from hierrouter_jax._version import __version__
from hierrouter_jax.claims import claim, table_identity
from hierrouter_jax.config import load_yaml, to_dict
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.files import replacing, sole_writer, write_text
from hierrouter_jax.outcomes.coverage import evaluated_queries
from hierrouter_jax.outcomes.shipped import lasting
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.compare.claims import Judgement, claims, comparisons, family
from hierrouter_jax.studies.compare.config import OPPONENTS, CompareConfig, resolve
from hierrouter_jax.studies.compare.outcomes import ArmOutcomes, arm_outcomes, opponent_rows, reference
from hierrouter_jax.studies.compare.points import arm_row
from hierrouter_jax.studies.compare.runs import Trainer, finite, run_arms
from hierrouter_jax.studies.measures import question_clusters
from hierrouter_jax.training.features import FEATURES, FittedFeatures, fit_features, fitted_once
from hierrouter_jax.training.run_folder import RunFolder
from hierrouter_jax.training.settings import numbers

RESULT, FRAME = "compare.json", "compare.parquet"
_IDENTITY = "identity"  # of the table: its outcomes, prices, splits and embedding
_FREE = {"out", "table", "resamples", "export"}  # may differ from one start of the same comparison to the next


@single_precision
def compare(config: CompareConfig, progress: bool = True) -> dict[str, Any]:
    """Run a comparison, or go on with one; writes compare.json, compare.parquet and compare.csv into `config.out`.

    Returns:
      What compare.json holds.

    Raises:
      InputError: if the configuration is wrong, or the folder holds another comparison.
    """
    arms = resolve(config)
    with sole_writer(config.out):
        return _compare(RunFolder(config.out), config, arms, progress)


def _compare(run: RunFolder, config: CompareConfig, arms: Any, progress: bool) -> dict[str, Any]:
    assert config.table is not None
    with run.timed("table"):
        table = load_table(config.table)
        _begin(run, config, table)
        features = fitted_once(config.out / FEATURES, lambda: fit_features(table.split("train"), config.base.features))
    with run.timed("train"):
        trained = run_arms(Trainer(config, config.table, features, config.out, progress), arms)
    with run.timed("evaluate"):
        arms_judged = [arm_outcomes(runs, table.split(config.split), features, config) for runs in trained]
        result = _result(config, table, evaluated_queries(table, config.split), features, arms_judged)
    frame = _frame(arms_judged)
    with run.timed("write"):
        run.write_json(RESULT, result)
        with replacing(config.out / FRAME) as temporary:
            frame.to_parquet(temporary, index=False)
        write_text(config.out / "compare.csv", frame.to_csv(index=False))
        if config.export:
            _export(arms_judged, config.out / "policies")
    tried = {row["name"]: row["configurations_tried"] for row in result["arms"]}
    run.write_run(0, configurations_tried=sum(tried.values()), configurations_by_arm=tried, policies=len(frame))
    return result


def _begin(run: RunFolder, config: CompareConfig, table: OutcomeTable) -> None:
    """Say what the folder is of, or refuse one that is of something else.

    Prices and embeddings count, as for the sweeps in it: policies learned and chose by them.
    """
    path = run.path / "config.yaml"
    there = load_yaml(path) if path.is_file() else None
    written: dict[str, Any] = {"table": str(lasting(config.table or "")), "fingerprint": table.fingerprint}
    if there is None or _IDENTITY in there:  # an older one goes on without
        written[_IDENTITY] = table_identity(table)
    written["compare"] = to_dict(config)
    read_back = yaml.safe_load(yaml.safe_dump(written, sort_keys=False))
    record = None if there is None else {"version": there.get("version"), **_identity(there)}
    claim(run.path, "comparison", record, _identity(read_back))
    run.write_config({"version": __version__} | written)


def _identity(written: dict[str, Any]) -> dict[str, Any]:
    """What makes a comparison the one it is; the order of the arms counts, because the first is the baseline."""
    fields = {name: value for name, value in (written.get("compare") or {}).items() if name not in _FREE}
    table = {name: written[name] for name in ("fingerprint", _IDENTITY) if name in written}
    return table | {"order": list(fields.get("arms") or {}), **fields}


def _result(
    config: CompareConfig,
    table: OutcomeTable,
    part: OutcomeTable,
    features: FittedFeatures,
    arms: list[ArmOutcomes],
) -> dict[str, Any]:
    judgement = Judgement(question_clusters(part), reference(part), config.resamples)
    names = [arm.name for arm in arms]
    compared = comparisons(arms, judgement)
    return {
        "table": {
            "fingerprint": table.fingerprint,
            "split": config.split,
            "queries": part.num_queries,
            "left_out": table.split(config.split).num_queries - part.num_queries,
            "horizon": table.tree.horizon,
            "pool": [asdict(member) for member in table.pool],
        },
        "money_unit": table.money_unit,
        "cost_normaliser": features.cost_normaliser,
        "cost_weights": list(config.cost_weights),
        "seeds": list(range(config.seeds)),
        "reference": judgement.reference,
        "arms": [arm_row(arm, part, judgement) for arm in arms],
        "opponents": opponent_rows(table, part, features, config.cost_weights),
        "comparisons": compared,
        "family": family(names, len(config.cost_weights)),
        "claims": claims(names, compared, config.seeds),
        "record": {
            "version": __version__,
            "baseline": names[0],
            "policies": len(names) * len(config.cost_weights) * config.seeds,
            "tuning": {"draws": config.tuning.draws, "seeds": config.tuning.seeds},
            "resamples": config.resamples,
            "permutations": 0,  # none are drawn any more
            "return": "accuracy minus cost weight times normalised cost, for every arm alike",
            "checkpoint": "each run keeps its parameters of the best validation return by its own reward",
            "chosen_seed": "the best validation accuracy minus cost weight times normalised cost",
            "mean_ci": "95 %, seeds and queries crossed, a t-quantile for each; duplicates as one query",
            "iqm_ci": "95 %, stratified bootstrap over seeds alone, on these queries",
            "test": "the level at which the crossed interval of the difference reaches 0",
        },
    }


def _frame(arms: list[ArmOutcomes]) -> pd.DataFrame:
    """A row a member."""
    rows = []
    for arm in arms:
        outcome, chosen = arm.outcome, arm.chosen_seeds
        for row, weight in enumerate(arm.cost_weights):
            settings = {name: float(v) for name, v in numbers(arm.runs.hyper(row, float(weight))).items()}
            for seed in range(outcome.quality.shape[1]):
                at = row, seed
                rows.append(
                    {
                        "arm": arm.name,
                        "learner": arm.runs.arm.settings.learner,
                        "cost_weight": float(weight),
                        "seed": seed,
                        "accuracy": outcome.quality[at].mean(),
                        "cost": outcome.cost[at].mean(),
                        "return": arm.returns[at].mean(),
                        "hops": outcome.hops[at].mean(),
                        "repaired": outcome.repaired[at].mean(),
                        "damaged": outcome.damaged[at].mean(),
                        "stop_rate": arm.stop_rate[at],
                        "validation_return": finite(arm.validation[at]),
                        "diverged": not np.isfinite(arm.validation[at]),
                        "chosen": seed == chosen[row],
                        "sweep": arm.runs.folder,
                        "member": int(arm.runs.members[at]),
                        **settings,
                    }
                )
    return pd.DataFrame(rows)


def _export(arms: list[ArmOutcomes], folder: Path) -> None:
    """The chosen policy of every arm at every cost weight, as a bundle."""
    for arm in (arm for arm in arms if arm.runs.arm.settings.learner not in OPPONENTS):
        for row, seed in enumerate(arm.chosen_seeds):
            if not np.isfinite(arm.validation[row, seed]):
                continue  # all of its seeds diverged, as compare.json says
            bundle = arm.runs.result.bundle(int(arm.runs.members[row, seed]))
            bundle.save(folder / f"{arm.name}-{arm.cost_weights[row]:g}")
