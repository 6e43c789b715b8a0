"""The backend that runs causal models through transformers."""

import copy
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from hierrouter_jax.bridge.backends.decoding import NOTHING, Decoding, decode, draws, stop_criteria
from hierrouter_jax.bridge.backends.interface import Generation
from hierrouter_jax.bridge.backends.weights import Weights, fingerprint, load_tokenizer, pinned
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig, Sampling, count_parameters, member_size
from hierrouter_jax.bridge.pool.source import reach
from hierrouter_jax.bridge.pretrained import loading
from hierrouter_jax.bridge.prompts import as_messages, as_text, cut
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.table import Prompt


class ChatTemplate:
    """Turns into the text that a model reads, ready for its answer.

    Args:
      name: name of the model, for messages.
      tokenizer: tokenizer that holds the template.
      system: system prompt; where the template refuses or drops a system role, it opens the first user turn.

    Raises:
      InputError: if the tokenizer has no chat template, or it does not render a question.
    """

    def __init__(self, name: str, tokenizer: Any, system: str = "") -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise InputError(f"model {name!r}: its tokenizer has no chat template; set chat: false")
        self.source = str(tokenizer.chat_template)
        self._name, self._tokenizer, self._system, self._opens = name, tokenizer, system, False
        if system:
            try:
                self._opens = system.strip() not in self("?")
            except InputError:
                self._opens = True
        self("?")

    def __call__(self, prompt: Prompt) -> str:
        """The text of a prompt: a text is one user turn."""
        messages = as_messages(prompt, "" if self._opens else self._system)
        if self._opens:
            messages[0]["content"] = f"{self._system}\n\n{messages[0]['content']}"
        try:
            return self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # a template is a program of the model's makers, and can fail in any way
            raise InputError(
                f"model {self._name!r}: its chat template refuses the turns ({reason_of(error)})"
            ) from error


class TransformersBackend:
    """A causal model whose weights run here, on the GPU where there is one.

    Args:
      config: configuration of the pool member.
      pool: the one it is a member of, which says how tokens are priced.
      weights: the pool's loaded models; by default a store of its own.

    Attributes:
      size: its parameters and the arithmetic of its tokens, from its config or the one that it is to be sized by.

    Raises:
      InputError: if the source cannot be loaded, its weights do not fill the model, or it has no chat template where
        one is asked for. Unless all weights stay loaded, they are loaded, and may be refused, at the first call.
    """

    def __init__(self, config: ModelConfig, pool: PoolConfig, weights: Weights | None = None) -> None:
        self.name = config.name
        self.max_new_tokens = config.max_new_tokens
        config = pinned(config)
        self._config, self._weights = config, weights or Weights(pool.resident)
        self._tokenizer, known = load_tokenizer(config)
        self._chat = ChatTemplate(config.name, self._tokenizer, config.system) if config.chat else None
        with loading(f"model {config.name!r}", config.size_basis):
            size = member_size(config, known)
            self._stored = count_parameters(known, config.trust_remote_code).parameters
        assert size is not None  # its source has a config
        self.size = size
        self.parameters: int | None = self.size.parameters
        self.price = replace(pool.price(config, self.parameters), flops_per_token=self.size.flops_per_token)
        self.positions: int | None = reach(config, known)
        self.identity = _identity(config, fingerprint(config), self._chat)
        self._stops = stop_criteria(config.name, config.stop, self._tokenizer)
        self._watch: _Watch | None = None
        self._most = 2**31  # calls that were seen to fit the memory at once
        if self._weights.resident is True:
            self._weights.get(config, self._tokenizer, self._stored)

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each prompt, by the model's own tokenizer, chat template included."""
        return [len(ids) for ids in self.encode(prompts)]

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Ids of each prompt's tokens, chat template included."""
        return self._tokenize([self._text(prompt) for prompt in prompts])

    def generate(self, prompts: Sequence[Prompt], batch_size: int = 256) -> list[Generation]:
        """Respond to each prompt.

        Prompts of like length share a batch of at most `batch_size`; of a model that does not obey an attention mask
        only those of equal length do, and none of one that mixes the rows of a batch. Where memory does not suffice, a
        batch is of half as many, for good.

        Raises:
          InputError: if a prompt and its longest response do not fit the model's positions, or one alone the memory,
            or the model fails on a batch.
        """
        texts = [self._text(prompt) for prompt in prompts]
        tokens = self._tokenize(texts)
        order = sorted(range(len(prompts)), key=lambda row: len(tokens[row]))
        if order:
            self._check_fits(prompts[order[-1]], len(tokens[order[-1]]))
        generations: dict[int, Generation] = {}
        while len(generations) < len(order):
            start = len(generations)
            rows = self._share_batch(order[start : start + min(batch_size, self._most)], tokens)
            answered = self._try_batch([prompts[row] for row in rows], [tokens[row] for row in rows], rows)
            if answered is not None:
                generations |= zip(rows, answered, strict=True)
            elif len(rows) > 1:
                self._most = len(rows) // 2
            else:
                raise InputError(
                    f"model {self.name!r}: one prompt of {len(tokens[rows[0]])} tokens does not fit the memory; lower "
                    f"max_new_tokens (now {self.max_new_tokens}), or set dtype: bfloat16, quantization or device_map"
                )
        return [generations[row] for row in range(len(prompts))]

    def with_settings(self, fields: Mapping[str, Any]) -> "TransformersBackend":
        """The same weights with other settings; see `Settable`.

        Without a seed, draws at the member's own temperature follow from its own seed; at any other one from a seed
        that is drawn here, so that each backend which this returns draws for itself.
        """
        own = self._config.sampling
        temperature = fields.get("temperature", own.temperature)
        sampling = Sampling()
        if temperature:
            seed = fields.get("seed", own.seed if temperature == own.temperature else secrets.randbits(31))
            nucleus = {name: fields.get(name, getattr(own, name)) for name in ("top_p", "top_k")}
            sampling = Sampling(temperature, **nucleus, seed=seed)
        stop = tuple(dict.fromkeys([*self._config.stop, *fields.get("stop", ())]))
        other = copy.copy(self)
        other.max_new_tokens = min(self.max_new_tokens, fields.get("max_tokens", self.max_new_tokens))
        other._config = replace(self._config, max_new_tokens=other.max_new_tokens, sampling=sampling, stop=stop)
        other._stops = stop_criteria(self.name, stop, self._tokenizer)
        return other

    def generate_watched(self, prompts: Sequence[Prompt], watch: Callable[[int, str], bool]) -> list[Generation]:
        """Respond to each prompt while somebody watches; see `Settable`. Text behind which a stop string may begin, or
        half a character stands, is not shown yet."""
        other = copy.copy(self)
        other._watch = _Watch(self._tokenizer, self._config.stop, watch)
        return other.generate(prompts)

    def _share_batch(self, rows: list[int], tokens: list[list[int]]) -> list[int]:
        """The first of the rows, in order of length, that can be one batch."""
        sharing = self._weights.get(self._config, self._tokenizer, self._stored).sharing
        if sharing == "any":
            return rows
        return [row for row in rows if len(tokens[row]) == len(tokens[rows[0]])] if sharing == "equal" else rows[:1]

    def _try_batch(self, prompts: list[Prompt], tokens: list[list[int]], rows: list[int]) -> list[Generation] | None:
        """Generations of a batch; None where the memory did not suffice, and what it held is freed."""
        try:
            return self._generate_batch(prompts, tokens, rows)
        except torch.OutOfMemoryError:
            pass  # outside of this block nothing holds the batch's tensors any more
        except InputError:
            raise
        except Exception as error:  # of the model's own code, on files that are somebody else's
            raise InputError(
                f"model {self.name!r}: {self._config.source} is loaded, but fails on a batch ({reason_of(error)})"
            ) from error
        torch.cuda.empty_cache()
        return None

    def _generate_batch(self, prompts: list[Prompt], tokens: list[list[int]], numbers: list[int]) -> list[Generation]:
        loaded = self._weights.get(self._config, self._tokenizer, self._stored)
        device, sampling = loaded.model.device, self._config.sampling
        started = time.perf_counter()
        inputs = self._tokenizer.pad({"input_ids": tokens}, padding=True, return_tensors="pt")
        ids, mask = inputs["input_ids"].to(device), inputs["attention_mask"].to(device)
        embeddings: Any = loaded.model.get_input_embeddings()
        known = len(embeddings.weight)
        if int(ids.max()) >= known:
            raise InputError(
                f"model {self.name!r}: its tokenizer writes token {int(ids.max())}, but its vocab_size is {known}; the "
                "tokenizer's files and config.json are of different models"
            )
        eos = torch.tensor(loaded.eos, dtype=torch.long, device=device)
        uniforms = draws(prompts, sampling, self.max_new_tokens)
        uniforms = None if uniforms is None else uniforms.to(device)
        how = Decoding(self.max_new_tokens, eos, sampling, uniforms, self._stops, self._watched(numbers, loaded.eos))
        written, logprob = decode(loaded.model, ids, mask, how)
        lengths = (written != NOTHING).sum(dim=1).tolist()
        responses, reasons = [], []
        for row, length in zip(written.tolist(), lengths, strict=True):
            ended = row[length - 1] in loaded.eos
            responses.append(row[: length - ended])
            # A row that ends early met a stop string, be it of a special token, which the text does not show.
            reasons.append("stop" if ended or length < self.max_new_tokens else "length")
        texts = self._tokenizer.batch_decode(responses, skip_special_tokens=True)
        shares = (time.perf_counter() - started) / len(prompts)
        generations = []
        for text, read, length, reason, chance in zip(texts, tokens, lengths, reasons, logprob.tolist(), strict=True):
            shorter = cut(text, self._config.stop)
            reason = "stop" if shorter != text else reason
            generations.append(Generation(shorter, len(read), length, reason, shares, chance))
        return generations

    def _watched(self, numbers: list[int], eos: Sequence[int]) -> Callable[[int, int], bool] | None:
        """What watches a batch: rows have their prompts' numbers, and an end token adds nothing."""
        watch = self._watch
        if watch is None:
            return None
        watch.begin(numbers)
        return lambda row, token: token in eos or watch.step(numbers[row], token)

    def _text(self, prompt: Prompt) -> str:
        return as_text(prompt) if self._chat is None else self._chat(prompt)

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        """Ids of each text; a chat template writes its own special tokens."""
        return self._tokenizer(texts, add_special_tokens=self._chat is None)["input_ids"] if texts else []

    def _check_fits(self, prompt: Prompt, tokens: int) -> None:
        longest = tokens + self.max_new_tokens
        if self.positions is not None and longest > self.positions:
            raise InputError(
                f"model {self.name!r}: prompt and response of {longest} tokens do not fit its {self.positions} "
                f"positions; lower max_new_tokens (now {self.max_new_tokens}) or drop {as_text(prompt)[:60]!r}..."
            )


class _Watch:
    """Tells a watcher the texts of responses so far.

    Args:
      tokenizer: tokenizer of the model.
      stop: strings that end a response.
      watcher: function that is called with a row's number and its text.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str], watcher: Callable[[int, str], bool]) -> None:
        self._tokenizer, self._stop, self._watcher = tokenizer, stop, watcher
        self._held = max(map(len, stop), default=1) - 1  # as many characters may be the beginning of a stop string
        self._ids: dict[int, list[int]] = {}

    def begin(self, rows: Sequence[int]) -> None:
        """A batch begins, perhaps anew as it did not fit the memory."""
        self._ids |= {row: [] for row in rows}

    def step(self, row: int, token: int) -> bool:
        """Whether the row goes on after this token."""
        self._ids[row].append(token)
        text = self._tokenizer.decode(self._ids[row], skip_special_tokens=True)
        shown = cut(text, self._stop)
        shown = shown[: max(0, len(shown) - self._held)] if shown == text else shown
        return self._watcher(row, "" if shown.endswith("\ufffd") else shown)


def _identity(config: ModelConfig, weights: str, chat: ChatTemplate | None) -> str:
    """Everything that changes an answer, and nothing else."""
    template = None if chat is None else hashlib.sha256(chat.source.encode()).hexdigest()[:16]
    context = {"chat": template, "system": config.system, "stop": list(config.stop)}
    run = {"dtype": config.dtype, "quantization": config.quantization, "max_new_tokens": config.max_new_tokens}
    return f"transformers/{weights}/{json.dumps({**run, **asdict(config.sampling), **context}, sort_keys=True)}"
