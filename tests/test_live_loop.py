"""The loop with real processes: a server logs, `train` learns from the log, and the server takes the new policy."""

import numpy as np
import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.main import main
from hierrouter_jax.outcomes.decision_log import read_log
from hierrouter_jax.outcomes.episodes import episodes_of
from scripts import live_loop
from tests.docs.running import small

SMALL = ["--train.num_seeds", "1", "--train.features", "16", "--train.static.num_updates", "20"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    assert main(["quickstart", "--out", str(folder), *small("quickstart", [])]) == 0
    return folder


@pytest.mark.extended
def test_a_server_takes_the_policy_that_its_log_taught(run, tmp_path):
    result = live_loop.main(run, tmp_path / "loop", requests=240, checks=6, explore="epsilon:0.6", train=SMALL)
    new = PolicyBundle.load(tmp_path / "loop/policy")
    assert result["policy"] == new.fingerprint != PolicyBundle.load(run / "policy").fingerprint
    assert new.provenance["learner"] in ("exact", "off-policy-ppo")
    episodes = episodes_of(read_log(tmp_path / "loop/log"))
    first = PolicyBundle.load(run / "policy").fingerprint
    assert (episodes.policy == first).sum() > 200
    assert 80 < np.isfinite(episodes.quality).sum() < 160
    assert 0 <= result["estimate"]["truth"]["accuracy"] <= 1


@pytest.mark.extended
def test_estimates_of_twenty_loops_agree_with_the_table(tmp_path):
    """Of the new policy's accuracy, at least 17 of 20 intervals hold the truth on the table's training queries."""
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.studies.off_policy.estimate import estimate
    from hierrouter_jax.training.log_training import held_out_part

    assert main(["quickstart", "--out", str(tmp_path / "quickstart")]) == 0
    table = load_table(tmp_path / "quickstart/table").split("train")
    inside = 0
    for seed in range(20):
        out = tmp_path / f"loop-{seed}"
        live_loop.main(tmp_path / "quickstart", out, seed=seed)
        episodes = episodes_of(read_log(out / "log"))
        first = PolicyBundle.load(tmp_path / "quickstart/policy").fingerprint
        mine = episodes.only(episodes.policy == first)
        apart = held_out_part(mine, 0.15, 0)
        said = estimate(mine.only(apart), PolicyBundle.load(out / "policy"), table=table)
        if said["answers"]:
            low, high = said["estimate"]["accuracy"]["ci"]
            inside += low <= said["truth"]["accuracy"] <= high
    assert inside >= 17
