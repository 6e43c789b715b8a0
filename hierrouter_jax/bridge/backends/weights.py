"""Weights of a pool: each loaded once however many members share them; all kept, as many as fit, or one model's."""

import gc
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.quantizers.auto import AutoQuantizationConfig

from hierrouter_jax.bridge.backends.decoding import Sharing, sharing
from hierrouter_jax.bridge.pool import ModelConfig, Resident, resolve_commit, resolve_source
from hierrouter_jax.bridge.pool.source import description, is_gguf
from hierrouter_jax.bridge.pretrained import from_pretrained, loading, padding_tokenizer
from hierrouter_jax.errors import InputError
from hierrouter_jax.sums import check_sum

_FINGERPRINTED = {".safetensors", ".bin", ".json", ".model", ".txt", ".jinja"}
_NOT_FINGERPRINTED = {"card.json"}
_FOR_BATCHES = 0.25  # of the memory, for what is computed; batches that need more are halved


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to generate.

    Attributes:
      model: the model on its device.
      eos: ids of the tokens that end a response.
      sharing: kind of prompts that can be one batch.
    """

    model: PreTrainedModel
    eos: tuple[int, ...]
    sharing: Sharing = "any"


class Weights:
    """The loaded models of a pool, by what their weights are.

    Args:
      resident: whether all stay loaded, as many as fit, or only the one that was asked for last.
      memory: tells the free and all bytes of the memory that weights are loaded into.
    """

    def __init__(self, resident: Resident = True, memory: Callable[[], tuple[int, int]] | None = None) -> None:
        self.resident, self._memory = resident, memory or device_memory
        self._loaded: dict[str, Loaded] = {}  # the one that was asked for last is last

    def get(self, config: ModelConfig, tokenizer: Any, parameters: int) -> Loaded:
        """The model of a member, loaded where it is not.

        Args:
          config: configuration of the member.
          tokenizer: tokenizer of its source.
          parameters: number of its weights.
        Raises:
          InputError: if the source cannot be loaded, or its weights do not fill the model.
        """
        key = repr((config.source, config.revision, config.dtype, config.device_map, config.quantization))
        if key in self._loaded:
            self._loaded[key] = self._loaded.pop(key)
        else:
            self._make_room(config, parameters)
            self._loaded[key] = _load(config, tokenizer)
        return self._loaded[key]

    def _make_room(self, config: ModelConfig, parameters: int) -> None:
        """Free models until one more may be loaded.

        A collection asks its models in turns, so that of those that are loaded the one that was asked last has its
        next turn last: it goes first.
        """
        while self._loaded and not self._has_room(config, parameters):
            self._loaded.popitem()
            gc.collect()
            torch.cuda.empty_cache()

    def _has_room(self, config: ModelConfig, parameters: int) -> bool:
        """Whether the weights fit, at the size of their dtype, with room for batches left."""
        if self.resident != "fit":
            return self.resident is True
        if config.device_map is not None:  # which memory they take is known only once they are loaded
            return False
        free, whole = self._memory()
        return parameters * getattr(torch, config.dtype).itemsize + _FOR_BATCHES * whole <= free


def device_memory() -> tuple[int, int]:
    """Free and all bytes of the first GPU, or else of this machine."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # what torch keeps for later batches is free
        return torch.cuda.mem_get_info()
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def pinned(config: ModelConfig) -> ModelConfig:
    """The member with the commit that its revision names now, if it is of the hub: all its files are of one state.

    Raises:
      InputError: if the hub knows no such model or revision, or cannot be reached.
    """
    with loading(f"model {config.name!r}", config.source):
        commit = resolve_commit(config.source, config.revision)
    return config if commit is None else replace(config, revision=commit)


def load_tokenizer(config: ModelConfig) -> tuple[Any, PretrainedConfig]:
    """Tokenizer, padded on the left, and config of a member's source; no weights are read.

    Raises:
      InputError: if the source cannot be loaded.
    """
    with loading(f"model {config.name!r}", config.source):
        tokenizer = padding_tokenizer(**description(config), side="left")
        return tokenizer, from_pretrained(AutoConfig, **description(config))


def fingerprint(config: ModelConfig) -> str:
    """Of a folder or a GGUF file its content, wherever it lies; of a pinned hub model its id and commit."""
    source = resolve_source(config.source)
    path, digest = Path(source), hashlib.sha256()
    kinds = _FINGERPRINTED | ({".py"} if config.trust_remote_code else set())
    if not path.exists():
        return f"{source}@{config.revision}"
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if (file.suffix in kinds and file.name not in _NOT_FINGERPRINTED) or file == path:
            check_sum(file)  # those that ship with the package are signed
            with file.open("rb") as handle:
                digest.update(f"{file.name}:{hashlib.file_digest(handle, 'sha256').hexdigest()};".encode())
    return digest.hexdigest()


def _where(config: ModelConfig) -> dict[str, Any]:
    """What `from_pretrained` takes of a member's model: its source, and whether code in it is trusted."""
    source = resolve_source(config.source)
    if is_gguf(source):
        return {"path": Path(source).parent, "gguf_file": Path(source).name}
    return description(config)


def _load(config: ModelConfig, tokenizer: Any) -> Loaded:
    options: dict[str, Any] = {"dtype": getattr(torch, config.dtype)}
    placed = config.device_map
    with loading(f"model {config.name!r}", config.source):
        if config.quantization is not None:
            options["quantization_config"] = AutoQuantizationConfig.from_dict(dict(config.quantization))
            if placed is None and torch.cuda.is_available():
                placed = {"": 0}  # quantised weights can be put on a device only as they are read
        if placed is not None:
            options["device_map"] = placed
        loaded: Any = from_pretrained(AutoModelForCausalLM, **_where(config), **options, output_loading_info=True)
        model, report = loaded
        if report["missing_keys"]:
            raise InputError(
                f"model {config.name!r}: {config.source} holds no weights for {len(report['missing_keys'])} tensors of "
                f"a {type(model).__name__} (first: {min(report['missing_keys'])})"
            )
        if placed is None:
            model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    eos = _end_tokens(config.name, model, tokenizer)
    # Nothing but the arguments of a call may steer it: some models ask for penalties in their generation_config.
    model.generation_config = GenerationConfig(pad_token_id=tokenizer.pad_token_id)
    model = model.eval()
    with loading(f"model {config.name!r}", config.source):
        return Loaded(model, eos, sharing(model))


def _end_tokens(name: str, model: PreTrainedModel, tokenizer: Any) -> tuple[int, ...]:
    """Ids of the tokens that end a response: the model's own, or else its tokenizer's."""
    stated: Any = model.generation_config.eos_token_id if model.generation_config else None
    stated = tokenizer.eos_token_id if stated is None else stated
    ids = () if stated is None else tuple(stated) if isinstance(stated, list | tuple) else (stated,)
    if any(type(one) is not int for one in ids):
        raise InputError(
            f"model {name!r}: eos_token_id of its generation_config.json is {stated!r}, but must be the id of a token, "
            "a whole number, or a list of them"
        )
    return ids
