"""Where a model's weights are: a hub id, a folder, a GGUF file, or a specialist that ships with this package."""

from importlib.resources import files
from pathlib import Path

from hierrouter_jax.errors import InputError

PACKAGE_PREFIX = "package:"
SPECIALISTS = "specialists"


def resolve_source(source: str) -> str:
    """Where transformers finds a source: the folder or GGUF file, or the hub id as it is.

    Raises:
      InputError: if it can only be a folder or a file, and there is none.
    """
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
      source: as `resolve_source` takes it.
      revision: branch, tag or commit.
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
