"""Tasks read by their hub ids, from a hub of a few lines: the same queries as from files, and the commit on record."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierrouter_jax.bridge.tasks import MixConfig, draw_mix
from hierrouter_jax.bridge.tasks.config import Share, load_task
from hierrouter_jax.bridge.tasks.source import pinned, read_items, read_rows
from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.duplicates import find_duplicates
from tests.bridge.hub import Hub, serve

Row = dict[str, Any]


def gsm8k(k: int) -> Row:
    return {"question": f"{words(k)} and how many?", "answer": f"{k}+1=<<{k}+1={k + 1}>>{k + 1}\n#### {k + 1}"}


def math(k: int) -> Row:
    return {"problem": words(k), "level": "Level 1", "type": "Algebra", "solution": rf"It is $\boxed{{{k}}}$."}


def mbpp(k: int) -> Row:
    tests = {"test_list": [f"assert f{k}() == 1"], "test_setup_code": "", "challenge_test_list": []}
    return {"task_id": k, "text": words(k), "code": f"def f{k}():\r\n    return 1", **tests}


def humaneval(k: int) -> Row:
    prompt = f'def f{k}():\n    """{words(k)}"""\n'
    test = f"def check(candidate):\n    assert candidate() == {k}"
    solution = {"canonical_solution": f"    return {k}\n", "test": test, "entry_point": f"f{k}"}
    return {"task_id": f"HumanEval/{k}", "prompt": prompt, **solution}


def arc(k: int) -> Row:
    choices = {"text": [f"{k} p", f"{k} q", f"{k} r"], "label": ["A", "B", "C"]}
    return {"id": f"Mercury_{k}", "question": words(k), "choices": choices, "answerKey": "ABC"[k % 3]}


def mmlu(k: int) -> Row:
    return {"question": words(k), "subject": "astronomy", "choices": [f"{k}{x}" for x in "pqrs"], "answer": k % 4}


def words(k: int) -> str:
    """A text that is like no other one's."""
    return " ".join(f"{(k * 7919 + j * 104729) ** 3:x}" for j in range(1, 9))


# task: its rows, the folder of its configuration on the hub, and its splits there. The order gives rows of their own.
LAYOUT: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "gsm8k": (gsm8k, "main", ("train", "test")),
    "math": (math, "default", ("train", "test")),
    "mbpp": (mbpp, "full", ("train", "test", "validation", "prompt")),
    "humaneval": (humaneval, "openai_humaneval", ("test",)),
    "arc": (arc, "ARC-Challenge", ("train", "test", "validation")),
    "mmlu": (mmlu, "all", ("test", "validation", "dev")),
}


def parquet(rows: list[Row]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def repository(make: Any, config: str, splits: dict[str, bytes]) -> dict[str, bytes]:
    """A data set as it lies on the hub: a card that says where splits are, and beside it a configuration not asked for.

    Of humaneval there is one configuration only, as there.
    """
    others = {} if make is humaneval else {"another": {split: parquet([make(10**6)]) for split in splits}}
    files, cards = {}, []
    for name, parts in {**others, config: splits}.items():
        places = []
        for split, data in parts.items():
            files[f"{name}/{split}-00000-of-00001.parquet"] = data
            places.append({"split": split, "path": f"{name}/{split}-*"})
        cards.append({"config_name": name, "data_files": places})
    return {"README.md": f"---\nconfigs: {json.dumps(cards)}\n---\n".encode(), **files}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The hub, and a local copy of what is on it."""
    hub, folder = Hub(), tmp_path_factory.mktemp("copy")
    for number, (name, (make, config, splits)) in enumerate(LAYOUT.items()):
        source = load_task(name).source
        written = {}
        for place, split in enumerate(splits):
            start = 1000 * number + 100 * place
            written[split] = parquet([make(k) for k in range(start, start + 6)])
            (folder / source.folder).mkdir(exist_ok=True)
            (folder / source.folder / f"{split}.parquet").write_bytes(written[split])
        hub.repositories[f"datasets/{source.path}"] = repository(make, config, written)
    server = serve(hub)
    yield hub, folder
    server.shutdown()
    server.server_close()


ELSEWHERE = """
import json, sys
from dataclasses import asdict
from hierrouter_jax.bridge.tasks import draw_mix, load_mix
from hierrouter_jax.cli.main import main
drawn = draw_mix(load_mix(sys.argv[1]), allow_unsandboxed=True)
print(json.dumps({"queries": [asdict(query) for query in drawn.queries], "tasks": drawn.settings["tasks"]}))
codes = [main(["inspect", "--task", task]) for task in sys.argv[2:]]
print(json.dumps(codes))
"""


def elsewhere(environment: dict[str, str], folder: Path, mix: MixConfig, *tasks: str) -> tuple[Any, list[int], str]:
    """What another process draws; its exit codes and error output when it looks at tasks."""
    (folder / "mix.json").write_text(json.dumps(to_dict(mix)))
    command = [sys.executable, "-c", ELSEWHERE, str(folder / "mix.json"), *tasks]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    drawn, *_, codes = done.stdout.splitlines()
    return json.loads(drawn), json.loads(codes), done.stderr.partition("hierrouter:")[2]


def task_file(folder: Path, name: str, path: str, revision: str = "") -> str:
    """The gsm8k preset with another hub id."""
    lines = (
        f"name: {name}\nsource: {{path: {path}, config: main, revision: {json.dumps(revision or None)}}}\nrows: gsm8k\n"
    )
    grader = (
        "grader: hierrouter_jax.bridge.grading.gsm8k:Gsm8kGrader\nprompt: {question: '{{ question }}', answer: x}\n"
    )
    (folder / f"{name}.yaml").write_text(lines + grader)
    return str(folder / f"{name}.yaml")


@pytest.mark.parametrize(
    "names",
    [("gsm8k", "arc"), pytest.param(("math", "mbpp", "humaneval", "mmlu"), marks=pytest.mark.extended)],
    ids="-".join,
)
def test_by_hub_id_and_from_files_the_queries_are_the_same(places, tmp_path, names):
    hub, copy = places
    mix = MixConfig({name: Share(train=1, validation=1, test=2) for name in names})
    missing, unknown = task_file(tmp_path, "gone", "nobody/nothing"), task_file(tmp_path, "old", "openai/gsm8k", "v0")
    drawn, codes, said = elsewhere(hub.environment(tmp_path), tmp_path, mix, missing, unknown)
    local = draw_mix(mix, copy, allow_unsandboxed=True)
    assert [query["id"] for query in drawn["queries"]] == [query.id for query in local.queries]
    for found, query in zip(drawn["queries"], local.queries, strict=True):
        assert (found["text"], found["gold"], found["split"]) == (query.text, query.gold, query.split)
    for name, task in drawn["tasks"].items():
        assert task["source"]["revision"] == hub.commit(f"datasets/{load_task(name).source.path}")
        assert local.settings["tasks"][name]["source"]["revision"] is None
    assert codes == [2, 2]
    first, second = said.strip().splitlines()
    assert "task gone, split test: nobody/nothing cannot be read (Dataset 'nobody/nothing' doesn't exist" in first
    assert "Revision 'v0' doesn't exist for dataset 'openai/gsm8k'" in second
    assert first.endswith("; --data DIR reads a local copy in the hub's layout")


@pytest.mark.extended
def test_out_of_the_hubs_reach_a_copy_serves_for_its_own_revision_only(places, tmp_path):
    hub, _ = places
    mix = MixConfig({"gsm8k": Share(train=2, test=2)})
    drawn, *_ = elsewhere(hub.environment(tmp_path), tmp_path, mix)
    offline = hub.environment(tmp_path) | {"HF_HUB_OFFLINE": "1"}
    other, commit, asked = "0" * 40, hub.commit("datasets/openai/gsm8k"), len(hub.asked)
    tasks = [task_file(tmp_path, f"at{n}", "openai/gsm8k", revision) for n, revision in enumerate((commit, other))]
    again, codes, said = elsewhere(offline, tmp_path, mix, *tasks)
    assert again == drawn
    assert again["tasks"]["gsm8k"]["source"]["revision"] == commit
    assert codes == [0, 2]
    assert f"the copy in the cache is of commit {commit}, not of revision {other}" in said
    assert len(hub.asked) == asked


@pytest.mark.parametrize(("name", "pairs"), [("gsm8k", 0), ("mbpp", 25)])
def test_the_local_copies_hold_few(name, pairs, benchmarks):
    """MBPP asks for the volume of a cube, and of a cone; GSM8K's test file holds no near-duplicate."""
    items = read_items(load_task(name), "test", benchmarks)
    found = find_duplicates([item.item.content for item in items])
    assert pairs <= len(found.pairs) <= pairs + 10


def test_items_of_a_file_by_hand(own_task):
    task = load_task(
        str(own_task({"train": [{"question": "a", "gold": "1"}, {"question": "b", "gold": "2", "key": "x"}]}))
    )
    items = read_items(task, "train")
    assert [(item.id, item.task, item.split, item.item.gold) for item in items] == [
        ("own-train-00000", "own", "train", "1"),
        ("own-train-x", "own", "train", "2"),
    ]
    assert read_rows(task.source, "train", None, "here")[1]["question"] == "b"
    assert pinned(task) is task, "files have no commit"


def test_a_key_that_occurs_twice_and_a_split_that_is_none_are_named(own_task):
    row = {"question": "a", "gold": "1", "key": "x"}
    task = load_task(str(own_task({"train": [row, row]})))
    with pytest.raises(InputError, match=r"task own, split train: 'own-train-x' occurs twice"):
        read_items(task, "train")
    with pytest.raises(InputError, match=r"split dev: the source has no such split; its splits are train, test"):
        read_items(task, "dev")
