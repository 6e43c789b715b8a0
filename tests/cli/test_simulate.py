"""The verb `simulate`: a decision log from a table, by every kind of policy; bad input is one line."""

import json

import numpy as np
import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.main import main
from hierrouter_jax.outcomes.decision_log import propensity_check, read_log, replay
from hierrouter_jax.outcomes.episodes import episodes_of
from hierrouter_jax.outcomes.log_health import check_episodes
from hierrouter_jax.outcomes.store import load_table
from tests.cli.small_run import refused


@pytest.fixture
def simulated(run, tmp_path, monkeypatch):
    """A function that simulates with some options, and reads the log."""
    monkeypatch.chdir(tmp_path)

    def log(*options):
        assert main(["simulate", str(run / "table"), "--episodes", "300", "--out", "log", *options]) == 0
        return read_log("log")

    return log


def test_the_default_is_a_log_that_others_can_use(run, simulated, capsys):
    log = simulated()
    assert "log: 300 episodes of" in capsys.readouterr().out
    table = load_table(run / "table")
    episodes = episodes_of(log)
    assert len(episodes) == 300
    assert check_episodes(episodes, table.model_names) == []
    assert set(episodes.table) == {table.fingerprint}
    assert set(episodes.explore) == {"softmax:0.1"}
    tasks = {query.task for query in table.queries if query.split == "train"}
    assert set(episodes.task) == tasks
    assert log.rows["question"].null_count == len(log)
    assert propensity_check(*log.draws()).p_value > 0.001


@pytest.mark.parametrize(
    ("options", "explore"),
    [
        (["--policy", "RUN"], "softmax:1.0"),
        (["--policy", "epsilon:0.3", "--of", "RUN"], "epsilon:0.3"),
        (["--policy", "uniform", "--of", "RUN"], "epsilon:1.0"),
    ],
)
def test_a_runs_policy_is_served_as_its_bundle_would_be(run, simulated, tmp_path, options, explore):
    assert main(["export", str(run / "run"), str(tmp_path / "policy")]) == 0
    log = simulated(*(str(tmp_path / "policy") if word == "RUN" else word for word in options))
    assert set(log.rows["explore"].to_pylist()) == {explore}
    bundle = PolicyBundle.load(tmp_path / "policy")
    np.testing.assert_allclose(replay(log, bundle), log.matrix("probs"), atol=1e-6)


def test_a_run_without_a_bundle_serves_what_it_would_export(run, simulated, tmp_path):
    assert main(["export", str(run / "run"), str(tmp_path / "policy")]) == 0
    log = simulated("--policy", str(run / "run"))
    assert set(log.column("policy")) == {PolicyBundle.load(tmp_path / "policy").fingerprint}


def test_the_uniform_policy_takes_all_actions_alike(simulated):
    episodes = episodes_of(simulated("--policy", "uniform", "--of", "predict-then-plan+stop", "--feedback", "0.5"))
    assert (episodes.propensity[:, 0] == 1 / 3).all()
    assert np.isin(episodes.propensity[:, 1][episodes.taken[:, 1]], 1 / 4).all()
    assert 100 < np.isfinite(episodes.quality).sum() < 200


def test_the_same_seed_writes_the_same_log(run, tmp_path, capsys):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        command = ["simulate", str(run / "table"), "--episodes", "40", "--out", str(tmp_path / name)]
        assert main([*command, "--seed", seed, "--split", "test", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["episodes"] == 40
    a, b, c = (read_log(tmp_path / name).rows for name in "abc")
    assert a.equals(b)
    assert not a.equals(c)


def test_bad_input_is_one_line_and_writes_nothing(run, tmp_path, capsys):
    table, out = str(run / "table"), str(tmp_path / "log")
    for options, words in (
        (["--policy", "soft"], "policy is 'soft', but must be softmax:T with T above 0"),
        (["--policy", "softmax:0"], "but must be softmax:T with T above 0"),
        (["--of", "ppo"], "ppo: is neither a run nor a bundle"),
        (["--split", "dev"], "split is 'dev', but must be one of train, validation, test"),
        (["--feedback", "2"], "feedback"),
    ):
        assert words in refused(capsys, "simulate", table, "--out", out, *options)
        assert not (tmp_path / "log").exists()
    assert main(["simulate", table, "--episodes", "5", "--out", out]) == 0
    capsys.readouterr()
    assert "log: holds a decision log already" in refused(capsys, "simulate", table, "--episodes", "5", "--out", out)
