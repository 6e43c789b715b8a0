"""What the package reads runs no code; what it is built on is pinned by hash and compatible; no secret lies in it."""

import ast
import hashlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from scripts.supply_chain import LOCK, licences_of, pins, verdict
from tests.import_graph import PACKAGE, ROOT

SPECIALISTS = ROOT / PACKAGE / "specialists"
# Modules that may name a library that runs what it reads: what they unpickle comes from their own parent, by a pipe.
OWN_PIPES = {"bridge/grading/parallel.py"}
CODE_READERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
# The modules that hand on what a pool's file says of one member.
TRUST = {"bridge/pretrained.py", "bridge/pool/source.py"}


def runs_what_it_reads(path: Path, name: str) -> Iterator[str]:
    """One sentence for each call or import of a file by which content could become code."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for one in names:
            if one.partition(".")[0] in CODE_READERS and name not in OWN_PIPES:
                yield f"{name}, line {node.lineno}: imports {one}"
        if isinstance(node, ast.Call):
            yield from (f"{name}, line {node.lineno}: {fault}" for fault in faults_of(node, name))


def faults_of(call: ast.Call, name: str) -> Iterator[str]:
    function, keywords = ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords}
    if function == "torch.load" and keywords.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if function.endswith("read_pickle") or keywords.get("allow_pickle", "False") != "False":
        yield "a pickle is read"
    if function in ("yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"):
        safe = re.search("SafeLoader|_StrictLoader", keywords.get("Loader", ""))
        yield from () if safe else (f"{function} without a safe loader",)
    if keywords.get("trust_remote_code", "False") != "False" and name not in TRUST:
        yield "trust_remote_code is not off"
    if keywords.get("shell", "False") != "False":
        yield "a shell runs a command"


def test_nothing_that_is_read_can_run():
    folder = ROOT / PACKAGE
    found = [
        fault
        for path in sorted(folder.rglob("*.py"))
        for fault in runs_what_it_reads(path, path.relative_to(folder).as_posix())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("import pickle", "imports pickle"),
        ("from joblib import load", "imports joblib"),
        ("torch.load(path)", "torch.load without weights_only=True"),
        ("torch.load(path, weights_only=False)", "torch.load without weights_only=True"),
        ("np.load(path, allow_pickle=True)", "a pickle is read"),
        ("pd.read_pickle(path)", "a pickle is read"),
        ("yaml.load(text, Loader=yaml.Loader)", "yaml.load without a safe loader"),
        ("AutoModel.from_pretrained(path, trust_remote_code=True)", "trust_remote_code is not off"),
        ("subprocess.run(line, shell=True)", "a shell runs a command"),
    ],
)
def test_a_planted_reader_of_code_is_caught(text, fault, tmp_path):
    (tmp_path / "one.py").write_text(text)
    assert [line.partition(": ")[2] for line in runs_what_it_reads(tmp_path / "one.py", "one.py")] == [fault]


def test_trust_is_off_unless_a_pool_says_otherwise():
    from hierrouter_jax.bridge.pool import ModelConfig

    assert ModelConfig("m", source="x", max_new_tokens=1).trust_remote_code is False


@pytest.mark.parametrize("name", sorted(path.name for path in SPECIALISTS.iterdir() if path.is_dir()))
def test_shipped_weights_are_those_that_their_sums_list(name):
    """Whoever trains one anew signs its folder: hierrouter sign FOLDER."""
    from hierrouter_jax.sums import damaged, read_sums

    assert damaged(SPECIALISTS / name) == []
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= set(read_sums(SPECIALISTS / name))


def test_every_pin_has_its_hashes_in_the_lock():
    assert pins(LOCK) == pins()
    blocks = re.split(r"^(?=[A-Za-z0-9])", LOCK.read_text("utf-8"), flags=re.M)
    without = [block.partition("==")[0] for block in blocks if block.strip() and "--hash=sha256:" not in block]
    assert without == []


def test_a_pin_without_its_hash_is_caught(tmp_path):
    (tmp_path / "lock").write_text("a==1 \\\n    --hash=sha256:00\n")
    assert pins(tmp_path / "lock") == {"a": "1"} != pins()


def test_pip_refuses_a_file_of_another_hash(tmp_path):
    """The lock works: pip itself compares. No network: the library is a file of this folder."""
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    make = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as f:\n    f.writestr('tiny.py', '')\n"
    make += "    f.writestr('tiny-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n')\n"
    wheel_lines = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    make += f"    f.writestr('tiny-1.dist-info/WHEEL', '{wheel_lines}')\n"
    make += "    f.writestr('tiny-1.dist-info/RECORD', '')\n"
    subprocess.run([sys.executable, "-c", make, str(wheel)], check=True)
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-index", "--no-deps", "--require-hashes"]
    for digest, code in ((right, 0), ("0" * 64, 1)):
        (tmp_path / "lock").write_text(f"tiny==1 --hash=sha256:{digest}\n")
        arguments = ["--find-links", str(tmp_path), "--dest", str(tmp_path / f"{code}"), "-r", str(tmp_path / "lock")]
        assert subprocess.run([*command, *arguments], capture_output=True).returncode == code


def test_all_licences_fit():
    rows = list(licences_of(list(pins())))
    assert len(rows) > 100
    assert [row for row in rows if not row.compatible] == []


def test_a_licence_that_does_not_fit_is_caught(monkeypatch):
    class About(dict):
        json: ClassVar = {}

        def get_all(self, name):
            return ["License :: OSI Approved :: GNU Affero General Public License v3"] if name == "Classifier" else None

    class Found:
        metadata = About(Version="1")

    monkeypatch.setattr("scripts.supply_chain.distribution", lambda name: Found())
    assert [row.compatible for row in licences_of(["x"])] == [False]


def test_an_audit_that_looked_nothing_up_is_no_clean_bill():
    clean, faulty = {"name": "a", "version": "1", "vulns": []}, [{"id": "CVE-1", "fix_versions": ["2"]}]
    skipped = {"name": "b", "skip_reason": "not found"}
    assert verdict([clean]) == (0, ["1 of 1 libraries looked up, 0 with advisories"])
    assert verdict([clean, skipped])[0] == 3
    assert verdict([skipped])[1][0] == "0 of 1 libraries looked up, 0 with advisories"
    assert verdict([clean | {"vulns": faulty}, skipped]) == (
        1,
        [
            "a 1: CVE-1, mended in 2",
            "1 of 2 libraries looked up, 1 with advisories",
            "not looked up, as no source knows them: not found",
        ],
    )


def test_the_lint_sees_a_secret(tmp_path):
    """The scan of `make lint`, on a token that is planted, and on a file without."""
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "detect-secrets-hook" in line)
    options = shlex.split(line.partition("detect-secrets-hook")[2].replace("$$", "$"))
    hook = Path(sys.executable).with_name("detect-secrets-hook")
    if not hook.is_file():
        pytest.skip("detect-secrets is not installed")
    token = "ghp_" + hashlib.sha256(b"planted").hexdigest()[:36]
    (tmp_path / "bad.py").write_text(f"x = '{token}'\n")
    (tmp_path / "good.py").write_text("x = 'nothing'\n")
    for name, code in (("bad.py", 1), ("good.py", 0)):
        done = subprocess.run([hook, *options, tmp_path / name], capture_output=True, text=True)
        assert done.returncode == code, done.stdout
    assert json.dumps(token) not in done.stdout
