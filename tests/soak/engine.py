"""Runs a job in processes that are killed, stopped or short of room, and holds what lies on the disk to its law.

`python -m tests.soak.engine --kills 100` is `make soak`. It goes on where it was cut off: runs/soak/soak.json keeps
how many kills of each job are done. Processes are forked from one that has imported everything and computed nothing.
"""

import argparse
import atexit
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from safetensors import safe_open

import hierrouter_jax
from hierrouter_jax import sums
from hierrouter_jax.files import LEAST_FREE, LOCK
from tests.soak.jobs import JOBS, Job
from tests.soak.processes import ended, holds, killed, over, started

SERVER = """
import json, sys, time
from pathlib import Path
from tests.bridge.endpoints import FakeServer, either
server = FakeServer(either(lambda asked: asked.prompt.splitlines()[0].upper(), 0.002))
Path(sys.argv[1]).write_text(json.dumps({"url": server.url}))
time.sleep(36000)
"""
PATIENCE = 300  # seconds that one run may take
_PAGE = 4096  # bytes of a page of a tmpfs


def whole_files(folder: Path) -> None:
    """Every file that is visible in a folder can be read to its end, and is what its folder's sums list.

    Hidden files are no output, nor are the steps of a checkpoint: whether one is whole, Orbax's own mark says.
    """
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file() or "checkpoints" in path.relative_to(folder).parts[:-1]:
            continue
        if path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        elif path.suffix == ".jsonl":
            [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        elif path.suffix == ".yaml":
            yaml.safe_load(path.read_text("utf-8"))
        elif path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".safetensors":
            with safe_open(path, framework="np") as file:
                [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118 (it is no dictionary)
        elif path.suffix == ".html":
            assert path.read_text("utf-8").rstrip().endswith("</html>"), path
        elif path.suffix == ".png":
            assert b"IEND" in path.read_bytes()[-12:], path
        sums.check_sum(path)


class Soak:
    """One job, its result when nobody disturbs it, and the ways to disturb it.

    Args:
      name: name of the job.
      folder: folder that everything lies in.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.job, self.folder = name, JOBS[name], folder
        self.errors, self._server = folder / "errors", None
        mark, code = folder / "code", _code()
        if not mark.is_file() or mark.read_text() != code:  # what another version left is no result of this one
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(code)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder.parent / "xla")
        if self.job.serves:
            self._serve()
        if not (folder / "whole").exists():
            self.job.prepare(folder)
            if self.job.after:
                assert self.run(folder / "trained", JOBS[self.job.after]) == 0, self.errors.read_text()
            assert self.run(self.out("first")) == 0, self.errors.read_text()  # what it compiles is kept from now on
            shutil.move(folder / "first", folder / "whole")
        begun = time.monotonic()
        self.fresh(self.out("timed"))
        assert self.run(self.out("timed")) == 0, self.errors.read_text()
        self.seconds = time.monotonic() - begun
        self.expected = self.job.result(self.out("whole"))
        assert self.job.result(self.out("timed")) == self.expected, "two undisturbed runs differ"

    def out(self, name: str) -> Path:
        """A folder to write into; all have one name, which some results hold."""
        return self.folder / name / "o"

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def fresh(self, out: Path) -> None:
        """Empty the output, or make it a copy of what the job writes into."""
        shutil.rmtree(out, ignore_errors=True)
        if self.job.copies:
            shutil.copytree(self.folder / self.job.copies, out, dirs_exist_ok=True)

    def run(self, out: Path, job: Job | None = None) -> int:
        """Run to the end; the exit code."""
        if self.job.copies and not out.exists():
            self.fresh(out)
        code = ended(started((job or self.job).command(self.folder, out), self.errors), PATIENCE)
        assert code is not None, f"{self.name}: hangs"
        return code

    def kill(self, out: Path, rng: random.Random) -> bool:
        """Kill one run at a random moment, look at what it left; whether it was killed before its end."""
        process = started(self.job.command(self.folder, out), self.errors)
        code = ended(process, rng.uniform(0, 1.05 * self.seconds))
        if code is None:
            killed(process)
            whole_files(out)
            return True
        self.finished(out, code)
        self.fresh(out)
        return False

    def finished(self, out: Path, code: int) -> None:
        """Hold the end of a run to that of the undisturbed one."""
        assert code == 0, self.errors.read_text()
        whole_files(out)
        assert self.job.result(out) == self.expected, f"{self.name}: another result after it was disturbed"

    def stop_and_continue(self, out: Path, rng: random.Random) -> None:
        """SIGSTOP at a random moment, SIGCONT later: the same result."""
        process = started(self.job.command(self.folder, out), self.errors)
        if ended(process, rng.uniform(0, self.seconds)) is None:
            os.kill(process, signal.SIGSTOP)
            time.sleep(0.3)
            os.kill(process, signal.SIGCONT)
            code = ended(process, PATIENCE)
            assert code is not None, f"{self.name}: hangs after SIGCONT"
            self.finished(out, code)

    def step_clock(self, out: Path) -> None:
        """The wall clock jumps back by a day, and on by two, while it runs: the same result."""

        def jumping() -> None:
            real, calls = time.time, [0]

            def now() -> float:
                calls[0] += 1
                return real() + (-86_400 if calls[0] % 7 == 0 else 172_800 if calls[0] % 11 == 0 else 0)

            time.time = now

        code = ended(started(self.job.command(self.folder, out), self.errors, jumping), PATIENCE)
        assert code is not None, f"{self.name}: hangs when the clock steps"
        self.finished(out, code)

    def two_at_once(self, out: Path) -> str:
        """The second process in a folder is refused in one line, or, where the first is done, does the same."""
        command = self.job.command(self.folder, out)
        first = started(command, self.errors)
        deadline = time.monotonic() + PATIENCE
        while not holds(out / LOCK, first) and not over(first) and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(first, signal.SIGSTOP)  # a quick job would be over before the second begins
        held = holds(out / LOCK, first)
        others = self.folder / "others"
        second = ended(started(command, others), PATIENCE)
        os.kill(first, signal.SIGCONT)
        code = ended(first, PATIENCE)
        assert code is not None
        self.finished(out, code)
        if held or second != 0:
            assert second == 2, f"{second}: {others.read_text()}"
            assert "is being written by process" in others.read_text()
        return "refused" if second else "done before"

    def on_small_disk(self, out: Path, rng: random.Random, options: str = "") -> str:
        """A disk that is full at a random moment: one line, nothing half-written, and with room it goes on.

        Args:
          out: folder that the small disk is mounted at.
          options: what the mount is told in place of a random size.
        """
        copied = _pages(self.folder / self.job.copies) if self.job.copies else 0
        needed = _pages(self.folder / "whole") - copied
        room = rng.uniform(0.9, 1.2) * LEAST_FREE + rng.uniform(0, 1.3) * needed  # less than the first is never begun
        size = options or f"size={copied + int(room)}"
        out.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(out)], check=True, capture_output=True)
        try:
            self._copy_into(out / "o")
            code = ended(started(self.job.command(self.folder, out / "o"), self.errors), PATIENCE)
            assert code is not None, f"{self.name}: hangs on a full disk"
            if code != 0:
                lines = self.errors.read_text().strip().splitlines()
                assert code == 2, lines
                assert lines[-1].startswith("hierrouter: error:"), lines[-1]
                assert not any("Traceback" in line for line in lines), lines
                with suppress(sums.InputError):  # a sum may be what found no room
                    whole_files(out / "o")
            subprocess.run(["mount", "-o", "remount,size=1g,nr_inodes=100000", str(out)], check=True)
            if not (out / "o").exists() or (self.job.copies and code != 0):
                self._copy_into(out / "o")
            self.finished(out / "o", self.run(out / "o"))
        finally:
            subprocess.run(["umount", "-l", str(out)], check=True)
        return "full" if code else "enough"

    def on_full_disk(self, out: Path, rng: random.Random) -> None:
        """Something else takes all room in the middle: one line that says so; with room again, it goes on."""
        out.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(out)], check=True, capture_output=True)
        try:
            for _ in range(10):
                self.fresh(out / "o")
                process = started(self.job.command(self.folder, out / "o"), self.errors)
                code = ended(process, rng.uniform(0, 0.8 * self.seconds))
                if code is None and _filled(out / "ballast"):
                    code = ended(process, PATIENCE)
                assert code is not None, f"{self.name}: hangs on a full disk"
                (out / "ballast").unlink(missing_ok=True)
                said = self.errors.read_text()
                if code:  # else all was written before
                    assert code == 2, said
                    last = said.splitlines()[-1].lower()
                    assert "no space left on device" in last or "disk is full" in last, said
                    assert "Traceback" not in said, said
                    self.finished(out / "o", self.run(out / "o"))
                    return
            raise AssertionError(f"{self.name}: the disk was never full in time")
        finally:
            subprocess.run(["umount", "-l", str(out)], check=True)

    def on_read_only_disk(self, out: Path, rng: random.Random) -> None:
        """The disk turns read-only in the middle: one line; writable again, it goes on."""
        out.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(out)], check=True, capture_output=True)
        try:
            self._copy_into(out / "o")
            process = started(self.job.command(self.folder, out / "o"), self.errors)
            code = ended(process, rng.uniform(0, self.seconds))
            if code is None:
                done = subprocess.run(["mount", "-o", "remount,ro", str(out)], capture_output=True)
                code = ended(process, PATIENCE)  # a file that is open for writing may keep the disk writable
                assert code is not None, f"{self.name}: hangs on a read-only disk"
                assert code == 2 if done.returncode == 0 and code else code in (0, 2), self.errors.read_text()
                assert "Traceback" not in self.errors.read_text()
                subprocess.run(["mount", "-o", "remount,rw", str(out)], check=True)
            self.finished(out / "o", self.run(out / "o"))
        finally:
            subprocess.run(["umount", "-l", str(out)], check=True)

    def _copy_into(self, out: Path) -> None:
        if self.job.copies:
            shutil.copytree(self.folder / self.job.copies, out, dirs_exist_ok=True)

    def _serve(self) -> None:
        address = self.folder / "server.json"
        address.unlink(missing_ok=True)
        self._server = subprocess.Popen([sys.executable, "-c", SERVER, str(address)])
        atexit.register(self.close)  # also where something fails before anybody closes it; forks end without this
        deadline = time.monotonic() + 60
        while not address.is_file() or not address.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if (self.folder / "pool.yaml").is_file():
            self.job.prepare(self.folder)  # its address is another now


def _code() -> str:
    """SHA-256 of the sources of the package."""
    digest = hashlib.sha256()
    for path in sorted(Path(hierrouter_jax.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _pages(folder: Path) -> int:
    """Bytes that the files of a folder take on a small disk, in whole pages."""
    return sum(-(-path.stat().st_size // _PAGE) * _PAGE for path in folder.rglob("*") if path.is_file())


def _filled(ballast: Path) -> bool:
    """Write a file until its disk takes no more; True."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return shutil.disk_usage(ballast).free == 0


def can_mount(folder: Path) -> str:
    """Why no small disk can be mounted here; empty where one can."""
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        return f"a small disk cannot be mounted here ({done.stderr.strip()})"
    subprocess.run(["umount", str(folder)], check=True)
    return ""


def soak(name: str, folder: Path, kills: int, seed: int, state: dict[str, Any], keep: Any) -> None:
    """All kills of one job, and each of the other troubles once in ten kills; `keep` writes down how far it is."""
    one = Soak(name, folder / name)
    out = one.out("out")
    mine = state.setdefault(name, {"kills": 0, "ended_before": 0, "full": 0, "enough": 0})
    mine |= {"refused": 0, "done before": 0} | mine  # what an earlier version did not count
    try:
        while mine["kills"] < kills:
            rng = random.Random(f"{seed} {name} {mine['kills']} {mine['ended_before']}")
            if not out.exists():
                one.fresh(out)
            before_its_end = one.kill(out, rng)
            mine["kills" if before_its_end else "ended_before"] += 1
            if before_its_end and mine["kills"] % 10 == 0:
                _others(one, folder, rng, mine)
            keep()
        if not out.exists():
            one.fresh(out)
        one.finished(out, one.run(out))
    finally:
        one.close()


def _others(one: Soak, folder: Path, rng: random.Random, mine: dict[str, int]) -> None:
    apart = one.out("apart")
    for trouble in (one.step_clock, lambda out: one.stop_and_continue(out, rng)):
        one.fresh(apart)
        trouble(apart)
    one.fresh(apart)
    mine[one.two_at_once(apart)] += 1
    if not can_mount(folder / "disk"):
        mine[one.on_small_disk(folder / "disk", rng)] += 1
        one.on_full_disk(folder / "disk", rng)
        one.on_small_disk(folder / "disk", rng, "size=1g,nr_inodes=12")
        one.on_read_only_disk(folder / "disk", rng)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/soak"))
    parser.add_argument("--only", nargs="*", default=list(JOBS))
    chosen = parser.parse_args()
    path = chosen.out.absolute() / "soak.json"
    state = json.loads(path.read_text()) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in chosen.only:
        soak(name, path.parent, chosen.kills, chosen.seed, state, lambda: path.write_text(json.dumps(state, indent=2)))
        print(name, state[name], flush=True)


if __name__ == "__main__":
    _main()
