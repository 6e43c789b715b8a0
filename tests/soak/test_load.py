"""What watches large jobs sees a leak, and lets pass what is kept; jobs run under it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.load import judged

ROOT = Path(__file__).parents[2]


def rows(descriptors: float = 0.0, memory: float = 0.0) -> list[dict[str, float]]:
    """A hundred rows whose numbers grow by so much each."""
    return [
        {"seconds": float(at), "descriptors": 20 + descriptors * at, "resident": 1e8 + memory * at} for at in range(100)
    ]


def test_a_leak_of_descriptors_and_one_of_memory_are_seen():
    assert "at most 20 descriptors" in judged(rows(), 0, 30)
    with pytest.raises(AssertionError, match="descriptors leak"):
        judged(rows(descriptors=0.2), 0, 30)
    with pytest.raises(AssertionError, match="memory grows"):
        judged(rows(memory=1e6), 0, 30)
    judged(rows(memory=1e6), 60_000_000, 30)


@pytest.mark.extended
@pytest.mark.parametrize(("job", "count"), [("collect", 5000), ("sweep", 10_000), ("serve", 4000)])
def test_a_job_is_watched(job, count, tmp_path):
    command = [
        sys.executable,
        "-m",
        "tests.soak.load",
        job,
        "--count",
        str(count),
        "--every",
        ".1",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{job} of {count}" in done.stdout
    assert len(json.loads((tmp_path / f"{job}.json").read_text())["rows"]) > 5
