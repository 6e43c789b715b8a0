"""The pass over the hop tree, stage by stage, that makes calls into a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.bridge.backends import Backend, Failure, Generation
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.cached_tokens import cached_tokens, check_tokens_known
from hierrouter_jax.bridge.collect.budget import Budget, BudgetReached, charged_tokens
from hierrouter_jax.bridge.collect.calls import Calls, CallsFailed, HopBar, hop_bar
from hierrouter_jax.bridge.collect.summary import PassRecord, Tally, Timing, provenance
from hierrouter_jax.bridge.encoders import Encoder, embed_table
from hierrouter_jax.bridge.fitting import fitted_prompts, hop_contexts
from hierrouter_jax.bridge.grading import Grader
from hierrouter_jax.bridge.grading.verdict import count_verdicts, graded
from hierrouter_jax.bridge.prompts import HopPrompt, as_text
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.failures import FAILED
from hierrouter_jax.outcomes.table import OutcomeTable, Prompt, Query

Cells = dict[Prompt, list[tuple[int, int]]]
_PROMPTS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Collection:
    """A collection that may be asked for more and more of the tree; its calls are made once over all passes.

    Attributes:
      queries: queries with unique ids.
      backends: backends of the pool, in action order.
      tree: hop tree of as many models, at the horizon to collect.
      encoder: encoder that embeds each distinct context once a pass.
      prompt: layout of a hop's prompt.
      grader: grader of each distinct response to a query, once a pass, all of them in one call after the last hop;
        `grading.one_by_one` makes one of a function.
      calls: all calls of the collection, made and kept.
      money_unit: money unit of the backends' prices.
      progress: whether to show bars.
      settings: source of the queries, for the table's settings.
      keep_failed: whether a table may be made although calls failed.
      keep_prompts: whether the table's details hold each hop's prompt.
      timing: wall time of the calls; in memory by default.
      seeds: backends of the pool that answer the replicates of each seed but 0, by that seed, in action order.
    """

    queries: Sequence[Query]
    backends: Sequence[Backend]
    tree: HopTree
    encoder: Encoder
    prompt: HopPrompt
    grader: Grader
    calls: Calls
    money_unit: str = "price units"
    progress: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    keep_failed: bool = False
    keep_prompts: bool = False
    timing: Timing = field(default_factory=Timing)
    seeds: Mapping[int, Sequence[Backend]] = field(default_factory=dict)

    def table(self, coverage: Bool[np.ndarray, "Q N"] | None = None) -> OutcomeTable:
        """The table of one pass over the tree.

        Args:
          coverage: nodes whose hops are to be run, with all before them; of validation and test queries all, as
            partial trees are for training only. Everything by default.
        Returns:
          A table that holds these nodes and no others. At each node `details` holds the `finish_reason`, `stop`
          or `length`, and of the verdict what was `extracted` and the `reason`; `settings` says how it was made.
          With `keep_failed`, a failed call's node is missing from a training query's tree; to a validation or test
          query it is a wrong, empty response that cost the prompt, of finish reason `failed`. What would come after
          it is missing.
        Raises:
          InputError: before any call, if the queries, the pool or `coverage` are no good; or whatever a backend or
            grader refuses.
          BudgetReached: before calls that might pass the budget.
          CallsFailed: if calls failed, and not `keep_failed`.
          KeyboardInterrupt: saying how much is kept.
        """
        check_tokens_known(self.backends)
        table = self._blank()
        coverage = self._closed(coverage)
        record = PassRecord(np.zeros_like(coverage), np.full(coverage.shape, "", dtype=object))
        try:
            self._run(table, coverage, record)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._kept()) from None
        failures = len(self.calls.failures)
        if failures and not self.keep_failed:
            raise CallsFailed(
                f"{failures:,} calls failed ({self.calls.reasons()}), so there is no table yet; {self._kept()}: run "
                "the same command again to retry the failed ones, or with --keep_failed to write the table with them"
            )
        table = replace(table, tokens_cached=cached_tokens(table, self.backends, self.prompt))
        table = graded(table, self.grader, record.failed, record.why)
        how = provenance(table, record, self.backends, self.prompt, coverage)
        embedding, read = embed_table(table, self.encoder, self.progress)
        return replace(
            table,
            context_embedding=embedding,
            settings={**self.settings, **how, **self._seeds(), "encoder": read, "verdicts": count_verdicts(table)},
        )

    def _run(self, table: OutcomeTable, coverage: Bool[np.ndarray, "Q N"], record: PassRecord) -> None:
        """Make the calls, breadth-first, and fill the table in."""
        record.tallies.update((backend.name, Tally()) for backend in self.backends)
        hops = int(coverage[:, 1:].sum())
        try:
            with hop_bar(hops, self.calls, self.progress) as bar:
                for stage in range(self.tree.horizon):
                    before, nodes = self.tree.stage_slice(stage), self.tree.stage_slice(stage + 1)
                    answered = table.available[:, before] & ~record.failed[:, before]
                    possible = coverage[:, nodes] & np.repeat(answered, self.tree.num_models, axis=1)
                    bar.lost(int((coverage[:, nodes] & ~possible).sum()))
                    for model, backend in enumerate(self.backends):
                        bar.describe(f"hop {stage + 1}, {backend.name}")
                        for seed in sorted({query.seed for query in self.queries}):
                            mine = possible & np.array([query.seed == seed for query in self.queries])[:, None]
                            answering = self.seeds[seed][model] if seed else backend
                            self._run_model(table, mine, stage, model, answering, record, bar)
        except (BudgetReached, CallsFailed) as stopped:
            known = int((table.available[:, 1:] & ~record.failed[:, 1:]).sum())
            raise type(stopped)(
                f"{stopped}; {known:,} of {hops:,} hops are done and kept: "
                + (
                    "the same command with a larger budget goes on from there"
                    if isinstance(stopped, BudgetReached)
                    else "run the same command again to go on from there"
                )
            ) from None

    def _run_model(
        self,
        table: OutcomeTable,
        possible: Bool[np.ndarray, "Q S"],
        stage: int,
        model: int,
        backend: Backend,
        record: PassRecord,
        bar: HopBar,
    ) -> None:
        """All calls of a model at a stage, under one seed."""
        cells = self._cells_by_prompt(table, possible, stage, model, record)
        with self.timing.block(stage + 1, self.backends[model], self.calls.meter) as count:
            for answers, called in self.calls.ask(backend, list(cells)):
                record.count(backend, answers)
                if called:
                    count(answers)
                for text, answer in answers.items():
                    where = tuple(np.array(cells[text]).T)
                    if isinstance(answer, Failure):
                        self._fail(table, where, text, answer, model, record)
                    else:
                        _fill(table, where, answer)
                    if self.keep_prompts:
                        table.details["prompt"][where] = as_text(text)
                bar.done(sum(len(cells[text]) for text in answers), called)

    def _fail(
        self, table: OutcomeTable, where: tuple, prompt: Prompt, failure: Failure, model: int, record: PassRecord
    ) -> None:
        """A training query's node stays missing; another's is wrong, and its prompt charged."""
        record.failed[where], record.why[where] = True, failure.reason
        rows, nodes = where
        counted = np.array([table.queries[row].split != "train" for row in rows])
        here = rows[counted], nodes[counted]
        table.available[here] = True
        table.details["finish_reason"][here] = FAILED
        if counted.any():
            table.tokens_in[here] = charged_tokens(self.backends[model], [prompt])[0]

    def _cells_by_prompt(
        self, table: OutcomeTable, possible: Bool[np.ndarray, "Q S"], stage: int, model: int, record: PassRecord
    ) -> Cells:
        """The distinct prompts of a model at a stage, each with the (query, node) cells that its answer fills."""
        backend, cells = self.backends[model], Cells()
        where, contexts = hop_contexts(table, possible[:, model :: self.tree.num_models], stage, model)
        for start in range(0, len(contexts), _PROMPTS_AT_ONCE):
            part = slice(start, start + _PROMPTS_AT_ONCE)
            prompts, trimmed = fitted_prompts(self.prompt, contexts[part], backend)
            record.tallies[backend.name].trimmed_hops += sum(tokens > 0 for tokens in trimmed)
            for cell, prompt in zip(where[part], prompts, strict=True):
                cells.setdefault(prompt, []).append(cell)
        return cells

    def _blank(self) -> OutcomeTable:
        """The table before any call, its arrays to be filled in; making it checks the queries and the pool."""
        if not self.queries:
            raise InputError("there are no queries to collect outcomes for")
        for query in self.queries:
            if query.seed and query.seed not in self.seeds:
                raise InputError(f"query {query.id!r} is of seed {query.seed}, but no backends have that seed")
        shape = (len(self.queries), self.tree.num_nodes)
        available = np.zeros(shape, dtype=bool)
        available[:, 0] = True
        texts = ("finish_reason", *(["prompt"] if self.keep_prompts else []))
        return OutcomeTable(
            tree=self.tree,
            pool=tuple(backend.price for backend in self.backends),
            queries=tuple(self.queries),
            context_embedding=np.zeros((shape[0], self.tree.num_decision_nodes, 1), dtype=np.float32),
            quality=np.zeros(shape, dtype=np.float32),
            tokens_in=np.zeros(shape, dtype=np.int32),
            tokens_out=np.zeros(shape, dtype=np.int32),
            available=available,
            response=np.full(shape, "", dtype=object),
            encoder=self.encoder.spec,
            money_unit=self.money_unit,
            latency=np.zeros(shape, dtype=np.float32),
            details={name: np.full(shape, "", dtype=object) for name in texts},
        )

    def _closed(self, coverage: Bool[np.ndarray, "Q N"] | None) -> Bool[np.ndarray, "Q N"]:
        """The nodes to collect with all nodes before them."""
        shape = (len(self.queries), self.tree.num_nodes)
        if coverage is None:
            return np.ones(shape, dtype=bool)
        if coverage.shape != shape or coverage.dtype != bool:
            raise InputError(
                f"coverage is {coverage.dtype} of shape {coverage.shape}, but must be bool of {shape[0]} queries x "
                f"{shape[1]} nodes"
            )
        coverage = coverage.copy()
        coverage[:, 0] = True
        for node in reversed(range(1, self.tree.num_nodes)):
            coverage[:, self.tree.parent(node)] |= coverage[:, node]
        whole = np.asarray(coverage.all(axis=1))
        for query, complete in zip(self.queries, whole, strict=True):
            if query.split != "train" and not complete:
                raise InputError(
                    f"coverage leaves out nodes of the {query.split} query {query.id!r}, but partial trees are for "
                    "training queries only"
                )
        return coverage

    def _seeds(self) -> dict[str, Any]:
        """Who answered the replicates of each further seed, as the settings' `models` says it of seed 0."""
        models = {str(seed): {one.name: one.identity for one in members} for seed, members in self.seeds.items()}
        return {"seed_models": models} if models else {}

    def _kept(self) -> str:
        cache, meter = self.calls.cache, self.calls.meter
        where = f"in {cache.path}" if cache.path else "in memory"
        return f"{cache.num_calls:,} finished calls are kept {where}, {meter.calls - meter.failed:,} of them new"


def _fill(table: OutcomeTable, where: tuple, generation: Generation) -> None:
    """Write a generation into all of its cells."""
    assert table.latency is not None  # _blank made room for it
    table.available[where] = True
    table.response[where] = generation.text
    table.tokens_in[where] = generation.tokens_in
    table.tokens_out[where] = generation.tokens_out
    table.latency[where] = generation.latency
    table.details["finish_reason"][where] = generation.finish_reason


def collect(
    queries: Sequence[Query],
    backends: Sequence[Backend],
    tree: HopTree,
    encoder: Encoder,
    prompt: HopPrompt,
    grader: Grader,
    cache: CallCache,
    batch_size: int = 512,
    money_unit: str = "price units",
    progress: bool = True,
    settings: Mapping[str, Any] = MappingProxyType({}),
    coverage: Bool[np.ndarray, "Q N"] | None = None,
    budget: Budget | None = None,
    keep_failed: bool = False,
    keep_prompts: bool = False,
) -> OutcomeTable:
    """The hops of every route, breadth-first: one pass of a `Collection`, which says what the arguments are.

    Identical calls of a model are made once. What has ended is in the cache before another call starts, so a
    collection that is killed and run again repeats at most the batch, or the calls, under way.

    Args:
      cache: call cache, which holds the calls of earlier runs and takes new ones.
      batch_size: calls of a local model generated at once; fewer where memory is short.
      coverage: nodes whose hops are run, as `Collection.table` says; all by default.
      budget: limits of cost and time; none by default.
    """
    calls = Calls(backends, cache, batch_size, budget, money_unit, gives_up=not keep_failed)
    parts = queries, backends, tree, encoder, prompt, grader, calls, money_unit
    return Collection(*parts, progress, settings, keep_failed, keep_prompts).table(coverage)
