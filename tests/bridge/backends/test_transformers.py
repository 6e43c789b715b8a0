"""Generation through transformers: greedy, metered, and independent of a prompt's neighbours."""

import shutil
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from hierrouter_jax.bridge.backends import decoding, load_backends
from hierrouter_jax.bridge.backends.decoding import NOTHING, Decoding
from hierrouter_jax.bridge.backends.transformers import TransformersBackend
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import as_messages
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Turn

LIMIT = 12
END_TOKENS = [2, *range(80, 90)]
PROMPTS = [f"{'ab? c' * (row % 7)}{row} and {row * row}\n" for row in range(23)]


def config(source, **changes) -> ModelConfig:
    return ModelConfig("model", str(source), **{"max_new_tokens": LIMIT, "base_rate": 1.0} | changes)


def backend(source, **changes) -> TransformersBackend:
    return load_backends(PoolConfig((config(source, **changes),)))[0]


@pytest.fixture(scope="module", params=["llama", "mistral"])
def folder(request, model_folder):
    return model_folder(request.param)


@pytest.fixture(scope="module")
def expected(folder) -> list[tuple[str, int, int, str]]:
    """Each prompt alone through `model.generate`, without padding or penalty."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    answers = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        mask = torch.ones_like(ids)
        new = model.generate(ids, attention_mask=mask, max_new_tokens=LIMIT, do_sample=False, repetition_penalty=1.0)[
            0, ids.shape[1] :
        ].tolist()
        stopped = new[-1] in END_TOKENS
        text = tokenizer.decode(new[: len(new) - stopped], skip_special_tokens=True)
        answers.append((text, ids.shape[1], len(new), "stop" if stopped else "length"))
    return answers


@pytest.mark.parametrize("batch_size", [1, 9, 256])
def test_neighbours_and_batches_change_nothing(folder, expected, batch_size, monkeypatch):
    """Prefill slices of 4 rows are put together, and finished rows are taken out on the way."""
    monkeypatch.setattr(decoding, "PREFILL_ROWS", 4)
    assert [tuple(g)[:4] for g in backend(folder).generate(PROMPTS, batch_size)] == expected


def test_rows_of_a_batch_come_in_any_order_of_length(folder, expected, monkeypatch):
    monkeypatch.setattr(decoding, "PREFILL_ROWS", 4)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    rows = sorted(range(len(PROMPTS)), key=lambda row: -len(PROMPTS[row]))
    inputs = tokenizer([PROMPTS[row] for row in rows], return_tensors="pt", padding=True, padding_side="left")
    how = Decoding(LIMIT, torch.tensor(END_TOKENS))
    tokens, _ = decoding.decode(model, inputs["input_ids"], inputs["attention_mask"], how)
    assert [int((row != NOTHING).sum()) for row in tokens] == [expected[row][2] for row in rows]
    said = [row[~torch.isin(row, torch.tensor([NOTHING, *END_TOKENS]))] for row in tokens]
    assert tokenizer.batch_decode(said, skip_special_tokens=True) == [expected[row][0] for row in rows]


def test_the_responses_end_in_both_ways(expected):
    """Otherwise the test above would show little."""
    lengths = {tokens_out for _, _, tokens_out, reason in expected if reason == "stop"}
    assert len(lengths) > 2
    assert {tokens_out for _, _, tokens_out, reason in expected if reason == "length"} == {LIMIT}


def test_models_with_other_state_take_the_slow_path_to_the_same_answers(folder, expected, monkeypatch):
    monkeypatch.setattr(decoding, "keeps_only_keys_and_values", lambda model: False)
    monkeypatch.setattr(decoding, "_prefill", None)
    assert [tuple(g)[:4] for g in backend(folder).generate(PROMPTS)] == expected


def test_tokens_are_counted_without_the_model_as_they_are_metered(folder, expected, monkeypatch):
    counting = backend(folder)
    monkeypatch.setattr(counting, "_weights", None)
    assert counting.count_tokens(PROMPTS) == [tokens_in for _, tokens_in, _, _ in expected]
    assert counting.count_tokens([]) == []
    assert counting.max_new_tokens == LIMIT


def test_latency_is_the_batch_time_shared(folder):
    generations = backend(folder).generate(PROMPTS)
    assert {g.latency for g in generations} == {generations[0].latency}
    assert 0 < generations[0].latency < 10
    assert backend(folder).generate([]) == []


def test_price_and_parameters(model_folder):
    folder = model_folder()
    count = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters())
    assert backend(folder).parameters == count
    assert backend(folder).price.price_out == 1.0
    by_size = PoolConfig((config(folder, base_rate=None),), rate_from_parameters=True)
    assert load_backends(by_size)[0].price.price_in == count / 1e6


def test_identity_is_of_weights_and_settings_not_of_the_place(model_folder, tmp_path):
    folder = model_folder(seed=1)
    first = backend(folder)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "card.json").write_text("{}")
    assert backend(tmp_path / "copy").identity == first.identity
    others = [backend(folder, max_new_tokens=3), backend(folder, dtype="bfloat16"), backend(model_folder(seed=2))]
    assert len({first.identity, *(other.identity for other in others)}) == 4


def test_progress_bars_of_transformers_are_silent_and_come_back(model_folder, capfd):
    folder = model_folder()
    capfd.readouterr()
    backend(folder)
    assert capfd.readouterr().err == ""
    assert logging.is_progress_bar_enabled()


def test_a_prompt_beyond_the_positions_is_refused(model_folder):
    with pytest.raises(InputError, match=r"model 'model': prompt and response of 142 tokens do not fit its 128"):
        backend(model_folder()).generate(["short\n", "x" * 130])


def _without_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


def _with_broken_weights(folder):
    (folder / "model.safetensors").write_bytes(b"no weights " * 20)


def _with_another_layer(folder):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "cannot be loaded by transformers"),
        (_without_tokenizer, "cannot be loaded by transformers"),
        (_with_broken_weights, "cannot be loaded by transformers"),
        (_with_another_layer, "holds no weights for 9 tensors of a LlamaForCausalLM"),
    ],
)
def test_a_bad_source_is_one_sentence(model_folder, tmp_path, spoil, words):
    shutil.copytree(model_folder(), tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    with pytest.raises(InputError) as caught:
        backend(tmp_path / "spoilt")
    assert words in str(caught.value)
    assert "spoilt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_end_token_runs_to_the_limit(model_folder, tmp_path):
    folder = model_folder()
    shutil.copytree(folder, tmp_path / "endless")
    (tmp_path / "endless" / "generation_config.json").unlink()
    for name, key in (("config.json", '"eos_token_id": 2'), ("tokenizer_config.json", '"eos_token": "\\n"')):
        path = tmp_path / "endless" / name
        path.write_text(path.read_text().replace(key, key.split(":")[0] + ": null"))
    endless = TransformersBackend(replace(config(tmp_path / "endless"), max_new_tokens=30), PoolConfig((config("x"),)))
    assert {(g.finish_reason, g.tokens_out) for g in endless.generate(PROMPTS)} == {("length", 30)}


def test_the_turns_of_a_prompt_by_hand():
    assert as_messages("q") == [{"role": "user", "content": "q"}]
    assert as_messages((Turn("user", "1?"), Turn("assistant", "2")), "Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1?"},
        {"role": "assistant", "content": "2"},
    ]
