"""What an older release wrote still loads, evaluates, exports and goes on; tests/legacy/README.md says what it is."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.main import main
from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.studies.compare.config import CompareConfig
from hierrouter_jax.studies.compare.run import compare
from hierrouter_jax.studies.leaderboard.config import LeaderboardConfig
from hierrouter_jax.studies.leaderboard.run import leaderboard
from hierrouter_jax.sweeps.result import load_sweep
from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.search.run import sweep
from hierrouter_jax.training.checkpoints import load_routers

ARCHIVES = sorted(Path(__file__).parent.glob("*.tar.gz"))
SCORES = ["best_return", "best_accuracy", "best_cost", "accuracy", "cost", "return"]


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    folder = tmp_path_factory.mktemp("legacy") / "older"
    for path in ARCHIVES:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    return folder


def copied(older: Path, name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(older / name, tmp_path / name))


def written(folder: Path) -> dict[Path, int]:
    """When each file of features and finished runs was written."""
    files = (path for path in folder.rglob("*.safetensors") if path.name != "policy.safetensors")
    return {path: path.stat().st_mtime_ns for path in files}


def config(kind: type, older: Path, name: str, **more):
    read = load_yaml(older / f"{name}.yaml")
    place = next((read[at] for at in ("train", "base") if at in read), read)
    place["hyper"] = place.get("hyper", {}) | {"guidance": 0.0}  # there was none then
    return from_dict(kind, read | more, name)


def test_a_run_is_evaluated_as_it_was(older, tmp_path, capsys):
    run = copied(older, "run", tmp_path)
    before = {row["name"]: row for row in read_json(run / "evaluation.json")["policies"]}
    assert main(["evaluate", str(run), "--table", str(older / "table")]) == 0
    after = {row["name"]: row for row in read_json(run / "evaluation.json")["policies"]}
    assert before.keys() <= after.keys()
    for name, row in before.items():
        assert after[name]["kind"] == row["kind"], name
        assert after[name]["hops"] == pytest.approx(row["hops"]), name
        assert after[name]["accuracy"] == pytest.approx(row["accuracy"]), name
        assert after[name]["cost"] == pytest.approx(row["cost"]), name


def test_a_run_exports_the_policy_that_it_exported(older, tmp_path, capsys):
    out = tmp_path / "policy"
    assert main(["export", str(older / "run"), str(out), "--learner", "ppo+stop", "--table", str(older / "table")]) == 0
    before, after = PolicyBundle.load(older / "policy"), PolicyBundle.load(out)
    assert read_json(out / "policy.json") == read_json(older / "policy" / "policy.json")
    assert before.weights.keys() == after.weights.keys()
    for name, weight in before.weights.items():
        np.testing.assert_array_equal(after.weights[name], weight)


def test_a_cut_off_run_goes_on_to_the_end_of_the_whole_one(older, tmp_path, capsys):
    run, train = copied(older, "cut-run", tmp_path), ["train", str(older / "table"), "--config"]
    train = [*train, str(older / "train.yaml"), "--out", str(run), "--train.hyper.guidance", "0"]
    assert main([*train, "--train.hyper.clip", "0.3"]) == 2
    assert "holds another training (train.hyper.clip is 0.2 there, but 0.3 here)" in capsys.readouterr().err
    assert main(train) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{run}: goes on from exact at update 4, ppo+stop at update 2 of 4")
    table = load_table(older / "table")
    whole, gone_on = (load_routers(folder, table) for folder in (older / "run", run))
    for name, router in whole.items():
        np.testing.assert_allclose(gone_on[name].state.best_return, router.state.best_return, atol=1e-4)
    metrics = [pd.read_parquet(folder / "metrics.parquet") for folder in (older / "run", run)]
    pd.testing.assert_frame_equal(*metrics, atol=1e-3, rtol=1e-3)
    assert main(train) == 0
    assert "finished already, nothing is trained" in capsys.readouterr().out


def test_a_sweep_loads_exports_and_is_not_trained_again(older, tmp_path, capsys):
    folder, table = copied(older, "sweep", tmp_path), load_table(older / "table")
    before, chunks = pd.read_parquet(folder / "sweep.parquet"), written(folder)
    loaded = load_sweep(folder, table)
    later = ["diverged", "guidance", "guidance_until"]
    assert sorted(set(loaded.frame) - set(before)) == later
    pd.testing.assert_frame_equal(loaded.frame.drop(columns=later), before[loaded.frame.columns.drop(later)])
    assert main(["export", str(folder), str(tmp_path / "policy"), "--table", str(older / "table")]) == 0
    assert PolicyBundle.load(tmp_path / "policy").provenance["member"] == loaded.best_member
    result = sweep(config(SweepConfig, older, "sweep", table=str(older / "table"), out=str(folder)), progress=False)
    pd.testing.assert_frame_equal(result.frame[loaded.frame.columns], loaded.frame)
    assert written(folder).items() >= chunks.items()


def test_a_cut_off_sweep_goes_on_to_the_end_of_the_whole_one(older, tmp_path):
    folder = copied(older, "cut-sweep", tmp_path)
    chunks = written(folder)
    result = sweep(config(SweepConfig, older, "sweep", table=str(older / "table"), out=str(folder)), progress=False)
    whole = pd.read_parquet(older / "sweep" / "sweep.parquet")
    np.testing.assert_allclose(result.frame[SCORES], whole[SCORES], atol=1e-3)
    assert len(chunks) == 2  # one of them the features
    assert written(folder).items() >= chunks.items()


def test_a_cut_off_search_of_several_parts_goes_on(older, tmp_path):
    folder = copied(older, "cut-search", tmp_path)
    chunks = written(folder)
    options = {"table": str(older / "table"), "out": str(folder)}
    with pytest.raises(InputError, match=r"holds another search \(seeds is 2 there, but 3 here\)"):
        sweep(config(SweepConfig, older, "halving", seeds=3, **options), progress=False)
    result = sweep(config(SweepConfig, older, "halving", **options), progress=False)
    assert sorted(result.sweeps) == ["rung-0-group-0", "rung-1-group-0"]
    assert written(folder).items() >= chunks.items()


def test_a_comparison_is_judged_again_without_training(older, tmp_path):
    folder = copied(older, "compare", tmp_path)
    before, chunks = read_json(folder / "compare.json"), written(folder)
    options = {"table": str(older / "table"), "out": str(folder)}
    with pytest.raises(InputError, match=r"holds another comparison \(seeds is 2 there, but 3 here\)"):
        compare(config(CompareConfig, older, "compare", seeds=3, **options), progress=False)
    after = compare(config(CompareConfig, older, "compare", **options), progress=False)
    assert written(folder) == chunks
    for old, new in zip(before["arms"], after["arms"], strict=True):
        assert (new["name"], new["learner"]) == (old["name"], old["learner"])
        assert new["settings"] == old["settings"] | {"guidance": 0.0, "guidance_until": 0.5}
        for one, other in zip(old["points"], new["points"], strict=True):
            assert other["accuracy"]["per_seed"] == pytest.approx(one["accuracy"]["per_seed"])
            assert other["return"]["per_seed"] == pytest.approx(one["return"]["per_seed"])


def test_a_leaderboard_of_other_features_is_fitted_anew(older, tmp_path):
    """Features, ties and learners have changed since: nothing of it is passed off as today's."""
    folder = copied(older, "leaderboard", tmp_path)
    before, results = read_json(folder / "leaderboard.json"), written(folder)
    options = {"tables": [str(older / "table")], "out": str(folder)}
    after = leaderboard(config(LeaderboardConfig, older, "leaderboard", **options), progress=False)
    now = written(folder)
    assert not [path for path, when in results.items() if now[path] == when]
    assert read_json(folder / "run.json")["fitted"] > 0
    names = [{row["name"] for row in one["boards"][0]["policies"]} for one in (before, after)]
    assert names[0] <= names[1]
