"""What a loaded model is, wherever it was loaded from."""

import hashlib
from typing import Any

import torch


def weights_identity(model: torch.nn.Module, tokenizer: Any, settings: str) -> str:
    """SHA-256 of a model's weights, its tokenizer's vocabulary, and settings.

    A hub model and a copy of it in a folder have the same one.
    """
    digest = hashlib.sha256(settings.encode())
    digest.update(repr(sorted(tokenizer.get_vocab().items())).encode())
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name}:{weight.dtype}:{tuple(weight.shape)};".encode())
        flat = weight.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()


def best_device() -> str:
    """The GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
