"""Tasks and mixes read from YAML."""

from dataclasses import replace

import pytest

from hierrouter_jax.bridge.tasks.config import (
    MixConfig,
    Share,
    SourceConfig,
    check_splits,
    load_mix,
    load_task,
    shared_task,
)
from hierrouter_jax.bridge.tasks.prompt import TaskPrompt
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError
from tests.bridge.benchmarks import ROOT

TASKS = ("arc", "gsm8k", "humaneval", "math", "mbpp", "mmlu")


@pytest.mark.parametrize("name", TASKS)
def test_every_task_preset_loads(name):
    task = load_task(name)
    assert task.name == name
    assert task.license
    assert isinstance(task.prompt, TaskPrompt)
    assert config_path(f"task/{name}.yaml").read_text().startswith("# ")


def test_the_papers_mix_holds_1800_training_queries():
    paper = load_mix("mix/paper.yaml")
    assert sorted(paper.tasks) == sorted(TASKS)
    assert sum(share.train for share in paper.tasks.values()) == 1800
    assert sum(share.test for share in paper.tasks.values()) >= 500


def test_presets_are_where_the_wheel_takes_them_from():
    assert {path.stem for path in (ROOT / "configs" / "task").glob("*.yaml")} == set(TASKS)


def test_a_mix_may_be_narrowed(own_task):
    whole = load_mix("mix/paper.yaml")
    assert list(whole.only(("math", "arc"), None).tasks) == ["math", "arc"]
    other = whole.only(("math", "own.yaml"), {"test": 5})
    assert [share.counts for share in other.tasks.values()] == [{"train": 0, "validation": 0, "test": 5}] * 2
    with pytest.raises(InputError, match=r"'own.yaml' is not in the mix .*say how many with --counts"):
        whole.only(("own.yaml",), None)
    with pytest.raises(InputError, match="'dev' is no split"):
        whole.only(("math",), {"dev": 5})


def test_paths_of_a_task_file_are_those_beside_it(own_task):
    path = own_task({"train": [], "test": []})
    task = load_task(str(path))
    assert task.source.files == {"train": str(path.parent / "train.jsonl"), "test": str(path.parent / "test.jsonl")}
    assert (task.rows, task.grader) == (f"{path.parent}/own.py:row", f"{path.parent}/own.py:grade")
    assert task.source.folder == "own"
    assert task.with_shots(3).shots.count == 3
    assert shared_task(str(path), Share(shots=2)).shots.count == 2
    assert shared_task(str(path), Share()).shots.count == 0
    with pytest.raises(InputError, match="shots is -1, but must be a whole number of at least 0"):
        task.with_shots(-1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: check_splits("splits", {"dev": "x"}), "splits: 'dev' is no split"),
        (lambda: SourceConfig("json"), "those need files"),
        (lambda: SourceConfig("some/hub", files={"train": "x"}), "files belong to the formats parquet, json, csv"),
        (lambda: MixConfig({}), "tasks is empty"),
        (lambda: MixConfig({"arc": Share()}, similarity=0.4), "similarity is 0.4"),
        (lambda: replace(load_task("arc"), name="A b"), "must be lower case without spaces"),
    ],
)
def test_what_makes_no_sense_is_refused(make, words):
    with pytest.raises(InputError) as caught:
        make()
    assert words in str(caught.value)
