"""The program is read out of a response by one order of candidates, however the response is laid out."""

import json
import time

import pytest

from hierrouter_jax.bridge.grading.code import CodeGrader
from hierrouter_jax.bridge.grading.extraction import extract_program
from hierrouter_jax.outcomes.table import Query
from tests.bridge.grading.sandbox.programs import needs_sandbox

PROMPT = 'def area(w: int, h: int) -> int:\n    """Area of a rectangle."""\n'
BODY = "    return w * h\n"
DEF = "def area(w, h):\n    return w * h\n"
WRONG = "def area(w, h):\n    return w + h\n"
COMPLETE = {"kind": "humaneval", "prompt": PROMPT, "entry_point": "area"}
COMPLETE |= {"test": "def check(candidate):\n    assert candidate(3, 5) == 15\n"}
WRITE = {"kind": "mbpp", "setup": "", "tests": ["assert area(3, 5) == 15"], "imports": []}


def quality(response: str, gold: dict = WRITE) -> float:
    (verdict,) = CodeGrader()([response], [Query("q", "?", "code", json.dumps(gold), "test")])
    return verdict.quality


RUN_ON = {
    "a further function": "\n\ndef perimeter(w, h):\n    return 2 * (w + h)\n",
    "a function cut off": "\n\ndef perimeter(w, h):\n    if w <",
    "a class": "\n\nclass Box:\n    side = undefined\n",
    "an import that fails": "\n\nimport no_such_module\n",
    "the function again": f"\n\n{WRONG}",
    "the function again, cut off": "\n\ndef area(w, h):\n    if w:\n        return w",
    "prints": "\nprint(area(1))\n",
    "asserts that fail": "\nassert area(1, 1) == 2\n",
    "a test section": "\n# Test\nexpected = area('a', 'b')\nprint(expected)\n",
    "input": "\nw, h = map(int, input().split())\nprint(area(w, h))\n",
    "a loop of queries": "\nfor _ in range(int(input())):\n    print(area(1, 2))\n",
    "an exit": "\nimport sys\nsys.exit(area(0, 0))\n",
    "a main part": "\nif __name__ == '__main__':\n    area()\n",
    "prose": "\n\nThe area's the product; it can't be negative.\n",
    "a new question": "\n\nQuestion: What is a cube?\nAnswer:\ndef cube(x):\n    return x ** 3\n",
    "a new exercise": "\n\n## Exercise 2: cubes\n\ndef cube(x):\n    return x ** 3\n",
    "an open docstring": '\n\n"""\nNow write a function for cubes.\n',
    "a special token": "<|endoftext|>import socket, no_such_module\n",
    "a turn of a user": "<|im_end|>\n<|im_start|>user\nThank you!",
    "a mark and another answer": "[DONE]\n\nYou are an expert.\n[BEGIN]\ndef cube(x): return x\n[DONE]\n",
    "comments": "\n# Write a function that computes the perimeter\n# of a rectangle\n",
}


@needs_sandbox
@pytest.mark.parametrize("name", RUN_ON)
def test_what_runs_on_behind_a_completion_is_not_the_answer(name):
    run_on = RUN_ON[name]
    assert quality(BODY + run_on, COMPLETE) == 1.0
    assert quality(BODY.lstrip() + run_on, COMPLETE) == 1.0
    assert quality(f"{PROMPT}{BODY}{run_on}", COMPLETE) == 1.0
    assert quality(DEF + run_on) == 1.0
    assert quality(BODY.replace("*", "+") + run_on, COMPLETE) == 0.0
    assert quality(WRONG + run_on) == 0.0


FENCED = {
    "a closing fence": f"{DEF}```\n",
    "a closing fence and prose": f"{DEF}```\nThat was it.",
    "a closing fence beside the code": f"{DEF.rstrip()}```",
    "a closing fence, then another block": f"{DEF}```\nUse it:\n```python\nprint(area(1, 2))\n```",
    "an opening fence": f"```python\n{DEF}",
    "an opening fence and prose": f"```python\n{DEF}\nIt multiplies, doesn't it?",
    "an opening fence behind a sentence": f"Sure, here: ```python\n{DEF}```",
    "two opening fences": f"```python\n```python\n{DEF}```",
    "two closing fences": f"```python\n{DEF}```\n```\n",
    "a fence of four": f"````python\n{DEF}````",
    "code beside the fence": "```python def area(w, h): return w * h\n```",
    "all on a line": "The code is ```def area(w, h): return w * h```.",
    "a fence that names text": f"```text\n{DEF}```",
    "a fence that names a notebook": f"```ipython\n{DEF}```",
    "a fence with a sentence": f"```The solution is as follows:\n{DEF}```",
    "a fence with attributes": f'```{{.python title="area.py"}}\n{DEF}```',
    "a fence with a colon": f"```Python:\n{DEF}```",
    "the language on its own line": f"```\npython\n{DEF}```",
    "the language without fences": f"python\n{DEF}",
    "fences in a docstring": '```python\ndef area(w, h):\n    """Area.\n\n    ```\n    area(1, 2)\n    ```\n    """\n'
    "    return w * h\n```",
    "fences that name Python in a docstring": '```python\ndef area(w, h):\n    """Area.\n    ```python\n    area(1)\n'
    '    ```\n    """\n    return w * h\n```',
    "fences at the margin of a docstring": '```python\n"""Area.\n```\narea(1, 2)\n```\n"""\n' + DEF + "```",
    "a fence in a string": "```python\nFENCE = '```'\n" + DEF + "```",
    "a session": "```\n>>> def area(w, h):\n...     return w * h\n...\n>>> area(1, 2)\n2\n```",
    "another language after it": f"```python\n{DEF}```\n```javascript\nconst area = (w, h) => w * h;\n```",
    "output after it": f"```python\n{DEF}print(area(1, 2))\n```\nOutput:\n```\n2\n```",
    "marks": f"[BEGIN]\n{DEF}[DONE]",
    "a closing mark": f"{DEF}[DONE]\nand more",
    "marks around a fence": f"[BEGIN]\n```python\n{DEF}```\n[DONE]",
    "marks within a fence": f"```python\n[BEGIN]\n{DEF}[DONE]\n```",
    "marks of code": f"[PYTHON]\n{DEF}[/PYTHON]\n[TESTS]\nassert area(1, 1) == 5\n[/TESTS]",
    "tags of code": f"<code>\n{DEF}</code>",
    "tags of an answer": f"<answer>\n```python\n{DEF}```\n</answer>",
}


@needs_sandbox
@pytest.mark.parametrize("name", FENCED)
def test_code_is_read_whatever_became_of_its_fences(name):
    assert quality(FENCED[name]) == 1.0
    assert quality(FENCED[name].replace("w * h", "w + h")) == 0.0


BY_MUL = "```python\ndef area(w, h):\n    return mul(w, h)\n```"
TOGETHER = {
    "a helper before": "```python\ndef times(a, b):\n    return a * b\n```\nthen\n```python\ndef area(w, h):\n"
    "    return times(w, h)\n```",
    "a helper after": "```python\ndef area(w, h):\n    return times(w, h)\n```\nwith\n```python\ndef times(a, b):\n"
    "    return a * b\n```",
    "an import before": f"```python\nfrom operator import mul\n```\n{BY_MUL}",
    "a star import before": f"```python\nfrom operator import *\n```\n{BY_MUL}",
    "a constant before": "```python\nONE = 1\n```\n```python\ndef area(w, h):\n    return ONE * w * h\n```",
    "a chain": "```python\nimport operator\n```\n```python\ndef times(a, b):\n    return operator.mul(a, b)\n```\n"
    "```python\ndef area(w, h):\n    return times(w, h)\n```",
    "a class before": "```python\nclass Box:\n    def __init__(self, w, h):\n        self.size = w * h\n```\n"
    "```python\ndef area(w, h):\n    return Box(w, h).size\n```",
    "a helper beside a first version": f"```python\ndef times(a, b):\n    return a * b\n\n{WRONG}"
    "```\nBetter:\n```python\ndef area(w, h):\n    return times(w, h)\n```",
    "two helpers of a name, the nearest counts": "```python\ndef times(a, b):\n    return a + b\n```\nNo:\n```python\n"
    "def times(a, b):\n    return a * b\n```\n```python\ndef area(w, h):\n    return times(w, h)\n```",
    "a helper within a default": "```python\nunit = lambda: 1\n```\n```python\ndef area(w, h, one=unit()):\n"
    "    return one * w * h\n```",
    "a helper outside fences": "import operator\n\nwhich gives\n\ndef area(w, h):\n    return operator.mul(w, h)\n",
    "a decorator before": f"```python\nfrom functools import cache\n```\n```python\n@cache\n{DEF}```",
}


@needs_sandbox
@pytest.mark.parametrize("name", TOGETHER)
def test_blocks_that_need_each_other_run_together(name):
    assert quality(TOGETHER[name]) == 1.0


THOUGHT = {
    "a draft": (f"<think>\n```python\n{DEF}```\n</think>\nI do not know.", 0),
    "a draft in an open tag": (f"<think>\n```python\n{DEF}```\n", 0),
    "a draft before a closing tag": (f"Let me see.\n```python\n{DEF}```\n</think>\nNo answer.", 0),
    "a draft in other tags": (f"<thinking>\n{DEF}</thinking>\nSorry.", 0),
    "a draft in brackets": (f"[THINK]\n```python\n{DEF}```\n[/THINK]\nSorry.", 0),
    "a wrong draft": (f"<think>\n```python\n{WRONG}```\n</think>\n```python\n{DEF}```", 1),
    "a wrong draft after the answer": (f"```python\n{DEF}```\n<think>\n```python\n{WRONG}```\n</think>", 1),
    "two of them": (f"<think>a</think>\n{DEF}\n<think>\n{WRONG}</think>", 1),
    "an answer on the closing tag's line": (f"<think>\n{WRONG}</think>```python\n{DEF}```", 1),
    "an empty one": (f"<think>\n\n</think>\n\n```python\n{DEF}```", 1),
    "capital letters": (f"<THINK>\n{DEF}</THINK>\nSorry.", 0),
    "a tag in the code's text": ("```python\nTAG = '<think>'\nEND = '</think>'\n" + DEF + "```", 1),
    "a tag in the code's call": ("```python\nx = 'a</think>b'.split('</think>')[-1]\n" + DEF + "```", 1),
}


@needs_sandbox
@pytest.mark.parametrize("name", THOUGHT)
def test_code_in_reasoning_is_not_read(name):
    response, expected = THOUGHT[name]
    assert quality(response) == expected


CHOSEN = {
    "the last version": (f"```python\n{WRONG}```\nNo:\n```python\n{DEF}```", 1),
    "the last version, though wrong": (f"```python\n{DEF}```\nBetter:\n```python\n{WRONG}```", 0),
    "a whole version before one cut off": (f"```python\n{DEF}```\nOr:\n```python\ndef area(w, h):\n    a = w", 1),
    "a fence before text outside": (f"```python\n{DEF}```\nIt was\n{WRONG}\nbefore.", 1),
    "Python before another fence": (f"```python\n{DEF}```\n```text\n{WRONG}```", 1),
    "a definition before usage": (f"```python\n{DEF}```\n```python\nprint(area(1, 2))\n```", 1),
    "a definition before a stub": (f"```python\ndef area(w, h):\n    pass\n```\n```python\n{DEF}```\nSee above.", 1),
    "a stub after it": (f"```python\n{DEF}```\nFill in:\n```python\ndef area(w, h):\n    ...\n```", 1),
    "a lambda": ("```python\narea = lambda w, h: w * h\n```", 1),
    "a definition under a condition": (
        f"```python\nif True:\n    {DEF.replace(chr(10) + '    ', chr(10) + '        ')}```",
        1,
    ),
    "an assignment after it": ("```python\ndef inner(w, h):\n    return w * h\n\narea = inner\n```", 1),
    "another function only": ("```python\ndef volume(w, h):\n    return w * h\n```", 0),
    "no code": ("I would multiply them.", 0),
    "a word": ("area", 0),
}


@needs_sandbox
@pytest.mark.parametrize("name", CHOSEN)
def test_the_candidate_is_chosen_by_what_it_defines(name):
    response, expected = CHOSEN[name]
    assert quality(response) == expected


def test_a_candidate_is_never_chosen_by_its_tests():
    """Which of two versions runs is the same whatever the tests ask for: the tests are not at hand."""
    assert "w + h" in extract_program(f"```python\n{DEF}```\n```python\n{WRONG}```", ["area"])


@needs_sandbox
def test_a_body_whose_variable_is_named_as_the_function_is_a_body():
    body = "area = w * h\nfor _ in range(3):\n    area += 0\nreturn area\n"
    for response in (body, f"```python\n{body}```", "```python\n    area = w * h\n    return area\n```"):
        assert quality(response, COMPLETE) == 1.0


@needs_sandbox
@pytest.mark.parametrize("prompt", ["def area(w, h):\n", "import operator\n\ndef area(w, h):\n    # Area\n"])
def test_a_prompt_without_a_docstring_is_completed(prompt):
    gold = COMPLETE | {"prompt": prompt}
    for response in (BODY, DEF, f"```python\n{DEF}```", "    # by hand\n    area = w * h\n    return area\n\nDone."):
        assert quality(response, gold) == 1.0


def test_a_line_is_what_python_numbers_as_one():
    """A prompt with form feeds, as they part some old sources, and a string with a line separator of Unicode."""
    prompt = f"\f\nimport operator\n\f\n\f\n{PROMPT}"
    body = "text = 'a\u2028b'\nreturn text\nThat's it."
    program = extract_program(body, ["area"], prompt)
    assert program == f"{prompt.lstrip(chr(10))}    text = 'a\u2028b'\n    return text\n"
    assert extract_program(f"```python\n{body}\n```", ["area"], prompt) == program


@needs_sandbox
def test_what_a_set_up_uses_stays():
    gold = WRITE | {"setup": "box = Box(3, 5)", "tests": ["assert area(box) == 15"]}
    box = "class Box:\n    def __init__(self, w, h):\n        self.w, self.h = w, h\n"
    function = "def area(box):\n    return box.w * box.h\n"
    for response in (f"{box}{function}", f"{function}\n{box}", f"```python\n{box}```\n```python\n{function}```"):
        assert quality(response, gold) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "```\n" * 5000,
        "```python\n" * 2500,
        f"```python\n{DEF}```\n" * 500,
        "<think>\n" * 5000,
        "[BEGIN]\n" * 5000,
        "Question: \n" * 5000,
        f"{DEF}\nQuestion: ?\n" * 800,
        "x = 1\n!\n" * 5000,
        '"""\n```\n' * 2500,
        "    " + "(" * 5000 + "\n" + BODY,
        "<|a|>" * 5000,
    ],
    ids=range(11),
)
def test_text_without_end_is_read_in_time(text):
    started = time.process_time()
    extract_program(text, ["area"], PROMPT)
    assert time.process_time() - started < 10
