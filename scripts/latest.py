"""The core tests on the newest Python here and the newest libraries that pip resolves: what will break, before it does.

    python -m scripts.latest                        # make test-latest
    python -m scripts.latest --python python3.13 --tests tests/agents

It makes `.venv-latest` anew, without constraints.txt, runs the tests of the pure rooms and of the ground floor with
warnings as errors, and writes what it found into runs/latest.json: versions, and each test that failed. Where pip
cannot resolve the set, that is the report. A test that fails here is no fault of a change; it tells what is to come.
"""

import argparse
import json
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENV, REPORT = ROOT / ".venv-latest", ROOT / "runs" / "latest.json"
CORE = ["tests/envs", "tests/policies", "tests/evaluation", "tests/agents", "tests/outcomes", "tests/test_hop_tree.py"]
WATCHED = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "chex", "distrax", "tfp-nightly", "numpy", "pyarrow")
# Warnings of libraries on their own use of others, which nobody here can mend.
KNOWN = ("ignore::DeprecationWarning:tensorflow_probability", "ignore:distrax cannot be imported:UserWarning")


def newest_python() -> str:
    """The newest Python that is found here, 3.11 or later."""
    names = (f"python3.{minor}" for minor in range(20, 10, -1))
    paths = [found for name in names if (found := shutil.which(name))]
    paths += [str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin/python3")]
    versions = {version_of(path): path for path in paths}
    return versions[max(versions)]


def version_of(python: str) -> tuple[int, ...]:
    """Major, minor and patch; empty where it is a shim that leads nowhere."""
    ask = "import sys; print(*sys.version_info[:3])"
    return tuple(map(int, subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout.split()))


def installed() -> dict[str, str]:
    """Versions of the libraries that matter most, in the new environment."""
    listed = subprocess.run(
        [VENV / "bin/python", "-m", "pip", "list", "--format", "json"], capture_output=True, text=True
    )
    versions = {one["name"].lower(): one["version"] for one in json.loads(listed.stdout or "[]")}
    return {name: versions.get(name, "missing") for name in WATCHED}


def main(python: str, tests: list[str], keep: bool) -> int:
    """Resolve, test, report; the exit code is that of the tests, or 2 where pip finds no set."""
    report: dict = {"python": ".".join(map(str, version_of(python)))}
    if not keep:
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(VENV)], check=True)
        extras = ["pytest>=8", "hypothesis>=6.100", "gymnasium>=1.1"]
        pip = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--upgrade", "-e", str(ROOT), *extras]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode:
            return _write(report | {"resolved": False, "pip": done.stderr.strip()[-2000:]}, 2)
    warnings = [option for known in ("error", *KNOWN) for option in ("-W", known)]
    command = [str(VENV / "bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *warnings, *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?$", done.stdout, re.M)
    last = done.stdout.strip().splitlines()[-1:]
    report |= {"resolved": True, "versions": installed(), "summary": last, "failed": dict(failed)}
    return _write(report, done.returncode)


def _write(report: dict, code: int) -> int:
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=None, help="the interpreter; by default the newest here")
    parser.add_argument("--tests", nargs="*", default=CORE, help="files and folders of tests")
    parser.add_argument("--keep", action="store_true", help="take the environment of the last time")
    chosen = parser.parse_args()
    raise SystemExit(main(chosen.python or newest_python(), chosen.tests, chosen.keep))
