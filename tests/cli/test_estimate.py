"""The verb `estimate`: what a log says of a policy, beside the truth, on paper and as JSON; bad input is one line."""

import json

import pytest

from hierrouter_jax.cli.estimate import NAMES, EstimateConfig, estimate_log, sentences
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json
from hierrouter_jax.studies.off_policy.evidence import DEFAULT, ESTIMATORS
from tests.cli.small_run import refused

POLICY = "predict-then-plan+stop"


@pytest.fixture(scope="module")
def logs(run, tmp_path_factory):
    """A log that explores, and one that does not, of the same policy on the same table."""
    folder = tmp_path_factory.mktemp("logs")
    for name, policy in (("soft", "epsilon:0.5"), ("argmax", "none")):
        options = ["--of", POLICY, "--policy", policy, "--episodes", "1500", "--out", str(folder / name)]
        assert main(["simulate", str(run / "table"), *options]) == 0
    return folder


def test_the_estimators_of_the_command_are_those_that_there_are():
    assert set(NAMES) == set(ESTIMATORS)
    assert EstimateConfig("l", "p").estimator == DEFAULT


def test_a_log_says_what_a_policy_would_reach(run, logs, tmp_path, capsys):
    table = str(run / "table")
    options = ["--policy", POLICY, "--table", table, "--out", str(tmp_path / "out")]
    assert main(["estimate", str(logs / "soft"), *options]) == 0
    printed = capsys.readouterr().out
    for word in ("served (mean of the log)", "difference", "truth", f"{DEFAULT} *", "effective sample", "p = "):
        assert word in printed
    result = read_json(tmp_path / "out" / "estimate.json")
    assert main(["estimate", str(logs / "soft"), *options[:4], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result
    low, high = result["estimate"]["accuracy"]["ci"]
    assert low <= result["truth"]["accuracy"] <= high
    assert main(["report", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_bundle_of_a_policy_needs_no_table(run, logs, tmp_path):
    assert main(["export", str(run / "run"), str(tmp_path / "bundle")]) == 0
    result = estimate_log(EstimateConfig(logs / "soft", str(tmp_path / "bundle")))
    assert result["truth"] is None
    assert result["episodes"]["used"] == 1500


def test_an_argmax_log_says_that_it_cannot_answer(run, logs, capsys):
    assert main(["estimate", str(logs / "argmax"), "--policy", "best-sequence", "--table", str(run / "table")]) == 0
    printed = capsys.readouterr().out
    assert "the log cannot say what best-sequence would reach" in printed
    assert "argmax policy, which identifies nothing but its own value" in printed
    assert "difference" not in printed
    own = estimate_log(EstimateConfig(logs / "argmax", POLICY, run / "table"))
    assert own["same_policy"]
    assert own["estimate"]["accuracy"]["value"] == pytest.approx(own["logging"]["accuracy"]["value"])
    assert "is what served" in " ".join(sentences(own))


def test_bad_input_is_one_line(run, logs, tmp_path, capsys):
    log, table = str(logs / "soft"), str(run / "table")
    assert "--policy is missing" in refused(capsys, "estimate", log)
    assert "--estimator is 'dr'" in refused(capsys, "estimate", log, "--policy", "p", "--estimator", "dr")
    assert "--split is 'dev'" in refused(capsys, "estimate", log, "--policy", "p", "--split", "dev")
    assert "explore is 'soft'" in refused(capsys, "estimate", log, "--policy", "p", "--explore", "soft")
    assert "clip is 0" in refused(capsys, "estimate", log, "--policy", "p", "--clip", "0")
    assert "give it by --table" in refused(capsys, "estimate", log, "--policy", POLICY)
    line = refused(capsys, "estimate", log, "--policy", str(tmp_path / "none"), "--table", table)
    assert "is neither a run nor a bundle" in line
    assert "holds no decision log" in refused(capsys, "estimate", table, "--policy", POLICY, "--table", table)
    assert not (tmp_path / "out").exists()


def test_a_configuration_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match="cost_weight is -1"):
        EstimateConfig("l", "p", cost_weight=-1)
