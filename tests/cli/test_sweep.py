"""`hierrouter sweep`: its arguments, its progress, its table; interrupted and killed, it ends with the same bytes."""

import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from hierrouter_jax.cli.main import main, parse
from hierrouter_jax.cli.progress import SweepProgress, best_table, shown
from hierrouter_jax.config import PACKAGE
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.sweeps.members import Plan
from hierrouter_jax.sweeps.search.config import BaseSettings, SweepConfig
from tests.sweeps.sweep_run import TABLE

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


@pytest.fixture(scope="module", autouse=True)
def compiled_quickly(tmp_path_factory):
    """Here and in the processes that these tests start, which share what they compile."""
    told = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("xla")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PLATFORMS": "cpu",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        yield


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


@pytest.fixture
def progress():
    """A sweep of 2 cost weights x 2 seeds, with a clock that shows 10 s more for each look."""
    train = BaseSettings(("exact",))
    config = SweepConfig(Path("t"), train=train, space={"reward.hop_cost": [0.01, 0.1]}, seeds=2)
    return SweepProgress(config, now=iter(range(0, 10_000, 10)).__next__), Plan(
        tuple(config.statics), config.points(), (0, 1)
    )


def note(progress: SweepProgress, plan: Plan, member: int, value: float, trained: bool = True) -> None:
    scores = {"best_return": np.array([value]), "best_accuracy": np.array([0.5])}
    progress.note(plan, np.array([member]), scores, trained)


def test_progress_counts_rates_and_keeps_the_best_of_each_reward(progress):
    progress, plan = progress
    note(progress, plan, 0, 0.5, trained=False)
    assert (progress.done, progress.total, progress.rate, progress.left) == (1, 4, None, None)
    note(progress, plan, 1, 0.7)  # 0 s: compiled
    assert progress.speed == "the first runs wait for the compiler"
    note(progress, plan, 2, 0.1)
    assert progress.rate == pytest.approx(60 / 10)
    assert progress.left == pytest.approx(20)  # one run more took as long as the clock's next look, 20 s
    assert progress.best == {(0.01,): (0.7, {"seed": 1}), (0.1,): (0.1, {"seed": 0})}
    note(progress, plan, 3, float("nan"))
    assert progress.best[(0.1,)] == (0.1, {"seed": 0})


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_to_people_and_to_logs(progress, terminal):
    progress, plan = progress
    progress = replace(progress, now=time.monotonic)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with shown(progress, console) as (watch, say):
        for member in range(4):
            scores = {"best_return": np.array([0.5 + member]), "best_accuracy": np.array([0.5])}
            watch(plan, np.array([member]), scores)
        say("stops soon")
    text = console.file.getvalue()
    assert "stops soon" in text
    assert ("4/4" if terminal else "sweep: 4 of 4 runs") in text
    assert "1.5000" in text
    assert [column.header for column in best_table(progress).columns] == [
        "reward.hop_cost",
        "best validation return",
        "with",
    ]
