"""Collection: every hop is what its model says to its prompt, and no call is made twice, not even after a kill."""

import numpy as np
import pytest

from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import Calls, CallsFailed, Collection, collect
from hierrouter_jax.bridge.grading import Verdict, exact_match, one_by_one
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.notes import table_notes
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import Context, Query
from tests.bridge.collect.conftest import QUERIES, failing

TREE = HopTree(3, 3)


@pytest.fixture
def run(queries, backends, encoder):
    def run(cache=None, **changes):
        arguments = {"queries": queries, "backends": backends, "tree": TREE, "encoder": encoder} | changes
        return collect(
            **arguments,
            prompt=HopPrompt(),
            grader=one_by_one(exact_match),
            cache=cache or CallCache(None),
            batch_size=2,
            progress=False,
        )

    return run


def test_every_hop_is_what_its_model_says_to_its_prompt(run, backends, queries, encoder):
    table = run()
    assert table.available.all()
    for row, query in enumerate(queries):
        for node in range(1, TREE.num_nodes):
            *before, _ = (table.response[row, passed] for passed in TREE.path(node))
            backend = backends[TREE.last_model(node)]
            hop = backend.answer("\n".join([query.text, *before, ""]))
            assert table.response[row, node] == hop.text
            assert table.tokens_in[row, node] == hop.tokens_in
            assert table.tokens_out[row, node] == hop.tokens_out
            assert table.latency[row, node] == hop.latency
            assert table.details["finish_reason"][row, node] == hop.finish_reason
            assert table.quality[row, node] == (hop.text == query.gold)
            price = hop.tokens_in * backend.price.price_in + hop.tokens_out * backend.price.price_out
            assert table.cost[row, node] == price
        for node in range(TREE.num_decision_nodes):
            context = Context(query.text, tuple(table.response[row, passed] for passed in TREE.path(node)))
            np.testing.assert_allclose(table.context_embedding[row, node], encoder.encode([context])[0], atol=1e-6)
    assert 0 < table.quality.mean() < 1
    assert set(table.settings["finish_reasons"]) == {"stop", "length"}


def test_no_call_is_made_twice(run, backends):
    table = run()
    for backend in backends:
        prompts = [prompt for batch in backend.asked for prompt in batch]
        assert len(prompts) == len(set(prompts))
        assert max(map(len, backend.asked)) == 2
    made = sum(len(batch) for backend in backends for batch in backend.asked)
    assert made == table.settings["calls"] < table.settings["hops"] == 5 * 39


def test_shared_calls_by_hand(run, programmed):
    """Two models that always say ok, two queries of the same text, two hops: 12 hops from 2 + 2 prompts."""
    backends = [programmed(name, lambda prompt: "ok") for name in "ab"]
    same = [Query(name, "Is it?", "task", "ok", "train") for name in ("one", "two")]
    table = run(backends=backends, queries=same, tree=HopTree(2, 2))
    assert [backend.asked for backend in backends] == [[["Is it?\n"], ["Is it?\nok\n"]]] * 2
    assert (table.settings["hops"], table.settings["calls"], table.settings["hops_per_call"]) == (12, 4, 3.0)


@pytest.mark.parametrize(("dying", "batches"), [(0, 0), (0, 1), (1, 2), (2, 3), (2, 5)])
def test_a_killed_collection_goes_on_where_it_was(run, backends, killed, programmed, tmp_path, dying, batches):
    whole = run(
        backends=[programmed(b.name, lambda text, b=b: b.answer(text).text, b.price.price_in) for b in backends]
    )
    backends[dying].survives = batches
    with pytest.raises(killed):
        run(CallCache(tmp_path / "calls.sqlite"))
    backends[dying].survives = float("inf")
    resumed = run(CallCache(tmp_path / "calls.sqlite"))
    for backend in backends:
        prompts = [prompt for batch in backend.asked for prompt in batch]
        assert len(prompts) == len(set(prompts))
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.settings == whole.settings
    np.testing.assert_array_equal(resumed.context_embedding, whole.context_embedding)
    np.testing.assert_array_equal(resumed.cost, whole.cost)


def test_a_collection_that_was_stopped_leaves_no_holes_when_it_is_asked_again(queries, backends, encoder, killed):
    calls = Calls(backends, CallCache(None), batch_size=2)
    grader = one_by_one(exact_match)
    collection = Collection(queries, backends, TREE, encoder, HopPrompt(), grader, calls, progress=False)
    backends[1].survives = 1
    with pytest.raises(killed):
        collection.table()
    backends[1].survives = float("inf")
    assert collection.table().available.all()


def test_a_finished_collection_costs_nothing_again(run, backends):
    cache = CallCache(None)
    first = run(cache)
    for backend in backends:
        backend.survives = len(backend.asked)
    assert run(cache).fingerprint == first.fingerprint


def test_the_table_survives_the_disk(run, tmp_path):
    table = run()
    save_table(table, tmp_path / "table")
    loaded = load_table(tmp_path / "table")
    assert loaded.fingerprint == table.fingerprint
    assert loaded.settings == table.settings
    for name in ("finish_reason", "extracted", "reason"):
        np.testing.assert_array_equal(loaded.details[name], table.details[name])


def test_bad_input_is_refused_before_any_call(run, backends, queries):
    for changes, words in (
        ({"queries": []}, "no queries"),
        ({"queries": [*queries, queries[0]]}, "'q0' occurs twice"),
        ({"queries": [Query("blank", " ", "task", "", "test")]}, "'blank' has an empty text"),
        ({"tree": HopTree(2, 3)}, "pool has 3 models but the hop tree is made for 2"),
        ({"backends": [backends[0]] * 3}, "model names must be unique"),
    ):
        with pytest.raises(InputError, match=words):
            run(**changes)
    assert not any(backend.asked for backend in backends)


def test_a_grader_outside_0_to_1_is_refused(queries, backends, encoder):
    arguments = queries, backends, TREE, encoder, HopPrompt()
    with pytest.raises(InputError, match=r"quality: query 'q0', node 1 is 2\.0"):
        collect(*arguments, grader=one_by_one(lambda response, query: 2.0), cache=CallCache(None), progress=False)


def test_each_distinct_response_is_judged_once_and_its_verdict_kept(queries, backends, encoder):
    calls = []

    def grader(responses, asked):
        calls.append(list(zip((query.id for query in asked), responses, strict=True)))
        return [Verdict(len(text) / 100, text[::-1], f"long: {len(text)}") for text in responses]

    arguments = queries, backends, TREE, encoder, HopPrompt(), grader, CallCache(None)
    table = collect(*arguments, progress=False, settings={"tasks": {"task": 1}})
    (pairs,) = calls
    assert len(pairs) == len(set(pairs)) < table.settings["hops"]
    for row, query in enumerate(queries):
        for node in range(1, TREE.num_nodes):
            text = table.response[row, node]
            assert (query.id, text) in pairs
            assert table.details["extracted"][row, node] == text[::-1]
            assert table.details["reason"][row, node] == f"long: {len(text)}"
    assert table.settings["verdicts"] == {"task": {"long": 195}}
    assert table.settings["tasks"] == {"task": 1}
    with pytest.raises(InputError, match="the grader gave 0 verdicts for"):
        collect(*arguments[:5], grader=lambda responses, asked: [], cache=CallCache(None), progress=False)


def test_progress_counts_hops(queries, backends, encoder, capsys):
    arguments = queries, backends, TREE, encoder, HopPrompt(), one_by_one(exact_match), CallCache(None)
    collect(*arguments, progress=True)
    assert "195/195" in capsys.readouterr().err
    collect(*arguments, progress=False)
    assert capsys.readouterr().err == ""


def test_failed_calls_make_no_table_and_are_tried_again(run_pair, pair):
    cache = CallCache(None)
    answer = failing(pair, "train?\nno")
    for attempt in (1, 2):
        with pytest.raises(
            CallsFailed, match=r"1 calls failed \(1 x too long\), so there is no table yet; 17 finished"
        ):
            run_pair(pair, cache)
        (failed,) = cache.failures()
        assert (failed.identity, failed.reason, failed.attempts) == (pair[0].identity, "too long", attempt)
    pair[0].generate = answer
    table = run_pair(pair, cache)
    assert table.available.all()
    assert "failed" not in table.settings
    assert cache.failures() == []


def test_kept_failures_are_missing_from_training_and_wrong_elsewhere(run_pair, pair):
    """The model `ok` always fails: at nodes 1 and 5, and 3 and 4 lie below 1."""
    failing(pair, "?")
    table = run_pair(pair, keep_failed=True)
    train, validation, test = range(3)
    assert table.available[train].tolist() == [True, False, True, False, False, False, True]
    for row in (validation, test):
        assert table.available[row].tolist() == [True, True, True, False, False, True, True]
        assert table.quality[row].tolist() == [0.0] * 7
        assert table.details["finish_reason"][row, 1] == "failed"
        assert table.details["reason"][row, 1] == "failed: too long"
        assert table.tokens_out[row, 1] == 0
        assert table.cost[row, 1] == len(f"{QUERIES[row].text}\n")
    failed = table.settings["failed"]
    assert failed["hops_counted_wrong"] == (table.details["finish_reason"] == "failed").sum()
    assert any("calls failed" in note and "count as wrong" in note for note in table_notes(table.settings))


def test_only_covered_nodes_and_those_before_them_are_run(run_pair, pair):
    coverage = np.ones((3, HopTree(2, 2).num_nodes), dtype=bool)
    coverage[0] = False
    coverage[0, 5] = True  # no, ok
    table = run_pair(pair, coverage=coverage, keep_prompts=True)
    assert table.available[0].tolist() == [True, False, True, False, False, True, False]
    assert table.details["prompt"][0, 5] == "Is it train?\nno\n"
    assert not table.context_embedding[0, 1].any()
    assert table.context_embedding[0, 2].any()
    assert table.settings["partial"] == {"training_hops": 2, "of_hops": 6}
    assert table.settings["calls"] == 14
    coverage[1, 3] = False
    with pytest.raises(InputError, match="leaves out nodes of the validation query 'validation'"):
        run_pair(pair, coverage=coverage)
    with pytest.raises(InputError, match="coverage is int64 of shape"):
        run_pair(pair, coverage=np.ones((3, 2), dtype=int))
