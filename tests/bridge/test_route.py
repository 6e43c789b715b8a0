"""Live routing walks the same routes as the policy does on the table."""

import json
import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from hierrouter_jax.bridge.backends import Failure, NoTokenizer
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bridge.route import largest_charges, route
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder

HORIZON = 4  # two stages on which some queries have already stopped
STOP = 3


@pytest.fixture
def bundle(backends, make_bundle) -> PolicyBundle:
    return make_bundle([backend.price for backend in backends], HORIZON)


@dataclass(frozen=True)
class TouchyPolicy(PolicyBundle):
    """Chooses otherwise as soon as anything that it is told changes a little."""

    def act(self, embedding, stage, cost, *unconditioned):
        told = [f"{np.round(row, 3) + 0.0} {stage} {spent:.3f}" for row, spent in zip(embedding, cost, strict=True)]
        digests = np.array([zlib.crc32(text.encode()) for text in told])
        actions = digests % (STOP + 1 if stage and self.allow_stop else STOP)
        return actions, np.stack([digests % 97 / 97 + action for action in range(STOP + 1)], axis=1)


@pytest.mark.parametrize("policy", [PolicyBundle, TouchyPolicy])
@pytest.mark.parametrize("allow_stop", [True, False])
@pytest.mark.parametrize("batch_size", [1, 100])
def test_live_routes_are_the_table_routes(bundle, queries, backends, encoder, policy, allow_stop, batch_size):
    bundle = policy(**{**vars(bundle), "allow_stop": allow_stop})
    queries = [*queries, *(replace(query, id=f"{query.id}+", text=f"{query.text} Now.") for query in queries)]
    tree = HopTree(len(backends), HORIZON)
    table = collect(
        queries, backends, tree, encoder, HopPrompt(), one_by_one(exact_match), CallCache(None), progress=False
    )
    live = route(queries, bundle, backends, encoder, HopPrompt(), batch_size, progress=False)
    for row, transcript in enumerate(live):
        node, cost, stopped = 0, 0.0, False
        for stage in range(HORIZON):
            action, probability = bundle.act(table.context_embedding[[row], node], stage, np.array([cost]))
            if action[0] == STOP:
                stopped = True
                break
            node = tree.child(node, int(action[0]))
            cost += table.cost[row, node]
            hop = transcript.hops[stage]
            assert hop.model == backends[action[0]].name
            assert hop.response == table.response[row, node]
            assert (hop.tokens_in, hop.tokens_out) == (table.tokens_in[row, node], table.tokens_out[row, node])
            assert hop.cost == table.cost[row, node]
            assert hop.probability == pytest.approx(probability[0, action[0]], abs=1e-5)
        assert len(transcript.hops) == tree.stages[node]
        assert (transcript.stopped, transcript.cost) == (stopped, pytest.approx(cost))
        assert (transcript.query_id, transcript.answer) == (queries[row].id, table.response[row, node])
    assert {transcript.stopped for transcript in live} == ({True, False} if allow_stop else {False})
    assert len({tuple(hop.model for hop in transcript.hops) for transcript in live}) > 1


def test_texts_are_routed_like_queries(bundle, queries, backends, encoder):
    arguments = bundle, backends, encoder, HopPrompt()
    by_text = route([query.text for query in queries], *arguments, progress=False)
    by_query = route(queries, *arguments, progress=False)
    assert [t.hops for t in by_text] == [t.hops for t in by_query]
    assert [t.query_id for t in by_text] == [f"query-{row}" for row in range(len(queries))]
    assert route([], *arguments, progress=False) == []


def test_a_transcript_is_plain_data(bundle, queries, backends, encoder):
    transcript = route(queries[:1], bundle, backends, encoder, HopPrompt(), progress=False)[0]
    data = json.loads(json.dumps(transcript.to_dict()))
    assert data["answer"] == data["hops"][-1]["response"] == transcript.answer
    assert data["cost"] == sum(hop["cost"] for hop in data["hops"])
    assert data["query"] == queries[0].text


def test_no_call_is_made_for_another_pool_or_encoder(bundle, queries, backends, encoder, programmed):
    dear = programmed("speller", str, price=4.0)
    for changes, words in (
        ({"backends": backends[::-1]}, r"reader, calculator, speller in this order, .* speller, calculator, reader"),
        ({"backends": backends[:2]}, r"the pool holds reader, calculator$"),
        ({"backends": [*backends[:2], dear]}, r"model 'speller': price_in is 1 in the policy, but 4.0 in the pool"),
        ({"encoder": NGramEncoder(size=8)}, r"trained with the encoder .*16.* but .*8.* is given"),
        ({"queries": ["fine", " \n"]}, r"query-1 is empty"),
    ):
        arguments = {"queries": queries, "backends": backends, "encoder": encoder} | changes
        with pytest.raises(InputError, match=words):
            route(**arguments, bundle=bundle, prompt=HopPrompt(), progress=False)
    assert not any(backend.asked for backend in backends)


def failing(backend, text):
    """The backend fails at prompts that hold a text."""
    answer = backend.generate
    backend.generate = lambda prompts: [
        Failure("content blocked") if text in prompt else made
        for prompt, made in zip(prompts, answer(prompts), strict=True)
    ]


def test_a_call_that_fails_ends_one_route_and_no_other(bundle, queries, backends, encoder):
    """The second query's calls all fail; the other routes are those of a run without failures."""
    arguments = bundle, backends, encoder, HopPrompt()
    whole = route(queries, *arguments, progress=False)
    for backend in backends:
        failing(backend, queries[1].text)
    partly = route(queries, *arguments, progress=False)
    assert [t.failed == "" for t in partly] == [True, False, True, True, True]
    assert [t.hops for t in partly if not t.failed] == [t.hops for t in whole if t.query_id != queries[1].id]
    lost = partly[1]
    assert (lost.hops, lost.answer, lost.cost) == ((), "", 0)
    assert lost.failed == f"model {whole[1].hops[0].model!r} gave no response: content blocked"
    assert lost.to_dict()["failed"] == lost.failed


def test_a_failure_in_mid_route_keeps_the_hops_before_it(bundle, queries, backends, encoder):
    bundle = TouchyPolicy(**{**vars(bundle), "allow_stop": False})
    arguments = bundle, backends, encoder, HopPrompt()
    whole = route(queries, *arguments, progress=False)
    for backend in backends:
        failing(backend, f"{queries[0].text}\n{whole[0].hops[0].response}")
    partly = route(queries, *arguments, progress=False)
    assert partly[0].hops == whole[0].hops[:1]
    assert "content blocked" in partly[0].failed
    assert partly[2].hops == whole[2].hops


def test_a_query_that_does_not_fit_fails_alone(bundle, queries, backends, encoder):
    """It has 300 characters, and 200 of them fit beside a response; the other routes are those without it."""
    for backend in backends:
        backend.positions = backend.max_new_tokens + 200
    arguments = bundle, backends, encoder, HopPrompt()
    long = replace(queries[0], id="long", text="1" * 300)
    partly = route([queries[0], long, *queries[1:]], *arguments, progress=False)
    whole = route(queries, *arguments, progress=False)
    assert [t.hops for t in partly if t.query_id != "long"] == [t.hops for t in whole]
    assert (partly[1].hops, partly[1].stopped) == ((), False)
    assert "gave no response: a prompt of 301 tokens without earlier responses" in partly[1].failed
    asked = sum(len(backend.asked) for backend in backends)
    with pytest.raises(InputError, match=r"^model '.*' gave no response: a prompt of 301 tokens"):
        route([long], *arguments, progress=False)
    assert sum(len(backend.asked) for backend in backends) == asked


def test_a_model_that_cannot_count_what_is_to_fit_is_refused_before_any_call(bundle, queries, backends, encoder):
    def count_tokens(prompts):
        raise NoTokenizer("name a source")

    backends[2].positions, backends[2].count_tokens = 200, count_tokens
    with pytest.raises(NoTokenizer):
        route(queries, bundle, backends, encoder, HopPrompt(), progress=False)
    assert not any(backend.asked for backend in backends)


def test_a_model_that_refuses_all_calls_fails_its_queries_alone(bundle, queries, backends, encoder):
    arguments = bundle, backends, encoder, HopPrompt()
    first = {transcript.hops[0].model for transcript in route(queries, *arguments, progress=False)}
    down = next(backend for backend in backends if backend.name in first)
    down.generate = lambda prompts: [Failure("refuses the key", "refused")] * len(prompts)
    partly = route(queries, *arguments, progress=False) if len(first) > 1 else []
    assert all("refuses the key" in t.failed for t in partly if not t.hops)
    for backend in backends:
        backend.generate = down.generate
    with pytest.raises(InputError, match=r"^model '.*': refuses the key$"):
        route(queries, *arguments, progress=False)


def test_the_verb_prints_what_it_has_and_says_what_failed(
    bundle, queries, backends, encoder, monkeypatch, tmp_path, capsys
):
    bundle.save(tmp_path / "policy")
    failing(backends[0], queries[1].text)
    failing(backends[1], queries[1].text)
    failing(backends[2], queries[1].text)
    for name, value in {
        "load_backends": lambda config, servers: tuple(backends),
        "load_pool": lambda path: PoolConfig((ModelConfig("x", "x", 9, base_rate=1.0),)),
        "build_encoder": lambda spec: encoder,
    }.items():
        monkeypatch.setattr(f"hierrouter_jax.serve.router.{name}", value)
    (tmp_path / "queries.txt").write_text("\n".join(query.text for query in queries[:4]))
    options = ["route", str(tmp_path / "queries.txt"), "--policy", str(tmp_path / "policy")]
    assert main([*options, "--json"]) == 4
    out, err = capsys.readouterr()
    transcripts = [json.loads(line) for line in out.splitlines()]
    assert [bool(one["failed"]) for one in transcripts] == [False, True, False, False]
    assert err.splitlines()[-1].startswith("hierrouter: 1 of 4 queries have no full route (query-1: model ")
    assert main(options) == 4
    assert "content blocked" in capsys.readouterr().out


def test_largest_charges_by_hand(backends):
    """A token is a character; 60 may be written. Prices in and out: 3 and 6, 2 and 4, 1 and 2."""
    charges = largest_charges(backends, [["four", "a"], ["", "ab"], ["abc", ""]])
    np.testing.assert_array_equal(charges, [[12 + 360, 240, 3 + 120], [3 + 360, 4 + 240, 120]])
    charges = largest_charges(backends, [["four", "a"], [Failure("long"), "ab"], ["abc", Failure("long")]])
    np.testing.assert_array_equal(charges, [[12 + 360, np.inf, 3 + 120], [3 + 360, 4 + 240, np.inf]])
