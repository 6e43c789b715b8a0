"""What the documentation tells people to type exists."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import pytest

import hierrouter_jax
from hierrouter_jax.cli.main import VERBS, parse
from hierrouter_jax.envs.routing import entering_rewards
from hierrouter_jax.envs.types import device_table
from hierrouter_jax.outcomes.store import save_table
from tests.tables import random_table

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
        f"hierrouter {example}" for _, _, example, *_ in VERBS.values()
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


def test_the_examples_of_many_runs_run_as_they_stand(tmp_path):
    save_table(random_table(queries=90), tmp_path / "runs" / "quickstart" / "table")
    code = "\n".join(block for page, block in blocks("python") if page == "many-runs.md")
    quick = {"XLA_FLAGS": "--xla_backend_optimization_level=1", "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | quick, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "best_return" in done.stdout
    assert (tmp_path / "runs" / "sweep" / "sweep.parquet").is_file()
    assert (tmp_path / "policies" / "best" / "policy.json").is_file()


def test_the_term_of_ones_own_trains_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = [block for page, block in blocks("python") if page == "rewards.md"]
    (reward,) = [block for page, block in blocks("yaml") if page == "rewards.md"]
    Path("my_terms.py").write_text(code)
    Path("my-reward.yaml").write_text(reward)
    save_table(random_table(queries=90), Path("table"))
    _, options = parse("train", ["table", "--train.hyper.reward", "my-reward.yaml", "--config", "train/fast.yaml"])
    own = options["config"].train.hyper.reward
    assert own.custom == {"my_terms.py:short_answers": 0.2}
    table = random_table(queries=1)
    hop = device_table(table, table.context_embedding, 1.0).replace(tokens=jnp.arange(40.0)[None] - 13)
    rewards = entering_rewards(hop, replace(own, hop_cost=0.0, terminal_quality=0.0))[0]
    assert rewards.tolist() == [pytest.approx(0.2) if 13 <= node <= 23 else 0.0 for node in range(40)]
