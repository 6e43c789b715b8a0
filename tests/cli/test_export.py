"""The verb `export` takes what is best on validation, and says which policy it took."""

import subprocess
import sys
from shutil import copytree

import jax
import numpy as np
import onnxruntime
import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.sums import damaged
from hierrouter_jax.sweeps.folder import HEADER
from hierrouter_jax.sweeps.search.parts import DESCRIPTION
from tests.bridge.hub import Hub, serve
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


def test_other_forms_and_the_row_of_the_evaluation_lie_in_the_bundle(run, tmp_path, capsys):
    source = tmp_path / "run"
    copytree(run / "run", source)
    (source / "evaluation.json").unlink(missing_ok=True)
    out = tmp_path / "policy"
    command = ["export", str(source), str(out), "--learner", "ppo"]
    assert main([*command, "--stablehlo", "--onnx", "true"]) == 0
    names = {"README.md", "hierrouter.sha256", "policy.json", "policy.onnx", "policy.safetensors", "policy.stablehlo"}
    assert {path.name for path in out.iterdir()} == names
    assert "No evaluation of this router" in (out / "README.md").read_text()
    bundle = PolicyBundle.load(out)
    embedding = load_table(run / "table").context_embedding[:, 0]
    inputs = {"embedding": embedding, "stage": np.zeros(90, np.int32), "cost": np.zeros(90, np.float32)}
    program = jax.export.deserialize(bytearray((out / "policy.stablehlo").read_bytes()))
    expected = bundle.logits(embedding, 0, np.zeros(90))
    np.testing.assert_allclose(np.asarray(program.call(**inputs)), expected, atol=1e-5)
    session = onnxruntime.InferenceSession(out / "policy.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, inputs | {"stage": np.zeros(90, np.int64)})
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert main(["evaluate", str(source), "--table", str(run / "table")]) == 0
    assert main(command) == 0
    assert {path.name for path in out.iterdir()} == names - {"policy.onnx", "policy.stablehlo"}, "of the older policy"
    assert damaged(out) == []
    row = next(row for row in read_json(source / "evaluation.json")["policies"] if row["name"] == "ppo")
    assert f"| ppo | {row['accuracy']:.3f} " in (out / "README.md").read_text()
    assert main([*command, "--seed", "0"]) == 0  # whose row it may not be
    assert "No evaluation of this router" in (out / "README.md").read_text()
    assert "--public is given without --push" in refused(capsys, *command, "--public")


def test_export_pushes_and_route_pulls(run, tmp_path):
    hub = Hub()
    server = serve(hub)
    environment = hub.environment(tmp_path) | {"HF_TOKEN": hub.token}

    def hierrouter(*arguments):
        command = [sys.executable, "-m", "hierrouter_jax.cli.main", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    pushed = hierrouter("export", str(run / "run"), str(tmp_path / "out"), "--learner=ppo", "--push", "mine/router")
    assert pushed.stdout.splitlines() == [
        str(tmp_path / "out"),
        f"hf://mine/router@{hub.commit('models/mine/router')}",
    ]
    routed = hierrouter("route", "hello", "--policy", "hf://mine/router")
    server.shutdown()
    assert "the policy was trained for the models m0, m1, m2" in routed.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--policy", "'ppo'"), ("--learner", "'ppo'"), ("--seed", "0"), ("--checkpoint", "5")]
)
def test_what_a_sweep_does_not_tell_apart_is_refused(option, value, tmp_path, capsys):
    (tmp_path / HEADER).write_text("{}")
    line = refused(capsys, "export", str(tmp_path), str(tmp_path / "policy"), option, value.strip("'"))
    assert f"{option} is {value}, but {tmp_path} is a sweep; --member takes one of its runs" in line


def test_a_search_of_several_sweeps_says_what_is_exported(tmp_path, capsys):
    (tmp_path / DESCRIPTION).write_text("{}")
    command = "export", str(tmp_path), str(tmp_path / "policy")
    cut_off = refused(capsys, *command, "--member", "0")
    assert cut_off.endswith(f"{tmp_path}: is a search of several sweeps; name one of the folders in it")
    (tmp_path / "policies").mkdir()
    assert refused(capsys, *command).endswith("one of the folders in it (its best policies are in policies/)")
