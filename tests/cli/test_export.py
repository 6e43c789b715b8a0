"""The verb `export` takes what is best on validation, and says which policy it took."""

from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from tests.cli.small_run import refused


def test_export_takes_the_best_on_validation_or_what_is_named(run, tmp_path, capsys):
    folder, bundle = str(run / "run"), str(tmp_path / "best")
    assert main(["export", folder, bundle]) == 0
    (told,) = capsys.readouterr().err.splitlines()
    best, _, others = told.partition(": best on validation, before ")
    name, _, kind = best.removesuffix(")").partition(" (")
    names = {"best-sequence", "task-sequence", "predict-then-plan", "ppo", "ppo ensemble"}
    assert {name, *others.split(", ")} > names
    assert read_json(tmp_path / "best" / "policy.json").get("kind", "network") == kind
    for policy, its_kind in (("ppo ensemble", "ensemble"), ("predict-then-plan+stop", "plan"), ("ppo", "network")):
        assert main(["export", folder, str(tmp_path / "one"), "--policy", policy]) == 0
        assert read_json(tmp_path / "one" / "policy.json").get("kind", "network") == its_kind
    assert "policy 'ppt' is none of the run's" in refused(capsys, "export", folder, bundle, "--policy", "ppt")
    assert "goes not with --seed" in refused(capsys, "export", folder, bundle, "--policy", "ppo", "--seed", "0")
    assert main(["export", folder, bundle]) == 0
    assert main(["export", folder, bundle, "--learner", "ppo+stop"]) == 0
    assert read_json(tmp_path / "best" / "policy.json")["provenance"]["learner"] == "ppo+stop"
    out = str(tmp_path / "run")
    command = ["train", str(run / "table"), "--config=train/fast.yaml", "--out", out, "--train.features", "4"]
    assert main([*command, "--train.num_seeds=1", "--train.static.num_updates=5", "--train.static.num_envs=64"]) == 0
    capsys.readouterr()
    assert main(["export", out, str(tmp_path / "only")]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'only'}\n"
    assert "best on validation" in printed.err


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
