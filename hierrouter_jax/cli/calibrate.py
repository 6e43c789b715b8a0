"""The verb `calibrate`: the setting of a run's policies that meets a budget or an accuracy."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hierrouter_jax.cli.evaluate import table_folder
from hierrouter_jax.cli.result_tables import result_console
from hierrouter_jax.domains import POSITIVE, SHARE, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import existing, write_json
from hierrouter_jax.outcomes.table import SPLITS
from hierrouter_jax.report import formats

CALIBRATION = "calibration.json"


@dataclass(frozen=True)
class CalibrateConfig:
    """A target, and the runs whose policies may meet it.

    Attributes:
      runs: folders that 'hierrouter train' or 'quickstart' wrote, on one table.
      budget: mean cost of a query to keep to, in the table's money unit, the router's own included.
      accuracy: accuracy to reach, as a fraction, instead of a budget.
      learner: name of the only learner to look at; by default all that the runs hold.
      table: folder of the outcome table, if it is no longer where the first run found it.
      split: part of the table that the choice is checked on: train or test.
    """

    DOMAINS: ClassVar[Domains] = {"budget": POSITIVE, "accuracy": SHARE}

    runs: tuple[Path, ...]
    budget: float | None = None
    accuracy: float | None = None
    learner: str | None = None
    table: Path | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        check_domains(self)
        if self.split not in SPLITS:
            raise InputError(f"--split is {self.split!r}, but must be one of {', '.join(SPLITS)}")
        if self.split == "validation":
            raise InputError("--split is 'validation', on which the setting is chosen; check it on another")

    @property
    def written(self) -> Path | None:
        return existing(self.runs[0])


def calibrate(config: CalibrateConfig, json: bool = False) -> None:
    """Find the cost weight or stop threshold that meets a budget or an accuracy, and how far off it is on test.

    Chosen on validation among all policies of the runs: under each cost weight, for a policy that reads one; from
    each probability of STOP on, for another that may stop; and as they were trained. Writes calibration.json into the
    first run.
    """
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.calibrate import calibrate as run_calibration

    runs, target = list(config.runs), (config.budget, config.accuracy)
    table = load_table(table_folder(runs[0], config.table))
    result = run_calibration(runs, table, *target, config.split, config.learner)
    write_json(runs[0] / CALIBRATION, result)
    if json:
        print(jsonlib.dumps(result))
        return
    console = result_console()
    for sentence in calibrated(result):
        console.print(sentence, soft_wrap=True)
    files = f"all {result['settings_tried']} settings: {runs[0] / CALIBRATION}"
    console.print(files, style="dim", soft_wrap=True)


def calibrated(result: dict[str, Any]) -> list[str]:
    """What was found, in sentences."""
    setting, off, target = result["setting"], result["off"], result["target"]
    validation, checked, unit = result["validation"], result[off["split"]], target["money_unit"]
    value = "" if setting["value"] is None else f"{setting['value']:.3g}"
    knobs = {
        "cost_weight": f"told the cost weight {value}",
        "stop_threshold": f"stopping from a probability of STOP of {value} on",
        "none": "as it was trained",
    }
    goal = (
        f"a mean cost of {target['budget']:g} {unit}"
        if target["budget"]
        else f"an accuracy of {target['accuracy']:.1%}"
    )

    def reached(part: dict[str, Any]) -> str:
        low, high = (formats.percent(end) for end in part["accuracy_ci"])
        costs = f"{part['cost']:.4g} {unit} ({part['cost_ci'][0]:.4g} to {part['cost_ci'][1]:.4g})"
        return f"{formats.percent(part['accuracy'])} % right ({low} to {high}) at {costs}, {part['queries']} queries"

    if off["metric"] == "cost":
        difference, ends = f"{off['from_target']:+.3g} {unit}", [f"{end:+.3g}" for end in off["from_target_ci"]]
    else:
        difference = f"{formats.signed_points(off['from_target'])} points"
        ends = [formats.signed_points(end) for end in off["from_target_ci"]]
    verdict = "meets" if off["met"] else "misses"
    doubt = "; the interval holds 0, so more queries could turn this" if off["undecided"] else ""
    return [
        f"For {goal}: {setting['learner']} of {setting['run']}, {knobs[setting['knob']]}.",
        f"On validation: {reached(validation)}.",
        f"On {off['split']}: {reached(checked)}.",
        f"On {off['split']} it {verdict} the target, off by {difference} ({ends[0]} to {ends[1]}){doubt}.",
    ]
