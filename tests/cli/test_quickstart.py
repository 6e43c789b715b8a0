"""The main job in small, as a user runs it: real models, every step, from the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hierrouter_jax.files import read_json

SMALL = ["--config", "quickstart/small.yaml"]


def hierrouter(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "hierrouter_jax.cli.main", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=900, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    done = hierrouter("quickstart", *SMALL, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Training routers on " in done.stderr
    assert "[bold]" not in done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


@pytest.mark.slow
def test_it_runs_end_to_end(folder):
    shown = (folder / "stdout.txt").read_text()
    assert "ppo+stop" in shown
    assert "report: run/report.html" in shown
    evaluation = read_json(folder / "run" / "evaluation.json")
    live = evaluation["live"]
    assert live["queries"] == live["routes_equal"] == live["responses_equal"] == 96
    assert evaluation["ceiling"]["oracle_fixed"]["accuracy"] >= 0.93
    singles = [p["accuracy"] for p in evaluation["policies"] if p["kind"] == "single" and "best" not in p["name"]]
    assert max(singles) <= 0.4
    for name in (
        "config.yaml",
        "metrics.parquet",
        "checkpoints",
        "report.html",
        "policy/policy.safetensors",
        "policy/README.md",
        "run.json",
    ):
        assert (folder / "run" / name).exists(), name


@pytest.mark.extended
@pytest.mark.slow
def test_again_from_its_table_it_says_the_same(folder):
    done = hierrouter("quickstart", *SMALL, "--table", "run/table", "--out", "same", cwd=folder)
    assert done.returncode == 0, done.stderr
    first, same = ((folder / run / "evaluation.json").read_bytes() for run in ("run", "same"))
    assert first == same


@pytest.mark.slow
def test_the_exported_policy_answers_live(folder):
    done = hierrouter("route", "Compute 12+7. Answer in words.", "--policy", "run/policy", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    transcript = json.loads(done.stdout)
    assert 1 <= len(transcript["hops"]) <= 3
    assert transcript["answer"] == transcript["hops"][-1]["response"]
    empty = hierrouter("route", "", "--policy", "run/policy", cwd=folder)
    assert empty.returncode == 2
    assert len(empty.stderr.strip().splitlines()) == 1


@pytest.mark.extended
@pytest.mark.slow
def test_an_interrupted_collection_repeats_no_call(folder):
    """The cache of the first run answers every call of a second collection with the same queries."""
    import shutil

    shutil.copytree(folder / "run", folder / "copy")
    (folder / "copy" / "table" / "table.json").unlink()
    (folder / "copy" / "calls.sqlite").rename(folder / "copy" / "table" / "calls.sqlite")
    counts = ["--counts", "{train: 240, validation: 64, test: 96}"]
    done = hierrouter("collect", "copy/table", *counts, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["fingerprint"] == read_json(folder / "run" / "evaluation.json")["table"]["fingerprint"]
