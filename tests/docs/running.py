"""Runs the blocks of a page in order, in a folder of its own, as a reader would: shell lines and Python alike."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.cli.main import main, parse
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.rows import read_queries
from tests.docs.pages import ROOT, Block

# What is put behind a command of each verb, so that it is over in seconds: budgets, never what it does.
LEARNER = {"num_envs": "32", "num_updates": "10"}
SMALL: dict[str, dict[str, str]] = {
    "quickstart": {
        **{f"--train.static.{name}": value for name, value in LEARNER.items()},
        "--train.num_seeds": "2",
        "--train.features": "8",
        "--queries": "{train: 24, validation: 9, test: 9}",
        "--horizon": "2",
    },
    "train": {
        "--train.learners": "[ppo+stop]",
        **{f"--train.static.{name}": value for name, value in LEARNER.items()},
        "--train.num_seeds": "2",
        "--train.features": "8",
    },
    "loop": {
        **{f"--train.static.{name}": value for name, value in LEARNER.items()},
        "--train.num_seeds": "1",
        "--train.features": "8",
    },
    "sweep": {
        **{f"--train.static.{name}": value for name, value in LEARNER.items()},
        "--train.features": "8",
        "--seeds": "2",
        "--layout": "map",
    },
    "compare": {
        "--base.static.num_envs": "32",
        "--base.features": "8",
        "--cost_weights": "[0.01, 0.1]",
        "--seeds": "2",
        "--resamples": "100",
        "--layout": "map",
    },
    "leaderboard": {
        **{f"--static.{name}": value for name, value in LEARNER.items()},
        "--features": "8",
        "--seeds": "1",
        "--workers": "1",
        "--resamples": "100",
        "--opponents": "[best-single, task-sequence, knn]",
        "--learners": "{exact+stop: {}}",
    },
    "transfer": {
        **{f"--train.static.{name}": value for name, value in LEARNER.items()},
        "--train.num_seeds": "1",
        "--train.features": "8",
    },
}
SIZES = "{train: 6, validation: 3, test: 3}"
# Numbers of queries and configurations that are made smaller where a command states them.
CAPS = {"--splits": "2", "--folds": "2", "--train": "40", "--test": "20", "--draws": "2", "--seeds": "2"}


@dataclass
class Reader:
    """Somebody who types a page's blocks into a terminal and a Python session.

    Attributes:
      folder: folder that everything happens in, also the working directory.
      names: variables of the Python session so far.
    """

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "docs"})

    def run(self, block: Block) -> None:
        for command in block.before:
            self.type_line(command, block)
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.run_text)
            check_file(path, block)
        elif block.language == "python":
            exec(compile(block.run_text, str(block), "exec"), self.names)
        elif block.language == "bash":
            for line in logical_lines(block.run_text):
                self.type_line(line, block)
        else:
            raise AssertionError(f"{block}: a block of {block.language} names the file that it is to be")

    def type_line(self, line: str, block: Block) -> None:
        """One line: verbs of ours in this process, which has everything loaded; all else in a shell."""
        parts = [part.strip() for part in line.split("&&")]
        if all(part.startswith("hierrouter ") and not re.search(r"[|>]", part) for part in parts):
            for part in parts:
                verb, *arguments = shlex.split(part)[1:]
                code = ending(lambda: main([verb, *arguments, *small(verb, arguments)]))  # noqa: B023 (called here)
                assert code == 0, f"{block}: {part} ended with {code}"
            return
        words = shlex.split(line)
        if words[0] == "python" and (self.folder / words[1]).is_file():
            with patch.object(sys, "argv", words[1:]):
                runpy.run_path(words[1], run_name="__main__")
            return
        environment = os.environ | {"PATH": f"{self.tools()}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", line],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{block}: {line} ended with {done.returncode}\n{done.stdout}{done.stderr}"

    def tools(self) -> Path:
        """A folder with `hierrouter` and `python`, which start what runs here."""
        folder = self.folder / ".tools"
        if not folder.is_dir():
            folder.mkdir()
            for name, command in (("python", ""), ("hierrouter", "-m hierrouter_jax.cli.main")):
                (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
                (folder / name).chmod(0o755)
        return folder


def ending(command: Callable[[], int]) -> int:
    """The exit code of a command, also where the parser ends it, as `--help` does."""
    try:
        return command()
    except SystemExit as stopped:
        return int(stopped.code or 0)


# How a file is read that no later block uses; the configuration of a verb is read by its parser.
CHECKS: dict[str, Callable[[Path], Any]] = {"pool": load_pool, "queries": read_queries, "json": read_json}


def check_file(path: Path, block: Block) -> None:
    """A file of Python compiles, one of YAML can be read; what is in it is for later blocks, or a check, to judge."""
    if block.language == "python":
        compile(block.run_text, str(block), "exec")
    elif block.language == "yaml":
        yaml.safe_load(block.run_text)
    if block.check in CHECKS:
        assert CHECKS[block.check](path), f"{block}: nothing is in it"
    elif block.check:
        verb, *arguments = block.check.split()
        assert parse(verb, [*arguments, "--config", str(path)]), f"{block}: is no configuration of {verb}"


def logical_lines(text: str) -> list[str]:
    """Lines as the shell reads them: continued ones joined, comments left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in (re.split(r"(?:^|\s)#\s", line)[0].strip() for line in lines) if line]


def small(verb: str, arguments: list[str]) -> list[str]:
    """The options behind a command that make it quick; one that only prints is left as it is."""
    if "--help" in arguments:
        return []
    options = dict(SMALL.get(verb, {}))
    if verb in ("sweep", "leaderboard"):
        options |= {name: value for name, value in CAPS.items() if name in arguments}
    preset = arguments[arguments.index("--config") + 1] if "--config" in arguments else ""
    if preset.startswith("leaderboard/"):
        options |= {name: CAPS[name] for name in ("--splits", "--train", "--test")}
    if verb == "train" and ("--train.learners" in arguments or preset):
        del options["--train.learners"]
    if verb == "collect" and "--dry_run" not in arguments:
        options["--horizon"] = "1" if "--mix" in arguments or "--tasks" in arguments else "2"
        if "--queries" not in arguments:
            options["--counts"] = SIZES
    if verb in ("collect", "inspect") and {"--mix", "--tasks", "--task"} & set(arguments) and "--data" not in arguments:
        options["--data"] = "benchmarks"
    return [text for option in options.items() for text in option]
