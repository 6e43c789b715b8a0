"""A run folder with its report, built once for every test of the report."""

from pathlib import Path

import pytest

from hierrouter_jax.report.figures import style
from hierrouter_jax.report.pages.compare import build_compare_page
from hierrouter_jax.report.pages.run import build_report
from tests.studies.compare_fixture import SMALL, build_compare_folder
from tests.training.run_folder_fixture import build_run_folder, evaluation


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    folder = build_run_folder(tmp_path_factory.mktemp("runs") / "quickstart")
    build_report(folder)
    return folder


@pytest.fixture(scope="session")
def html(run) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def no_paper(monkeypatch):
    """Nothing is drawn for paper, which takes longer than the page."""
    monkeypatch.setattr(style, "paper_files", lambda _: {})


@pytest.fixture
def numbers() -> dict:
    return evaluation()


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    folder = build_compare_folder(tmp_path_factory.mktemp("compare") / "rewards", **SMALL)
    build_compare_page(folder)
    return folder
