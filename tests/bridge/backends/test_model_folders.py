"""Faults of a model's folder: one sentence that names the model and the field, at load or at the first batch."""

import json
import shutil
from pathlib import Path

import pytest

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.backends.transformers import TransformersBackend
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.errors import InputError


def answer(folder: Path, **fields) -> TransformersBackend:
    """Loads the folder's model and asks it two prompts of different lengths."""
    member = ModelConfig("mine", str(folder), **{"max_new_tokens": 4, "base_rate": 1.0} | fields)
    (backend,) = load_backends(PoolConfig((member,)))
    backend.generate(["ab?\n", "a longer one\n"])
    return backend


def change(folder: Path, file: str, **fields: object) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def template(text: str):
    return lambda folder: (folder / "chat_template.jinja").write_text(text)


def more_tokens(folder: Path) -> None:
    """The tokenizer of a larger model: the letter a has a token beyond the model's embeddings."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["a"] = 500
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def no_text(name: str):
    return lambda folder: (folder / name).write_text("not JSON")


FAULTS = {
    "a stop string that the tokenizer cannot write": (lambda folder: None, {"stop": ("\u00e9",)}, "stop is"),
    "several stop strings": (lambda folder: None, {"stop": ("\u00fc", "\u4e2d")}, "stop is"),
    "no positions": (
        lambda folder: change(folder, "config.json", max_position_embeddings=None),
        {},
        "max_position_embeddings",
    ),
    "positions in words": (
        lambda folder: change(folder, "config.json", max_position_embeddings="many"),
        {},
        "max_position_embeddings",
    ),
    "half a layer": (lambda folder: change(folder, "config.json", num_hidden_layers=1.5), {}, "num_hidden_layers"),
    "no heads": (lambda folder: change(folder, "config.json", num_attention_heads=0), {}, "cannot be loaded"),
    "heads that do not divide": (
        lambda folder: change(folder, "config.json", num_attention_heads=3),
        {},
        "cannot be loaded",
    ),
    "an activation that nobody knows": (
        lambda folder: change(folder, "config.json", hidden_act="swoosh"),
        {},
        "swoosh",
    ),
    "a model type that nobody knows": (
        lambda folder: change(folder, "config.json", model_type="newest"),
        {},
        "newest",
    ),
    "a config that is a list": (lambda folder: (folder / "config.json").write_text("[]"), {}, "cannot be loaded"),
    "a config that is no JSON": (no_text("config.json"), {}, "cannot be loaded"),
    "a tokenizer that is no JSON": (no_text("tokenizer.json"), {}, "cannot be loaded"),
    "an end token in quotes": (
        lambda folder: change(folder, "generation_config.json", eos_token_id="2"),
        {},
        "eos_token_id",
    ),
    "one end token of several in quotes": (
        lambda folder: change(folder, "generation_config.json", eos_token_id=[2, "3"]),
        {},
        "eos_token_id",
    ),
    "an end token that is a fraction": (
        lambda folder: change(folder, "generation_config.json", eos_token_id=2.5),
        {},
        "eos_token_id",
    ),
    "a tokenizer of a larger model": (more_tokens, {}, "vocab_size is 98"),
    "a template that divides by 0": (template("{{ 1 / 0 }}"), {"chat": True}, "chat template"),
    "a template that adds a text and a number": (template("{{ messages[0].content + 1 }}"), {"chat": True}, "template"),
    "a template that asks for a turn too many": (template("{{ messages[7].content }}"), {"chat": True}, "template"),
    "a template without an end": (template("{% for m in messages %}"), {"chat": True}, "template"),
    "a template with a filter that nobody knows": (template("{{ messages | upwards }}"), {"chat": True}, "template"),
    "a template that calls itself": (
        template("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"),
        {"chat": True},
        "template",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_folder_is_one_sentence(model_folder, tmp_path, fault):
    spoil, fields, words = FAULTS[fault]
    shutil.copytree(model_folder(), tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    with pytest.raises(InputError) as caught:
        answer(tmp_path / "spoilt", **fields)
    assert str(caught.value).startswith("model 'mine': ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stated", [2, [2, 3], None, [], -1])
def test_end_tokens_of_every_form_that_models_use_are_taken(model_folder, tmp_path, stated):
    shutil.copytree(model_folder(), tmp_path / "sound")
    change(tmp_path / "sound", "generation_config.json", eos_token_id=stated)
    answer(tmp_path / "sound")


def test_a_model_that_fails_on_a_batch_is_named(model_folder, monkeypatch):
    backend = answer(model_folder())
    monkeypatch.setattr("hierrouter_jax.bridge.backends.transformers.decode", lambda *_: [][0])
    with pytest.raises(InputError, match=r"^model 'mine': .* is loaded, but fails on a batch \(list index"):
        backend.generate(["ab?\n"])
