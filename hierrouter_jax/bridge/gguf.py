"""A GGUF file as a plain folder, which every server of transformers models can load."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from hierrouter_jax.bridge.pool import resolve_source
from hierrouter_jax.bridge.pretrained import from_pretrained, loading
from hierrouter_jax.errors import InputError


def write_plain_folder(source: Path, folder: Path, dtype: str = "bfloat16") -> int:
    """Write a GGUF file's weights, dequantised, with config, tokenizer and chat template; returns the parameters.

    Args:
      source: the GGUF file.
      folder: that is written; it must not hold a model yet.
      dtype: of the weights: float32, bfloat16 or float16.
    Raises:
      InputError: if the file is none that transformers can read, or the folder holds a model.
    """
    if source.suffix != ".gguf":
        raise InputError(f"{source}: is no GGUF file (model.gguf)")
    if dtype not in ("float32", "bfloat16", "float16"):
        raise InputError(f"dtype is {dtype!r}, but must be float32, bfloat16 or float16")
    if (folder / "config.json").exists():
        raise InputError(f"{folder}: holds a model already; name another folder")
    where: dict[str, Any] = {"gguf_file": source.name}
    resolve_source(str(source))
    with loading("GGUF", str(source)):
        tokenizer = from_pretrained(AutoTokenizer, source.parent, **where)
        model = from_pretrained(AutoModelForCausalLM, source.parent, **where, dtype=getattr(torch, dtype))
    clear_quantiser(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.num_parameters()


def clear_quantiser(model: PreTrainedModel) -> None:
    """Forget that weights were read from quantised ones: they no longer are, but the marks block saving and serving."""
    for owner, names in ((model, ("is_quantized", "quantization_method", "hf_quantizer")), (model.config, _OF_CONFIG)):
        for name in names:
            vars(owner).pop(name, None)


_OF_CONFIG = ("quantization_config", "_is_quantized")
