"""What a collected table's settings say of how it was made; the same however often the job was interrupted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.bridge.backends import Backend, Failure, Generation
from hierrouter_jax.bridge.cache import call_key
from hierrouter_jax.bridge.collect.budget import counts_tokens
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.outcomes.context import Prompt
from hierrouter_jax.outcomes.table import OutcomeTable


@dataclass
class Tally:
    """Of one model: the distinct calls that a table is made of, and the hops whose prompt had to be trimmed."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    failed: int = 0
    trimmed_hops: int = 0


@dataclass
class Made:
    """What the pass over the tree found.

    Attributes:
      tallies: by model, in action order.
      failed: [Q, N], nodes whose call failed.
      why: [Q, N] str (object), the reason there.
    """

    failed: Bool[np.ndarray, "Q N"]
    why: np.ndarray
    tallies: dict[str, Tally] = field(default_factory=dict)
    _counted: set[bytes] = field(default_factory=set)

    def count(self, backend: Backend, answers: Mapping[Prompt, Generation | Failure]) -> None:
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


def how_made(
    table: OutcomeTable, made: Made, backends: Sequence[Backend], prompt: HopPrompt, wanted: Bool[np.ndarray, "Q N"]
) -> dict[str, Any]:
    """Provenance and counts, as JSON holds them."""
    tallies = made.tallies.values()
    calls = sum(tally.calls for tally in tallies)
    hops = int(table.available[:, 1:].sum())
    finished = table.details["finish_reason"][:, 1:][table.available[:, 1:]].tolist()
    return {
        "prompt": asdict(prompt),
        "models": {backend.name: backend.identity for backend in backends},
        "compute": {backend.name: compute(backend, made.tallies[backend.name]) for backend in backends},
        "hops": hops,
        "calls": calls,
        "hops_per_call": round(hops / calls, 3) if calls else 0.0,
        "finish_reasons": dict(sorted(Counter(finished).items())),
        "trimmed_hops": sum(tally.trimmed_hops for tally in tallies),
        **_failures(table, made, backends, wanted),
        **_partial(table, wanted),
    }


def compute(backend: Backend, tally: Tally) -> dict[str, Any]:
    """Of one model: its size, and the tokens and floating-point operations of its distinct calls.

    A token takes two operations a weight, a multiplication and an addition; attention's share, which grows with the
    context, is left out (Kaplan et al. 2020, section 2.1).
    """
    flops_per_token = None if backend.parameters is None else 2 * backend.parameters
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
    table: OutcomeTable, made: Made, backends: Sequence[Backend], wanted: Bool[np.ndarray, "Q N"]
) -> dict[str, Any]:
    """How many calls failed and what became of their nodes; nothing where none did."""
    calls = sum(tally.failed for tally in made.tallies.values())
    if not calls:
        return {}
    train = np.array([query.split == "train" for query in table.queries])
    missing = wanted & ~table.available
    counts = Counter(made.why[made.failed].tolist())
    failed = {
        "calls": calls,
        "hops_counted_wrong": int((made.failed & table.available).sum()),
        "hops_below_them_missing": int(missing[~train].sum()),
        "training_hops_masked": int(missing[train].sum()),
        "reasons": dict(counts.most_common(10)),
    }
    estimated = [
        backend.name for backend in backends if made.tallies[backend.name].failed and not counts_tokens(backend)
    ]
    if estimated:
        failed["estimated_prompts"] = estimated
    return {"failed": failed}


def _partial(table: OutcomeTable, wanted: Bool[np.ndarray, "Q N"]) -> dict[str, Any]:
    """How much of the training trees was asked for; nothing where all of it was."""
    if wanted.all():
        return {}
    train = np.array([query.split == "train" for query in table.queries])
    part = wanted[train][:, 1:]
    return {"partial": {"training_hops": int(part.sum()), "of_hops": int(part.size)}}
