"""What is left of a quantiser is cleared, so that the model can be saved; what is no GGUF is named."""

import shutil

import pytest
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from hierrouter_jax.bridge import tokenizers
from hierrouter_jax.bridge.backends import TransformersBackend
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.errors import InputError


def test_marks_of_a_quantiser_no_longer_block_saving(model_folder, tmp_path):
    """The marks that transformers 5.23 leaves on a model that it read from a GGUF file."""
    model = AutoModelForCausalLM.from_pretrained(model_folder())
    model.is_quantized, model.quantization_method, model.hf_quantizer = True, "gguf", object()
    model.config.quantization_config, model.config._is_quantized = {"quant_method": "gguf"}, True
    tokenizers.clear_quantiser(model)
    model.save_pretrained(tmp_path)
    again = LlamaForCausalLM.from_pretrained(tmp_path)
    assert "quant" not in (tmp_path / "config.json").read_text()
    assert again.num_parameters() == model.num_parameters()


def test_what_is_no_gguf_is_named(model_folder, tmp_path):
    with pytest.raises(InputError, match="is no GGUF file"):
        tokenizers.write_plain_folder(tmp_path / "model.bin", tmp_path / "out")
    with pytest.raises(InputError, match="no such GGUF file"):
        tokenizers.write_plain_folder(tmp_path / "none.gguf", tmp_path / "out")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF?")
    with pytest.raises(InputError, match=r"bad.gguf cannot be loaded by transformers"):
        tokenizers.write_plain_folder(tmp_path / "bad.gguf", tmp_path / "out")
    shutil.copytree(model_folder(), tmp_path / "full")
    with pytest.raises(InputError, match="holds a model already"):
        tokenizers.write_plain_folder(tmp_path / "bad.gguf", tmp_path / "full")
    config = ModelConfig("model", str(tmp_path / "bad.gguf"), 8, base_rate=1)
    with pytest.raises(InputError, match=r"model 'model': .*bad.gguf cannot be loaded"):
        TransformersBackend(config, PoolConfig((config,)))
