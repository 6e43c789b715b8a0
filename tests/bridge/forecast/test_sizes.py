"""Sizes and tokens of models: those on this machine by their own files, others as stated."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MPNetConfig, MPNetModel, Phi3Config, Qwen2Config

from hierrouter_jax.bridge.encoders import whole_spec
from hierrouter_jax.bridge.forecast import (
    StatedSize,
    forecast_collection,
    load_assumptions,
    query_questions,
)
from hierrouter_jax.bridge.forecast.sizes import pool_size, template_tokens, token_counter
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError
from tests.bridge.forecast.pools import POOL, QUERIES, TAKEN


@pytest.fixture(scope="module")
def forecast():
    return forecast_collection(query_questions(QUERIES), POOL, 2, TAKEN)


def test_encoding_by_hand():
    """Horizon 2: each text and each model's first response once. A response of 12 is cut at 8; E = 2 x 3."""
    taken = replace(TAKEN, sizes={**TAKEN.sizes, "none/encoder": StatedSize(10, 1, 3)})
    spec = whole_spec({"kind": "sentence-transformers", "source": "none/encoder", "max_tokens": 8})
    work = forecast_collection(query_questions(QUERIES), POOL, 2, taken, spec).encoding
    assert work is not None
    assert (work.texts, work.tokens, work.truncated) == (6, 3 + 5 + 2 * 6 + 2 * 8, 2)
    assert work.flops == 20 * 36 + 12 * (9 + 25 + 2 * 36 + 2 * 64)
    assert work.table_bytes == 3 * 3 * 6 * 4
    assert forecast_collection(query_questions(QUERIES), POOL, 2, TAKEN, {"kind": "ngrams"}).encoding is None


def test_size_and_tokens_of_a_model_that_is_here_are_its_own(model_folder):
    source = str(model_folder())
    pool = PoolConfig(models=(ModelConfig("here", source, max_new_tokens=5),), rate_from_parameters=True)
    forecast = forecast_collection(query_questions(QUERIES[:1]), pool, 1, replace(TAKEN, characters_per_token=2.0))
    size = forecast.sizes["here"]
    assert size.parameters == AutoModelForCausalLM.from_pretrained(source).num_parameters()
    assert (size.layers, size.width) == (2, 32)
    assert forecast.calls[0].expected.tokens_in == len("abc\n")
    assert forecast.calls[0].expected.cost == pytest.approx(9 * size.parameters / 1e6)
    assert forecast.notes == ()


def test_a_model_of_unknown_size_is_refused():
    with pytest.raises(InputError, match="'large': the configuration of none/large is not on this machine; state"):
        forecast_collection(
            query_questions(QUERIES), POOL, 1, replace(TAKEN, sizes={"none/small": StatedSize(1, 1, 1)})
        )


def test_stated_sizes_follow_from_the_published_configurations():
    sizes = load_assumptions(config_path("assumptions/h100.yaml")).sizes
    qwen: dict[str, Any] = {"vocab_size": 151936, "num_key_value_heads": 2}
    llama: dict[str, Any] = {"vocab_size": 128256, "num_key_value_heads": 8, "intermediate_size": 14336}
    configs = {
        "Qwen/Qwen2.5-Coder-3B-Instruct": Qwen2Config(
            **qwen,
            hidden_size=2048,
            intermediate_size=11008,
            num_hidden_layers=36,
            num_attention_heads=16,
            tie_word_embeddings=True,
        ),
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": Qwen2Config(
            **qwen,
            hidden_size=1536,
            intermediate_size=8960,
            num_hidden_layers=28,
            num_attention_heads=12,
            tie_word_embeddings=False,
        ),
        "microsoft/Phi-3.5-mini-instruct": Phi3Config(
            vocab_size=32064,
            hidden_size=3072,
            intermediate_size=8192,
            num_hidden_layers=32,
            num_attention_heads=32,
            num_key_value_heads=32,
            tie_word_embeddings=False,
            pad_token_id=0,
        ),
        "meta-llama/Llama-3.1-8B-Instruct": LlamaConfig(
            **llama, hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, tie_word_embeddings=False
        ),
        "Qwen/Qwen2.5-14B-Instruct": Qwen2Config(
            vocab_size=152064,
            num_key_value_heads=8,
            hidden_size=5120,
            intermediate_size=13824,
            num_hidden_layers=48,
            num_attention_heads=40,
            tie_word_embeddings=False,
        ),
        "sentence-transformers/all-mpnet-base-v2": MPNetConfig(max_position_embeddings=514),
    }
    assert set(configs) == set(sizes)
    for source, config in configs.items():
        with torch.device("meta"):
            model = MPNetModel(config) if config.model_type == "mpnet" else AutoModelForCausalLM.from_config(config)
        stated = sizes[source]
        assert (stated.parameters, stated.layers, stated.width) == (
            model.num_parameters(),
            config.num_hidden_layers,
            config.hidden_size,
        )


def test_what_lies_in_the_current_folder_is_no_endpoints_model(model_folder, monkeypatch):
    """Its tokens are estimated and its size is asked for, although a model's files are here."""
    monkeypatch.chdir(model_folder())
    endpoint = Endpoint("http://localhost:1/v1", "m")
    member = ModelConfig("far", max_new_tokens=9, kind="openai", endpoint=endpoint, base_rate=1.0)
    count, exact = token_counter(member.source, TAKEN)
    assert not exact
    assert count(["abcd"]) == [4]
    chat = replace(member, chat=True)
    assert template_tokens(chat, replace(TAKEN, template_tokens=7)) == 7
    with pytest.raises(InputError, match="model 'far': the configuration of its endpoint is not on this machine"):
        pool_size(member, TAKEN)
    with pytest.raises(InputError, match="model 'far': size_from changes its source's config, but it has no source"):
        pool_size(replace(member, size_from={"tie_word_embeddings": True}), TAKEN)
