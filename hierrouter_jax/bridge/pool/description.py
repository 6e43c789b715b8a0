"""A source's tokenizer and config as transformers reads them; those of a GGUF file are converted once and kept."""

import hashlib
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import tokenizers
import transformers
from transformers import AutoConfig, AutoTokenizer

from hierrouter_jax.bridge.pool.source import is_gguf, resolve_source
from hierrouter_jax.bridge.pretrained import from_pretrained
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import user_cache

_LAYOUT = 1  # of a kept folder
_HEADER_BYTES = 1 << 26  # hold the metadata and the names of all tensors, which is all that is converted
_WHOLE = "tokenizer_config.json", "config.json"


def described(source: str) -> str:
    """Where transformers reads a source's tokenizer and config: the source, or of a GGUF file a folder that holds both.

    To convert a vocabulary of 150,000 tokens takes many seconds, so that the folder is kept in the user's cache. It is
    named by the file's first 64 MiB and its length, wherever the file lies, and by the versions that converted it.
    Processes that convert a file at the same time do not hinder each other.

    Raises:
      InputError: if the source can only be a folder or a file, and there is none; or the cache cannot be written.
      OSError, ValueError and others of transformers: if the file is no GGUF that it reads.
    """
    path = resolve_source(source)
    if not is_gguf(path):
        return path
    about = Path(path).stat()
    return str(_converted(Path(path).absolute(), about.st_size, about.st_mtime_ns))


@lru_cache(maxsize=64)
def _converted(path: Path, size: int, _: int) -> Path:
    """The folder of a file of that size and time of change."""
    folder = user_cache() / "gguf" / _key(path, size)
    if all((folder / name).is_file() for name in _WHOLE):
        return folder
    tokenizer, config = (
        from_pretrained(kind, path.parent, gguf_file=path.name) for kind in (AutoTokenizer, AutoConfig)
    )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
        try:
            tokenizer.save_pretrained(made)
            config.save_pretrained(made)
            made.chmod(0o755)
            _put(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{folder.parent}: the tokenizer of {path} cannot be kept there ({error.strerror}); let XDG_CACHE_HOME "
            "name a folder that can be written"
        ) from None
    return folder


def _put(made: Path, folder: Path) -> None:
    """Rename a whole folder into its place, unless another process did so first."""
    try:
        os.rename(made, folder)
    except OSError:
        if not all((folder / name).is_file() for name in _WHOLE):  # what is there was damaged
            shutil.rmtree(folder)
            os.rename(made, folder)


def _key(path: Path, size: int) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_HEADER_BYTES))
    digest.update(repr((size, _LAYOUT, transformers.__version__, tokenizers.__version__)).encode())
    return digest.hexdigest()[:32]
