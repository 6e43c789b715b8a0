"""Every verb that writes a folder finds out before its work that it cannot, or that another process does."""

import subprocess
import sys
from pathlib import Path

import pytest

from hierrouter_jax.cli.main import VERBS, main
from hierrouter_jax.files import LOCK
from hierrouter_jax.outcomes.store import save_table
from tests.cli.small_run import refused
from tests.tables import random_table
from tests.test_files import holder

# Verb: its arguments, FOLDER being the one that it writes and TABLE an outcome table.
WRITERS = {
    "train": ["TABLE", "--out", "FOLDER"],
    "sweep": ["TABLE", "--out", "FOLDER", "learning_rate=0.001,0.002", "--seeds", "1"],
    "compare": ["TABLE", "--out", "FOLDER", "--arms", "{a: {}, b: {learner: exact}}"],
    "leaderboard": ["TABLE", "--out", "FOLDER"],
    "transfer": ["TABLE", "--out", "FOLDER"],
    "collect": ["FOLDER", "--counts", "{train: 1, validation: 1, test: 1}"],
    "import": ["long", "TABLE", "--out", "FOLDER"],
    "export": ["TABLE", "FOLDER"],
    "quickstart": ["--out", "FOLDER"],
    "convert": ["model.gguf", "FOLDER"],
    "report": ["TABLE", "TABLE", "--out", "FOLDER"],
    "calls": ["TABLE", "FOLDER"],
    "simulate": ["TABLE", "--out", "FOLDER"],
    "loop": ["TABLE", "--out", "FOLDER"],
    "estimate": ["TABLE", "--policy", "TABLE", "--out", "FOLDER"],
    "pack": ["TABLE", "--out", "FOLDER", "--encoders", "[a]"],
}
# These add to a folder that is there.
ADDERS = {
    "evaluate": ["FOLDER"],
    "calibrate": ["FOLDER", "--budget", "1"],
    "report": ["FOLDER"],
    "regrade": ["FOLDER"],
    "sign": ["FOLDER"],
}
READERS = {"inspect", "route", "serve", "tables", "worth"}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    save_table(random_table(), folder)
    return folder


def arguments(verb: str, pattern: list[str], folder: Path, table: Path) -> list[str]:
    return [verb, *({"FOLDER": str(folder), "TABLE": str(table)}.get(word, word) for word in pattern)]


def test_every_verb_is_known_to_write_or_not():
    assert set(VERBS) == set(WRITERS) | set(ADDERS) | READERS


def test_a_folder_that_another_process_writes_is_refused_by_every_verb(tmp_path, table, capsys):
    process = holder(tmp_path / "run")
    try:
        for verb, pattern in [*WRITERS.items(), *ADDERS.items()]:
            line = refused(capsys, *arguments(verb, pattern, tmp_path / "run", table))
            assert f"run: is being written by process {process.pid}" in line, verb
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("verb", WRITERS)
def test_a_place_that_cannot_be_written_is_refused_by_every_verb(tmp_path, table, capsys, verb):
    (tmp_path / "link").symlink_to(tmp_path / "nothing" / "there")
    for folder, words in (
        (tmp_path / "link", "link: is a link to"),
        (tmp_path / ("n" * 300), "File name too long"),
        (Path("/proc/run"), "/proc/run: cannot be written"),
    ):
        assert words in refused(capsys, *arguments(verb, WRITERS[verb], folder, table))
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_command_that_fails_before_its_work_leaves_no_folder(tmp_path, table, capsys):
    refused(capsys, "train", str(tmp_path / "no-table"), "--out", str(tmp_path / "run"))
    refused(capsys, "import", "long", str(tmp_path / "nothing.csv"), "--out", str(tmp_path / "run"))
    refused(capsys, "export", str(tmp_path / "no-run"), str(tmp_path / "run"))
    refused(capsys, "evaluate", str(tmp_path / "no-run"))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_on_the_way_is_one_sentence(tmp_path, table, capsys, monkeypatch):
    def full(*_: object) -> None:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise ValueError("tensorstore: the array was not written") from error

    monkeypatch.setattr("hierrouter_jax.training.train.train_routers", full)
    line = refused(capsys, "train", str(table), "--out", str(tmp_path / "run"), "--train.features", "2")
    assert line == "hierrouter: error: the output cannot be written (No space left on device)"


@pytest.mark.slow
def test_two_trainings_of_one_folder_are_one_training(tmp_path):
    """The second is refused while the first goes on to its end, untouched."""
    save_table(random_table(queries=60), tmp_path / "table")
    command = [
        *(sys.executable, "-m", "hierrouter_jax.cli.main", "train", str(tmp_path / "table")),
        *("--out", str(tmp_path / "run"), "--train.learners", "[exact]", "--train.num_seeds", "1"),
        *("--train.features", "4", "--train.static.num_updates", "400", "--train.checkpoint_every", "25"),
    ]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    while not (tmp_path / "run" / "checkpoints").is_dir():
        assert first.poll() is None, first.communicate()
    assert main(command[3:]) == 2
    said, complaints = first.communicate(timeout=120)
    assert first.returncode == 0, complaints
    assert "validation return" in said
    assert (tmp_path / "run" / "run.json").is_file()
    assert not (tmp_path / "run" / LOCK).exists()
