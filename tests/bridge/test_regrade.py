"""A table's responses are judged anew: what changes, what is kept, and that a kill leaves one state or the other."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from hierrouter_jax.bridge import regrade as regrading
from hierrouter_jax.bridge.regrade import regrade
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import EXTERNAL, load_external, load_table, save_table
from hierrouter_jax.sums import sign
from tests.tables import random_table

GRADERS = """
from hierrouter_jax.bridge.grading import Verdict


class Ends:
    \"\"\"Right where the response ends with one of some figures.\"\"\"

    def __init__(self, figures="0"):
        self.figures = figures
        self.identity = f"ends {figures}"

    def __call__(self, responses, queries):
        right = [response.endswith(tuple(self.figures)) for response in responses]
        return [Verdict(float(yes), r[-1:], "right" if yes else "wrong: " + r[-1:]) for yes, r in zip(right, responses)]
"""


def settings(folder: Path, figures: str = "0") -> dict:
    (folder / "graders.py").write_text(GRADERS)
    task = {"grader": f"{folder / 'graders.py'}:Ends", "grader_settings": {"figures": figures}, "dev_only": []}
    return {"tasks": {"task0": task, "task1": dict(task)}, "hops": 1}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A table of random verdicts, and one of a model outside the pool beside it; the graders ask for a final 0."""
    save_table(
        replace(random_table(queries=5, horizon=2, missing=0.2), settings=settings(tmp_path)), tmp_path / "table"
    )
    save_table(
        replace(random_table(queries=5, models=1, horizon=1), settings=settings(tmp_path)),
        tmp_path / "table" / EXTERNAL,
    )
    return tmp_path / "table"


def state(folder: Path) -> dict[str, bytes]:
    """Every file of a table but what may be made again."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "verdicts.sqlite" not in path.name]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_new_verdicts_by_hand(folder):
    old = load_table(folder)
    beside, table = regrade(folder)
    new = load_table(folder)
    for row in range(5):
        for node in range(1, new.tree.num_nodes):
            if new.available[row, node]:
                right = new.response[row, node].endswith("0")
                assert new.quality[row, node] == right
                assert new.details["reason"][row, node] == (
                    "right" if right else f"wrong: {new.response[row, node][-1]}"
                )
    assert (new.response == old.response).all()
    assert (new.cost == old.cost).all()
    assert (new.context_embedding == old.context_embedding).all()
    assert new.queries == old.queries
    assert beside.folder == folder / EXTERNAL
    outside = load_external(folder)
    assert outside is not None
    assert outside.quality[:, 1].tolist() == [0.0] * 5  # they end with 1
    assert len(table.verdicts) == int((new.quality != old.quality).sum())


def test_the_fingerprint_follows_the_outcomes_and_names_where_it_came_from(folder):
    before, after = load_table(folder).fingerprint, regrade(folder)[1].new.fingerprint
    header = read_json(folder / "table.json")
    assert before != after == header["fingerprint"] == load_table(folder).fingerprint
    (record,) = header["settings"]["regrades"]
    assert record["from_fingerprint"] == before
    assert record["graders"]["task0"]["from"] is None
    assert record["graders"]["task0"]["to"].endswith("ends 0")
    assert header["settings"]["tasks"]["task0"]["grader_identity"].endswith("ends 0")
    assert set(header["settings"]["verdicts"]["task0"]) <= {"right", "wrong"}


def test_the_old_verdicts_are_kept_beside(folder):
    old, before = load_table(folder), read_json(folder / "table.json")
    regrade(folder)
    kept = folder / "regrades" / "001"
    assert read_json(kept / "table.json") == before
    rows = pq.read_table(kept / "verdicts.parquet").to_pylist()
    assert len(rows) == int(old.available[:, 1:].sum())
    index = {query.id: row for row, query in enumerate(old.queries)}
    assert all(row["quality"] == old.quality[index[row["query_id"]], row["node"]] for row in rows)
    changes = [json.loads(line) for line in (kept / "changes.jsonl").read_text().splitlines()]
    assert {"query", "node", "route", "old_quality", "new_quality", "old_reason", "new_reason"} <= set(changes[0])


def test_a_second_time_changes_nothing_and_a_mended_grader_is_a_second_folder(folder, tmp_path):
    regrade(folder)
    before = state(folder)
    assert all(not one.differs and one.old_verdicts is None for one in regrade(folder))
    assert state(folder) == before
    (tmp_path / "graders.py").write_text(GRADERS.replace("ends {figures}", "ends 2 {figures}").replace("[-1:],", '"",'))
    script = f"from hierrouter_jax.bridge.regrade import regrade; print(len(regrade({str(folder)!r})[1].verdicts))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout == "0\n"  # what is extracted differs, no verdict does
    header = read_json(folder / "table.json")
    assert [record["kept"] for record in header["settings"]["regrades"]] == ["regrades/001", "regrades/002"]
    last = header["settings"]["regrades"][1]["graders"]["task1"]
    assert (last["from"].split()[-2:], last["to"].split()[-3:]) == (["ends", "0"], ["ends", "2", "0"])
    assert header["settings"]["regrades"][1]["from_fingerprint"] == header["fingerprint"]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_failed_call_stays_wrong(folder):
    table = load_table(folder)
    reason = np.full(table.quality.shape, "", dtype=object)
    finish = table.details["finish_reason"].copy()
    finish[0, 1], reason[0, 1] = "failed", "failed: no answer: 500"
    response, quality = table.response.copy(), table.quality.copy()
    response[0, 1], quality[0, 1] = "", 0
    details = {"finish_reason": finish, "reason": reason, "extracted": np.full(reason.shape, "", dtype=object)}
    save_table(replace(table, response=response, quality=quality, details=details), folder)
    regrade(folder)
    assert load_table(folder).details["reason"][0, 1] == "failed: no answer: 500"


@pytest.mark.parametrize("step", ["before the decision", "after the decision", "between the files", "at the end"])
def test_a_kill_leaves_the_old_or_the_new(folder, step):
    """The process is killed at each place where a state could be half; the table reads as it was, or as it becomes."""
    old = load_table(folder)
    patch = {
        "before the decision": "parts.write_json = die",
        "after the decision": "parts.finish_rewriting = die",
        "between the files": "import pathlib; pathlib.Path.replace = die_at_parquet",
        "at the end": "parts.shutil.rmtree = die_at_next",
    }[step]
    script = f"""
import os, signal
from pathlib import Path
from hierrouter_jax.bridge import regrade as module
from hierrouter_jax.outcomes import parts
from hierrouter_jax.outcomes.store import load_table

def die(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)

moved, rename, remove = [], Path.replace, parts.shutil.rmtree

def die_at_parquet(self, target):
    if str(target).endswith("nodes/part-00000.parquet"):
        die()
    return rename(self, target)

def die_at_next(path, ignore_errors):
    if not (Path(path).parent / "table.next.json").exists() and any(Path({str(folder)!r}).glob("regrades/001")):
        if Path(path).name == "nodes.next" and Path(path).exists():
            die()
    return remove(path, ignore_errors=ignore_errors)

{patch}
module.load_external = lambda folder: None
module.regrade({str(folder)!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    after = load_table(folder)
    assert (after.fingerprint == old.fingerprint) == (step == "before the decision")
    assert not (folder / "table.next.json").exists()
    regrade(folder)
    final = load_table(folder)
    assert final.fingerprint != old.fingerprint
    assert len(read_json(folder / "table.json")["settings"]["regrades"]) == 1
    assert [path.name for path in (folder / "regrades").iterdir()] == ["001"]
    kept = pq.read_table(folder / "regrades" / "001" / "verdicts.parquet")["quality"].to_pylist()
    assert kept == old.quality[:, 1:][old.available[:, 1:]].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "name no tasks with graders"),
        ({"tasks": {}}, "name no tasks with graders"),
        ({"tasks": ["gsm8k"]}, "name no tasks with graders"),
        ({"tasks": {"task0": {"source": {}}}}, "name no tasks with graders"),
        ({"import": {"format": "long"}}, "only tables that were collected with --tasks or --mix can be regraded"),
        ({"tasks": {"task0": {"grader": "no.such:Grader"}}}, "query 'q1' is of task 'task1'"),
        ({"tasks": {key: {"grader": "no.such:Grader"} for key in ("task0", "task1")}}, "no.such cannot be imported"),
        ({"tasks": {key: {"grader": "json:none"} for key in ("task0", "task1")}}, "has no 'none'"),
        ({"tasks": {key: {"grader": "json:__name__"} for key in ("task0", "task1")}}, "is no grader"),
        ({"tasks": {key: {"grader": "gone.py:G"} for key in ("task0", "task1")}}, "gone.py is no file"),
    ],
)
def test_what_cannot_be_regraded_is_refused_in_a_sentence(folder, capsys, change, message):
    table = load_table(folder)
    save_table(replace(table, settings=change), folder)
    before = state(folder)
    with pytest.raises(InputError, match=r"table\.json|task task0"):
        regrade(folder)
    assert main(["regrade", str(folder)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert state(folder) == before


def test_an_outside_table_that_cannot_be_regraded_stops_before_the_other_is_touched(folder):
    outside = load_external(folder)
    assert outside is not None
    save_table(replace(outside, settings={}), folder / EXTERNAL)
    before = state(folder)
    with pytest.raises(InputError, match=r"external/table\.json"):
        regrade(folder)
    assert state(folder) == before


def test_the_verb_says_what_would_change_then_changes_it(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(  # workers are tested elsewhere, and take their time
        "hierrouter_jax.bridge.grading.parallel.grade_all",
        lambda grader, responses, asked, cache: grader(responses, asked),
    )
    before, verdicts = state(folder), len(regrade(folder, dry_run=True)[1].verdicts)
    assert main(["regrade", str(folder), "--dry_run"]) == 0
    shown = capsys.readouterr().out
    assert f"{folder}: {verdicts} of " in shown
    assert "verdicts would change" in shown
    assert "(wrong: 1)" in shown
    assert state(folder) == before
    assert not (folder / "verdicts.sqlite").exists()
    assert main(["regrade", str(folder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [Path(one["table"]).name for one in printed["tables"]] == ["external", "table"]
    assert (
        printed["tables"][1]["verdicts_changed"]
        == verdicts
        == sum(change["old_quality"] != change["new_quality"] for change in printed["tables"][1]["changes"])
    )
    assert printed["tables"][1]["fingerprint"]["to"] == load_table(folder).fingerprint
    assert main(["regrade", str(folder)]) == 0
    assert "nothing was written" in capsys.readouterr().out


def test_rewriting_keeps_columns_that_it_does_not_know(folder):
    path = folder / "nodes" / "part-00000.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.append_column("note", rows["response"]), path)
    sign(folder)
    regrade(folder)
    new = pq.read_table(path)
    assert new["note"] == rows["response"]
    assert new.column_names[: len(rows.column_names)] == rows.column_names
    assert regrading.KEPT == "regrades"
