"""What a comparison is: arms that differ by reward, learner, shapes or numbers, tried at the same cost weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

from hierrouter_jax.config import config_path, from_dict, load_yaml
from hierrouter_jax.domains import COUNT, NONNEGATIVE, POSITIVE, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.evaluation.intervals import RESAMPLES
from hierrouter_jax.learner_config import LOG_LEARNERS, VALUES, LearnerHyper, RewardWeights, SweepLayout
from hierrouter_jax.outcomes.table import SPLITS
from hierrouter_jax.studies.leaderboard.config import NAME
from hierrouter_jax.studies.traffic import Traffic
from hierrouter_jax.sweeps.draws import sobol
from hierrouter_jax.sweeps.search.space import flat, number, number_choice
from hierrouter_jax.training.settings import LearnerSettings, SharedSettings, check_names, numbers, with_numbers

COST_SCALE = "cost_scale"
OPPONENTS = ("ridge", "knn", "kernel")  # greedy by values that are fitted on the log, the direct method
ARM_LEARNERS = (*LOG_LEARNERS, *OPPONENTS)


def check_space(space: Mapping[str, Any], hyper: LearnerHyper) -> None:
    """Refuse a space with unknown numbers or wrong ranges; an arm's `cost_scale` may be tuned beside the numbers."""
    check_names([name for name in space if name != COST_SCALE], hyper)
    for name, value in space.items():
        number_choice(name, value)


def drawn_settings(space: Mapping[str, Any], count: int, base: LearnerHyper, leaf: str) -> list[dict[str, float]]:
    """`count` settings: nothing changed, then Sobol points of the space.

    Args:
      leaf: the number that the cost weight sets, which is no part of the space; `cost_scale` is drawn in its place.
    """
    if count == 1:
        return [{}]
    drawn_as = {name: leaf if name == COST_SCALE else name for name in space}
    choices = {drawn_as[name]: number_choice(name, value) for name, value in space.items()}
    points = numbers(sobol(choices, count - 1, 0, base))
    return [{}] + [{name: float(points[drawn_as[name]][row]) for name in space} for row in range(count - 1)]


@dataclass(frozen=True)
class Base(SharedSettings):
    """What arms share where they say nothing else.

    Attributes:
      learner: name of the learner, as `hierrouter train` has them.
    """

    learner: str = "exact+stop"


@dataclass(frozen=True)
class Arm:
    """One thing that is compared. What it does not say is the base's.

    Attributes:
      reward: a preset's name (`potential`, or a file's path), or weights of reward terms by name.
      learner: name of its learner.
      static: shapes that differ.
      hyper: numbers that differ, by their dotted names or nested.
      cost_term: the reward term whose weight the cost weights are.
      cost_scale: weight of that term over the cost weight, for a term in another unit than the normalised cost.
      tune: the space that this arm is tuned over, instead of the common one.
      log: traffic on the training queries that the arm learns from, one route a query, in place of the table: seed s
        has the episodes of its own seed s. `learner` is then exact, doubly-robust or off-policy-ppo, or an opponent:
        ridge, knn or kernel, the greedy policy of Q values that are fitted on the log.
    """

    DOMAINS: ClassVar[Domains] = {
        "cost_scale": POSITIVE,
    }

    reward: str | dict[str, Any] | None = None
    learner: str | None = None
    static: dict[str, Any] = field(default_factory=dict)
    hyper: dict[str, Any] = field(default_factory=dict)
    cost_term: str = "hop_cost"
    cost_scale: float = 1.0
    tune: dict[str, Any] | None = None
    log: Traffic | None = None

    def __post_init__(self) -> None:
        check_domains(self)


@dataclass(frozen=True)
class Tuning:
    """The same budget for every arm at every cost weight, spent on the validation split.

    Attributes:
      draws: configurations tried: the arm's own numbers, and Sobol points of the space for the rest. 1: no tuning.
      seeds: runs of each; other seeds than those that are reported.
      space: choices of numbers by their dotted names, and of `cost_scale`: `log(1e-4, 3e-3)`, `uniform(0, 0.2)`, or
        a list of values.
    """

    DOMAINS: ClassVar[Domains] = {
        "draws": COUNT,
        "seeds": COUNT,
    }

    draws: int = 1
    seeds: int = 1
    space: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_domains(self)


@dataclass(frozen=True)
class CompareConfig:
    """A comparison.

    Attributes:
      arms: arms by name; the first is the baseline that all others are compared with.
      table: folder of the outcome table.
      out: folder of the results; the same comparison run again goes on where it was cut off.
      split: split that the arms are judged on.
      base: what arms share.
      cost_weights: cost weights at which every arm is trained and judged: `return` is accuracy minus this times the
        normalised cost, for every arm alike, whatever it was rewarded for.
      seeds: runs of every arm at every cost weight; the same for all.
      tuning: budget of the tuning, the same for every arm.
      layout: how runs are laid over the hardware; by default worker processes on a CPU with more cores than one,
        vmap on an accelerator.
      chunk: runs trained at once, for vmapped layouts.
      resamples: number of resamples of every bootstrap.
      export: whether the chosen policy of every arm at every cost weight is written as a bundle.
    """

    DOMAINS: ClassVar[Domains] = {
        "cost_weights": NONNEGATIVE,
        "seeds": COUNT,
        "chunk": COUNT,
        "resamples": Domain(100, whole=True),
    }

    arms: dict[str, Arm]
    table: Path | None = None
    out: Path = Path("runs/compare")
    split: str = "test"
    base: Base = field(default_factory=Base)
    cost_weights: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3)
    seeds: int = 10
    tuning: Tuning = field(default_factory=Tuning)
    layout: SweepLayout | None = None
    chunk: int | None = None
    resamples: int = RESAMPLES
    export: bool = False

    def __post_init__(self) -> None:
        check_domains(self)
        if len(self.arms) < 2:
            raise InputError("a comparison needs at least two arms; the first is the baseline")
        for name in self.arms:
            if not NAME.fullmatch(name):
                raise InputError(f"arms: {name!r} is no name; use letters, digits and . _ + - only, with no . first")
        if self.table is None:
            raise InputError("table is missing: name the outcome table's folder")
        if self.split not in SPLITS:
            raise InputError(f"split is {self.split!r}, but must be one of {', '.join(SPLITS)}")
        weights = self.cost_weights
        if not weights or len(set(weights)) != len(weights):
            raise InputError(f"cost_weights must be one or more different numbers, not {list(weights)}")


@dataclass(frozen=True)
class ResolvedArm:
    """An arm with everything filled in.

    Attributes:
      name: name of the arm, as the configuration has it.
      settings: settings of its learner, the cost term's weight not yet set.
      leaf: dotted name of the number that the cost weight drives.
      scale: value of that number over the cost weight.
      space: choices of the numbers that are tuned, by name.
      log: traffic that it learns from in place of the table.
    """

    name: str
    settings: LearnerSettings
    leaf: str
    scale: float
    space: dict[str, Any]
    log: Traffic | None = None

    def at(self, cost_weight: float, settings: Mapping[str, Any] | None = None) -> LearnerHyper:
        """The learner's numbers at a cost weight, with any others, or the cost's scale, set."""
        others = dict(settings or {})
        scale = others.pop(COST_SCALE, self.scale)
        return with_numbers(self.settings.hyper, {**others, self.leaf: scale * cost_weight})


def resolve(config: CompareConfig, where: Path | str = "arms") -> list[ResolvedArm]:
    """Every arm with everything filled in, in their order.

    Raises:
      InputError: naming the arm and field that is unknown or wrong.
    """
    return [_resolve(name, arm, config, f"{where}.{name}") for name, arm in config.arms.items()]


def _resolve(name: str, arm: Arm, config: CompareConfig, where: str) -> ResolvedArm:
    shared = config.base
    if arm.reward is not None:
        shared = replace(shared, hyper=replace(shared.hyper, reward=_reward(arm, where)))
    leaf = _cost_leaf(arm, shared.hyper, where)
    space = config.tuning.space if arm.tune is None else arm.tune
    try:
        values = _floats(flat(arm.hyper))
        if arm.log is None:
            settings = shared.resolve(arm.learner or shared.learner, range(config.seeds), arm.static, values)
        else:
            settings = _of_log(arm, arm.log, shared, range(config.seeds), values)
        check_space(space, settings.hyper)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if settings.static.cost_conditioned or settings.static.budgeted:
        raise InputError(f"{where}: a comparison trains one policy a cost weight; leave conditions out of static")
    if config.tuning.draws > 1 and arm.log is not None:
        raise InputError(f"{where}: an arm that learns from a log has no table to be tuned on; set tuning.draws to 1")
    if config.tuning.draws > 1 and not space:
        raise InputError(f"{where}: tuning.draws is {config.tuning.draws}, but there is no space to tune over")
    if leaf in space:
        raise InputError(f"{where}: {leaf} cannot be tuned, because the cost weight sets it; tune cost_scale instead")
    return ResolvedArm(name, settings, leaf, arm.cost_scale, space, arm.log)


def _of_log(arm: Arm, log: Traffic, shared: Base, seeds: range, values: dict[str, float]) -> LearnerSettings:
    """Settings of an arm that learns from a log: it may stop where the logged policy might."""
    learner = arm.learner or VALUES
    if learner not in ARM_LEARNERS:
        raise InputError(f"learner: {learner!r} learns from no log; {nearest(learner, ARM_LEARNERS)}")
    if log.split != "train":
        raise InputError(f"log: split is {log.split!r}, but all arms learn from training queries")
    if arm.cost_term != "hop_cost":
        raise InputError(f"cost_term is {arm.cost_term}, but what is learned from a log knows hop_cost alone")
    its = shared.resolve("exact+stop", seeds, arm.static, values)
    return replace(its, learner=learner, static=replace(its.static, evaluate_every=its.static.num_updates))


def _reward(arm: Arm, where: str) -> RewardWeights:
    """Weights of a preset, a file or a mapping; terms that it does not name keep their default."""
    named, source = arm.reward, f"{where}: reward"
    if isinstance(named, str):
        try:
            path = config_path(named if named.endswith(".yaml") else f"reward/{named}.yaml")
        except InputError as error:
            raise InputError(f"{where}: reward is no preset ({error})") from None
        named, source = load_yaml(path), str(path)
    assert named is not None
    if arm.cost_term != "hop_cost" and "hop_cost" not in named:
        raise InputError(
            f"{where}: cost_term is {arm.cost_term}, so say in reward what hop_cost weighs beside it (0 leaves it out)"
        )
    return from_dict(RewardWeights, named, source)


def _cost_leaf(arm: Arm, hyper: LearnerHyper, where: str) -> str:
    """Dotted name of the cost term's weight.

    The terms are the numbers of the reward, whatever terms there are.
    """
    terms = [name.removeprefix("reward.") for name in numbers(hyper) if name.startswith("reward.")]
    if arm.cost_term not in terms:
        close = get_close_matches(arm.cost_term, terms, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the terms are {', '.join(terms)}"
        raise InputError(f"{where}: cost_term is {arm.cost_term!r}, which is no reward term; {hint}")
    return f"reward.{arm.cost_term}"


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: number(f"hyper.{name}", value) for name, value in values.items()}
