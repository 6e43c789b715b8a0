"""How long the calls of each model at each hop took, beside the table: what a forecast of a larger collection needs."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from hierrouter_jax.bridge.backends import Backend, Failure, Generation
from hierrouter_jax.bridge.collect.budget import Meter
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.context import Prompt

TIMING = "timing.json"
_SAVE_SECONDS = 10.0

Answers = Mapping[Prompt, Generation | Failure]


@dataclass
class Block:
    """Calls of a model at a hop.

    Attributes:
      hop: from 1.
      model: its name.
      identity: of the backend; times of one that was changed do not count for another.
      calls: made, in whichever run.
      tokens_in, tokens_out: read and written by them.
      seconds: in which at least one of them was under way; not those until a server answered that is started here.
    """

    hop: int
    model: str
    identity: str
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0

    def add(self, answers: Answers) -> None:
        """Count calls; one that failed has no tokens."""
        made = [answer for answer in answers.values() if isinstance(answer, Generation)]
        self.calls += len(answers)
        self.tokens_in += sum(answer.tokens_in for answer in made)
        self.tokens_out += sum(answer.tokens_out for answer in made)


class Timing:
    """The wall time of a collection's calls by hop and model, over all its runs.

    It is no part of the table, which is the same however long its calls took. A run that is killed loses the last ten
    seconds and the calls that ended in them, both.

    Args:
      path: the file, made where there is none; None keeps nothing.

    Raises:
      InputError: if the file is something else.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._saved = path, time.monotonic()
        known = read_timing(path) if path is not None and path.exists() else ()
        self._blocks = {(block.hop, block.model): block for block in known}

    @contextmanager
    def block(self, hop: int, backend: Backend, meter: Meter) -> Iterator[Callable[[Answers], None]]:
        """Time the calls of a model at a hop that are made inside; what it yields is told of those that ended."""
        block = self._blocks.get((hop, backend.name))
        if block is None or block.identity != backend.identity:
            block = self._blocks[hop, backend.name] = Block(hop, backend.name, backend.identity)
        before = _seconds(backend, meter)

        def look() -> None:
            nonlocal before
            now = _seconds(backend, meter)
            block.seconds += max(now - before, 0.0)
            before = now

        def count(answers: Answers) -> None:
            block.add(answers)
            if time.monotonic() - self._saved > _SAVE_SECONDS:
                look()
                self._save()

        try:
            yield count
        finally:
            look()
            self._save()

    def _save(self) -> None:
        self._saved = time.monotonic()
        made = [asdict(block) for block in self._blocks.values() if block.calls]
        if self._path is not None and made:
            write_json(self._path, {"blocks": made})


def _seconds(backend: Backend, meter: Meter) -> float:
    """Seconds with calls under way, less those that a server of this run took to start."""
    return meter.seconds - getattr(backend, "downtime", 0.0)


def read_timing(path: Path) -> tuple[Block, ...]:
    """The blocks of a timing file.

    Raises:
      InputError: if it is missing, or something else.
    """
    try:
        return tuple(Block(**block) for block in read_json(path)["blocks"])
    except (TypeError, KeyError):
        raise InputError(f"{path}: is not a collection's timing; move it away, and one is made anew") from None
