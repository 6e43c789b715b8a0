"""What learners are trained with: settings that several share, and one learner's with everything filled in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, ClassVar

from hierrouter_jax.config import from_dict, to_dict
from hierrouter_jax.domains import COUNT, NATURAL, SEED, Domains, check_domains
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.learner_config import ALGORITHMS, LearnerHyper, LearnerStatic
from hierrouter_jax.plugins import IMPORT_PATH, is_import_path

LEARNERS = tuple(algorithm + suffix for algorithm in ALGORITHMS for suffix in ("", "+stop"))
SET_BY_NAME = ("algorithm", "allow_stop")  # fields of `LearnerStatic` that the learner's name sets
OWN_TERMS = "reward.custom"


@dataclass(frozen=True)
class LearnerSettings:
    """What one learner is trained with, everything filled in.

    Attributes:
      learner: name of the learner, such as `ppo+stop`.
      static: shapes of the learner, `algorithm` and `allow_stop` as its name says.
      hyper: numbers of the learner.
      features: number of principal components of the context embedding that the network sees.
      seeds: seeds of its runs, one run each.
    """

    learner: str
    static: LearnerStatic
    hyper: LearnerHyper
    features: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SharedSettings:
    """What learners share where they say nothing else; the defaults are the project's, the paper gives none.

    Attributes:
      features: number of principal components of the context embedding that the network sees.
      static: shapes of the learner; `algorithm` and `allow_stop` are set by the learner's name.
      hyper: numbers of the learner, the reward's weights among them.
    """

    DOMAINS: ClassVar[Domains] = {
        "features": COUNT,
    }

    features: int = 96
    static: LearnerStatic = field(default_factory=LearnerStatic)
    hyper: LearnerHyper = field(default_factory=LearnerHyper)

    def __post_init__(self) -> None:
        check_domains(self)

    def resolve(
        self,
        learner: str,
        seeds: Iterable[int],
        static: Mapping[str, Any] | None = None,
        hyper: Mapping[str, Any] | None = None,
        features: int | None = None,
    ) -> LearnerSettings:
        """One learner's settings: the shared ones, under what it has of its own.

        Args:
          learner: name of the learner.
          seeds: seeds of its runs.
          static: shapes that differ from the shared ones, by their names.
          hyper: numbers that differ from the shared ones, by their dotted names.
          features: number of principal components, where it differs from the shared one.

        Raises:
          InputError: naming what is unknown or wrong, or what the learner's name sets.
        """
        for name in SET_BY_NAME:
            if name in (static or {}):
                raise InputError(f"static.{name} is set by the learner's name; set learner instead")
        shapes = static_of(learner, self.static)
        if static:
            shapes = from_dict(LearnerStatic, to_dict(shapes) | dict(static), "static")
        size = self.features if features is None else features
        return LearnerSettings(learner, shapes, with_numbers(self.hyper, hyper or {}), size, tuple(seeds))


@dataclass(frozen=True)
class TrainConfig(SharedSettings):
    """How routers are trained.

    Attributes:
      learners: names of the learners. `ppo` makes exactly L calls, as in the paper; `exact` climbs the exact expected
        return instead, and `all-actions` PPO's objective over whole hop trees; or the import path of an update of
        yours. With `+stop` they may stop after any call, which is the project's extension.
      num_seeds: number of independent runs of each learner; the best on validation is the policy.
      seed: seed of the first run; the others count up from it.
      checkpoint_every: updates between two checkpoints, where training keeps any; there is one at the end in any case.
      keep_every: updates between two checkpoints that stay for good; 0: only the latest and the best do.
    """

    DOMAINS: ClassVar[Domains] = {
        **SharedSettings.DOMAINS,
        "num_seeds": COUNT,
        "seed": SEED,
        "checkpoint_every": COUNT,
        "keep_every": NATURAL,
    }

    learners: tuple[str, ...] = ("ppo", "ppo+stop")
    num_seeds: int = 5
    seed: int = 0
    checkpoint_every: int = 25
    keep_every: int = 0

    def __post_init__(self) -> None:
        check_domains(self)
        if not self.learners or len(set(self.learners)) != len(self.learners):
            raise InputError(f"learners must be one or more different names, not {list(self.learners)}")
        for name in self.learners:
            static_of(name, self.static)
        every, block = self.checkpoint_every, self.static.evaluate_every
        if every % block:
            raise InputError(f"checkpoint_every ({every}) must be a multiple of static.evaluate_every ({block})")
        if self.seed + self.num_seeds > 2**31:
            most = 2**31 - self.num_seeds
            raise InputError(f"seed is {self.seed}, but must be at most {most}, as num_seeds is {self.num_seeds}")
        if self.keep_every % every:
            raise InputError(f"keep_every ({self.keep_every}) must be 0 or a multiple of checkpoint_every ({every})")

    def of(self, learner: str) -> LearnerSettings:
        """What one of the learners is trained with."""
        return self.resolve(learner, range(self.seed, self.seed + self.num_seeds))


def static_of(name: str, static: LearnerStatic) -> LearnerStatic:
    """A learner's shapes: its name says by which algorithm it learns and whether it may stop.

    Raises:
      InputError: if there is no such learner.
    """
    if name not in LEARNERS and not is_import_path(name):
        raise InputError(f"learner {name!r} is unknown; {nearest(name, (*LEARNERS, IMPORT_PATH))}")
    return replace(static, algorithm=name.removesuffix("+stop"), allow_stop=name.endswith("+stop"))


def learner_name(static: LearnerStatic) -> str:
    """The learner's name, which `static_of` takes apart."""
    return static.algorithm + ("+stop" if static.allow_stop else "")


def numbers(hyper: Any, at: str = "") -> dict[str, Any]:
    """Every leaf of a learner's numbers by its dotted name, in the order of the fields.

    A reward term of the user's own is `reward.custom.` and its import path.
    """
    leaves = {}
    for one in fields(hyper):
        value, name = getattr(hyper, one.name), f"{at}{one.name}"
        if is_dataclass(value):
            leaves |= numbers(value, f"{name}.")
        elif isinstance(value, dict):
            leaves |= {f"{name}.{key}": leaf for key, leaf in value.items()}
        else:
            leaves[name] = value
    return leaves


def with_numbers(hyper: LearnerHyper, values: Mapping[str, Any]) -> LearnerHyper:
    """The same numbers, with those that are named replaced, by numbers or by arrays of them.

    Raises:
      InputError: if there is no number of that name; the message says which is nearest.
    """
    check_names(values, hyper)
    return replaced_numbers(hyper, values)


def check_names(names: Iterable[str], hyper: LearnerHyper | None = None) -> None:
    """Refuse names that are no number of the learner."""
    known = numbers(hyper or LearnerHyper())
    for name in names:
        own_term = name.startswith(f"{OWN_TERMS}.") and is_import_path(name)
        if name not in known and not own_term:
            close = get_close_matches(name, known, n=1) or [full for full in known if full.endswith(f".{name}")]
            hint = f"did you mean {close[0]}?" if close else f"the numbers are {', '.join(known)}"
            raise InputError(f"{name} is not a number of the learner; {hint}")


def replaced_numbers(hyper: Any, values: Mapping[str, Any], at: str = "") -> Any:
    """As `with_numbers`, for names that are known to be right; a user's own reward terms are added."""
    changed = {}
    for one in fields(hyper):
        value, name = getattr(hyper, one.name), f"{at}{one.name}"
        if is_dataclass(value):
            changed[one.name] = replaced_numbers(value, values, f"{name}.")
        elif isinstance(value, dict):
            start = f"{name}."
            own = {key.removeprefix(start): leaf for key, leaf in values.items() if key.startswith(start)}
            changed[one.name] = value | own
        elif name in values:
            changed[one.name] = values[name]
    return replace(hyper, **changed)
