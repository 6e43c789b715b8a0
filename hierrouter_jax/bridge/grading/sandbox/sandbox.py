"""Running a program that nobody has read, against tests that it must not see, where it can harm nothing.

Two walls, each with a job of its own.

**Around everything**: bubblewrap. New user, process, network, IPC and host-name namespaces; of the machine's files only
the standard library and the shared libraries, read-only; a private /tmp of limited size; no /proc, no home, no shell;
an empty environment; no capabilities, no further namespaces; an unprivileged user, taken *before* the namespaces are
made, because the limit on processes does not bind root. Limits on memory, CPU time, processes and file size are hard
resource limits. The wall clock is kept outside, and so is the limit on the memory of all processes together, which is
looked at five times a second; the end of the sandbox's first process ends all others. Output goes nowhere. Where
libseccomp is found, system calls that no such program needs fail (`forbidden_calls`).

**Between the program and its tests**: two processes (`runner.py`). A program that runs in its tests' interpreter can
always forge the verdict: it can end the interpreter, patch `assert`'s neighbours, return objects that equal
everything, or read the expected values out of the frames. So the tests run in another process, forked from the same
bare interpreter before the tests are read from standard input. They call the program's functions through pipes and
receive *plain values*, which their own process builds: an answer passes because the value is right, and for no other
reason. The program's process holds no descriptor that leads outside and nothing of the tests but the arguments of
the calls; the tests' process is closed to tracing and reading (PR_SET_DUMPABLE), and only it can write the verdict.
Killing it, or saying nothing, is a failure.

What follows from it: the tests see copies. A program that changes its arguments in place is not seen to do so. Objects
of the program's classes are reached attribute by attribute. Their truth, their length and what they are to each other
is the program's to say, as anywhere; a value of the tests they never equal.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shutil import which
from typing import Any

from hierrouter_jax.bridge.grading.sandbox.limits import address_space, filter_pipe
from hierrouter_jax.bridge.grading.sandbox.wire import frame
from hierrouter_jax.errors import InputError

# The runner's modules come compiled, before anything else on standard input: compiling would take a third of a run.
_MODULES = {f"{__package__}.wire": "wire.py", "__main__": "runner.py"}
_COMPILE = """import marshal, sys
parts = eval(sys.stdin.read())
print(marshal.dumps([(name, compile(text, name, "exec")) for name, text in parts]).hex())
"""
_START = """import marshal, os, sys
def read(size):
    data = b""
    while len(data) < size:
        data += os.read(0, size - len(data))
    return data
for name, code in marshal.loads(read(int.from_bytes(read(8), "little"))):
    module = sys.modules[name] = type(sys)(name)
    exec(code, module.__dict__)
"""
_USERS = range(61184, 65520)  # set aside for users that come and go (systemd's DynamicUser)
_next_user = itertools.count(os.getpid() * 7)
_LOOK_SECONDS = 0.2  # longer than most programs run
_HOW = "grade where it works, or pass --unsafe_no_sandbox to run the programs unprotected"


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
      cpu_seconds: processor time of each process.
      wall_seconds: time from start to verdict; generous, so that a busy machine changes no verdict.
      memory_bytes: address space of each process.
      tree_bytes: address space of all processes together, as seen every fifth of a second; twice `memory_bytes` lets
        the program and its tests both have what a process may.
      processes: number of processes and threads that the program may have at once, itself included.
      file_bytes: largest size of a file.
      tmp_bytes: largest size of all files together.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 30.0
    memory_bytes: int = 1 << 29
    tree_bytes: int = 1 << 30
    processes: int = 8
    file_bytes: int = 1 << 24
    tmp_bytes: int = 1 << 26


@dataclass(frozen=True)
class ProgramTests:
    """Tests of a program.

    Attributes:
      trusted: source code that the tests stand on; what it defines is never the program's.
      entry: names that the tests take from the program; empty for whatever else they use.
      steps: pairs (label, source), run in order; a failing one ends the run under its label.
    """

    trusted: str
    entry: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outcome:
    passed: bool
    reason: str


@dataclass(frozen=True)
class Sandbox:
    """How programs are run here.

    Attributes:
      python: path of the interpreter.
      bwrap: path of bubblewrap around it; None where programs run unprotected.
    """

    python: Path
    bwrap: Path | None

    @property
    def identity(self) -> str:
        """What a verdict may depend on."""
        return f"{self.python.resolve().name} {'bwrap' if self.bwrap else 'unsafe'}"

    def run(self, program: str, tests: ProgramTests, limits: Limits = Limits()) -> Outcome:
        """Run a program against its tests."""
        rlimits: dict[str, Any] = {
            "RLIMIT_CPU": (limits.cpu_seconds, limits.cpu_seconds + 1),
            "RLIMIT_AS": (limits.memory_bytes,) * 2,
            "RLIMIT_FSIZE": (limits.file_bytes,) * 2,
            "RLIMIT_NOFILE": (128, 128),
            "RLIMIT_CORE": (0, 0),
        }
        if self.bwrap:  # elsewhere all of the user's processes would count
            rlimits["RLIMIT_NPROC"] = (limits.processes + 2,) * 2  # the namespace's first process and the tests'
        runner = _compiled_runner(self.python)
        job = runner + frame((program, rlimits)) + frame((tests.trusted, tests.entry, tests.steps))
        with self._command(limits) as (command, options):
            return _finish(command, options, job, limits)

    @contextmanager
    def _command(self, limits: Limits) -> Iterator[tuple[list[str], dict[str, Any]]]:
        python = [str(self.python), "-s", "-S", "-c", _START]
        if self.bwrap is None:
            with tempfile.TemporaryDirectory() as folder:
                yield python, {"cwd": folder, "env": {"PYTHONHASHSEED": "0"}}
            return
        arguments = [str(self.bwrap), *_namespaces(limits), *_files(self.python), "--remount-ro", "/"]
        options: dict[str, Any] = {"cwd": "/", "env": {}}
        if os.geteuid() == 0:
            user = _USERS[next(_next_user) % len(_USERS)]
            if setpriv := which("setpriv"):  # spares a fork of this process, which may be large
                arguments = [setpriv, f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *arguments]
            else:
                options |= {"user": user, "group": user, "extra_groups": []}
        with filter_pipe() as descriptor:
            if descriptor is not None:
                arguments += ["--seccomp", str(descriptor)]
                options["pass_fds"] = [descriptor]
            yield [*arguments, *python], options


def _namespaces(limits: Limits) -> list[str]:
    kinds = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    environment = ["--clearenv", "--setenv", "PYTHONHASHSEED", "0"]  # a verdict must not hang on the order of sets
    return [*kinds, *environment, "--size", str(limits.tmp_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]


@lru_cache(maxsize=8)
def _compiled_runner(python: Path) -> bytes:
    """The runner as that interpreter's code, after its length."""
    command = [str(python), "-I", "-S", "-c", _COMPILE]
    here = Path(__file__).parent
    parts = [(name, (here / file).read_text("utf-8")) for name, file in _MODULES.items()]
    done = subprocess.run(command, input=repr(parts), capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{python} cannot compile the runner: {done.stderr.strip()[-200:]}")
    code = bytes.fromhex(done.stdout)
    return len(code).to_bytes(8, "little") + code


@lru_cache(maxsize=8)
def _files(python: Path) -> tuple[str, ...]:
    """Read-only mounts: shared libraries, the interpreter and its library; two harmless devices."""
    mounts = ["--ro-bind", "/usr/lib", "/usr/lib"]
    for name in ("/usr/lib64", "/lib", "/lib64"):
        if os.path.islink(name):
            mounts += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            mounts += ["--ro-bind", name, name]
    prefix = python.parent.parent
    mounts += ["--ro-bind", str(python), str(python)]
    if prefix != Path("/usr"):
        mounts += ["--ro-bind", str(prefix / "lib"), str(prefix / "lib")]
    mounts += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for device in ("/dev/null", "/dev/urandom"):
        mounts += ["--dev-bind", device, device]
    return tuple(mounts)


def _finish(command: list[str], options: dict[str, Any], job: bytes, limits: Limits) -> Outcome:
    """Give the job to the process, wait for its line, and leave nothing of it behind."""
    pipe = subprocess.PIPE
    process: Any = subprocess.Popen(  # the options' types are not known to it
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=False, start_new_session=True, **options
    )
    try:
        out, err = _communicate(process, job, limits)
    except subprocess.TimeoutExpired:
        return Outcome(False, "timeout: wall clock")
    except MemoryError:
        return Outcome(False, f"memory: more than {limits.tree_bytes >> 20} MiB in all processes")
    finally:
        _end(process)
    line = out.decode("utf-8", "replace")
    if line[:2] in ("1 ", "0 "):
        return Outcome(line[0] == "1", line[2:])
    detail = err.decode("utf-8", "replace").strip().splitlines()[-1:]
    return Outcome(False, ": ".join(["no verdict", *detail])[:300])


def _communicate(process: subprocess.Popen[bytes], job: bytes, limits: Limits) -> tuple[bytes, bytes]:
    """As the process's own; while it runs, the memory of its descendants is looked at.

    Raises:
      TimeoutExpired: when the wall clock ends.
      MemoryError: when they hold too much.
    """
    deadline = time.monotonic() + limits.wall_seconds
    rest: bytes | None = job
    while True:
        left = deadline - time.monotonic()
        try:
            return process.communicate(rest, timeout=max(min(left, _LOOK_SECONDS), 0))
        except subprocess.TimeoutExpired:
            if left <= _LOOK_SECONDS:
                raise
        rest = None  # the process has what is left of it
        if address_space(process.pid) > limits.tree_bytes:
            raise MemoryError


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group; bubblewrap's children die with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@lru_cache(maxsize=2)
def find_sandbox(allow_unsandboxed: bool = False) -> Sandbox:
    """The sandbox of this machine, tried out once.

    Args:
      allow_unsandboxed: whether to run programs without a sandbox where there is none.
    Raises:
      InputError: if there is none and that is not allowed.
    """
    bwrap = which("bwrap")
    problem = "bubblewrap is not installed: apt-get install bubblewrap, 0.8 or newer"
    if bwrap:
        for python in _interpreters():
            sandbox = Sandbox(python, Path(bwrap))
            problem = _problem(sandbox)
            if not problem:
                return sandbox
    if not allow_unsandboxed:
        raise InputError(f"no code is run without a sandbox ({problem}); {_HOW}")
    return Sandbox(Path(sys.executable), None)


def _interpreters() -> list[Path]:
    """Candidates: the interpreter that runs this, then the system's; those that the sandbox's user can read."""
    own = Path(getattr(sys, "_base_executable", sys.executable))
    paths = [own, Path("/usr/bin/python3"), Path("/usr/local/bin/python3")]
    return list(dict.fromkeys(path.resolve() for path in paths if path.exists()))


def _problem(sandbox: Sandbox) -> str:
    """Why a sandbox does not work here; empty where it does."""
    tests = ProgramTests("", ("f",), (("trial", "assert f(1) == 2"),))
    try:
        outcome = sandbox.run("def f(x):\n    return x + 1", tests)
    except OSError as error:
        return str(error)
    return "" if outcome.passed else f"bwrap with {sandbox.python} says {outcome.reason!r}"
