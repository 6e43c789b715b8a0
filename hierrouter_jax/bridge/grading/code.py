"""Grading code by running it: HumanEval and MBPP, and tasks of the same two forms."""

import ast
import builtins
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from hierrouter_jax.bridge.grading.extraction import closed_prompt, extract_program
from hierrouter_jax.bridge.grading.markup import IN_CODE, without_thinking
from hierrouter_jax.bridge.grading.sandbox.sandbox import Limits, ProgramTests, Sandbox, find_sandbox
from hierrouter_jax.bridge.grading.source import error_in, missing_names, syntax_tree
from hierrouter_jax.bridge.grading.verdict import Verdict, check_paired
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query

VERSION = 3
MAX_CHARACTERS = 1 << 18
_FIELDS = {"humaneval": ("prompt", "test", "entry_point"), "mbpp": ("setup", "tests", "imports")}
_LISTS = ("tests", "imports")


@dataclass(frozen=True)
class CodeGrader:
    """Runs the program in a response against the query's tests: quality 1 if all pass, else 0.

    The query's gold is a JSON object: `{"kind": "humaneval", "prompt", "test", "entry_point"}`, where `test` defines
    `check(candidate)`; or `{"kind": "mbpp", "setup", "tests": [assert, ...], "imports": [import, ...]}`, where `setup`
    runs after the program and before the asserts.

    Attributes:
      limits: limits of each program.
      allow_unsandboxed: whether to run programs unprotected where there is no sandbox.

    Raises:
      InputError: when called: if there is no sandbox, there is not one response a query, or a query's gold is not as
        above.
    """

    limits: Limits = field(default_factory=Limits)
    allow_unsandboxed: bool = False

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        check_paired(responses, queries)
        tasks = [(response, read_gold(query)) for response, query in zip(responses, queries, strict=True)]
        sandbox = self.sandbox
        if len(tasks) < 2:
            return [self._grade(response, gold, sandbox) for response, gold in tasks]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            return list(threads.map(lambda task: self._grade(task[0], task[1], sandbox), tasks))

    @property
    def sandbox(self) -> Sandbox:
        return find_sandbox(self.allow_unsandboxed)

    @property
    def identity(self) -> str:
        """What a verdict depends on beside the response and the query."""
        return f"code {VERSION} {self.limits} {self.sandbox.identity}"

    def _grade(self, response: str, gold: Mapping[str, Any], sandbox: Sandbox) -> Verdict:
        response = without_thinking(response, IN_CODE)
        if len(response) > MAX_CHARACTERS:
            return Verdict(0.0, "", f"too long: {len(response)} characters")
        program = extract_program(response, wanted_names(gold), gold.get("prompt", ""), used_names(gold))
        if not program.strip():
            return Verdict(0.0, "", "no code")
        try:
            program.encode()
        except UnicodeEncodeError:
            return Verdict(0.0, program, "error: the program is no valid text")
        outcome = sandbox.run(program, tests_of(gold), self.limits)
        return Verdict(float(outcome.passed), program, outcome.reason)


def read_gold(query: Query) -> dict[str, Any]:
    """The gold of a code query.

    Raises:
      InputError: if it is not one of the two forms, or its prompt or tests are no Python.
    """
    try:
        gold = json.loads(query.gold)
        missing = [name for name in _FIELDS[gold["kind"]] if name not in gold]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"query {query.id}: gold must be a JSON object whose kind is humaneval or mbpp") from None
    if missing:
        raise InputError(f"query {query.id}: gold of kind {gold['kind']} lacks {', '.join(missing)}")
    if not gold["tests" if gold["kind"] == "mbpp" else "test"]:
        raise InputError(f"query {query.id}: gold of kind {gold['kind']} holds no test, and any program would pass")
    if fault := _fault(gold):
        raise InputError(f"query {query.id}: gold of kind {gold['kind']}: {fault}")
    return gold


def _fault(gold: Mapping[str, Any]) -> str | None:
    """Why no program could be judged by a gold that has all its fields; None where one can."""
    for name in _FIELDS[gold["kind"]]:
        value, many = gold[name], name in _LISTS
        texts = value if many and isinstance(value, list) else [value]
        if isinstance(value, list) != many or not all(isinstance(text, str) for text in texts):
            return f"{name} must be {'a list of texts' if many else 'text'}"
    if gold["kind"] == "humaneval":
        sources = {"prompt": closed_prompt(gold["prompt"]), "test": gold["test"]}
    else:
        tests = {f"tests[{place}]": test for place, test in enumerate(gold["tests"])}
        sources = {"imports": "\n".join(gold["imports"]), "setup": gold["setup"], **tests}
    for name, source in sources.items():
        error = error_in(source)
        if error is not None:
            return f"{name} is no Python ({error.msg}): {source[:60]!r}"
    return None


def tests_of(gold: Mapping[str, Any]) -> ProgramTests:
    """The tests in the sandbox's terms.

    HumanEval's tests may use what the prompt defines (`poly`, `encode_cyclic`): the prompt's own, never the program's.
    """
    if gold["kind"] == "humaneval":
        entry = gold["entry_point"]
        return ProgramTests(closed_prompt(gold["prompt"]), (entry,), (("tests", f"{gold['test']}\ncheck({entry})\n"),))
    asserts = [(f"assert {number}", source) for number, source in enumerate(gold["tests"], start=1)]
    setup = [("set-up", gold["setup"])] if gold["setup"].strip() else []
    return ProgramTests("\n".join(gold["imports"]), (), (*setup, *asserts))


def wanted_names(gold: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that a program must define: the entry point, or what the asserts call and Python does not have."""
    if gold["kind"] == "humaneval":
        return (gold["entry_point"],)
    called: dict[str, None] = {}
    for source in gold["tests"]:
        tree = syntax_tree(source) or ast.Module([], [])
        names = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        called |= dict.fromkeys(name.id for name in names if isinstance(name, ast.Name))
    own = tuple(name for name in called if not hasattr(builtins, name))
    return own or tuple(called)


def used_names(gold: Mapping[str, Any]) -> set[str]:
    """The names that the tests take from a program beside the wanted ones, as a set-up does a class."""
    if gold["kind"] == "humaneval":
        return set()
    return missing_names("\n".join([*gold["imports"], gold["setup"], *gold["tests"]]))
