"""A GGUF file becomes a folder that can be saved and loaded, and tokens of texts are counted."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from hierrouter_jax.bridge import tokenizers
from hierrouter_jax.bridge.backends.transformers import TransformersBackend
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.errors import InputError
from tests.bridge.conftest import CHARACTERS
from tests.bridge.tiny_gguf import num_parameters, write_gguf


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


def test_a_gguf_file_becomes_a_folder_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_gguf(tmp_path / "model.gguf")
    path = Path("~/model.gguf")
    assert tokenizers.write_plain_folder(path, tmp_path / "plain", "float32") == num_parameters(tied=False)
    weights = AutoModelForCausalLM.from_pretrained(tmp_path / "plain").state_dict()
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf").state_dict()
    assert weights.keys() == read.keys()
    assert all(torch.equal(weights[name], read[name]) for name in read)


def test_a_folder_that_was_left_half_written_is_written_again(tmp_path, monkeypatch):
    """A kill comes after the weights, and another while the files are put in their place; the config is the last."""
    source, folder = write_gguf(tmp_path / "model.gguf"), tmp_path / "plain"

    def killed(*_, **settings):
        raise KeyboardInterrupt

    def killed_at_the_config(path, place):
        (killed if Path(path).name == "config.json" else replace)(path, place)

    replace = os.replace
    for owner, name, stand_in in (
        (PreTrainedTokenizerBase, "save_pretrained", killed),
        (os, "replace", killed_at_the_config),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, stand_in)
            with pytest.raises(KeyboardInterrupt):
                tokenizers.write_plain_folder(source, folder)
        assert not (folder / "config.json").exists()
    (folder / ".making-before").mkdir()  # where the kill left no time to clear up
    tokenizers.write_plain_folder(source, folder)
    assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() == num_parameters(tied=False)
    assert AutoTokenizer.from_pretrained(folder)("ab ab")["input_ids"] == [256, 257]
    assert not list(folder.glob(".*"))
    with pytest.raises(InputError, match="holds a model already"):
        tokenizers.write_plain_folder(source, folder)


def test_tokens_are_counted_without_special_ones(model_folder):
    """The fixture's token is a character; the counter takes a folder or its tokenizer.json."""
    folder = model_folder()
    for source in (str(folder), str(folder / "tokenizer.json")):
        counter = tokenizers.TokenizerCounter(source)
        assert counter.count(["abc", "", "x y"]) == [3, 0, 3]
        assert counter.name == f"{source} ({len(CHARACTERS)} tokens)"
    with pytest.raises(InputError, match="none: no such folder"):
        tokenizers.TokenizerCounter(str(folder / "none"))
