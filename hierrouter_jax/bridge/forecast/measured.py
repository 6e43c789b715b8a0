"""What a collected table shows of its pool: how long responses are, how often calls are shared, how long they take."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hierrouter_jax.bridge.collect.summary import TIMING, Block, read_timing
from hierrouter_jax.bridge.forecast.assumptions import Assumptions
from hierrouter_jax.bridge.pool import PoolConfig
from hierrouter_jax.bridge.pool.identity import family
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.store import load_external, load_table
from hierrouter_jax.outcomes.table import OutcomeTable

BESIDE = 0  # the hop of models outside the pool
FILLS = 2  # how often the slots of an endpoint must have been filled before its time a call holds for longer work


@dataclass(frozen=True)
class MeasuredCalls:
    """Calls of a model at a hop, as they were.

    Attributes:
      hop: place on the route, from 1; 0 of a model beside the pool.
      model: name of the model.
      hops: number of nodes that the calls filled.
      calls: number of distinct calls among them that no earlier hop had made, and of a model beside the pool no member
        that differs from it in `max_new_tokens` alone.
      response_tokens: mean tokens of a response, by task.
      mean_tokens: mean tokens of a response over all hops.
      timed: number of calls whose time is known.
      seconds: time that those took, with as many under way as the collection had.
      tokens_in, tokens_out: tokens that those read and wrote.
    """

    hop: int
    model: str
    hops: int
    calls: int
    response_tokens: Mapping[str, float]
    mean_tokens: float
    timed: int
    seconds: float
    tokens_in: int
    tokens_out: int

    @property
    def seconds_per_call(self) -> float:
        return self.seconds / self.timed if self.timed else 0.0

    @property
    def calls_per_hop(self) -> float:
        return self.calls / self.hops


@dataclass(frozen=True)
class Measured:
    """A table's calls by model and hop.

    Attributes:
      table: folder of the table.
      queries: number of the table's queries.
      calls: calls of every model at every hop that was timed.
    """

    table: str
    queries: int
    calls: tuple[MeasuredCalls, ...]

    def of(self, model: str, hop: int) -> MeasuredCalls | None:
        """A model at a hop, or at the last one before it that was timed; None of a model that never was."""
        mine = [calls for calls in self.calls if calls.model == model and calls.hop <= hop]
        return max(mine, key=lambda calls: calls.hop, default=None)

    def response_tokens(self, model: str, hop: int, task: str) -> float | None:
        """Mean tokens of a response of a model to a task at a hop; of all tasks where that one was not asked."""
        calls = self.of(model, hop)
        return None if calls is None else calls.response_tokens.get(task, calls.mean_tokens)


def read_measured(folder: Path, pool: PoolConfig) -> Measured:
    """Read what a collection of a pool measured.

    Args:
      folder: folder of the table, with the `timing.json` that collecting it left there.
      pool: pool whose models are looked for there, by name and longest response.
    Raises:
      InputError: if the folder holds no table or no times, or none of a model of the pool; or a model of it could write
        longer or shorter responses there.
    """
    table, beside = load_table(folder), load_external(folder)
    if not (folder / TIMING).is_file():
        raise InputError(
            f"{folder / TIMING}: no such file, so nothing says how long the calls of this table took; collect a pilot "
            "anew, into another folder"
        )
    times = {(block.hop, block.model): block for block in read_timing(folder / TIMING)}
    limits = {member.name: member.max_new_tokens for member in (*table.pool, *(beside.pool if beside else ()))}
    for model in (*pool.models, *pool.external):
        if model.name not in limits:
            raise InputError(
                f"{folder}: no calls of the model {model.name!r} were measured; it holds {', '.join(limits)}"
            )
        if limits[model.name] != model.max_new_tokens:
            raise InputError(
                f"{folder}: model {model.name!r} was measured with max_new_tokens {limits[model.name]}, but has "
                f"{model.max_new_tokens} in the pool"
            )
    timed = _calls(table, times, pool)
    timed += [] if beside is None else _calls(beside, times, pool, table)
    if not timed:
        raise InputError(f"{folder / TIMING}: holds no time of any call of the table")
    return Measured(str(folder), table.num_queries, tuple(timed))


def _calls(
    table: OutcomeTable,
    times: Mapping[tuple[int, str], Block],
    pool: PoolConfig,
    beside: OutcomeTable | None = None,
) -> list[MeasuredCalls]:
    """The calls of every model at every hop that was timed: nodes whose prompts show the same are one call.

    Args:
      table: the calls' table.
      times: how long they took, by hop and model.
      pool: configuration of the models.
      beside: table of the pool, where `table` is of models beside it.
    """
    prompt, timed, known = pool.prompt, [], defaultdict(set)
    named, numbered = (mark in prompt.response for mark in ("{model}", "{number}"))
    for hop in range(1, table.tree.horizon + 1):
        for model, name in enumerate(table.model_names):
            block = times.get((hop, name))
            answered = _answered(name, pool, beside)
            nodes = range(table.tree.num_nodes)[table.tree.stage_slice(hop)][model :: table.tree.num_models]
            prompts, lengths, hops = set(), defaultdict(list), 0
            shown = prompt.of(name).shown(hop - 1)
            places = tuple(shown) if numbered else ()
            for node in nodes:
                before = list(table.tree.path(node))[shown.start : -1]
                for row in np.flatnonzero(table.available[:, node]).tolist():
                    query, hops = table.queries[row], hops + 1
                    if row in answered:
                        continue
                    who = table.tree.route(node)[shown.start : -1] if named else ()
                    responses = tuple(table.response[row, before].tolist())
                    prompts.add((query.text, query.shots, places, who, responses))
                    lengths[query.task].append(int(table.tokens_out[row, node]))
            fresh = len(prompts - known[name])
            known[name] |= prompts
            if block is None or not hops or not block.calls or block.seconds <= 0:
                if fresh or not answered:
                    continue
                block = Block(hop, name, "")  # a member of the pool answered all
            means = {task: float(np.mean(tokens)) for task, tokens in lengths.items()}
            mean = float(np.mean(np.concatenate([*lengths.values()]))) if lengths else 0.0
            took = block.calls, block.seconds, block.tokens_in, block.tokens_out
            timed.append(MeasuredCalls(hop if beside is None else BESIDE, name, hops, fresh, means, mean, *took))
    return timed


def _answered(name: str, pool: PoolConfig, table: OutcomeTable | None) -> set[int]:
    """Rows that a member of the pool answered for a model beside it (`collect.Calls`, of other limits)."""
    models = [model for model in pool.external if model.name == name]
    if table is None or not models or (kin := family(models[0])) is None:
        return set()
    rows, first = set(), table.tree.stage_slice(1).start
    for member in pool.models:
        if family(member) != kin:
            continue
        theirs, ours = pool.prompt.of(member.name), pool.prompt.of(name)
        node = first + table.model_names.index(member.name)  # a pool may list its members in another order since
        for row in np.flatnonzero(table.available[:, node]).tolist():
            query, ended = table.queries[row], table.details["finish_reason"][row, node] == "stop"
            below = table.tokens_out[row, node] < models[0].max_new_tokens
            if ended and below and theirs(query.text, shots=query.shots) == ours(query.text, shots=query.shots):
                rows.add(row)
    return rows


def unmeasured(pool: PoolConfig, horizon: int, measured: Measured) -> list[str]:
    """What a measured table does not tell."""
    last = {
        model.name: max((c.hop for c in measured.calls if c.model == model.name), default=0) for model in pool.models
    }
    until = {model.name: horizon if pool.prompt.of(model.name).shown(1) else 1 for model in pool.models}
    notes = [
        f"{name}: calls after hop {hop} were not measured, and are taken to be as there"
        if hop
        else f"{name}: no call was timed, so that its lengths and hours are assumed"
        for name, hop in last.items()
        if hop < until[name]
    ]
    timed = {calls.model for calls in measured.calls}
    slots = {model.name: model.endpoint.concurrency for model in pool.models if model.endpoint}
    few = {calls.model for calls in measured.calls if calls.timed and calls.timed < FILLS * slots.get(calls.model, 0)}
    if few:
        names = ", ".join(name for name in slots if name in few)
        notes.append(
            f"{names}: a hop had fewer timed calls than {FILLS} x concurrency, so that many slots stood empty; "
            "more queries fill them better, and are done sooner than this says"
        )
    return notes + [
        f"{model.name}: no call was timed, so that its lengths and hours are assumed"
        for model in pool.external
        if model.name not in timed
    ]


class Work(NamedTuple):
    """What so many calls of a model do: tokens read and written, and floating point operations of both."""

    calls: float
    tokens_in: float
    tokens_out: float
    reading_flops: float
    writing_flops: float


def seconds(
    work: Work, model: str, hop: int, assumptions: Assumptions, measured: Measured | None, slots: int = 1
) -> float:
    """Seconds that calls of a model at a hop take, one after the other or as many at once as their collection has.

    Args:
      work: tokens and operations of the calls.
      model: name of the model.
      hop: place on the route, from 1; 0 of a model beside the pool.
      assumptions: rates of models, and the device.
      measured: table in which models were timed; a call takes as long as there, and longer or shorter as it writes
        more or less.
      slots: calls that an endpoint has under way at once. Where fewer were timed, those that fill the empty slots make
        it slower, but by less than their number: the time is taken to grow with the root of it.
    """
    calls = None if measured is None else measured.of(model, hop)
    if calls is not None:
        longer = work.tokens_out / (work.calls * calls.mean_tokens) if work.calls and calls.mean_tokens else 1.0
        filled = min(work.calls, slots)
        alone = (calls.timed / filled) ** 0.5 if 0 < calls.timed < slots and filled else 1.0
        return work.calls * calls.seconds_per_call * longer * alone
    if model in assumptions.rates:
        rate = assumptions.rates[model]
        return work.tokens_in / rate.read + work.tokens_out / rate.written
    operations = (
        work.reading_flops / assumptions.reading_utilisation + work.writing_flops / assumptions.writing_utilisation
    )
    return operations / assumptions.peak_flops
