"""What a forecast takes for granted: the device, the length of responses, the size of models that are not here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.domains import COUNT, NATURAL, POSITIVE, Domain, Domains, check_domains


@dataclass(frozen=True)
class StatedSize:
    """What the work of a transformer follows from.

    Attributes:
      parameters: number of weights.
      layers: number of attention layers.
      width: size of a layer's queries: heads x their size.
      response_tokens: mean tokens of a response, whatever the task; for models that think aloud.

    Raises:
      InputError: if a number is not positive.
    """

    DOMAINS: ClassVar[Domains] = {
        "parameters": COUNT,
        "layers": COUNT,
        "width": COUNT,
        "response_tokens": COUNT,
    }

    parameters: int
    layers: int
    width: int
    response_tokens: int | None = None

    def __post_init__(self) -> None:
        check_domains(self)

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

    DOMAINS: ClassVar[Domains] = {"read": POSITIVE, "written": POSITIVE}

    read: float
    written: float

    def __post_init__(self) -> None:
        check_domains(self)


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted; every field is printed with the forecast.

    Attributes:
      device: name of the machine that the hours are of.
      peak_flops: floating point operations a second that its maker states, in the pool's precision.
      reading_utilisation: share of the peak that is reached while prompts are read.
      writing_utilisation: the same while responses are written, which waits for memory most of the time.
      response_tokens: mean tokens of a response by task, never taken past a model's `max_new_tokens`; tasks that are
        not named are taken to reach it.
      characters_per_token: characters of a token, for models whose tokenizer is not here.
      template_tokens: tokens that a chat template adds to a prompt.
      sizes: sizes of models whose configuration is not here, by source or by what `size_from` names.
      rates: speeds of models where they are known, by name in the pool; the device's peak does not count for them.

    Raises:
      InputError: if a number makes no sense.
    """

    DOMAINS: ClassVar[Domains] = {
        "peak_flops": POSITIVE,
        "reading_utilisation": Domain(0, 1, open_low=True),
        "writing_utilisation": Domain(0, 1, open_low=True),
        "response_tokens": COUNT,
        "characters_per_token": POSITIVE,
        "template_tokens": NATURAL,
    }

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
        check_domains(self)


def load_assumptions(path: Path) -> Assumptions:
    """Read assumptions from YAML.

    Raises:
      InputError: naming the file and the field that is unknown, missing, mistyped or refused.
    """
    return from_dict(Assumptions, load_yaml(path), path)
