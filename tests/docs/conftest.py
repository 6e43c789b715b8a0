"""Settings of the tests that run the documentation."""

import shutil
from pathlib import Path

import jax
import matplotlib as mpl
import pytest

from tests.docs import stand_ins


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """The folder that every page starts from; a second process takes what the first has made."""
    folder = tmp_path_factory.mktemp("stand-ins")
    stand_ins.make(folder)
    return folder


@pytest.fixture
def home(prepared, tmp_path, monkeypatch) -> Path:
    """A copy of the prepared folder, as the working directory."""
    folder = tmp_path / "home"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    mpl.use("Agg")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory):
    """Programs of the same shapes are compiled once for all pages."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("xla")))
    yield
    jax.config.update("jax_compilation_cache_dir", before)
