"""The backend that runs causal models through transformers."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils import logging

from hierrouter_jax.bridge.backends.greedy import NOTHING, greedy
from hierrouter_jax.bridge.backends.interface import Generation
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig, resolve_source
from hierrouter_jax.errors import InputError

_FINGERPRINTED = {".safetensors", ".bin", ".json", ".model", ".txt"}
_NOT_FINGERPRINTED = {"card.json"}
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError)


class TransformersBackend:
    """Greedy decoding of a causal model, on the GPU where there is one.

    Args:
      config: the pool member.
      pool: the one it is a member of, which says how tokens are priced.

    Raises:
      InputError: if the source cannot be loaded, or its weights do not fill the model.
    """

    def __init__(self, config: ModelConfig, pool: PoolConfig) -> None:
        source = resolve_source(config.source)
        self.name = config.name
        self.max_new_tokens = config.max_new_tokens
        self._model, self._tokenizer = _load(config, source)
        self.parameters: int | None = self._model.num_parameters()
        self.price = pool.price(config, self._model.num_parameters())
        self.identity = f"greedy/{_fingerprint(source, self._model)}/{config.dtype}/{config.max_new_tokens}"
        self._eos = _end_tokens(self._model, self._tokenizer)
        self.positions: int | None = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        # Nothing but the arguments of a call may steer it: some models ask for penalties in their generation_config.
        self._model.generation_config = GenerationConfig(pad_token_id=self._tokenizer.pad_token_id)

    def count_tokens(self, prompts: Sequence[str]) -> list[int]:
        """Tokens of each prompt, by the model's own tokenizer."""
        return [len(ids) for ids in self._tokenizer(list(prompts))["input_ids"]] if prompts else []

    def generate(self, prompts: Sequence[str], batch_size: int = 256) -> list[Generation]:
        """Respond to each prompt.

        Prompts of like length share a batch of at most `batch_size`.

        Raises:
          InputError: if a prompt and its longest response do not fit the model's positions.
        """
        order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
        generations: dict[int, Generation] = {}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            generations |= zip(rows, self._generate_batch([prompts[row] for row in rows]), strict=True)
        return [generations[row] for row in range(len(prompts))]

    def _generate_batch(self, prompts: list[str]) -> list[Generation]:
        started = time.perf_counter()
        inputs = self._tokenizer(prompts, return_tensors="pt", padding=True)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        longest = ids.shape[1] + self.max_new_tokens
        if self.positions is not None and longest > self.positions:
            raise InputError(
                f"model {self.name!r}: prompt and response of {longest} tokens do not fit its {self.positions} "
                f"positions; lower max_new_tokens (now {self.max_new_tokens}) or drop {prompts[-1][:60]!r}..."
            )
        device = self._model.device
        tokens = greedy(self._model, ids.to(device), mask.to(device), self._eos, self.max_new_tokens)
        tokens_out = (tokens != NOTHING).sum(dim=1)
        stopped = torch.isin(tokens, self._eos.cpu()).any(dim=1)
        said = [row[: int(n) - int(stop)] for row, n, stop in zip(tokens, tokens_out, stopped, strict=True)]
        texts = self._tokenizer.batch_decode(said, skip_special_tokens=True)
        latency = (time.perf_counter() - started) / len(prompts)
        return [
            Generation(text, int(read), int(written), "stop" if stop else "length", latency)
            for text, read, written, stop in zip(texts, mask.sum(dim=1), tokens_out, stopped, strict=True)
        ]


def _load(config: ModelConfig, source: str) -> tuple[PreTrainedModel, Any]:
    with loading(f"model {config.name!r}", config.source):
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, config.dtype), output_loading_info=True
        )
    model, report = loaded
    if report["missing_keys"]:
        raise InputError(
            f"model {config.name!r}: {config.source} holds no weights for {len(report['missing_keys'])} tensors of a "
            f"{type(model).__name__} (first: {min(report['missing_keys'])})"
        )
    if tokenizer.pad_token_id is None:  # what stands in the padding is masked, so any token will do
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


@contextmanager
def loading(what: str, source: str) -> Iterator[None]:
    """Keep transformers from printing bars, and turn its errors into one sentence."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except _LOADING_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].strip()
        raise InputError(f"{what}: {source} cannot be loaded by transformers ({reason})") from None
    finally:
        if shown:
            logging.enable_progress_bar()


def _end_tokens(model: PreTrainedModel, tokenizer: Any) -> torch.Tensor:
    """Ids of the tokens that end a response [E]: the model's own, or else its tokenizer's."""
    ids = model.generation_config.eos_token_id if model.generation_config else None
    ids = tokenizer.eos_token_id if ids is None else ids
    ids = [] if ids is None else [ids] if isinstance(ids, int) else ids
    return torch.tensor(ids, dtype=torch.long, device=model.device)


def _fingerprint(source: str, model: PreTrainedModel) -> str:
    """Of a folder its content, wherever it lies; of a hub model its id and commit."""
    folder = Path(source)
    if not folder.is_dir():
        return f"{source}@{getattr(model.config, '_commit_hash', None)}"
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _FINGERPRINTED and path.name not in _NOT_FINGERPRINTED:
            with path.open("rb") as handle:
                digest.update(f"{path.name}:{hashlib.file_digest(handle, 'sha256').hexdigest()};".encode())
    return digest.hexdigest()
