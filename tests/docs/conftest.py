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
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("xla")),
        "jax_persistent_cache_min_compile_time_secs": 0.1,
    }
    before = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
