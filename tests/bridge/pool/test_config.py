"""A pool file is read strictly: each mistake is one sentence that names the file, the model and the field."""

import pytest

from hierrouter_jax.bridge.pool import Sampling, load_pool, load_prompt
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.pricing import PricedModel

ONE = "{name: a, source: ./a, max_new_tokens: 8, base_rate: 1}"


@pytest.fixture
def pool_file(tmp_path):
    def write(text: str):
        path = tmp_path / "my.yaml"
        path.write_text(text)
        return path

    return write


def test_the_tiny_pool_prices_tokens_at_millions_of_parameters():
    pool = load_pool(config_path("pool/tiny.yaml"))
    assert [model.name for model in pool.models] == ["reader", "calculator", "speller"]
    assert {model.max_new_tokens for model in pool.models} == {40}
    assert pool.price(pool.models[0], 452_448) == PricedModel("reader", 0.452448, 0.452448, 452_448, 40)


def test_stated_prices_and_prompt(pool_file):
    both = "{name: b, source: org/b, max_new_tokens: 8, dtype: bfloat16, price_in: 1, price_out: 3e-1}"
    pool = load_pool(pool_file(f"money_unit: euro\nprompt: {{closing: 'A:'}}\nmodels: [{ONE}, {both}]"))
    assert [pool.price(model, 7) for model in pool.models] == [
        PricedModel("a", 1, 1, 7, 8),
        PricedModel("b", 1, 0.3, 7, 8),
    ]
    assert (pool.money_unit, pool.prompt) == ("euro", HopPrompt(closing="A:"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [{name: a, sorce: x, max_new_tokens: 8}]", ["models[0].sorce", "did you mean source?"]),
        ("models: [{name: a, max_new_tokens: 8}]", ["models[0]", "'a'", "source is empty"]),
        (f"models: [{ONE}, {ONE}]", ["models[1].name", "'a' occurs twice"]),
        ("models: [{name: a, source: x, max_new_tokens: 8}]", ["models[0]", "'a' has no price", "base_rate"]),
        (f"rate_from_parameters: true\nmodels: [{ONE}]", ["models[0]", "'a' states a price", "rate_from_parameters"]),
        ("models: [{name: a, source: x, max_new_tokens: 8, price_in: 1}]", ["models[0]", "'a'", "price_out"]),
        ("models: [{name: a, source: x, max_new_tokens: 8, base_rate: -1}]", ["models[0]", "'a'", "base_rate is -1"]),
        ("models: [{name: a, source: x, max_new_tokens: 8, base_rate: .nan}]", ["models[0]", "base_rate is nan"]),
        (
            "models: [{name: a, source: x, max_new_tokens: 0, base_rate: 1}]",
            ["models[0]", "'a'", "max_new_tokens is 0"],
        ),
        ("models: [{name: a, source: x, max_new_tokens: many}]", ["models[0].max_new_tokens", "'many'"]),
        ("models: [{name: a, source: x, max_new_tokens: 8, dtype: int8}]", ["models[0].dtype", "'int8'"]),
        ("models: [{name: a, source: ' ', max_new_tokens: 8, base_rate: 1}]", ["models[0]", "source is empty"]),
        ("models: []", ["models is empty"]),
        ("model: []", ["model is not a field", "did you mean models?"]),
        ("prompt: {query: hello}\nmodels: []", ["prompt", "{query}"]),
        ("models: [", ["not valid YAML"]),
    ],
)
def test_each_mistake_is_one_sentence(pool_file, text, words):
    with pytest.raises(InputError) as caught:
        load_pool(pool_file(text))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ["my.yaml", *words]), message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml"):
        load_pool(tmp_path / "none.yaml")


def test_tokens_cost_their_prices_by_hand(pool_file):
    pool = load_pool(pool_file("models: [{name: a, source: ./a, max_new_tokens: 8, price_in: 2, price_out: 3}]"))
    assert pool.price(pool.models[0], None).cost(10, 4) == 2 * 10 + 3 * 4


def test_a_prompts_layout_is_read_by_itself(pool_file):
    assert load_prompt(pool_file("closing: 'A:'")) == HopPrompt(closing="A:")


def test_greedy_decoding_takes_no_settings_of_a_draw():
    assert Sampling().greedy
    assert not Sampling(0.5).greedy
    with pytest.raises(InputError, match="top_p, top_k and seed do nothing at temperature 0"):
        Sampling(top_p=0.9)
