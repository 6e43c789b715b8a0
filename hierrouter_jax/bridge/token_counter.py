"""Counting tokens of recorded text with a Hugging Face tokenizer, where the record has no counts."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from hierrouter_jax.bridge.pool import described
from hierrouter_jax.bridge.pretrained import from_pretrained, loading

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
