"""Every verb on its own, on a small run; and every kind of bad input: one line, exit code 2."""

import json
import shutil

import pandas as pd
import pytest

from hierrouter_jax.cli.main import VERBS, main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from tests.events import event_values, metric_values
from tests.tables import random_table

SMALL = [
    *("--train.num_seeds", "2", "--train.features", "6"),
    *("--train.static.num_envs", "64", "--train.static.num_updates", "10"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save_table(random_table(queries=90), folder / "table")
    assert main(["train", str(folder / "table"), "--out", str(folder / "run"), *SMALL]) == 0
    return folder


def refused(capsys, *arguments: str) -> str:
    """The one line that a bad command prints."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("hierrouter: error: ")
    return lines[0]


def test_train_writes_the_run_folder(run):
    names = {path.name for path in (run / "run").iterdir()}
    assert {"config.yaml", "metrics.parquet", "checkpoints", "run.json"} <= names
    assert len(pd.read_parquet(run / "run" / "metrics.parquet")) == 2 * 2 * 10
    record = read_json(run / "run" / "run.json")
    assert {"command", "version", "seed", "seconds", "peak_rss_bytes", "machine"} <= set(record)


def test_a_finished_run_is_tracked_when_it_is_asked_for(run, capsys):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra track)")
    folder = run / "run"
    assert main(["train", str(run / "table"), "--out", str(folder), *SMALL, "--track", "tensorboard"]) == 0
    assert "nothing is trained" in capsys.readouterr().out
    metrics = pd.read_parquet(folder / "metrics.parquet")
    for learner, seed in (("ppo", 1), ("ppo+stop", 0)):
        assert event_values(folder / "tensorboard" / f"{learner}-seed-{seed}") == metric_values(metrics, learner, seed)


def test_evaluate_report_and_export(run, tmp_path, capsys):
    folder = str(run / "run")
    assert main(["evaluate", folder, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == read_json(run / "run" / "evaluation.json")
    assert main(["evaluate", folder, "--split", "validation"]) == 0
    assert "validation split" in capsys.readouterr().out
    assert main(["report", folder]) == 0
    tree = pd.read_csv(run / "run" / "data" / "hop_tree.csv")
    assert tree.query("stage == 1")["probability"].sum() == pytest.approx(1, abs=1e-5)
    assert main(["export", folder, str(tmp_path / "policy"), "--learner", "ppo", "--seed", "1"]) == 0
    assert read_json(tmp_path / "policy" / "policy.json")["provenance"]["seed"] == 1


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


def test_two_policies_of_a_run_are_compared_as_they_were_evaluated(run):
    folder = str(run / "run")
    assert main(["evaluate", folder]) == 0
    assert main(["report", folder, "--a", "ppo", "--b", "task-sequence", "--query", "q1"]) == 0
    pair = read_json(run / "run" / "report.json")["pair"]
    evaluated = {row["name"]: row for row in read_json(run / "run" / "evaluation.json")["policies"]}
    for letter, name in (("a", "ppo"), ("b", "task-sequence")):
        assert pair[letter] == name
        assert pair["accuracy"][letter] == pytest.approx(evaluated[name]["accuracy"])
        assert pair["cost"][letter] == pytest.approx(evaluated[name]["cost"])
    assert sum(pair["counts"].values()) == pair["queries"] == 30
    assert "text 1" in (run / "run" / "report.html").read_text()


def test_inspect_shows_the_table_and_one_query(run, capsys):
    assert main(["inspect", str(run / "table"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [member["name"] for member in summary["pool"]] == ["m0", "m1", "m2"]
    assert main(["inspect", str(run / "table")]) == 0
    assert "m1" in capsys.readouterr().out
    assert main(["inspect", str(run / "table"), "--query", "q3"]) == 0
    assert capsys.readouterr().out.count("r3.") == 39


def test_inspect_refuses_what_belongs_to_another_view(run, capsys):
    table = str(run / "table")
    assert "the following arguments are required: table" in refused(capsys, "inspect")
    assert "--shots is of the view of --task, not of a table" in refused(capsys, "inspect", table, "--shots", "2")
    assert "--query is of the view of a table, not of --mix" in refused(capsys, "inspect", "--mix", "m", "--query", "q")
    assert "--task and --mix are views of inspect" in refused(capsys, "inspect", "--task", "arc", "--mix", "m.yaml")


def test_a_config_file_and_an_override(run, tmp_path):
    (tmp_path / "train.yaml").write_text(
        "train: {num_seeds: 1, features: 4, learners: [ppo], static: {num_envs: 32, num_updates: 10}}\n"
    )
    out = tmp_path / "run"
    command = ["train", str(run / "table"), "--config", str(tmp_path / "train.yaml"), "--out", str(out)]
    assert main([*command, "--train.hyper.reward.hop_cost", "0.5"]) == 0
    import yaml

    resolved = yaml.safe_load((out / "config.yaml").read_text())["train"]
    assert resolved["hyper"]["reward"]["hop_cost"] == 0.5
    assert resolved["static"]["num_envs"] == 32
    assert resolved["learners"] == ["ppo"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"hierrouter {verb}" in capsys.readouterr().out.partition("example:")[2]


def test_the_overview_lists_every_verb(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


def test_bad_input_gets_one_line(run, tmp_path, capsys):
    table, folder = str(run / "table"), str(run / "run")
    assert "'tain' is not a verb" in refused(capsys, "tain")
    assert "no such outcome table" in refused(capsys, "inspect", str(tmp_path / "none"))
    assert "no such outcome table" in refused(capsys, "train", str(tmp_path / "none"))
    assert "ids run from 'q0'" in refused(capsys, "inspect", table, "--query", "nobody")
    assert "no such run folder" in refused(capsys, "evaluate", str(tmp_path / "none"))
    assert "--split is 'dev'" in refused(capsys, "evaluate", folder, "--split", "dev")
    assert "holds ppo, ppo+stop" in refused(capsys, "export", folder, str(tmp_path / "p"), "--learner", "exact")
    assert "holds seeds 0..1" in refused(capsys, "export", folder, str(tmp_path / "p"), "--seed", "9")
    assert not (tmp_path / "p").exists()
    assert "'tensorbord' is unknown; did you mean tensorboard" in refused(
        capsys, "train", table, "--out", folder, *SMALL, "--track", "tensorbord"
    )
    assert "num_updates" in refused(capsys, "train", table, "--train.static.num_updates", "7")
    assert "learning_rat" in refused(capsys, "train", table, "--train.hyper.learning_rat", "1")
    assert "no such policy bundle" in refused(capsys, "route", "hello", "--policy", str(tmp_path / "none"))
    assert "evaluation.json" in refused(capsys, "report", str(tmp_path))
    assert "no such preset" in refused(capsys, "collect", str(tmp_path / "t"), "--pool", "pool/nope.yaml")


def test_a_table_with_nan_is_named(run, tmp_path, capsys):
    import pyarrow as pa
    import pyarrow.parquet as pq

    shutil.copytree(run / "table", tmp_path / "table")
    path = tmp_path / "table" / "nodes" / "part-00000.parquet"
    frame = pq.read_table(path).to_pandas()
    frame.loc[7, "quality"] = float("nan")
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    assert "quality: query 'q0', node 8 is nan" in refused(capsys, "train", str(tmp_path / "table"))


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
