"""What a leaderboard is: tables, splits, and who takes part with which settings."""

import re
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from hierrouter_jax.domains import COUNT, NATURAL, NONNEGATIVE, REAL, SEED, SIMILARITY, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.intervals import RESAMPLES
from hierrouter_jax.learner_config import LearnerStatic
from hierrouter_jax.plugins import is_import_path
from hierrouter_jax.training.settings import LearnerSettings, SharedSettings

OURS = "ours"
NAME = re.compile(r"[\w+-][\w.+-]*")  # of a participant or an arm: of its files and folders, none of them . or ..
FEATURES = "features"  # may be tuned beside the learner's numbers
# Guidance keeps the exact learner from local optima, and costs it a little where there are none: validation says which.
GUIDED = {"guidance": [0.0, 0.99]}


@dataclass(frozen=True)
class LearnerSpec:
    """A learner that takes part. What it does not say is the leaderboard's `static`, `hyper` and so on.

    Attributes:
      learner: name of the learner, as `hierrouter train` has them; by default the name that it takes part under.
      features: principal components of the context embedding that the network sees.
      static: shapes that differ.
      hyper: numbers that differ, by their dotted names.
      tune: values of a grid, of numbers by their dotted names and of `features`; the best on validation is taken.
      seeds: runs of every point of the grid; the best on validation is taken, or
      ensemble: whether their policies are averaged instead: the mean of their probabilities, then greedy.
      fit: instead of all this, the import path of a function of a `Problem` that gives a `Policy`.
    """

    DOMAINS: ClassVar[Domains] = {
        "features": COUNT,
        "tune": REAL,
        "seeds": COUNT,
    }

    learner: str | None = None
    features: int | None = None
    static: dict[str, Any] = field(default_factory=dict)
    hyper: dict[str, Any] = field(default_factory=dict)
    tune: dict[str, list[float]] = field(default_factory=dict)
    seeds: int | None = None
    ensemble: bool = False
    fit: str | None = None

    def __post_init__(self) -> None:
        check_domains(self)
        if self.fit is not None and not is_import_path(self.fit):
            raise InputError(f"fit is {self.fit!r}, but must be an import path, such as my_router.py:fit")
        if any(not values for values in self.tune.values()):
            raise InputError("tune needs one or more values of each number")


@dataclass(frozen=True)
class LeaderboardConfig(SharedSettings):
    """A leaderboard; its `features` are what opponents see, too.

    Attributes:
      tables: folders of outcome tables.
      out: folder of the results; the same leaderboard run again goes on where it was cut off.
      splits: repeated random splits, stratified by task; 0: the table's own split.
      folds: instead of them, k-fold cross-validation, stratified by task; 0: none.
      train: queries of each random split that are learned and chosen from; 0: all that are not tested.
      test: queries of each random split that are tested.
      validation: share of the training part that choices are made on.
      seed: seed of the splits, the learners and the opponents.
      cost_weights: lambda, per mean call, at which everybody takes part; the first is what the page ranks, the others
        are further points of each one's cost-quality curve.
      learners: learners that take part, by name; `ours` is the first of those that validation cannot tell from the
        best.
      opponents: names of the registry's that take part; by default all.
      seeds: number of runs of each learner.
      duplicates: Jaccard similarity from which two queries are near-duplicates, which no split parts.
      workers: processes; 1 works in this one. By default one a core.
      resamples: number of resamples of every bootstrap.
      controls: whether everybody is also fitted where nothing can be learned (outcomes shuffled; random features);
        who beats chance there leaks. About four times the work.
      fresh: whether results of an earlier call are discarded.
    """

    DOMAINS: ClassVar[Domains] = {
        **SharedSettings.DOMAINS,
        "splits": NATURAL,
        "folds": NATURAL,
        "train": NATURAL,
        "test": NATURAL,
        "validation": Domain(0, 1, open_low=True, open_high=True),
        "seed": SEED,
        "cost_weights": NONNEGATIVE,
        "seeds": COUNT,
        "duplicates": SIMILARITY,
        "workers": COUNT,
        "resamples": Domain(100, whole=True),
    }

    tables: tuple[Path, ...]
    out: Path = Path("runs/leaderboard")
    splits: int = 0
    folds: int = 0
    train: int = 0
    test: int = 0
    validation: float = 0.2
    seed: int = 0
    cost_weights: tuple[float, ...] = (0.0,)
    learners: dict[str, LearnerSpec] = field(
        default_factory=lambda: {
            "exact": LearnerSpec(tune=dict(GUIDED)),
            "exact+stop": LearnerSpec(tune=dict(GUIDED)),
            "all-actions": LearnerSpec(),
            "ppo": LearnerSpec(),
        }
    )
    opponents: tuple[str, ...] | None = None
    seeds: int = 3
    duplicates: float = 0.8
    workers: int | None = None
    resamples: int = RESAMPLES
    controls: bool = False
    fresh: bool = False

    def __post_init__(self) -> None:
        check_domains(self)
        names = [folder_name(path) for path in self.tables]
        if not names or len(set(names)) != len(names):
            raise InputError(f"a leaderboard needs one or more tables of different names, not {names}")
        if self.splits and self.folds:
            raise InputError(f"splits is {self.splits} and folds is {self.folds}; choose one of them")
        if self.folds == 1:
            raise InputError("folds is 1, but must be 0 or at least 2")
        if bool(self.splits) != bool(self.test):
            raise InputError("random splits need both --splits, how many, and --test, how many queries each tests")
        if self.train and not self.splits:
            raise InputError("train is a number of queries of random splits; give --splits and --test too")
        weights = self.cost_weights
        if not weights or len(set(weights)) != len(weights):
            raise InputError(f"cost_weights must be one or more different numbers, not {list(weights)}")
        if not self.learners:
            raise InputError("learners must name at least one")
        for name in self.learners:
            if not NAME.fullmatch(name) or name == OURS:
                raise InputError(
                    f"learners: {name!r} is no name to take part under; use letters, digits and . _ + - only, "
                    "with no . first"
                )
        for name, spec in self.learners.items():
            entrant(self, name, spec)


@dataclass(frozen=True)
class Entrant:
    """A learner with everything filled in.

    Attributes:
      name: name that it takes part under.
      points: settings at every point of its grid, which differ in their features and numbers only.
      ensemble: whether the policies of a point's seeds are averaged.
      fit: import path of a function that makes the policy instead.
    """

    name: str
    points: tuple[LearnerSettings, ...]
    ensemble: bool
    fit: str | None = None

    @property
    def static(self) -> LearnerStatic:
        """Its shapes."""
        return self.points[0].static

    @property
    def seeds(self) -> int:
        """Number of runs of each point."""
        return len(self.points[0].seeds)

    @property
    def tried(self) -> int:
        """Configurations that validation chooses from."""
        return len(self.points) * (1 if self.ensemble or self.fit else self.seeds)

    @property
    def without_stop(self) -> "Entrant":
        """The same without its names, and without STOP."""
        points = (replace(point, learner="", static=replace(point.static, allow_stop=False)) for point in self.points)
        return replace(self, name="", points=tuple(points))


def entrant(config: LeaderboardConfig, name: str, spec: LearnerSpec) -> Entrant:
    """A learner with everything filled in.

    Raises:
      InputError: naming the learner and the field that is unknown or wrong.
    """
    where = f"learners.{name}"
    if spec.fit is not None:
        own = LearnerSettings(name, config.static, config.hyper, config.features, (config.seed,))
        return Entrant(name, (own,), False, spec.fit)
    for taken in (*spec.hyper, *spec.tune):
        if taken == "reward.hop_cost":
            raise InputError(f"{where}: reward.hop_cost is set by cost_weights; leave it out")
    try:
        seeds, points = range(config.seed, config.seed + (spec.seeds or config.seeds)), []
        for values in product(*spec.tune.values()):
            point = dict(zip(spec.tune, values, strict=True))
            features = point.pop(FEATURES, spec.features or config.features)
            if features not in COUNT:
                raise InputError(f"tune.features is {features:g}, but must be {COUNT}")
            hyper = {key: float(value) for key, value in (spec.hyper | point).items()}
            points.append(config.resolve(spec.learner or name, seeds, spec.static, hyper, int(features)))
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from None
    static = points[0].static
    if static.budgeted or static.lagrangian:
        raise InputError(f"{where}: a leaderboard compares at cost weights; leave budgeted and lagrangian out")
    return Entrant(name, tuple(points), spec.ensemble)


def entrants(config: LeaderboardConfig, horizon: int) -> tuple[dict[str, Entrant], dict[str, str]]:
    """The learners on a table of a horizon, and why others are left out.

    With one hop STOP is never chosen, a learner with it would be the same one again; and there is no guidance to tune.
    """
    taking, left = {}, {}
    for name, spec in config.learners.items():
        tune = {key: values for key, values in spec.tune.items() if horizon > 1 or key not in GUIDED}
        one = entrant(config, name, replace(spec, tune=tune))
        twins = (name for name, other in taking.items() if other.without_stop == one.without_stop)
        same = next(twins, None) if horizon == 1 and one.static.allow_stop else None
        if same:
            left[name] = f"the table has one hop, after which there is nothing to stop; it would be {same}"
        else:
            taking[name] = one
    return taking, left


def folder_name(table: Path) -> str:
    """The name that a table goes by: its folder's, or the one above where that is only called table."""
    path = Path(table).absolute()
    return path.parent.name if path.name == "table" and path.parent.name else path.name
