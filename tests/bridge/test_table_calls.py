"""Calls rebuilt from a table have the keys and answers of the run that made it, and serve a larger table."""

from dataclasses import replace

import pytest

from hierrouter_jax.bridge.backends import Failure
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.paid_calls import calls_of_table, other_models
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import Query, Turn
from tests.tables import random_table

LAYOUTS = {
    "plain": HopPrompt(),
    "opening": HopPrompt(opening="Work it out.\n"),
    "closing": HopPrompt(closing="Answer:"),
    "named": HopPrompt(query="Q: {query}", response="{model} said: {response}"),
    "numbered": HopPrompt(response="{number}. {response}"),
    "last": HopPrompt(responses="last"),
    "lines kept": HopPrompt(fold=False),
    "braces": HopPrompt(opening="{not a placeholder}\n", closing="{}"),
}


@pytest.fixture
def run(queries, backends, encoder):
    def run(cache, horizon=2, prompt=LAYOUTS["plain"], **changes):
        arguments = {"queries": queries, "backends": backends} | changes
        tree = HopTree(len(arguments["backends"]), horizon)
        return collect(
            **arguments,
            tree=tree,
            encoder=encoder,
            prompt=prompt,
            grader=one_by_one(exact_match),
            cache=cache,
            progress=False,
        )

    return run


def from_disk(table, folder):
    save_table(table, folder)
    return load_table(folder)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_keys_and_answers_are_those_of_the_run(run, backends, tmp_path, layout):
    cache = CallCache(None)
    table = from_disk(run(cache, prompt=LAYOUTS[layout]), tmp_path)
    rebuilt = CallCache(None)
    assert rebuilt.keep(calls_of_table(table, backends)) == cache.num_calls == table.settings["calls"]
    assert rebuilt.kept_calls() == cache.kept_calls()


def test_worked_examples_and_lines_are_in_the_keys(run, backends, tmp_path):
    shots = (Turn("user", "Compute 1+1."), Turn("assistant", "2"))
    asked = [
        Query("shots", "Compute 12+7-5.", "task", "14", "train", shots=shots),
        Query("none", "Compute 12+7-5.", "task", "14", "train"),
        Query("lines", "Compute\n12+7-5.", "task", "14", "train"),
    ]
    cache, talk = CallCache(None), LAYOUTS["lines kept"]
    quiet = [backend for backend in backends if backend.name != "reader"]
    for backend in quiet:
        backend.generate = lambda prompts, backend=backend: [
            backend.answer(prompt if isinstance(prompt, str) else prompt[-1].content) for prompt in prompts
        ]
    table = from_disk(run(cache, prompt=talk, queries=asked, backends=quiet), tmp_path)
    rebuilt = CallCache(None)
    rebuilt.keep(calls_of_table(table, quiet))
    assert rebuilt.kept_calls() == cache.kept_calls()


def test_trimmed_prompts_have_their_keys_too(run, backends, tmp_path):
    for backend in backends:
        backend.positions = backend.max_new_tokens + 34  # the longest query has 26 characters
    cache = CallCache(None)
    table = from_disk(run(cache, horizon=3), tmp_path)
    assert table.settings["trimmed_hops"] > 0
    rebuilt = CallCache(None)
    rebuilt.keep(calls_of_table(table, backends))
    assert rebuilt.kept_calls() == cache.kept_calls()


def test_more_queries_and_hops_repeat_no_call(run, backends, queries, tmp_path):
    table = from_disk(run(CallCache(None), queries=queries[:2]), tmp_path)
    for backend in backends:
        backend.asked.clear()
    larger = run(cache := CallCache(None), horizon=3)
    all_calls = cache.num_calls
    for backend in backends:
        backend.asked.clear()
    cache = CallCache(None)
    known = cache.keep(calls_of_table(table, backends))
    again = run(cache, horizon=3)
    assert sum(len(batch) for backend in backends for batch in backend.asked) == all_calls - known < all_calls
    assert again.fingerprint == larger.fingerprint
    assert again.settings == larger.settings


def test_failed_calls_are_not_answers(run, backends, tmp_path):
    broken = backends[1]
    broken.generate = lambda prompts: [Failure("down")] * len(prompts)
    cache, rebuilt = CallCache(None), CallCache(None)
    table = from_disk(run(cache, keep_failed=True), tmp_path)
    rebuilt.keep(calls_of_table(table, backends))
    assert rebuilt.kept_calls() == cache.kept_calls()
    assert rebuilt.spent(broken.identity).calls == 0


def test_only_calls_of_the_same_model_are_taken(run, backends, programmed, tmp_path):
    cache = CallCache(None)
    table = from_disk(run(cache), tmp_path)
    retrained, stranger = programmed("reader", lambda prompt: "0"), programmed("stranger", lambda prompt: "0")
    retrained.identity = "programmed/reader, retrained"
    offered = [stranger, backends[2], retrained]
    rebuilt = CallCache(None)
    rebuilt.keep(calls_of_table(table, offered))
    assert {call.identity for call in rebuilt.kept_calls()} == {"programmed/speller"}
    assert rebuilt.spent("programmed/speller") == cache.spent("programmed/speller")
    assert other_models(table, offered) == ["reader"]
    assert other_models(table, backends) == []


def test_a_partial_table_gives_what_it_holds(run, backends, tmp_path):
    whole = from_disk(run(CallCache(None)), tmp_path)
    available = whole.available.copy()
    available[:, 5:] = False
    partial = replace(whole, available=available)
    some, everything = set(calls_of_table(partial, backends)), set(calls_of_table(whole, backends))
    assert 0 < len(some) < len(everything)
    assert some < everything


def test_an_imported_table_is_refused(backends):
    with pytest.raises(InputError, match=r"settings\.prompt is missing, so this is no collected table"):
        list(calls_of_table(random_table(), backends))
