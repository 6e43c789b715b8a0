"""Mutation testing and the coverage of rooms: what they say of faults that are planted, and their arithmetic."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import coverage_rooms, mutate

ROOT = Path(__file__).parents[1]
TRY = """
import sys
from pathlib import Path
from scripts.mutate import tried
print([tried(Path(sys.argv[1]), [name], 20 if name != "test_slow.py" else 1)[0] for name in sys.argv[2:]])
"""


def test_a_fault_is_seen_overlooked_or_ended_by_the_clock(tmp_path):
    tests = {"test_sees": "assert half(4) == 2", "test_blind": "half(4)", "test_slow": "import time; time.sleep(60)"}
    (tmp_path / "halves.py").write_text("def half(number):\n    return number * 2\n")
    for name, body in tests.items():
        (tmp_path / f"{name}.py").write_text(f"from halves import half\n\ndef test_it():\n    {body}\n")
    command = [sys.executable, "-c", TRY, str(tmp_path), *(f"{name}.py" for name in tests)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "['failed', 'passed', 'late']", done.stderr


def test_nothing_of_the_package_is_there_before_it_forks():
    code = "import sys, scripts.mutate; print([one for one in sys.modules if one.startswith('hierrouter_jax')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_module_has_its_mirrored_test_files():
    assert mutate.mirrors("hierrouter_jax/hop_tree.py") == ["tests/test_hop_tree.py"]
    assert mutate.mirrors("hierrouter_jax/envs/routing.py") == [
        "tests/envs/test_routing.py",
        "tests/envs/test_routing_budget.py",
    ]
    with pytest.raises(SystemExit, match=r"tests/envs/test_nothing\*\.py"):
        mutate.mirrors("hierrouter_jax/envs/nothing.py")


def test_the_report_leaves_out_faults_that_change_nothing(tmp_path, monkeypatch, capsys):
    """Four tried of five: two seen, one not, one that no test can see: 2 of 3."""
    monkeypatch.setattr(mutate, "FOLDER", tmp_path)
    monkeypatch.setattr(mutate, "EQUIVALENT", tmp_path / "equivalent.json")
    path = "hierrouter_jax/envs/types.py"
    mutants = [{"path": path, "before": f"a{number}", "after": "b"} for number in range(5)]
    said = ["killed", "killed by the clock", "survived", "survived"]
    results = [{"key": mutate.key(one), "result": word} for one, word in zip(mutants, said, strict=False)]
    for name, rows in (("sample", mutants), ("results", results)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "equivalent.json").write_text(json.dumps({mutate.key(mutants[3]): "why"}))
    mutate.report()
    lines = capsys.readouterr().out.splitlines()
    assert "2 of    3 seen: 66.7% [9.4%, 99.2%]" in lines[-4]
    assert lines[-3] == "4 of the 5 drawn were tried; 1 of them change nothing"
    assert lines[-2] == f"  SURVIVED: {path}: a2 -> b: "
    assert lines[-1] == f"  equivalent: {path}: a3 -> b: why"


def test_the_report_of_no_fault_at_all(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mutate, "FOLDER", tmp_path)
    mutate.report()
    assert capsys.readouterr().out == "0 of the 0 drawn were tried; 0 of them change nothing\n"


def test_every_fault_that_is_explained_names_its_module():
    explained = json.loads(mutate.EQUIVALENT.read_text("utf-8"))
    for name, why in explained.items():
        assert (ROOT / name.partition(":")[0]).is_file(), name
        assert why.endswith("."), name


@pytest.mark.extended
def test_a_room_with_too_few_lines_fails(capsys):
    with pytest.raises(SystemExit) as ended:
        coverage_rooms.main(["hop_tree"], least=1.01)
    assert ended.value.code
    with pytest.raises(SystemExit) as ended:
        coverage_rooms.main(["hop_tree"])
    assert not ended.value.code
    assert "hop_tree" in capsys.readouterr().out
