"""What a collected table's settings say of how it was made; the same however often the job was interrupted."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.bridge.backends import Answers, Backend, Failure, Generation
from hierrouter_jax.bridge.cache import call_key
from hierrouter_jax.bridge.collect.budget import Meter, counts_tokens
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.config import from_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.table import OutcomeTable


@dataclass
class Tally:
    """Counts of one model: the distinct calls that a table is made of, and the hops whose prompt had to be trimmed."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    failed: int = 0
    trimmed_hops: int = 0


@dataclass
class PassRecord:
    """The calls that a pass over the tree counted, and those that failed.

    Attributes:
      tallies: counts of each model, by its name, in action order.
      failed: [Q, N], whether the node's call failed.
      why: [Q, N] str (object), the reason of the failure there.
    """

    failed: Bool[np.ndarray, "Q N"]
    why: np.ndarray
    tallies: dict[str, Tally] = field(default_factory=dict)
    _counted: set[bytes] = field(default_factory=set)

    def count(self, backend: Backend, answers: Answers) -> None:
        """Add to the model's tally the calls that were not counted at an earlier stage, or for its like."""
        tally = self.tallies[backend.name]
        for prompt, answer in answers.items():
            key = call_key(backend.identity, prompt)
            if key in self._counted:
                continue
            self._counted.add(key)
            tally.calls += 1
            if isinstance(answer, Failure):
                tally.failed += 1
            else:
                tally.tokens_in += answer.tokens_in
                tally.tokens_out += answer.tokens_out


def provenance(
    table: OutcomeTable,
    record: PassRecord,
    backends: Sequence[Backend],
    prompt: HopPrompt,
    coverage: Bool[np.ndarray, "Q N"],
) -> dict[str, Any]:
    """Provenance and counts, as JSON holds them."""
    tallies = record.tallies.values()
    calls = sum(tally.calls for tally in tallies)
    hops = int(table.available[:, 1:].sum())
    finished = table.details["finish_reason"][:, 1:][table.available[:, 1:]].tolist()
    return {
        "prompt": asdict(prompt),
        "models": {backend.name: backend.identity for backend in backends},
        "compute": {backend.name: compute(backend, record.tallies[backend.name]) for backend in backends},
        "hops": hops,
        "calls": calls,
        "hops_per_call": round(hops / calls, 3) if calls else 0.0,
        "finish_reasons": dict(sorted(Counter(finished).items())),
        "trimmed_hops": sum(tally.trimmed_hops for tally in tallies),
        **_failures(table, record, backends, coverage),
        **_partial(table, coverage),
    }


def compute(backend: Backend, tally: Tally) -> dict[str, Any]:
    """Of one model: its size, and the tokens and floating-point operations of its distinct calls.

    Every token, read or written, is counted as the pool counts a written one (`ModelSize.flops_per_token`).
    """
    flops_per_token = backend.price.flops_per_token
    tokens = tally.tokens_in + tally.tokens_out
    return {
        "parameters": backend.parameters,
        "flops_per_token": flops_per_token,
        "flops": None if flops_per_token is None else flops_per_token * tokens,
        "calls": tally.calls,
        "tokens_in": tally.tokens_in,
        "tokens_out": tally.tokens_out,
        "trimmed_hops": tally.trimmed_hops,
    }


def _failures(
    table: OutcomeTable, record: PassRecord, backends: Sequence[Backend], coverage: Bool[np.ndarray, "Q N"]
) -> dict[str, Any]:
    """How many calls failed and what became of their nodes; nothing where none did."""
    calls = sum(tally.failed for tally in record.tallies.values())
    if not calls:
        return {}
    train = np.array([query.split == "train" for query in table.queries])
    missing = coverage & ~table.available
    counts = Counter(record.why[record.failed].tolist())
    failed = {
        "calls": calls,
        "hops_counted_wrong": int((record.failed & table.available).sum()),
        "hops_below_them_missing": int(missing[~train].sum()),
        "training_hops_masked": int(missing[train].sum()),
        "reasons": dict(counts.most_common(10)),
    }
    estimated = [
        backend.name for backend in backends if record.tallies[backend.name].failed and not counts_tokens(backend)
    ]
    if estimated:
        failed["estimated_prompts"] = estimated
    return {"failed": failed}


def _partial(table: OutcomeTable, coverage: Bool[np.ndarray, "Q N"]) -> dict[str, Any]:
    """How much of the training trees was asked for; nothing where all of it was."""
    if coverage.all():
        return {}
    train = np.array([query.split == "train" for query in table.queries])
    part = coverage[train][:, 1:]
    return {"partial": {"training_hops": int(part.sum()), "of_hops": int(part.size)}}


TIMING = "timing.json"
_SAVE_SECONDS = 10.0


@dataclass
class Block:
    """The calls of a model at a hop, and the time they took.

    Attributes:
      hop: place on the route, from 1.
      model: name of the model.
      identity: identity of the backend; times of one that was changed do not count for another.
      calls: number of calls, over all runs.
      tokens_in, tokens_out: tokens that they read and wrote.
      seconds: time in which at least one of them was under way; not the time until a server that this run started
        answered.
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
        responses = [answer for answer in answers.values() if isinstance(answer, Generation)]
        self.calls += len(answers)
        self.tokens_in += sum(answer.tokens_in for answer in responses)
        self.tokens_out += sum(answer.tokens_out for answer in responses)


class Timing:
    """The wall time of a collection's calls by hop and model, over all its runs.

    It is no part of the table, which is the same however long its calls took. A run that is killed loses the last ten
    seconds and the calls that ended in them, both.

    Args:
      path: path of the file, which is made where there is none; None keeps nothing.

    Raises:
      InputError: if the file is something else.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._saved = path, time.monotonic()
        known = read_timing(path) if path is not None and path.exists() else ()
        self._blocks = {(block.hop, block.model): block for block in known}

    @contextmanager
    def block(self, hop: int, backend: Backend, meter: Meter) -> Iterator[Callable[[Answers], None]]:
        """Time the calls of a model at a hop that are made inside; what it yields is called with those that ended."""
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
        blocks = [asdict(block) for block in self._blocks.values() if block.calls]
        if self._path is not None and blocks:
            write_json(self._path, {"blocks": blocks})


def _seconds(backend: Backend, meter: Meter) -> float:
    """Seconds with calls under way, less those that a server of this run took to start."""
    return meter.seconds - getattr(backend, "downtime", 0.0)


def read_timing(path: Path) -> tuple[Block, ...]:
    """The blocks of a timing file.

    Raises:
      InputError: if it is missing, or something else, naming the block and field.
    """
    try:
        blocks = list(read_json(path)["blocks"])
    except (TypeError, KeyError):
        raise InputError(f"{path}: is not a collection's timing; move it away, and one is made anew") from None
    return tuple(from_dict(Block, block, f"{path}: blocks[{at}]") for at, block in enumerate(blocks))
