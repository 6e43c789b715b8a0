"""A GGUF file as a plain folder, which every server of transformers models can load; and texts counted in tokens."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from hierrouter_jax.bridge.pool import described, resolve_source
from hierrouter_jax.bridge.pretrained import check_dtype, from_pretrained, loading
from hierrouter_jax.errors import InputError


def write_plain_folder(source: Path, folder: Path, dtype: str = "bfloat16") -> int:
    """Write a GGUF file's weights, dequantised, with config, tokenizer and chat template; returns the parameters.

    The config is the last file to appear, so that a folder that was left half-written can be written again.

    Args:
      source: the GGUF file.
      folder: folder to write; it must not hold a model yet.
      dtype: precision of the weights: float32, bfloat16 or float16.
    Raises:
      InputError: if the file is none that transformers can read, or the folder holds a model.
    """
    if source.suffix != ".gguf":
        raise InputError(f"{source}: is no GGUF file (model.gguf)")
    check_dtype(dtype)
    if (folder / "config.json").exists():
        raise InputError(f"{folder}: holds a model already; name another folder")
    source = Path(resolve_source(str(source)))
    where: dict[str, Any] = {"gguf_file": source.name}
    with loading("GGUF", str(source)):
        tokenizer = from_pretrained(AutoTokenizer, source.parent, **where)
        model = from_pretrained(AutoModelForCausalLM, source.parent, **where, dtype=getattr(torch, dtype))
    clear_quantiser(model)
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob(f"{_MAKING}*"):  # of a run that was killed; they may be large
        shutil.rmtree(unfinished)
    with TemporaryDirectory(dir=folder, prefix=_MAKING) as name:
        making = Path(name)
        model.save_pretrained(making)
        tokenizer.save_pretrained(making)
        files = [path for path in making.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: path == making / "config.json"):
            place = folder / path.relative_to(making)
            place.parent.mkdir(exist_ok=True)
            os.replace(path, place)
    return model.num_parameters()


_MAKING = ".making-"


def clear_quantiser(model: PreTrainedModel) -> None:
    """Forget that weights were read from quantised ones: they no longer are, but the marks block saving and serving."""
    for owner, names in ((model, ("is_quantized", "quantization_method", "hf_quantizer")), (model.config, _OF_CONFIG)):
        for name in names:
            vars(owner).pop(name, None)


_OF_CONFIG = ("quantization_config", "_is_quantized")


_AT_ONCE = 4096


class TokenizerCounter:
    """Tokens of texts as they are: no chat template, no special tokens.

    Args:
      source: a hub id, a folder, or a tokenizer.json file.

    Attributes:
      name: the source, with the size of its vocabulary, so that two of one name can be told apart.

    Raises:
      InputError: if the source cannot be loaded.
    """

    def __init__(self, source: str) -> None:
        with loading("tokenizer", source):
            if source.endswith(".json"):
                self._tokenizer = Tokenizer.from_file(str(Path(source).expanduser()))
            else:
                loaded = from_pretrained(AutoTokenizer, described(source), use_fast=True)
                self._tokenizer = loaded.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.name = f"{source} ({self._tokenizer.get_vocab_size()} tokens)"

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        counts: list[int] = []
        for start in range(0, len(texts), _AT_ONCE):
            batch = self._tokenizer.encode_batch(list(texts[start : start + _AT_ONCE]), add_special_tokens=False)
            counts += [len(encoding.ids) for encoding in batch]
        return counts
