"""The verb `export` takes what the run answers, and says which learner it took."""

import pandas as pd

from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from tests.cli.small_run import refused


def test_export_takes_the_learner_that_the_run_answers(run, tmp_path, capsys):
    folder, bundle = str(run / "run"), str(tmp_path / "best")
    assert main(["export", folder, bundle]) == 0
    (told,) = capsys.readouterr().err.splitlines()
    best = told.partition(":")[0]
    assert told == f"{best}: the best of ppo, ppo+stop on validation; --learner takes another"
    metrics = pd.read_parquet(run / "run" / "metrics.parquet")
    assert metrics.groupby("learner")["validation_return"].max().idxmax() == best
    assert read_json(tmp_path / "best" / "policy.json")["provenance"]["learner"] == best
    out = str(tmp_path / "run")
    command = ["train", str(run / "table"), "--config=train/fast.yaml", "--out", out, "--train.features", "4"]
    assert main([*command, "--train.num_seeds=1", "--train.static.num_updates=5", "--train.static.num_envs=64"]) == 0
    capsys.readouterr()
    assert main(["export", out, str(tmp_path / "only")]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"{tmp_path / 'only'}\n", "")
    assert read_json(tmp_path / "only" / "policy.json")["provenance"]["learner"] == "exact"


def test_a_bundle_of_another_pool_and_an_empty_query_are_refused(run, tmp_path, capsys):
    policy = str(tmp_path / "policy")
    assert main(["export", str(run / "run"), policy]) == 0
    capsys.readouterr()
    line = refused(capsys, "route", "hello", "--policy", policy)
    assert "m0" in line
    assert "reader" in line
    assert "empty" in refused(capsys, "route", "   ", "--policy", policy)
    assert "not trained to be told one" in refused(capsys, "route", "hello", "--policy", policy, "--budget", "40")
    assert "not trained to be told one" in refused(capsys, "route", "hello", "--policy", policy, "--cost_weight", "0.1")
