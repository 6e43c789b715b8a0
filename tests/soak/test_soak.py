"""Five kills of each of three jobs, at other moments every day; and the planted faults."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from hierrouter_jax import files
from hierrouter_jax.files import write_json, write_text
from tests.soak.engine import can_mount, whole_files
from tests.soak.jobs import JOBS, without_times

ROOT = Path(__file__).parents[2]
# Those that a process runs in a second or two; the others are killed by their own tests, and by `make soak`.
QUICK = ["import", "export", "leaderboard"]
SEED = int(os.environ.get("HIERROUTER_SOAK_SEED", date.today().toordinal()))
CHILD = """
import sys
from tests.soak.engine import soak, Soak, can_mount
from pathlib import Path
import json, random
folder, names, seed, kills = Path(sys.argv[1]), sys.argv[2].split(), int(sys.argv[3]), int(sys.argv[4])
state = {}
for name in names:
    soak(name, folder, kills, seed, state, lambda: None)
print(json.dumps(state))
"""


def in_a_process(folder: Path, names: list[str], kills: int) -> dict:
    """The soak in a fresh interpreter, which has computed nothing that its forks would inherit."""
    arguments = [str(folder), " ".join(names), str(SEED), str(kills)]
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"HIERROUTER_SOAK_SEED={SEED}: {done.stderr[-3000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def test_five_kills_of_three_jobs_change_nothing(tmp_path):
    state = in_a_process(tmp_path, QUICK, 5)
    print(SEED, state)
    assert set(state) == set(QUICK)
    assert all(one["kills"] == 5 for one in state.values())


@pytest.mark.extended
@pytest.mark.parametrize("name", JOBS)
def test_ten_kills_and_every_other_trouble(name, tmp_path):
    state = in_a_process(tmp_path, [name], 10)
    assert state[name]["kills"] == 10
    if not can_mount(tmp_path / "disk"):
        assert state[name]["full"] + state[name]["enough"] == 1


TROUBLES = """
import json, random, sys
from pathlib import Path
from tests.soak.engine import Soak, can_mount
one = Soak(sys.argv[2], Path(sys.argv[1]))
second = [one.two_at_once(one.out(f"two{time}")) for time in range(3)]
missing = can_mount(Path(sys.argv[1]) / "disk")
if not missing:
    one.on_full_disk(Path(sys.argv[1]) / "disk", random.Random(0))
one.close()
print(json.dumps([second, missing]))
"""


@pytest.mark.extended
@pytest.mark.parametrize("name", ["collect", "train"])
def test_a_full_disk_and_a_second_process_are_really_met(name, tmp_path):
    done = subprocess.run([sys.executable, "-c", TROUBLES, tmp_path, name], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    second, missing = json.loads(done.stdout.splitlines()[-1])
    assert "refused" in second
    if missing:
        pytest.skip(missing)


NO_LOCK = """
import sys
from pathlib import Path
from hierrouter_jax import files
from tests.soak.engine import Soak
files.FileLock.acquire = lambda self: None
one = Soak("export", Path(sys.argv[1]))
one.two_at_once(one.out("two"))
"""


@pytest.mark.extended
def test_two_writers_without_a_lock_are_seen(tmp_path):
    """The planted fault: nothing keeps the second process out."""
    done = subprocess.run([sys.executable, "-c", NO_LOCK, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "in two_at_once" in done.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"half": '),
        ("a.jsonl", '{"whole": 1}\n{"half'),
        ("a.parquet", "PAR1 half"),
        ("a.html", "<html><body>half"),
        ("a.yaml", "a: [half"),
        ("a.png", "half"),
        ("a.safetensors", "half"),
    ],
)
def test_a_half_written_file_is_seen(name, content, tmp_path):
    """The planted fault: a writer that does not replace files at once."""
    (tmp_path / name).write_text(content)
    with pytest.raises(Exception):  # noqa: B017, PT011 (each reader has its own)
        whole_files(tmp_path)
    (tmp_path / name).rename(tmp_path / f".{name}")
    whole_files(tmp_path)


def test_a_writer_that_is_killed_in_the_middle_leaves_no_half(tmp_path):
    """The file that is being written has a hidden name until it is whole."""
    write_json(tmp_path / "a.json", [1])
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom hierrouter_jax.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('[1, 2')\n    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.json")], cwd=ROOT)
    assert done.returncode == -9
    whole_files(tmp_path)
    assert json.loads((tmp_path / "a.json").read_text()) == [1]


def test_a_damaged_file_of_a_signed_folder_is_seen(tmp_path):
    (tmp_path / "hierrouter.sha256").write_text("")
    write_text(tmp_path / "a.yaml", "a: 1\n")
    (tmp_path / "a.yaml").write_text("a: 2\n")
    with pytest.raises(files.InputError, match="is not the file"):
        whole_files(tmp_path)


def test_times_are_no_result():
    assert without_times({"a": 1, "seconds": 2, "b": [{"machine": 3, "c": 4}]}) == {"a": 1, "b": [{"c": 4}]}
