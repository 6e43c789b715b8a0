"""What a policy did on one split, on disk: a row a cost weight, a column a test query."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hierrouter_jax.evaluation.outcome import PolicyOutcome
from hierrouter_jax.files import replacing

MEASURES = tuple(field.name for field in fields(PolicyOutcome))


@dataclass(frozen=True)
class Judged:
    """One participant on one split.

    Attributes:
      outcome: of each cost weight [W, T]; W = 1 where none changes the policy.
      validation: return on every validation query at each cost weight, that choices are made by; None for opponents,
        which choose for themselves.
      told: `kind`, `may_stop`, `tried` and, for learners, which point and seed were `chosen` and every seed's test
        accuracy there.
    """

    outcome: PolicyOutcome
    validation: Float[np.ndarray, "W V"] | None
    told: dict[str, Any]

    def at(self, weight: int) -> dict[str, Float[np.ndarray, " T"]]:
        """Every measure at one of the cost weights."""
        row = min(weight, len(self.outcome.quality) - 1)
        return {name: getattr(self.outcome, name)[row] for name in MEASURES}


def save(path: Path, judged: Judged, identity: str) -> None:
    """Keep it, with a digest of all that it depends on."""
    arrays = {name: np.ascontiguousarray(getattr(judged.outcome, name)) for name in MEASURES}
    if judged.validation is not None:
        arrays["validation"] = np.ascontiguousarray(judged.validation)
    with replacing(path) as temporary:
        save_file(arrays, temporary, metadata={"identity": identity, "told": json.dumps(judged.told)})


def load(path: Path, identity: str) -> Judged | None:
    """What was kept, if it is whole and depends on the same; else None."""
    try:
        with safe_open(path, framework="np") as file:
            told = file.metadata() or {}
            if told.get("identity") != identity:
                return None
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        return None
    validation = arrays.pop("validation", None)
    return Judged(PolicyOutcome(**arrays), validation, json.loads(told["told"]))


def stacked(outcomes: list[PolicyOutcome]) -> PolicyOutcome:
    """Outcomes at several cost weights as one."""
    return PolicyOutcome(**{name: np.stack([getattr(one, name) for one in outcomes]) for name in MEASURES})
