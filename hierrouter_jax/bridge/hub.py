"""Policy bundles on the Hugging Face hub: pushed as one commit, pulled by `hf://OWNER/NAME`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hierrouter_jax.bundle import HEADER, WEIGHTS
from hierrouter_jax.bundle_card import CARD
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.sums import SUMS

# Slashes as they are, or as a path writes them: pathlib makes one of two.
_SOURCE = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+)(?:@(.+))?")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def policy_folder(source: Path | str) -> Path:
    """The folder of a bundle that lies here, or that `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION` names.

    The hub's files are kept in its own cache, and read from there where the hub is out of reach.

    Raises:
      InputError: if the hub knows no such repository, revision or bundle, or cannot be asked.
    """
    text = str(source)
    if not text.startswith("hf:/"):
        return Path(source)
    match = _SOURCE.fullmatch(text)
    if match is None:
        raise InputError(f"{text}: must be hf://OWNER/NAME, or hf://OWNER/NAME@REVISION")
    from huggingface_hub import snapshot_download  # only where the hub is asked

    repository, revision = match.groups()
    with _asking(f"hf://{repository}", revision):
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=[HEADER, WEIGHTS, CARD, SUMS]))
    if not (folder / HEADER).is_file():
        raise InputError(f"hf://{repository}: holds no {HEADER}, so that it is no policy bundle")
    return folder


def push_policy(folder: Path, repository: str, public: bool = False) -> str:
    """Put every file of a bundle's folder into a repository of the hub, as one commit.

    Args:
      folder: folder of the bundle.
      repository: OWNER/NAME, made where there is none, as a private one.
      public: whether a repository that is made is public.

    Returns:
      `hf://OWNER/NAME@COMMIT`, by which exactly this bundle is pulled.

    Raises:
      InputError: if the hub refuses, as without a token, or cannot be asked.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(f"the repository is {repository!r}, but must be OWNER/NAME")
    from huggingface_hub import CommitOperationAdd, HfApi

    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    with _asking(f"hf://{repository}", None):
        api = HfApi()
        api.create_repo(repository, private=not public, exist_ok=True)
        commit = api.create_commit(
            repository,
            [CommitOperationAdd(path.name, path) for path in files],
            commit_message="Add a policy bundle of hierrouter_jax",
        )
    return f"hf://{repository}@{commit.oid}"


@contextmanager
def _asking(source: str, revision: str | None) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise InputError(f"{source}: the hub gives it only to those who ask there and log in") from None
    except errors.RepositoryNotFoundError:
        raise InputError(f"{source}: the hub knows no such repository, or it is private (hf auth login)") from None
    except errors.RevisionNotFoundError:
        raise InputError(f"{source}: the hub knows no revision {revision!r} of it") from None
    except errors.LocalEntryNotFoundError:
        raise InputError(f"{source}: the hub is out of reach, and its cache here holds no such bundle") from None
    except (errors.HfHubHTTPError, OSError, errors.HFValidationError) as error:
        raise InputError(f"{source}: the hub cannot be used ({reason_of(error)})") from None
