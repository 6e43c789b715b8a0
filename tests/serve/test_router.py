"""The router in Python and behind a URL, with the real models of the tiny pool."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import numpy as np
import openai
import pytest

import hierrouter_jax
from hierrouter_jax.bridge.backends import Failure, load_backends
from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bundle import FeatureReduction, PolicyBundle
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.serve.router import Router
from hierrouter_jax.tiny.queries import make_queries


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A policy of random weights for the tiny pool, whose routes differ from query to query."""
    backends = load_backends(load_pool(config_path("pool/tiny.yaml")))
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("policy")
    shapes = {
        "stage_embedding": (3, 2),
        "hidden_0/kernel": (64 + 3, 64),
        "hidden_0/bias": (64,),
        "logits/kernel": (64, 4),
        "logits/bias": (4,),
    }
    PolicyBundle(
        pool=tuple(backend.price for backend in backends),
        horizon=3,
        allow_stop=True,
        encoder=NGramEncoder(256).spec,
        money_unit="million parameters x tokens",
        cost_normaliser=30.0,
        reduction=FeatureReduction(np.zeros(256), 3 * rng.normal(size=(256, 64)), np.ones(64)),
        weights={name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
        table_fingerprint="",
        provenance={},
    ).save(folder)
    return folder


@pytest.fixture(scope="module")
def router(policy):
    with Router.load(policy, "pool/tiny.yaml") as loaded:
        yield loaded


def questions(number):
    return [query.text for query in make_queries({"train": 0, "validation": 0, "test": number}, seed=3)]


def test_one_question_many_and_a_conversation(router):
    texts = questions(6)
    many = router.route_many(texts, progress=False)
    assert [router.route(text).answer for text in texts] == [transcript.answer for transcript in many]
    turns = [{"role": "user", "content": texts[0]}]
    assert router.route(turns).answer == many[0].answer
    assert all(len(transcript.hops) == 1 for transcript in router.route_many(texts, max_hops=1, progress=False))
    assert router.route(Query("q", texts[1], "", "", "test")).query_id == "q"
    hop = many[0].hops[0]
    assert sum(hop.probabilities) == pytest.approx(1, abs=1e-5)
    assert many[0].seconds > 0
    assert (many[0].tokens_in, many[0].tokens_out) == tuple(
        sum(getattr(hop, name) for hop in many[0].hops) for name in ("tokens_in", "tokens_out")
    )


def test_conditions_that_it_was_not_trained_for_are_refused(router):
    with pytest.raises(InputError, match=r"train with --train.static.budgeted true"):
        router.route("2+2", budget=3.0)
    with pytest.raises(InputError, match="max_hops is 4, but must be 1 to 3"):
        router.route("2+2", max_hops=4)
    with pytest.raises(InputError, match=r"train with --train.static.cost_conditioned true"):
        asyncio.run(router.aroute("2+2", cost_weight=0.1))


def test_a_conversation_that_nobody_answers_is_refused_as_a_text_is(backends, make_bundle, encoder):
    for backend in backends:
        backend.generate = lambda prompts: [Failure("away for tea", "away")] * len(prompts)
    router = Router(make_bundle([backend.price for backend in backends], 2), backends, encoder, HopPrompt())
    for question in ("2+2", [{"role": "user", "content": "2+2"}]):
        with pytest.raises(InputError, match="away for tea"):
            router.route(question)


def test_settings_of_a_call_reach_models_that_run_here(router):
    text = questions(1)[0]
    whole = asyncio.run(router.aroute(text, max_hops=1))
    short = asyncio.run(router.aroute(text, max_hops=1, options={"max_tokens": 2}))
    assert short.hops[0].finish_reason == "length"
    assert short.hops[0].tokens_out == 2
    assert whole.answer.startswith(short.answer)
    stop = whole.answer[1]
    assert asyncio.run(router.aroute(text, max_hops=1, options={"stop": [stop]})).answer == whole.answer[:1]
    nowhere = 9 * stop  # one string, of which a part alone ends nothing
    assert nowhere not in whole.answer
    assert asyncio.run(router.aroute(text, max_hops=1, options={"stop": nowhere})).answer == whole.answer
    warm = {"temperature": 1.5, "seed": 1}
    one, other = (asyncio.run(router.aroute(text, max_hops=1, options=warm)) for _ in range(2))
    assert one.answer == other.answer
    seeds = {asyncio.run(router.aroute(text, max_hops=1, options=warm | {"seed": seed})).answer for seed in range(8)}
    assert len(seeds) > 1


def check_server(start, router, texts):
    served = start(of=router)
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)
    mine = router.route_many(texts, progress=False)
    for text, transcript in zip(texts, mine, strict=True):
        turns = [{"role": "user", "content": text}]
        reply = client.chat.completions.create(model="auto", messages=turns)
        assert (reply.choices[0].message.content, reply.hierrouter["route"]) == (
            transcript.answer,
            list(transcript.route),
        )
        chunks = list(client.chat.completions.create(model="auto", messages=turns, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == transcript.answer
    assert len({transcript.route for transcript in mine}) > 3
    return client, mine


def test_the_server_answers_as_the_router_does(start, router):
    texts = questions(12)
    client, mine = check_server(start, router, texts)
    long = next(text for text, t in zip(texts, mine, strict=True) if len(t.hops) == 3 and len(t.answer) > 3)
    chunks = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": long}], stream=True)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert len(pieces) > 1  # as its tokens were written


@pytest.mark.extended
def test_two_hundred_questions_are_answered_alike(start, router):
    check_server(start, router, questions(200))


def test_a_first_question_loads_nothing_that_the_pool_does_not_need(policy):
    """Seconds are not measured here, where other work shares the processor; libraries are."""
    code = f"""if True:
        import sys
        from hierrouter_jax.cli.main import main
        assert main(["route", "Compute 12+7-5.", "--policy", {str(policy)!r}]) == 0
        unneeded = ("jax", "sklearn", "pandas", "datasets", "sentence_transformers", "fastapi", "openai", "ray")
        print([name for name in unneeded if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_public_names(policy):
    assert hierrouter_jax.Router is Router
    assert callable(hierrouter_jax.serve)


def test_the_verb_serves_until_it_is_asked_to_end(policy, tmp_path):
    command = [sys.executable, "-m", "hierrouter_jax.cli.main", "serve", "--policy", str(policy), "--port", "0"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--log", str(tmp_path / "decisions")], stderr=log, env={**os.environ})
        deadline = time.monotonic() + 120
        while b"serving" not in (text := (tmp_path / "log").read_bytes()):
            assert process.poll() is None, text
            assert time.monotonic() < deadline
            time.sleep(0.1)
        url = text.decode().split('"url": "')[1].split('"')[0]
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        turns = [{"role": "user", "content": "Compute 12+7-5."}]
        assert client.chat.completions.create(model="auto", messages=turns).choices[0].message.content
        process.send_signal(signal.SIGHUP)
        while b"reloaded" not in (tmp_path / "log").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.terminate()
        assert process.wait(30) == 0
    assert "Compute" not in (tmp_path / "log").read_text()
    assert list((tmp_path / "decisions" / "decisions").iterdir())
