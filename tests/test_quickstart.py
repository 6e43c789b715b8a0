"""The quickstart's own parts: what it refuses, and live routes held against the table."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.quickstart import compare_live, run_quickstart
from hierrouter_jax.quickstart_config import QueryCounts, QuickstartConfig
from hierrouter_jax.studies.choice import Candidate
from tests.conditioned import random_router
from tests.tables import random_table


def test_every_task_needs_a_query():
    assert vars(QueryCounts(8, 8, 8)) == {"train": 8, "validation": 8, "test": 8}
    with pytest.raises(InputError, match=r"queries\.test is 7, but each of the eight tasks needs at least one query"):
        QueryCounts(test=7)


def test_the_cache_of_calls_is_closed_though_collecting_fails(tmp_path, monkeypatch):
    caches = []

    def fails(queries, backends, tree, encoder, prompt, grader, cache, batch_size, money_unit):
        caches.append(cache)
        raise InputError("a model is away")

    quickstart = sys.modules[run_quickstart.__module__]
    monkeypatch.setattr(quickstart, "load_backends", lambda pool: (None, None))
    monkeypatch.setattr(quickstart, "collect", fails)
    with pytest.raises(InputError, match="a model is away"):
        run_quickstart(QuickstartConfig(tmp_path / "run", queries=QueryCounts(8, 8, 8)))
    with pytest.raises(InputError, match="closed database"):
        caches[0].get_many("a", ["a prompt"])


def test_live_routes_and_responses_are_counted_beside_the_tables_by_hand():
    """Four queries: one routed as the table says, one with another response, one by another route, one without hops."""
    whole = random_table(queries=60, models=2, horizon=2, embedding=4)
    router, table = random_router(whole, allow_stop=True), whole.split("test").select(np.arange(4))
    nodes = router.end_probability(table, router.chosen_seed).argmax(axis=1)

    def live(row: int) -> Any:
        path, names = table.tree.path(int(nodes[row])), table.model_names
        hops = [(names[table.tree.last_model(node)], table.response[row, node]) for node in path]
        answer = table.queries[row].gold if row == 0 else "no answer"
        return SimpleNamespace(hops=[SimpleNamespace(model=m, response=r) for m, r in hops], answer=answer)

    transcripts = [live(row) for row in range(4)]
    transcripts[1].hops[-1].response = "another"
    transcripts[2].hops[0].model = "another"
    transcripts[3].hops.clear()
    assert compare_live(Candidate(router.name, router.bundle(whole), 0.0), table, transcripts) == {
        "policy": router.name,
        "queries": 4,
        "routes_equal": 2,
        "responses_equal": 1,
        "accuracy": 0.25,
    }
