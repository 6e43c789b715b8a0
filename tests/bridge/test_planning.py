"""A collection's plan by hand, and from what is on this machine."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MPNetConfig, MPNetModel, Phi3Config, Qwen2Config

from hierrouter_jax.bridge.encoders import whole_spec
from hierrouter_jax.bridge.forecast import (
    Assumptions,
    StatedSize,
    load_assumptions,
    mix_questions,
    plan_collection,
    query_questions,
)
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bridge.tasks import MixConfig
from hierrouter_jax.bridge.tasks.config import Share
from hierrouter_jax.cli.collect import CollectConfig
from hierrouter_jax.cli.forecast import print_forecast
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query, Turn

QUERIES = [Query(f"q{row}", text, "task", "1", "test") for row, text in enumerate(("abc", "abcde", "abc"))]
POOL = PoolConfig(
    models=(
        ModelConfig("small", "none/small", max_new_tokens=10, base_rate=1.0),
        ModelConfig("large", "none/large", max_new_tokens=20, price_in=2.0, price_out=3.0),
    )
)
TAKEN = Assumptions(
    device="a slide rule",
    peak_flops=1.0,
    reading_utilisation=0.5,
    writing_utilisation=0.25,
    response_tokens={"task": 6},
    characters_per_token=1.0,
    sizes={"none/small": StatedSize(100, 1, 1), "none/large": StatedSize(200, 2, 2, response_tokens=12)},
)


@pytest.fixture(scope="module")
def plan():
    return plan_collection(query_questions(QUERIES), POOL, 2, TAKEN)


def test_calls_tokens_and_cost_by_hand(plan):
    """Two texts of three questions. Prompts of 4 and 6 characters; then a line more, and a response of 6 or 12."""
    assert [(c.hop, c.model, c.hops, c.fewest, c.most) for c in plan.calls] == [
        (1, "small", 3, 2, 2),
        (1, "large", 3, 2, 2),
        (2, "small", 6, 2, 4),
        (2, "large", 6, 2, 4),
    ]
    tokens = [(c.expected.tokens_in, c.expected.tokens_out, c.expected.cost) for c in plan.calls]
    assert tokens == [(10, 12, 22), (10, 24, 92), (60, 24, 84), (60, 48, 264)]
    at_cap = [(c.at_cap.tokens_in, c.at_cap.tokens_out) for c in plan.calls]
    assert at_cap == [(10, 20), (10, 40), (84, 40), (84, 80)]
    total = plan.total()
    assert (total["hops"], total["fewest"], total["most"]) == (18, 8, 12)
    assert total["expected"]["cost"] == 462


def test_operations_and_hours_by_hand(plan):
    """Reading 4 and 6 tokens, then writing 6 more of each: 2 x 100 a token and 2 n^2 of attention."""
    load = plan.calls[0].expected
    reading = 200 * 10 + 2 * (4**2 + 6**2)
    writing = 200 * 22 + 2 * (10**2 + 12**2) - reading
    assert (load.reading_flops, load.writing_flops) == (reading, writing)
    assert load.hours == pytest.approx((reading / 0.5 + writing / 0.25) / 3600)


def test_prompts_that_show_only_the_last_response_or_say_who_gave_it():
    questions = query_questions(QUERIES)
    last = plan_collection(questions, replace(POOL, prompt=HopPrompt(responses="last")), 3, TAKEN)
    assert [c.expected.tokens_in / c.most for c in last.calls[2:]] == [15, 15, 15, 15]
    named = plan_collection(questions, replace(POOL, prompt=HopPrompt(response="{model}: {response}")), 3, TAKEN)
    assert [c.fewest for c in named.calls] == [c.most for c in named.calls] == [2, 2, 4, 4, 8, 8]


def test_worked_examples_are_read_by_models_and_not_by_the_encoder():
    """Turns of 2 and 1 characters, an empty line after each: 7 more."""
    shown = replace(QUERIES[0], shots=(Turn("user", "1+"), Turn("assistant", "2")))
    plan = plan_collection(query_questions([shown]), POOL, 1, TAKEN)
    assert plan.calls[0].expected.tokens_in == 2 + 2 + 1 + 2 + len("abc\n")
    assert query_questions([shown, *QUERIES]).distinct == 3


def test_models_beside_the_pool_are_called_once_for_each_question():
    beside = ModelConfig("larger", "none/large", max_new_tokens=20, base_rate=9.0)
    *_, last = plan_collection(query_questions(QUERIES), replace(POOL, external=(beside,)), 2, TAKEN).calls
    assert (last.hop, last.model, last.hops, last.fewest, last.most) == (0, "larger", 3, 2, 2)
    assert last.expected.cost == 9 * (10 + 24)


def test_encoding_by_hand():
    """Horizon 2: each text and each model's first response once. A response of 12 is cut at 8; E = 2 x 3."""
    taken = replace(TAKEN, sizes={**TAKEN.sizes, "none/encoder": StatedSize(10, 1, 3)})
    spec = whole_spec({"kind": "sentence-transformers", "source": "none/encoder", "max_tokens": 8})
    work = plan_collection(query_questions(QUERIES), POOL, 2, taken, spec).encoding
    assert work is not None
    assert (work.texts, work.tokens, work.truncated) == (6, 3 + 5 + 2 * 6 + 2 * 8, 2)
    assert work.flops == 20 * 36 + 12 * (9 + 25 + 2 * 36 + 2 * 64)
    assert work.table_bytes == 3 * 3 * 6 * 4
    assert plan_collection(query_questions(QUERIES), POOL, 2, TAKEN, {"kind": "ngrams"}).encoding is None


def test_size_and_tokens_of_a_model_that_is_here_are_its_own(model_folder):
    source = str(model_folder())
    pool = PoolConfig(models=(ModelConfig("here", source, max_new_tokens=5),), rate_from_parameters=True)
    plan = plan_collection(query_questions(QUERIES[:1]), pool, 1, replace(TAKEN, characters_per_token=2.0))
    size = plan.sizes["here"]
    assert size.parameters == AutoModelForCausalLM.from_pretrained(source).num_parameters()
    assert (size.layers, size.width) == (2, 32)
    assert plan.calls[0].expected.tokens_in == len("abc\n")
    assert plan.calls[0].expected.cost == pytest.approx(9 * size.parameters / 1e6)
    assert plan.notes == ()


def test_a_model_of_unknown_size_is_refused():
    with pytest.raises(InputError, match="'large': the configuration of none/large is not on this machine; state"):
        plan_collection(query_questions(QUERIES), POOL, 1, replace(TAKEN, sizes={"none/small": StatedSize(1, 1, 1)}))


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


@pytest.fixture
def task(tmp_path):
    """A task of two test rows; its training file is not here."""
    (tmp_path / "test.jsonl").write_text(
        "".join(json.dumps({"question": q, "answer": "so #### 4"}) + "\n" for q in ("2 + 2?", "What is 2 + 2?"))
    )
    (tmp_path / "task.yaml").write_text(
        "name: sums\nsource: {path: json, files: {train: train.jsonl, test: test.jsonl}, "
        "splits: {train: train, test: test}}\nrows: gsm8k\n"
        "grader: hierrouter_jax.bridge.grading.gsm8k:Gsm8kGrader\n"
        "prompt: {question: '{{ question }}', answer: '{{ gold }}'}\n"
    )
    return str(tmp_path / "task.yaml")


def test_rows_that_can_be_read_stand_for_the_questions_of_a_mix(task):
    questions = mix_questions(MixConfig({task: Share(train=7, test=2)}))
    assert questions.texts == ("2 + 2?", "What is 2 + 2?")
    np.testing.assert_array_equal(questions.weight, [4.5, 4.5])
    assert questions.total == 9
    assert questions.notes == ("sums: 2 rows stand for 9 queries, as its split train cannot be read here",)
    with pytest.raises(InputError, match=r"train\.jsonl: no such file"):
        mix_questions(MixConfig({task: Share(train=7)}))
    with pytest.raises(InputError, match="every count is 0"):
        mix_questions(MixConfig({task: Share()}))


def test_a_dry_run_prints_its_numbers_and_all_that_they_rest_on(tmp_path, capsys):
    sizes = ", ".join(f"{name}: {{parameters: {10**9}, layers: 2, width: 8}}" for name in ("none/small", "none/large"))
    (tmp_path / "taken.yaml").write_text(
        "device: abacus\npeak_flops: 1.0e+12\nreading_utilisation: 0.5\nwriting_utilisation: 0.05\n"
        f"sizes: {{{sizes}}}\n"
    )
    for as_json in (False, True):
        print_forecast(QUERIES, POOL, CollectConfig(horizon=2, assumptions=str(tmp_path / "taken.yaml")), as_json)
    *text, line = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert said["total"]["most"] == 12
    assert said["models"]["large"]["expected"]["tokens_out"] == 6 * 20
    assert [call["hop"] for call in said["calls"]] == [1, 1, 2, 2]
    printed = "\n".join(text)
    for words in ("18 hops from at most 12 calls; at least 8", "abacus, 1 TFLOP/s", "5% while writing", "25 tokens/s"):
        assert words in printed
    assert "small: tokens are characters / 4" in printed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"peak_flops": 0.0}, "peak_flops is 0.0"),
        ({"reading_utilisation": 1.5}, "reading_utilisation is 1.5"),
        ({"response_tokens": {"task": 0}}, "response_tokens.task is 0"),
        ({"template_tokens": -1}, "template_tokens is -1"),
    ],
)
def test_assumptions_that_make_no_sense_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        replace(TAKEN, **change)
