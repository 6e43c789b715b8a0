"""Several runs on one page."""

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.report.build import build_page
from hierrouter_jax.report.pages import several
from tests.report.page_reader import assert_self_contained, change
from tests.training.run_folder_fixture import build_run_folder


def test_several_runs_lie_side_by_side_and_other_tables_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(several, "paper_files", lambda _: {})
    runs = [build_run_folder(tmp_path / name, live=False, seeds=2) for name in ("one", "two")]
    page = assert_self_contained(build_page(runs, tmp_path / "both").read_text(encoding="utf-8"))
    assert "Not made: " in page.text  # these synthetic runs have no routers
    policies = pd.read_csv(tmp_path / "both" / "data" / "policies.csv")
    assert policies.groupby("run")["name"].size().nunique() == 1
    assert set(policies["run"]) == {"one", "two"}
    change(runs[1] / "evaluation.json", lambda value: value["table"].update(fingerprint="another"))
    with pytest.raises(InputError, match=r"on the table 9f2c41d07be35a68 and .*two on the table another"):
        build_page(runs, tmp_path / "both", b="ppo")
