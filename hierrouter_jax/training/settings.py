"""What routers are trained with."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from hierrouter_jax.domains import COUNT, NATURAL, SEED, Domains, check_domains
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.learner_config import ALGORITHMS, LearnerHyper, LearnerStatic
from hierrouter_jax.plugins import IMPORT_PATH, is_import_path

LEARNERS = tuple(algorithm + suffix for algorithm in ALGORITHMS for suffix in ("", "+stop"))


@dataclass(frozen=True)
class TrainConfig:
    """How routers are trained; all defaults are ours, the paper gives none.

    Attributes:
      learners: `ppo` makes exactly L calls, as in the paper; `exact` climbs the exact expected return instead, and
        `all-actions` PPO's objective over whole hop trees; or the import path of an update of yours. With `+stop`
        they may stop after any call (our extension).
      num_seeds: independent runs of each; the best on validation is the policy.
      seed: of the first; also of the features' solver.
      features: principal components of the context embedding that the network sees.
      static: what fixes the learner's shapes. `algorithm` and `allow_stop` are set by the learner's name.
      hyper: the learner's numbers, the reward's weights among them.
      checkpoint_every: updates between two checkpoints, where training keeps any; there is one at the end in any case.
      keep_every: updates between two checkpoints that stay for good; 0: only the latest and the best do.
    """

    DOMAINS: ClassVar[Domains] = {
        "num_seeds": COUNT,
        "seed": SEED,
        "features": COUNT,
        "checkpoint_every": COUNT,
        "keep_every": NATURAL,
    }

    learners: tuple[str, ...] = ("ppo", "ppo+stop")
    num_seeds: int = 5
    seed: int = 0
    features: int = 96
    static: LearnerStatic = field(default_factory=LearnerStatic)
    hyper: LearnerHyper = field(default_factory=LearnerHyper)
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


def static_of(name: str, static: LearnerStatic) -> LearnerStatic:
    """A learner's shapes: its name says by which algorithm it learns and whether it may stop.

    Raises:
      InputError: if there is no such learner.
    """
    if name not in LEARNERS and not is_import_path(name):
        raise InputError(f"learner {name!r} is unknown; {nearest(name, (*LEARNERS, IMPORT_PATH))}")
    return replace(static, algorithm=name.removesuffix("+stop"), allow_stop=name.endswith("+stop"))
