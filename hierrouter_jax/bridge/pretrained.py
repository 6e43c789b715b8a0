"""The one door to `from_pretrained`: code that a model's files ask to run is run only where the pool says so."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError, brief, reason_of

# Every file of a model that may name code of its own, under the key `auto_map`.
_CONFIGS = (
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)


class ForeignCode(InputError):
    """A model's files ask to run code of their own, and nobody said that it is trusted."""


def from_pretrained(kind: Any, path: str | Path, *, trust: bool = False, **options: Any) -> Any:
    """A config, tokenizer or model of transformers, or a model of sentence-transformers; nothing ever asks a question.

    Args:
      kind: the class, such as `AutoConfig`; one without `from_pretrained` is called with the path.
      path: a folder or a hub id.
      trust: whether code that the files name may be run.
      options: further arguments of the class.

    Raises:
      ForeignCode: if the files name code, and it is not trusted.
      Exception: whatever the library raises; call it under `loading`.
    """
    if not trust:
        where = {name: options[name] for name in ("revision", "local_files_only") if name in options}
        refuse_foreign_code(path, **where)
    load = getattr(kind, "from_pretrained", kind)
    return load(str(path), trust_remote_code=trust, **options)


def padding_tokenizer(path: str | Path, side: str, **options: Any) -> Any:
    """A tokenizer that pads on that side, `left` or `right`, by `from_pretrained`; one without padding gets a token."""
    from transformers import AutoTokenizer

    tokenizer = from_pretrained(AutoTokenizer, path, padding_side=side, **options)
    if tokenizer.pad_token_id is None:  # what stands in the padding is masked, so any token will do
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def refuse_foreign_code(path: str | Path, revision: str | None = None, local_files_only: bool = False) -> None:
    """Refuse a folder, or a model of the hub, one of whose configs has an `auto_map`.

    Raises:
      ForeignCode: naming the file and what it asks to run.
    """
    for name in _CONFIGS:
        file = _file(path, name, revision, local_files_only)
        code = None if file is None else _auto_map(file)
        if code:
            raise ForeignCode(
                f"{path}: its {name} asks to run code of its own (auto_map: {brief(code, 100)}), which is not "
                "done; a pool's model that you trust may have trust_remote_code: true, all else needs a model without"
            )


def check_dtype(dtype: str) -> None:
    """Refuse a precision of weights that is none.

    Raises:
      InputError: naming those that there are.
    """
    if dtype not in ("float32", "bfloat16", "float16"):
        raise InputError(f"dtype is {dtype!r}, but must be float32, bfloat16 or float16")


@contextmanager
def loading(what: str, source: str) -> Iterator[None]:
    """Keep transformers from printing bars, and turn its errors into one sentence.

    The files are somebody else's and so is the code that reads them, so that any exception is a fault of the source.

    Args:
      what: kind and name of what is loaded, such as `model 'reader'`.
      source: source as the user stated it.

    Raises:
      InputError: with the library's own reason on one line.
    """
    from transformers.utils import logging  # a pool of endpoints alone needs none of it

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except ForeignCode as error:
        raise InputError(f"{what}: {error}") from None
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what}: {source} cannot be loaded by transformers ({reason_of(error)})") from error
    finally:
        if shown:
            logging.enable_progress_bar()


def _file(path: str | Path, name: str, revision: str | None, local_files_only: bool) -> Path | None:
    """The file in a folder, or in the hub's cache, where it is put if need be; None where there is none."""
    if Path(path).is_file():  # a config by itself
        return Path(path) if name == "config.json" else None
    if Path(path).is_dir():
        inside = Path(path) / name
        return inside if inside.is_file() else None
    from transformers.utils.hub import cached_file

    cached = cached_file(
        str(path),
        name,
        revision=revision,
        local_files_only=local_files_only,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if cached is None else Path(cached)


def _auto_map(file: Path) -> Any:
    """What a config names as code; a file that cannot be read is left to the library, which says what is wrong."""
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return _find(settings)


def _find(settings: Any) -> Any:
    """The first `auto_map` that is not empty, of the config or of one inside it."""
    if not isinstance(settings, dict):
        return None
    inside = (_find(value) for key, value in settings.items() if key != "auto_map")
    return settings.get("auto_map") or next(filter(None, inside), None)
