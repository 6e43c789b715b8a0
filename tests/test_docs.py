"""What the documentation tells people to type exists."""

import re
import shlex
from pathlib import Path

import pytest

import hierrouter_jax
from hierrouter_jax.cli.main import VERBS, parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    ]


def commands() -> list[str]:
    lines = [line.partition("  #")[0] for _, block in blocks("") for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in re.split(r"&&|\|", line)]
    return [part for part in parts if part.startswith("hierrouter ")] + [
        f"hierrouter {example}" for _, _, example in VERBS.values()
    ]


@pytest.mark.parametrize("command", commands())
def test_every_command_in_the_documentation_parses(command):
    verb, *arguments = shlex.split(command)[1:]
    _, options = parse(verb, arguments)
    assert options


def test_there_are_commands_to_check():
    assert len(commands()) > 10


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_every_name_in_a_python_example_exists(page, code):
    compile(code, page, "exec")
    for name in re.findall(r"\bhr\.(\w+)", code):
        assert getattr(hierrouter_jax, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_repository_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
