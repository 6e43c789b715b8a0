"""Where a model's weights are: a hub id, a folder, a GGUF file, or a specialist that ships with this package."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierrouter_jax.bridge.pool.config import ModelConfig
from hierrouter_jax.bridge.pretrained import from_pretrained
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.files import user_cache

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# torch and transformers are imported where they are used: a pool of endpoints alone needs neither.


@dataclass(frozen=True)
class ModelSize:
    """How large a causal model is. Mixtures of experts are counted as if all experts ran.

    Attributes:
      parameters: number of all weights, a shared embedding once.
      layers: number of attention layers.
      width: size of a layer's queries: heads x their size; 0 where the config tells of no heads.
      flops_per_token: operations for a token that is written, by the usual count (Kaplan et al. 2020, arXiv 2001.08361,
        2.1): twice the parameters that are no embeddings, and twice hidden size times vocabulary for its logits. A
        multiplication and its addition are two operations. Attention is left out: what grows with the length is small
        for short contexts.
    """

    parameters: int
    layers: int
    width: int
    flops_per_token: int


def count_parameters(config: "PretrainedConfig", trust: bool = False) -> ModelSize:
    """The size of the causal model that a config describes, built without memory for its weights.

    Args:
      config: configuration of the model.
      trust: whether code that the config names may be run.

    Raises:
      ValueError: if transformers knows no causal model of this config.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    read, head = model.get_input_embeddings(), model.get_output_embeddings()
    embeddings = {weights.weight for weights in (read, head) if weights is not None}
    parameters = sum(weights.numel() for weights in set(model.parameters()))
    text = config.get_text_config()
    heads = getattr(text, "num_attention_heads", 0) or 0
    return ModelSize(
        parameters=parameters,
        layers=text.num_hidden_layers,
        width=heads * (getattr(text, "head_dim", None) or (text.hidden_size // heads if heads else 0)),
        flops_per_token=2 * (parameters - sum(weights.numel() for weights in embeddings))
        + 2 * (head.weight.numel() if head is not None else 0),
    )


def member_size(config: ModelConfig, known: "PretrainedConfig | None", **options: Any) -> ModelSize | None:
    """The size of a member's model: by what its `size_from` says, or else by its source's config.

    Args:
      config: configuration of the member.
      known: config of its source; None where there is none.
      options: options of `from_pretrained`, where `size_from` names another config.
    Returns:
      None where no config is known at all.
    Raises:
      InputError: if `size_from` changes fields that the config does not have, or there is no config to change.
      OSError, ValueError and others of transformers: if the config is not there, or describes no causal model.
    """
    changes = config.size_from
    if changes:
        from transformers import AutoConfig
    if isinstance(changes, str):
        if changes.endswith(".json") and not Path(changes).is_file():  # else the hub would be asked for it
            raise InputError(f"model {config.name!r}: size_from: {changes}: no such file")
        try:
            where = changes if changes.endswith(".json") else described(changes)
        except InputError as error:
            raise InputError(f"model {config.name!r}: size_from: {error}") from None
        known = from_pretrained(AutoConfig, where, trust=config.trust_remote_code, **options)
    elif changes:
        if known is None:
            raise InputError(f"model {config.name!r}: size_from changes its source's config, but it has no source")
        fields = known.to_dict()
        for name in changes:
            if name not in fields:
                raise InputError(
                    f"model {config.name!r}: size_from.{name} is not in the config of {config.source}; "
                    f"{nearest(name, sorted(fields))}"
                )
        known = AutoConfig.for_model(**{**fields, **changes})
    return None if known is None else count_parameters(known, config.trust_remote_code)


PACKAGE_PREFIX = "package:"
SPECIALISTS = "specialists"


def resolve_source(source: str) -> str:
    """Where transformers finds a source: the folder or GGUF file, or the hub id as it is.

    Raises:
      InputError: if it is empty, or can only be a folder or a file, and there is none.
    """
    if not source.strip():
        raise InputError("source is empty, but must be a hub id, a folder or a GGUF file")
    if source.startswith(PACKAGE_PREFIX):
        shipped = Path(str(files("hierrouter_jax"))) / SPECIALISTS
        folder = shipped / source.removeprefix(PACKAGE_PREFIX)
        if not (folder / "config.json").is_file():
            known = sorted(config.parent.name for config in shipped.glob("*/config.json"))
            raise InputError(f"{source}: no such specialist; the package holds {', '.join(known) or 'none'}")
        return str(folder)
    path = Path(source).expanduser()
    if path.is_dir() or (is_gguf(source) and path.is_file()):
        return str(path)
    if is_gguf(source):
        raise InputError(f"{source}: no such GGUF file")
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise InputError(f"{source}: no such folder")
    return source


def resolve_commit(source: str, revision: str | None = None, cache: str | None = None) -> str | None:
    """The commit that a revision of a hub id names now, by default its main branch; None of what lies on this machine.

    Out of the hub's reach it is the commit that the revision named when it was last loaded.

    Args:
      source: source as `resolve_source` takes it.
      revision: branch, tag or commit; the main branch by default.
      cache: folder of the hub's files here, where it is not the usual one.

    Raises:
      ValueError: saying what the hub does not know, or that it cannot be asked.
      InputError: as `resolve_source`.
    """
    path = resolve_source(source)
    if Path(path).exists():
        return None
    from huggingface_hub import errors, resolve_revision  # only where the hub is asked

    try:
        return resolve_revision(path, revision=revision, cache_dir=cache).resolved
    except errors.GatedRepoError:
        raise ValueError("the hub gives it only to those who ask there and log in") from None
    except errors.RepositoryNotFoundError:
        raise ValueError("the hub knows no such model, or it is private") from None
    except errors.RevisionNotFoundError:
        raise ValueError(f"the hub knows no revision {revision!r} of it") from None
    except errors.RevisionResolutionError:
        raise ValueError("the hub is out of reach, and its cache here holds no such model") from None
    except errors.HfHubHTTPError as error:
        raise ValueError(f"the hub answers: {str(error).splitlines()[0]}") from None


def is_gguf(source: str) -> bool:
    """Whether a source is a GGUF file by its name."""
    return source.endswith(".gguf")


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
    from transformers import AutoConfig, AutoTokenizer

    tokenizer, config = (
        from_pretrained(kind, path.parent, gguf_file=path.name) for kind in (AutoTokenizer, AutoConfig)
    )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
        try:
            tokenizer.save_pretrained(unfinished)
            config.save_pretrained(unfinished)
            unfinished.chmod(0o755)
            _put(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{folder.parent}: the tokenizer of {path} cannot be kept there ({error.strerror}); let XDG_CACHE_HOME "
            "name a folder that can be written"
        ) from None
    return folder


def _put(unfinished: Path, folder: Path) -> None:
    """Rename a whole folder into its place, unless another process did so first."""
    try:
        os.rename(unfinished, folder)
    except OSError:
        if not all((folder / name).is_file() for name in _WHOLE):  # what is there was damaged
            shutil.rmtree(folder)
            os.rename(unfinished, folder)


def _key(path: Path, size: int) -> str:
    import tokenizers
    import transformers

    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_HEADER_BYTES))
    digest.update(repr((size, _LAYOUT, transformers.__version__, tokenizers.__version__)).encode())
    return digest.hexdigest()[:32]


def reach(config: ModelConfig, known: "PretrainedConfig | None") -> int | None:
    """Longest prompt and response together, in tokens: the least of what the member and its model's config say."""
    stated = None if known is None else getattr(known.get_text_config(), "max_position_embeddings", None)
    return min(filter(None, (config.positions, stated)), default=None)


def description(config: ModelConfig) -> dict[str, Any]:
    """What `from_pretrained` takes of a member's tokenizer or config: its source, and whether code in it is trusted."""
    revision = {"revision": config.revision} if config.revision else {}
    return {"path": described(config.source), "trust": config.trust_remote_code, **revision}
