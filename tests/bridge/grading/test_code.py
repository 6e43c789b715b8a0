"""Code in responses is found, run and judged as the field does."""

import json
import time
from dataclasses import replace

import pytest

from hierrouter_jax.bridge.grading.code import CodeGrader, wanted_names
from hierrouter_jax.bridge.grading.extraction import extract_program
from hierrouter_jax.bridge.grading.sandbox import sandbox as sandboxes
from hierrouter_jax.bridge.grading.sandbox.sandbox import find_sandbox
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from scripts.bench_grading import benchmark_programs, negated
from tests.bridge.benchmarks import BENCHMARKS
from tests.bridge.grading.sandbox.programs import needs_sandbox

PROMPT = 'from typing import List\n\ndef double(xs: List[int]) -> List[int]:\n    """Doubles."""\n'
TEST = "def check(candidate):\n    assert candidate([1, 2]) == [2, 4]\n    assert candidate([]) == []\n"
BODY = "    return [2 * x for x in xs]"
WHOLE = f"def double(xs: List[int]) -> List[int]:\n{BODY}"


def humaneval(prompt: str = PROMPT, test: str = TEST, entry: str = "double") -> Query:
    gold = {"kind": "humaneval", "prompt": prompt, "test": test, "entry_point": entry}
    return Query(id="h", text=prompt, task="humaneval", gold=json.dumps(gold), split="test")


def mbpp(tests: list[str], setup: str = "", imports: tuple[str, ...] = ()) -> Query:
    gold = {"kind": "mbpp", "setup": setup, "tests": tests, "imports": list(imports)}
    return Query(id="m", text="", task="mbpp", gold=json.dumps(gold), split="test")


RESPONSES = {
    "fenced": f"Here it is:\n```python\n{WHOLE}\n```\nIt doubles.",
    "fence without a language": f"```\n{WHOLE}\n```",
    "tildes": f"~~~python\n{WHOLE}\n~~~",
    "indented fence": "1. Code:\n   ```python\n   def double(xs):\n       return [2 * x for x in xs]\n   ```",
    "fence left open": f"```python\n{WHOLE}\n",
    "cut off in its own tests": f"```python\n{WHOLE}\n\nassert double([1]) == [2]\nassert double([1, 2",
    "usage after": f"```python\n{WHOLE}\n```\nUse it:\n```python\nprint(double([1]))\n```",
    "output in another block": f"```python\n{WHOLE}\n```\n```text\n[2, 4]\n```\n```bash\npython double.py\n```",
    "corrected": f"```python\ndef double(xs):\n    return xs\n```\nWrong; instead:\n```python\n{WHOLE}\n```",
    "bare": WHOLE,
    "prose around": f"Sure! The function:\n\n{WHOLE}\n\nThis function doubles each one.",
    "from the import": f"Answer:\nfrom typing import List\n\n{WHOLE}\nDone, I hope.",
    "body": BODY,
    "fenced body": f"```python\n{BODY}\n```",
    "fenced body without indentation": "```python\nys = [2 * x for x in xs]\nreturn ys\n```",
    "body whose first line lost its indentation": "ys = []\n    for x in xs:\n        ys.append(2 * x)\n    return ys",
    "prompt repeated": f"```python\n{PROMPT}{BODY}\n```",
    "helper before": "```python\ndef twice(x): return 2 * x\n\ndef double(xs):\n    return [twice(x) for x in xs]\n```",
    "class and lambda": "```python\ndouble = lambda xs: [2 * x for x in xs]\n```",
    "main part": f'```python\n{WHOLE}\n\nif __name__ == "__main__":\n    print(undefined)\n```',
    "future": f"```python\nfrom __future__ import annotations\n{WHOLE}\n```",
}


@needs_sandbox
@pytest.mark.parametrize("name", RESPONSES)
def test_code_is_found_however_it_is_given(name):
    (verdict,) = CodeGrader()([RESPONSES[name]], [humaneval()])
    assert (verdict.quality, verdict.reason) == (1.0, "right"), verdict


@needs_sandbox
@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("I cannot help with that.", "no code"),
        ("", "no code"),
        ("```python\n```", "no code"),
        ("```python\ndef double(xs):\n    return xs\n```", "wrong: tests"),
        ("```python\ndef twice(xs):\n    return [2 * x for x in xs]\n```", "wrong"),
        (f"```python\n{WHOLE}\n```\nBetter:\n```python\ndef double(xs): return xs\n```", "wrong: tests"),
        ("```python\ndef double(xs):\n    return [2 * x for x in xs\n```", "error: SyntaxError"),
        ("```python\ndef double(xs):\n    return [2 * math.floor(x) for x in xs]\n```", "error: NameError"),
        ("```python\nimport sys\nsys.exit(0)\n```", "error"),
        ("```python\ndef double(xs): return None\n```", "wrong: tests"),
        ("x" * (100 << 20), "too long"),
        (f"```python\n{WHOLE}\n```\n" + "# " * (1 << 18), "too long"),
    ],
    ids=range(12),
)
def test_wrong_answers_say_why(response, reason):
    (verdict,) = CodeGrader()([response], [humaneval()])
    assert verdict.quality == 0
    assert verdict.reason.startswith(reason)


@needs_sandbox
def test_a_set_up_runs_after_the_program_and_before_the_asserts():
    query = mbpp(["assert total(root) == 3"], setup="root = Node(1)\nroot.left = Node(2)")
    program = "class Node:\n    def __init__(self, v): self.v = v\ndef total(n): return n.v + n.left.v"
    assert [v.quality for v in CodeGrader()([program, program.replace("+", "-")], [query, query])] == [1.0, 0.0]


@needs_sandbox
def test_the_prompts_helpers_are_the_tests_own():
    """The tests use the prompt's `key`; a program that redefines it fools only itself."""
    prompt = 'def key(x):\n    return x % 10\n\ndef pick(xs):\n    """Largest key."""\n'
    test = "def check(candidate):\n    assert key(candidate([19, 21])) == 9\n"
    responses = ["def pick(xs): return max(xs, key=key)", "def key(x): return 9\ndef pick(xs): return 21"]
    verdicts = CodeGrader()(responses, [humaneval(prompt, test, "pick")] * 2)
    assert [verdict.quality for verdict in verdicts] == [1.0, 0.0]


def test_wanted_names_by_hand():
    gold = {"kind": "mbpp", "tests": ["assert set(f(1, g())) == set([1])", "assert math.isclose(h(2), 1)"]}
    assert set(wanted_names(gold)) == {"f", "g", "h"}
    assert wanted_names({"kind": "mbpp", "tests": ["assert sum(1, 2) == 3"]}) == ("sum",)


def test_pathological_text_is_searched_in_time():
    started = time.monotonic()
    for text in ("def f(:\n" * 5000, "```" * 20000, "(" * 100000, "import x y\n" * 5000, "x = [" * 3000):
        extract_program(text, ["f"], PROMPT)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("42", "gold must be a JSON object"),
        ("{", "gold must be a JSON object"),
        ('{"kind": "apps"}', "gold must be a JSON object"),
        ('{"kind": "mbpp", "tests": []}', "lacks setup, imports"),
        ('{"kind": "mbpp", "setup": "", "tests": [], "imports": []}', "holds no test, and any program would pass"),
        ('{"kind": "humaneval", "prompt": "", "test": "", "entry_point": "f"}', "holds no test"),
        (mbpp(["assert f(1) == 1", "assert f(2) = 2"]).gold, r"tests\[1\] is no Python .*'assert f\(2\) = 2'"),
        (mbpp(["assert f(1) == 1"], setup="x = (").gold, "setup is no Python"),
        (mbpp(["assert f(1) == 1"], imports=("import",)).gold, "imports is no Python"),
        ('{"kind": "mbpp", "setup": "", "tests": [1], "imports": []}', "tests must be a list of texts"),
        ('{"kind": "mbpp", "setup": "", "tests": "assert f(1)", "imports": []}', "tests must be a list of texts"),
        ('{"kind": "mbpp", "setup": null, "tests": ["assert f(1)"], "imports": []}', "setup must be text"),
        (humaneval(test="def check(candidate):\n").gold, "test is no Python"),
        (humaneval(prompt="Write a function that doubles.").gold, "prompt is no Python .*'Write a function"),
        (humaneval(prompt="def double(xs:\n").gold, "prompt is no Python"),
        ('{"kind": "humaneval", "prompt": null, "test": "x = 1", "entry_point": "f"}', "prompt must be text"),
    ],
)
def test_bad_gold_is_refused_by_the_querys_name(gold, message):
    with pytest.raises(InputError, match=f"query q7: .*{message}"):
        CodeGrader()(["x = 1"], [Query(id="q7", text="", task="code", gold=gold, split="test")])


def test_responses_and_queries_are_paired():
    with pytest.raises(InputError, match="1 responses for 2 queries; there must be one each"):
        CodeGrader()(["x = 1"], [humaneval()] * 2)


@needs_sandbox
@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason=f"no benchmarks at {BENCHMARKS}")
def test_reference_solutions_pass_and_fail_with_their_last_assert_negated():
    """Every sixteenth; `python -m scripts.bench_grading` runs all."""
    sandbox = find_sandbox()
    for name, program, tests in benchmark_programs(BENCHMARKS)[::16]:
        assert sandbox.run(program, tests).passed, name
        assert sandbox.run(program, negated(tests)).reason.startswith("wrong"), name


def test_a_grader_asks_for_the_machines_sandbox_each_time(monkeypatch):
    """A grader that is kept (as `make_grader` keeps it) must not remember a sandbox that is gone."""
    grader = CodeGrader(allow_unsandboxed=True)
    before = grader.sandbox
    monkeypatch.setattr(sandboxes, "which", lambda name: None)
    find_sandbox.cache_clear()
    try:
        assert grader.sandbox.bwrap is None
    finally:
        find_sandbox.cache_clear()
    monkeypatch.undo()
    assert grader.sandbox == before


def test_the_identity_names_all_that_a_verdict_depends_on():
    grader = CodeGrader(allow_unsandboxed=True)
    longer = replace(grader, limits=replace(grader.limits, cpu_seconds=11))
    assert grader.identity == CodeGrader(allow_unsandboxed=True).identity
    assert grader.identity != longer.identity
    assert grader.sandbox.identity in grader.identity
