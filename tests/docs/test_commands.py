"""What is too long to run, and what the help says to type, can be parsed; examples use public names alone."""

import re
import shlex

import pytest

import hierrouter_jax
from hierrouter_jax.cli.main import VERBS, parse
from tests.docs.pages import PAGES, blocks
from tests.docs.running import logical_lines

ALL = [block for page in PAGES for block in blocks(page)]


def commands() -> list[str]:
    left_out = [block for block in ALL if block.language == "bash" and block.reason]
    lines = [line for block in left_out for line in logical_lines(block.text)]
    parts = [part.strip() for line in lines for part in re.split(r"&&|\|", line)]
    written = [part for part in parts if part.startswith("hierrouter ") and not part.split()[1].startswith("-")]
    return written + [f"hierrouter {example}" for example in (verb.example for verb in VERBS.values())]


@pytest.mark.parametrize("command", [command for command in commands() if "--help" not in command])
def test_every_command_parses(command):
    verb, *arguments = shlex.split(command)[1:]
    _, options = parse(verb, arguments)
    assert options or verb == "tables"


def test_there_are_commands_to_check():
    assert len(commands()) > len(VERBS)


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "python"], ids=str)
def test_every_public_name_in_an_example_exists(block):
    compile(block.text, str(block), "exec")
    for name in re.findall(r"\bhr\.(\w+)", block.text):
        assert getattr(hierrouter_jax, name)


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "python"], ids=str)
def test_examples_import_nothing_below_the_public_names(block):
    modules = re.findall(r"^(?:from|import) (hierrouter_jax[\w.]*)", block.text, flags=re.MULTILINE)
    assert set(modules) <= {"hierrouter_jax", "hierrouter_jax.envs"}
