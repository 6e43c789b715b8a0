"""Graders by import path: made, sent to other processes, told apart; and each query by its task's."""

import pickle

import pytest

from hierrouter_jax.bridge.grading import Verdict
from hierrouter_jax.bridge.tasks.config import load_task
from hierrouter_jax.bridge.tasks.graders import ByTask, make_grader
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query

CLASSES = """
from dataclasses import dataclass
from functools import partial

from hierrouter_jax.bridge.grading import Verdict
from hierrouter_jax.bridge.grading.verdict import one_by_one


class Longer:
    def __init__(self, than=3):
        self.than = than

    def __call__(self, responses, queries):
        return [Verdict(float(len(response) > self.than), "", "counted") for response in responses]


class Named(Longer):
    identity = "named 1"


@dataclass(frozen=True)
class Inner:
    most: int = 9


@dataclass(frozen=True)
class Typed:
    strict: bool = False
    inner: Inner = Inner()

    def __call__(self, responses, queries):
        return [Verdict(float(len(response) <= self.inner.most), "", "counted") for response in responses]


constant = 3
by_score = one_by_one(lambda response, query: 1.0)
part = partial(Longer.__call__, Longer())
"""
QUERY = Query("q", "?", "own", "x", "test")


@pytest.fixture
def grader(own_task):
    """Makes the grader of a task whose YAML says `grader: own.py:NAME`, and whatever else is given."""
    folder = own_task({}).parent
    (folder / "classes.py").write_text(CLASSES)
    whole = (folder / "task.yaml").read_text()

    def make(name: str, more: str = ""):
        (folder / "task.yaml").write_text(whole.replace("own.py:grade", name) + more)
        return make_grader(load_task(str(folder / "task.yaml")))

    return make


def test_functions_and_classes_grade_here_and_elsewhere(grader):
    for made, quality in (
        (grader("own.py:grade"), 0),
        (grader("classes.py:Longer"), 1),
        (grader("classes.py:Longer", "grader_settings: {than: 9}\n"), 0),
    ):
        again = pickle.loads(pickle.dumps(made))
        assert [made(["four"], [QUERY])[0].quality, again(["four"], [QUERY])[0].quality] == [quality] * 2


def test_identities_tell_graders_apart(grader):
    made = [
        grader("own.py:grade"),
        grader("classes.py:Longer"),
        grader("classes.py:Longer", "grader_settings: {than: 9}\n"),
        grader("classes.py:Named"),
    ]
    assert len({one.identity for one in made}) == 4
    assert made[3].identity == "classes.py:Named  named 1"


@pytest.mark.parametrize("name", ["own.py:grade", "classes.py:Longer", "classes.py:by_score", "classes.py:part"])
def test_a_grader_whose_file_changed_is_another(name, grader, tmp_path):
    """Also where its code is not in that file: in `one_by_one`, or in what `functools.partial` wraps."""
    made = grader(name)
    before = made.identity
    assert made.identity == before
    with (tmp_path / "own" / name.partition(":")[0]).open("a") as file:
        file.write("# mended\n")
    assert made.identity != before


def test_settings_of_a_dataclass_are_read_as_a_configuration_is(grader):
    made = grader("classes.py:Typed", "grader_settings: {inner: {most: 3}}\n")
    assert [verdict.quality for verdict in made(["four", "six"], [QUERY] * 2)] == [0, 1]


def test_what_is_no_grader_is_named(grader):
    for name, more, words in (
        ("classes.py:constant", "", "task own: grader .*classes.py:constant: is no grader"),
        ("classes.py:Longer", "grader_settings: {then: 9}\n", "cannot be made .*then"),
        ("classes.py:Shorter", "", "task own: grader .*has no 'Shorter'"),
        ("classes.py:Typed", "grader_settings: {strict: 'no'}\n", "Typed: cannot be made .*grader_settings: strict is"),
        ("classes.py:Typed", "grader_settings: {inner: {least: 1}}\n", "grader_settings: inner.least is not a field"),
    ):
        with pytest.raises(InputError, match=words):
            grader(name, more)


def test_a_task_without_a_grader_and_missing_verdicts_are_named():
    silent = ByTask({"own": lambda responses, queries: []})
    with pytest.raises(InputError, match="the grader of task 'own' gave 0 verdicts for 1 responses"):
        silent(["x"], [QUERY])
    with pytest.raises(InputError, match="no grader for task 'own'; there are other"):
        ByTask({"other": lambda responses, queries: []})(["x"], [QUERY])


def test_graders_are_called_as_asked():
    def run(grader, responses, queries):
        return [Verdict(0.25, grader, response) for response in responses]

    assert ByTask({"own": "any"}, run)(["x"], [QUERY]) == [Verdict(0.25, "any", "x")]
