"""Models that do not obey an attention mask, or mix the rows of a batch: which prompts share a batch."""

from pathlib import Path

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GenerationConfig,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    RwkvConfig,
    RwkvForCausalLM,
)

from hierrouter_jax.bridge.backends import decoding, load_backends
from hierrouter_jax.bridge.backends import transformers as backend_module
from hierrouter_jax.bridge.backends.transformers import TransformersBackend
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from tests.bridge.conftest import CHARACTERS

PROMPTS = [f"{'ab? c' * (row % 7)}{row} and {row * row}\n" for row in range(23)]
SHAPE = {"vocab_size": len(CHARACTERS), "hidden_size": 32, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}


def random_model(kind: str) -> PreTrainedModel:
    """A model that says something: its weights are large enough for the context to matter."""
    torch.manual_seed(11)
    if kind == "rwkv":
        model = RwkvForCausalLM(RwkvConfig(**SHAPE, attention_hidden_size=32, num_hidden_layers=2, context_length=128))
    elif kind == "mamba":
        model = MambaForCausalLM(MambaConfig(**SHAPE, num_hidden_layers=2, state_size=4, initializer_range=0.5))
    else:
        model = BloomForCausalLM(BloomConfig(**SHAPE, n_layer=2, n_head=4, initializer_range=0.5))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(0, 0.5)
    return model


@pytest.fixture(scope="module")
def folders(model_folder, tmp_path_factory) -> dict[str, Path]:
    tokenizer = model_folder()
    made = {}
    for kind in ("rwkv", "mamba", "bloom"):
        made[kind] = tmp_path_factory.mktemp(kind)
        for file in tokenizer.glob("*token*"):
            (made[kind] / file.name).write_bytes(file.read_bytes())
        model = random_model(kind)
        model.generation_config = GenerationConfig(eos_token_id=2, pad_token_id=0)
        model.save_pretrained(made[kind])
    return made


def load(folder: Path) -> TransformersBackend:
    (backend,) = load_backends(PoolConfig((ModelConfig("mine", str(folder), max_new_tokens=6, base_rate=1.0),)))
    return backend


@pytest.mark.parametrize("kind", ["rwkv", "mamba", "bloom"])
@pytest.mark.parametrize("batch_size", [5, 256])
def test_a_response_does_not_depend_on_its_batch(folders, kind, batch_size):
    backend = load(folders[kind])
    together = backend.generate(PROMPTS, batch_size)
    alone = [backend.generate([prompt])[0] for prompt in PROMPTS]
    assert [g.text for g in together] == [g.text for g in alone]
    assert [g.logprob for g in together] == pytest.approx([g.logprob for g in alone], abs=1e-3)
    assert len({g.text for g in alone}) > 5, "otherwise this shows little"


def test_only_what_ignores_its_mask_loses_batches_of_mixed_length(folders, model_folder, monkeypatch):
    sizes: list[tuple[int, bool]] = []
    real = decoding.decode

    def seen(model, ids, mask, how):
        sizes.append((len(ids), bool(mask.all())))
        return real(model, ids, mask, how)

    monkeypatch.setattr(backend_module, "decode", seen)
    for folder in (folders["rwkv"], folders["mamba"], folders["bloom"], model_folder()):
        sizes.clear()
        load(folder).generate(PROMPTS)
        lengths = len({len(prompt) for prompt in PROMPTS})
        if folder == folders["rwkv"]:
            assert all(whole for _, whole in sizes)
            assert len(sizes) >= lengths
        else:
            assert sizes == [(len(PROMPTS), False)]


@pytest.mark.parametrize(
    ("fault", "expected"), [(None, "any"), ("ignores its mask", "equal"), ("mixes its rows", "none")]
)
def test_two_prompts_tell_what_a_model_does_to_its_batch(folders, monkeypatch, fault, expected):
    """A sound model, made to do what recurrent models do."""
    model = BloomForCausalLM.from_pretrained(folders["bloom"]).eval()
    forward = model.forward

    def faulty(*args, attention_mask=None, **fields):
        if fault == "ignores its mask" and attention_mask is not None:
            attention_mask = torch.ones_like(attention_mask)
        output = forward(*args, attention_mask=attention_mask, **fields)
        if fault == "mixes its rows":
            output.logits = output.logits + output.logits.mean(dim=0, keepdim=True)
        return output

    monkeypatch.setattr(model, "forward", faulty)
    monkeypatch.setattr(decoding, "keeps_only_keys_and_values", lambda model: False)
    assert decoding.sharing(model) == expected


def test_a_model_of_keys_and_values_needs_no_try(model_folder, monkeypatch):
    monkeypatch.setattr(decoding, "_next_scores", None)
    load(model_folder())
