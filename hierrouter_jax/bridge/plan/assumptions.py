"""What a plan takes for granted: the device, the length of responses, the size of models that are not here."""

from dataclasses import dataclass, field
from pathlib import Path

from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.errors import InputError


@dataclass(frozen=True)
class StatedSize:
    """What the work of a transformer follows from.

    Attributes:
      parameters: number of weights.
      layers: of attention.
      width: of a layer's queries: heads x their size.
      response_tokens: that it writes on average, whatever the task; for models that think aloud.

    Raises:
      InputError: if a number is not positive.
    """

    parameters: int
    layers: int
    width: int
    response_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("parameters", "layers", "width", "response_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}, but must be at least 1")

    @property
    def attention_flops(self) -> int:
        """Of a token with each position that it attends to: scores and weighted sum, every layer."""
        return 4 * self.layers * self.width


@dataclass(frozen=True)
class Rate:
    """How fast a model is, with as many calls under way as its collection has.

    Attributes:
      read, written: tokens a second of prompts alone, and of responses alone.

    Raises:
      InputError: if one is not above 0.
    """

    read: float
    written: float

    def __post_init__(self) -> None:
        for name in ("read", "written"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}, but must be a number of tokens a second above 0")


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted; every field is printed with the plan.

    Attributes:
      device: what the hours are of, for a person.
      peak_flops: floating point operations a second that its maker states, in the pool's precision.
      reading_utilisation: share of the peak that is reached while prompts are read.
      writing_utilisation: the same while responses are written, which waits for memory most of the time.
      response_tokens: mean tokens of a response by task, never taken past a model's `max_new_tokens`; tasks that are
        not named are taken to reach it.
      characters_per_token: of models whose tokenizer is not here.
      template_tokens: that a chat template adds to a prompt.
      sizes: by source, or by what `size_from` names, of models whose configuration is not here.
      rates: by name in the pool, of models whose speed is known; the device's peak does not count for them.

    Raises:
      InputError: if a number makes no sense.
    """

    device: str
    peak_flops: float
    reading_utilisation: float
    writing_utilisation: float
    response_tokens: dict[str, int] = field(default_factory=dict)
    characters_per_token: float = 4.0
    template_tokens: int = 0
    sizes: dict[str, StatedSize] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("peak_flops", "characters_per_token"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}, but must be a number above 0")
        for name in ("reading_utilisation", "writing_utilisation"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}, but must be above 0 and at most 1")
        for task, tokens in self.response_tokens.items():
            if tokens < 1:
                raise InputError(f"response_tokens.{task} is {tokens}, but must be at least 1")
        if self.template_tokens < 0:
            raise InputError(f"template_tokens is {self.template_tokens}, but must be at least 0")


def load_assumptions(path: Path) -> Assumptions:
    """Read assumptions from YAML.

    Raises:
      InputError: naming the file and the field that is unknown, missing, mistyped or refused.
    """
    return from_dict(Assumptions, load_yaml(path), path)
