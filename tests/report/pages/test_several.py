"""Several runs on one page."""

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.report.build import build_page
from hierrouter_jax.report.data.run import run_frames
from hierrouter_jax.report.pages import several
from tests.report.page_reader import assert_self_contained, change
from tests.training.run_folder_fixture import build_run_folder


def test_several_runs_lie_side_by_side_and_other_tables_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(several, "paper_files", lambda _: {})
    runs_read = []
    monkeypatch.setattr(several, "run_frames", lambda files: runs_read.append(files.name) or run_frames(files))
    runs = [build_run_folder(tmp_path / name, live=False, seeds=2) for name in ("one", "two")]
    page = assert_self_contained(build_page(runs, tmp_path / "both").read_text(encoding="utf-8"))
    assert "Not made: " in page.text  # these synthetic runs have no routers
    assert "All on the same 600 queries of the test split." in page.text
    assert runs_read == ["one", "two"]  # the tables of a run, once
    curves = pd.read_csv(tmp_path / "both" / "data" / "curves.csv")
    assert curves.groupby("run")["metric"].unique().map(tuple).nunique() == 1
    policies = pd.read_csv(tmp_path / "both" / "data" / "policies.csv")
    assert policies.groupby("run")["name"].size().nunique() == 1
    assert set(policies["run"]) == {"one", "two"}
    change(runs[1] / "evaluation.json", lambda value: value["table"]["pool"][0].update(price_in=7.5))
    page = assert_self_contained(build_page(runs, tmp_path / "both").read_text(encoding="utf-8"))
    assert "or at different prices: their numbers do not compare." in page.text
    assert "at the prices reader 7.5 in and 0.74 out" in page.text
    change(runs[1] / "evaluation.json", lambda value: value["table"].update(fingerprint="another"))
    with pytest.raises(InputError, match=r"on the table 9f2c41d07be35a68 and .*two on the table another"):
        build_page(runs, tmp_path / "both", b="ppo")
