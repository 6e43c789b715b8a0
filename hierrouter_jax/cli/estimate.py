"""The verb `estimate`: what a policy that did not serve would reach, from the decision log of one that did."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text

from hierrouter_jax.cli.result_tables import plain_table, print_result, result_console
from hierrouter_jax.domains import NONNEGATIVE, POSITIVE, SEED, Domains, check_domains
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.files import write_json
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.outcomes.table import SPLITS
from hierrouter_jax.report import formats

RESULT = "estimate.json"
NAMES = (
    "weighted-doubly-robust",
    "doubly-robust",
    "switch",
    "direct",
    "weighted-importance-sampling",
    "importance-sampling",
    "weighted-per-decision",
    "per-decision",
)


@dataclass(frozen=True)
class EstimateConfig:
    """A decision log, and the policy that it is asked about.

    Attributes:
      log: folder of the decision log, as 'hierrouter serve' or 'hierrouter simulate' writes it.
      policy: folder of a bundle or of a run; or with --table a policy that needs no training, such as
        predict-then-plan+stop, task-sequence or best-sequence.
      table: folder of an outcome table of the log's queries, for the truth beside the estimates.
      split: part of the table whose queries the log asked: train, validation or test.
      explore: exploration that the policy is to be served with: none, softmax:T or epsilon:E.
      cost_weight: weight of the cost, over the mean cost of one call, in the return; by default the policy's own.
      estimator: estimator whose numbers are the answer; all are computed.
      clip: largest ratio of the two policies' probabilities at a decision; larger ones are cut, which adds a bias.
      seed: seed of the folds that values are fitted on, and of the bootstrap.
      out: folder that estimate.json is written into, for 'hierrouter report'; by default nothing is written.
    """

    DOMAINS: ClassVar[Domains] = {"cost_weight": NONNEGATIVE, "clip": POSITIVE, "seed": SEED}

    log: Path
    policy: str = ""
    table: Path | None = None
    split: str = "train"
    explore: str = "none"
    cost_weight: float | None = None
    estimator: str = NAMES[0]
    clip: float | None = None
    seed: int = 0
    out: Path | None = None

    def __post_init__(self) -> None:
        check_domains(self)
        if not self.policy:
            raise InputError("--policy is missing: the folder of a bundle or a run, or with --table a policy's name")
        Exploration.parse(self.explore)
        if self.split not in SPLITS:
            raise InputError(f"--split is {self.split!r}, but must be one of {', '.join(SPLITS)}")
        if self.estimator not in NAMES:
            raise InputError(f"--estimator is {self.estimator!r}, which is none; {nearest(self.estimator, NAMES)}")

    @property
    def written(self) -> Path | None:
        return self.out


def estimate(config: EstimateConfig, json: bool = False) -> None:
    """Estimate value, accuracy and cost of a policy that did not serve from the log of one that did.

    Says first what was served, then what the policy would have reached, with 95 % intervals, and the paired difference
    between the two, by which one deploys. Where the log cannot answer, it says why.
    """
    result = estimate_log(config)
    if json:
        print(jsonlib.dumps(result))
        return
    console = result_console()
    print_result(console, answer_table(result))
    console.print()
    print_result(console, estimators_table(result))
    for sentence in sentences(result):
        console.print(f"\N{MIDDLE DOT} {sentence}", soft_wrap=True)
    if config.out is not None:
        console.print(f"numbers: {config.out / RESULT}", style="dim", soft_wrap=True)


def estimate_log(config: EstimateConfig) -> dict[str, Any]:
    """What a decision log says of a policy; also written to `estimate.json` where the configuration names a folder.

    Raises:
      InputError: naming the option or the part of the log that is wrong.
    """
    from hierrouter_jax.learner_config import RewardWeights
    from hierrouter_jax.outcomes.coverage import evaluated_queries
    from hierrouter_jax.outcomes.decision_log import read_log
    from hierrouter_jax.outcomes.episodes import episodes_of
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.named_policy import named_policy
    from hierrouter_jax.studies.off_policy.estimate import estimate as estimate_policy

    table = None if config.table is None else load_table(config.table)
    hop_cost = RewardWeights.hop_cost if config.cost_weight is None else config.cost_weight
    bundle = named_policy(config.policy, table, hop_cost)
    episodes = episodes_of(read_log(config.log))
    result = {"log": str(config.log), "name": config.policy} | estimate_policy(
        episodes,
        bundle,
        Exploration.parse(config.explore),
        config.cost_weight,
        config.estimator,
        config.clip,
        config.seed,
        None if table is None else evaluated_queries(table, config.split),
    )
    if config.out is not None:
        write_json(config.out / RESULT, result)
    return result


def answer_table(result: dict[str, Any]) -> Table:
    """What was served, what the policy would reach, their difference, and the truth where it is known."""
    table = _grid(f"{result['episodes']['used']:,} episodes; cost in {result['money_unit']}; 95 % intervals")
    rows = [("served (mean of the log)", result["logging"])]
    if result["answers"]:
        rows += [(result["name"], result["estimate"]), ("difference", result["difference"])]
    for name, row in rows:
        table.add_row(name, *(_cell(row[metric], metric, name == "difference") for metric in _METRICS))
    if result["truth"]:
        truth = ({"value": result["truth"][metric], "ci": None} for metric in _METRICS)
        table.add_row("truth", *(_cell(one, metric) for one, metric in zip(truth, _METRICS, strict=True)), style="dim")
    return table


def estimators_table(result: dict[str, Any]) -> Table:
    """The policy's return, accuracy and cost by every estimator; without intervals where the log cannot answer."""
    table = _grid("* the answer" if result["answers"] else "no number is an answer: see below")
    for row in result["estimators"]:
        own = row["name"] == result["estimator"] and result["answers"]
        table.add_row(f"{row['name']}{' *' if own else ''}", *(_cell(row[metric], metric) for metric in _METRICS))
    return table


def sentences(result: dict[str, Any]) -> list[str]:
    """What the log can and cannot say, in plain words."""
    its, name = result["diagnostics"], result["name"]
    lines = []
    if result["answers"]:
        low, high = result["difference"]["return"]["ci"]
        better = "better than" if low > 0 else "worse than" if high < 0 else "not told apart from"
        lines.append(
            f"{name} is {better} what was served: {_points(result['difference']['return']['value'])} points of return "
            f"[{_points(low)}, {_points(high)}]"
        )
        if result["same_policy"]:
            lines.append(f"{name} is what served, so its value is the mean of the log")
        low, high = result["bernstein"]["accuracy"]
        lines.append(
            f"whatever the distribution, its accuracy is between {formats.percent(low)} and {formats.percent(high)} % "
            "(empirical Bernstein)"
        )
    else:
        lines += [f"the log cannot say what {name} would reach: {reason}" for reason in result["reasons"]]
    largest, weight = its["largest_weight_share"], its["mean_weight"]
    lines.append(
        f"effective sample {its['effective_sample']:,.0f} of {result['episodes']['used']:,} episodes "
        f"({its['effective_share']:.0%}), with {its['effective_wrong']:.1f} wrong answers; the largest weight is "
        f"{its['largest_weight']:.3g}, {largest:.1%} of all; mean weight {weight['value']:.3f} \N{PLUS-MINUS SIGN} "
        f"{weight['error']:.3f}"
    )
    lines.append(f"logged propensities against draws: p = {its['propensities']['p_value']:.2g}")
    lacking = [row for row in its["overlap"] if row["never_taken"]]
    for row in lacking[:5]:
        task = f" of {row['task']}" if row["task"] else ""
        lines.append(
            f"hop {row['stage'] + 1}{task}: the log never took {', '.join(row['never_taken'])} in "
            f"{row['decisions']:,} decisions, which the policy does"
        )
    if len(lacking) > 5:
        lines.append(f"{len(lacking) - 5} more such places: --json lists them")
    if result["episodes"]["without_feedback"]:
        lines.append(f"{result['episodes']['without_feedback']:,} episodes have no feedback and are left out")
    return lines + result["warnings"]


_METRICS = ("return", "accuracy", "cost")


def _grid(caption: str) -> Table:
    table = plain_table(caption=caption)
    table.add_column("")
    for header in ("return", "accuracy %", "cost"):
        table.add_column(header, justify="right", no_wrap=True)
    return table


def _cell(metric: dict[str, Any], name: str, signed: bool = False) -> Text:
    def show(value: float) -> str:
        sign = "+" if signed else ""
        return f"{100 * value:{sign}.2f}" if name == "accuracy" else f"{value:{sign}.4g}"

    bounds = "" if metric["ci"] is None else f" {show(metric['ci'][0])} to {show(metric['ci'][1])}"
    return Text.assemble(show(metric["value"]), (bounds, "dim"))


def _points(value: float) -> str:
    return f"{100 * value:+.2f}"
