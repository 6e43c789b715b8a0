"""`hierrouter sweep`: its arguments, its progress, its table; interrupted and killed, it ends with the same bytes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hierrouter_jax.cli.main import main, parse
from hierrouter_jax.config import PACKAGE
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from tests.compiling import compiled_quickly
from tests.sweeps.sweep_run import TABLE

__all__ = ["compiled_quickly"]

ROOT = Path(__file__).parents[2]
SETTINGS = """
train:
  learners: [exact]
  features: 6
  static: {num_envs: 64, num_updates: 10, epochs: 1, minibatches: 1, hidden: [16, 16], stage_size: 4}
seeds: 2
layout: map
chunk: 1
"""
AXES = ["agent.learning_rate=log(3e-4,1e-2)", "reward.hop_cost=0.01,0.5"]
SLOWLY = """
import sys
from hierrouter_jax.cli.main import main
from hierrouter_jax.sweeps.folder import Finished
from tests.sweeps.sweep_run import slowly
Finished.add = slowly(Finished.add)
sys.exit(main(sys.argv[1:]))
"""


def stopped(folder: Path, command: list[str], how: signal.Signals, after: int) -> subprocess.CompletedProcess:
    """The verb in a process of its own, that is stopped once so many runs are finished."""
    run = [sys.executable, "-c", SLOWLY, *command]
    process = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("chunks/[0-9]*"))) < after and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(run, process.returncode, out, err)


@pytest.mark.extended
def test_interrupted_and_killed_it_ends_with_the_same_bytes(tmp_path, capsys):
    save_table(TABLE, tmp_path / "table")
    (tmp_path / "sweep.yaml").write_text(SETTINGS)
    command = ["sweep", str(tmp_path / "table"), *AXES, "--config", str(tmp_path / "sweep.yaml"), "--draws", "8"]
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    interrupted = stopped(cut, [*command, "--out", str(cut)], signal.SIGINT, after=3)
    assert interrupted.returncode == 130
    told = interrupted.stderr.strip().splitlines()[-1]
    kept = len(list(cut.glob("chunks/[0-9]*")))
    assert told == (f"hierrouter: interrupted; {cut} keeps {kept} of 16 runs, run the same command again to go on")
    assert "Ctrl-C again stops at once" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    assert stopped(cut, [*command, "--out", str(cut)], signal.SIGKILL, after=kept + 3).returncode == -signal.SIGKILL
    assert kept + 3 <= len(list(cut.glob("chunks/[0-9]*"))) < 16
    for out in (cut, whole):
        assert main([*command, "--out", str(out)]) == 0
    assert (cut / "sweep.parquet").read_bytes() == (whole / "sweep.parquet").read_bytes()
    printed = capsys.readouterr()
    assert printed.err.count("16 of 16 runs") == 2
    tables, policies = [], []
    for line in printed.out.splitlines():
        tables += [line.split()[-1]] if line.startswith("reward.hop_cost ") else []
        policies += [line] if line.startswith(f"policy: {whole}/policies/1-member-") else []
    assert tables == ["0.01", "0.5"] * 2
    assert len(policies) == 2
    assert "8 configurations, 16 runs, ranked by validation return, among equals in reward.hop_cost" in printed.out
    assert main([*command, "--out", str(whole), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == read_json(whole / "results.json")


def test_bare_arguments_are_axes_wherever_they_stand():
    command = ["agent.clip=log(0.1,0.2)", "t", "--out", "x=y", "--json", "learner=exact,ppo+stop", "--draws=3"]
    _, options = parse("sweep", command)
    config = options["config"]
    assert config.axes == ("agent.clip=log(0.1,0.2)", "learner=exact,ppo+stop")
    assert (config.table, config.out, options["json"], config.draws) == (Path("t"), Path("x=y"), True, 3)
    assert len(config.statics) == 2


@pytest.mark.parametrize("preset", sorted(path.name for path in (PACKAGE.parent / "configs/sweep").glob("*.yaml")))
def test_every_preset_loads(preset):
    _, options = parse("sweep", ["tables/mine", "--config", f"sweep/{preset}", "clip=0.2"])
    assert options["config"].searched.ranges
    assert options["config"].searched.numbers["clip"] == (0.2,)


def test_a_mistake_gets_one_line_naming_the_right_name(capsys):
    assert main(["sweep", "tables/none", "agent.learning_rte=1"]) == 2
    assert capsys.readouterr().err == (
        "hierrouter: error: agent.learning_rte is nothing that can vary; did you mean learning_rate?\n"
    )
    assert main(["sweep", "tables/none", "clip=0.1"]) == 2
    assert "no such outcome table" in capsys.readouterr().err
