"""Every verb on its own, on a small run; and every kind of bad input: one line, exit code 2."""

import os
import shutil
import subprocess
import sys

import pytest

from hierrouter_jax.cli.main import PIPE_CLOSED, VERBS, main
from hierrouter_jax.sums import sign
from hierrouter_jax.sweeps.workers import WorkerError
from tests.cli.small_run import SMALL, refused


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"hierrouter {verb}" in capsys.readouterr().out.partition("example:")[2]


@pytest.mark.parametrize("options", [[], ["collect", "--help"]])
def test_output_that_nobody_reads_ends_it_without_a_word(options):
    """As of `hierrouter ... | head`: the reader is gone before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "hierrouter_jax.cli.main", *options]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (PIPE_CLOSED, "")


def test_the_overview_lists_every_verb(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


def test_bad_input_gets_one_line(run, tmp_path, capsys):
    table, folder = str(run / "table"), str(run / "run")
    assert "'tain' is not a verb" in refused(capsys, "tain")
    assert "no such outcome table" in refused(capsys, "inspect", str(tmp_path / "none"))
    assert "no such outcome table" in refused(capsys, "train", str(tmp_path / "none"))
    assert "ids run from 'q0'" in refused(capsys, "inspect", table, "--query", "nobody")
    assert "no such run folder" in refused(capsys, "evaluate", str(tmp_path / "none"))
    assert "--split is 'dev'" in refused(capsys, "evaluate", folder, "--split", "dev")
    assert "holds ppo, ppo+stop" in refused(capsys, "export", folder, str(tmp_path / "p"), "--learner", "exact")
    assert "holds seeds 0..1" in refused(capsys, "export", folder, str(tmp_path / "p"), "--seed", "9")
    assert not (tmp_path / "p").exists()
    assert "'tensorbord' is unknown; did you mean tensorboard" in refused(
        capsys, "train", table, "--out", folder, *SMALL, "--track", "tensorbord"
    )
    assert "num_updates" in refused(capsys, "train", table, "--train.static.num_updates", "7")
    assert "learning_rat" in refused(capsys, "train", table, "--train.hyper.learning_rat", "1")
    assert "no such policy bundle" in refused(capsys, "route", "hello", "--policy", str(tmp_path / "none"))
    assert "evaluation.json" in refused(capsys, "report", str(tmp_path))
    assert "no such preset" in refused(capsys, "collect", str(tmp_path / "t"), "--pool", "pool/nope.yaml")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "hierrouter: interrupted\n"),
        (("t keeps 3 runs",), "hierrouter: interrupted; t keeps 3 runs, run the same command again to go on\n"),
    ],
)
def test_an_interrupt_promises_only_what_the_verb_says(words, line, run, tmp_path, capsys, monkeypatch):
    def transfer(*_):
        raise KeyboardInterrupt(*words)

    monkeypatch.setattr("hierrouter_jax.studies.transfer.transfer", transfer)
    assert main(["transfer", str(run / "table"), "--out", str(tmp_path / "transfer")]) == 130
    assert capsys.readouterr().err == line


def test_a_worker_that_died_is_one_line_of_a_comparison(run, tmp_path, capsys, monkeypatch):
    def compare(*_):
        raise WorkerError("a worker process died; run it again to go on")

    monkeypatch.setattr("hierrouter_jax.studies.compare.run.compare", compare)
    out = str(tmp_path / "compare")
    assert main(["compare", str(run / "table"), "--config", "compare/learners.yaml", "--out", out]) == 1
    assert capsys.readouterr().err == "hierrouter: a worker process died; run it again to go on\n"


def test_a_table_with_nan_is_named(run, tmp_path, capsys):
    import pyarrow as pa
    import pyarrow.parquet as pq

    shutil.copytree(run / "table", tmp_path / "table")
    path = tmp_path / "table" / "nodes" / "part-00000.parquet"
    frame = pq.read_table(path).to_pandas()
    frame.loc[7, "quality"] = float("nan")
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    sign(tmp_path / "table")
    assert "quality: query 'q0', node 8 is nan" in refused(capsys, "train", str(tmp_path / "table"))
