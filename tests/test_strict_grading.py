"""The strict reading of responses: the form that the prompt asks for, or nothing."""

import json

import pytest

from hierrouter_jax.bridge.grading.sandbox.sandbox import Outcome
from hierrouter_jax.outcomes.table import Query
from scripts.strict_grading import strict

CHOICE = json.dumps({"answer": "B", "choices": {"A": "4", "B": "5"}})
PROGRAM = json.dumps({"kind": "mbpp", "setup": "", "tests": ["assert f(1) == 2"], "imports": []})
COMPLETION = json.dumps({"kind": "humaneval", "prompt": "def f(x):\n", "test": "", "entry_point": "f"} | {"test": "t"})


class Recorded:
    """A sandbox that keeps the programs it is given, and passes them."""

    def __init__(self) -> None:
        self.programs: list[str] = []

    def run(self, program, tests, limits) -> Outcome:
        self.programs.append(program)
        return Outcome(True, "right")


@pytest.mark.parametrize(
    ("task", "gold", "response", "right"),
    [
        ("gsm8k", "1+1\n#### 1,200", "The answer is 1200.", True),
        ("gsm8k", "18", "So it is 18.", False),
        ("gsm8k", "18", "The answer is 17. No: the answer is $18.00.", True),
        ("math", r"\frac{1}{2}", r"Hence $\boxed{\dfrac{1}{2}}$.", True),
        ("math", r"\frac{1}{2}", r"\boxed{0.5}", False),
        ("math", "2", "It is 2.", False),
        ("arc", CHOICE, "The answer is B.", True),
        ("arc", CHOICE, "B", False),
        ("mmlu", CHOICE, "The answer is A. The answer is (B).", True),
    ],
)
def test_by_hand(task, gold, response, right):
    assert strict(response, Query("q", "?", task, gold, "test"), Recorded()) == right  # pyright: ignore


def test_programs_are_run_as_they_stand():
    sandbox = Recorded()
    for task, gold, response in (
        ("mbpp", PROGRAM, "Sure:\n```python\ndef f(x): return 2\n```\n```python\nf(1)\n```"),
        ("mbpp", PROGRAM, "def f(x): return 2"),
        ("humaneval", COMPLETION, "    return 2"),
    ):
        assert strict(response, Query("q", "?", task, gold, "test"), sandbox)  # pyright: ignore
    assert sandbox.programs == ["def f(x): return 2\n", "def f(x): return 2", "def f(x):\n    return 2"]
