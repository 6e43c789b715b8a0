"""Which calls are the same: of equal weights, decoding and instructions, at whatever address and price."""

from dataclasses import replace

import pytest

from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, Sampling
from hierrouter_jax.bridge.pool.identity import call_identity, decoding_fields, family

THERE = Endpoint(base_url="http://127.0.0.1:9/v1/", model="m")
MEMBER = ModelConfig("a", "none/a", max_new_tokens=60, base_rate=1.0, kind="openai", endpoint=THERE, chat=True)


def test_an_identity_as_it_is_written():
    """Calls that were paid for are kept under these words: they must not change."""
    decoding = '{"max_tokens": 60, "temperature": 0.0, "frequency_penalty": 0'
    assert call_identity(MEMBER) == f'openai/m@http://127.0.0.1:9/v1/{decoding}, "chat": true, "system": ""}}'
    drawn = replace(MEMBER, sampling=Sampling(temperature=0.5, top_k=3, seed=7), stop=("end",))
    more = '"frequency_penalty": 0, "top_p": 1.0, "extra_body": {"top_k": 3}, "stop": ["end"], "seed": 7, "chat"'
    assert more in call_identity(drawn)


def test_a_family_leaves_the_limit_out_and_nothing_else_of_the_text():
    assert family(MEMBER) == family(replace(MEMBER, max_new_tokens=9))
    assert call_identity(MEMBER) != call_identity(replace(MEMBER, max_new_tokens=9))
    others = [{"system": "Short."}, {"stop": ("end",)}, {"chat": False}, {"endpoint": replace(THERE, model="n")}]
    assert len({family(MEMBER), *(family(replace(MEMBER, **change)) for change in others)}) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"base_rate": 2.0},
        {"positions": 99},
        {"endpoint": replace(THERE, timeout=1.0, concurrency=2, leave_out=("logprobs",))},
    ],
)
def test_names_prices_and_ways_of_calling_make_no_other_call(change):
    assert call_identity(replace(MEMBER, **change)) == call_identity(MEMBER)


def test_draws_and_weights_that_run_here_have_no_family():
    assert family(replace(MEMBER, sampling=Sampling(temperature=0.5))) is None
    assert family(ModelConfig("a", "none/a", max_new_tokens=60, base_rate=1.0)) is None


def test_a_field_that_is_not_sent_is_no_part_of_the_identity():
    silent = replace(MEMBER, endpoint=replace(THERE, leave_out=("temperature",)))
    assert "temperature" in decoding_fields(silent)
    assert "temperature" not in call_identity(silent)
