"""The verb `train` given a decision log: a run folder with a policy, and refusals in one sentence."""

import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.main import main
from hierrouter_jax.config import load_yaml
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from tests.cli.small_run import refused
from tests.tables import random_table

SMALL = ["--train.num_seeds", "1", "--train.features", "4", "--train.static.num_updates", "5"]
SMALL += ["--train.static.num_envs", "32", "--held_out", "0.3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    save_table(random_table(queries=90), folder / "table")
    log = ["--policy", "uniform", "--episodes", "300", "--out", str(folder / "log")]
    assert main(["simulate", str(folder / "table"), *log]) == 0
    return folder


def test_a_log_becomes_a_run_with_a_policy(folder, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", str(folder / "log"), "--truth", str(folder / "table"), "--out", str(out), *SMALL]) == 0
    record, bundle = read_json(out / "evaluation.json"), PolicyBundle.load(out / "policy")
    assert record["chosen"] == bundle.provenance["learner"]
    assert record["log"]["episodes"] == 300
    said = capsys.readouterr().out
    assert "on the table's test queries" in said
    assert ("hold for all of them at once" in said) == any(row["answers"] for row in record["policies"])
    assert (out / "metrics.parquet").is_file()
    assert (out / "run.json").is_file()
    config = load_yaml(out / "config.yaml")
    assert config["truth"] == str(folder / "table")
    assert (config["like"], config["log_learners"]) == (None, ["exact", "off-policy-ppo"])
    again = ["train", str(folder / "log"), "--like", str(out / "policy"), "--out", str(out), *SMALL]
    assert main(again) == 2
    assert "holds a run already" in capsys.readouterr().err
    (out / "behaviour.json").write_text("{}")  # of an earlier training on a table
    assert main([*again, "--fresh"]) == 0
    assert not (out / "behaviour.json").exists()
    assert read_json(out / "evaluation.json")["policies"][0]["truth"] is None
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for verb in (
        ["evaluate", str(out)],
        ["evaluate", str(out), "--table", str(folder / "table")],
        ["report", str(out)],
    ):
        assert main(verb) == 2
        said = capsys.readouterr().err
        assert "was trained from a log" in said
        assert f"estimate LOG --policy {out}" in said
        assert "Traceback" not in said
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    estimated = ["estimate", str(folder / "log"), "--policy", str(out), "--out", str(tmp_path / "estimate")]
    assert main(estimated) == 0
    assert any("the policy learned from" in one for one in read_json(tmp_path / "estimate/estimate.json")["warnings"])
    assert main(["report", str(tmp_path / "estimate")]) == 0


def test_other_learners_of_logs(folder, tmp_path, capsys):
    out, like = tmp_path / "run", ["--truth", str(folder / "table")]
    command = ["train", str(folder / "log"), *like, "--out", str(out), "--log_learners", "[doubly-robust]", *SMALL]
    assert main(command) == 0
    assert PolicyBundle.load(out / "policy").provenance["learner"] == "doubly-robust"
    command[-len(SMALL) - 1] = "[exakt]"
    assert main([*command, "--fresh"]) == 2
    assert "'exakt' is no learner of logs" in capsys.readouterr().err


def test_refusals(folder, tmp_path, capsys):
    assert main(["train", str(folder / "log"), "--out", str(tmp_path / "run"), *SMALL]) == 2
    assert "a log holds no prices" in capsys.readouterr().err
    like = ["--like", str(folder / "table")]
    for given in (like, ["--truth", "t"], ["--held_out", "0.3"], ["--log_learners", "[exact]"]):
        line = refused(capsys, "train", str(folder / "table"), *given, "--out", str(tmp_path / "run"))
        assert f"table: {given[0]} goes with a decision log, but this is none" in line
    line = refused(capsys, "train", str(folder / "log"), *like, "--track", "wandb", "--out", str(tmp_path / "run"))
    assert "--track goes with a table; a log's metrics are in metrics.parquet" in line
    assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_is_left_alone(folder, tmp_path, capsys):
    (tmp_path / "checkpoints").mkdir()
    command = ["train", str(folder / "log"), "--truth", str(folder / "table"), *SMALL]
    assert "is not empty and holds no run; choose another folder" in refused(capsys, *command, "--out", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["checkpoints"]
