"""What users bring by import path works everywhere; the examples of the documentation are the ones that run here."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.main import main
from hierrouter_jax.files import file_name, read_json
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.outcomes.table import Context
from tests.conditioned import random_router
from tests.tables import random_table

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
OWN = "my_learner.py:reinforce+stop"
SMALL = [
    *("--train.num_seeds", "2", "--train.features", "6", "--train.checkpoint_every", "5"),
    *("--train.static.num_envs", "32", "--train.static.num_updates", "10", "--train.static.hidden", "[16, 16]"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the examples and a small table where the pages have the quickstart's."""
    for path in EXAMPLES.glob("my_*.py"):
        shutil.copy(path, tmp_path)
    save_table(random_table(queries=60, models=2, horizon=2), tmp_path / "runs" / "quickstart" / "table")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return main(list(arguments))


def refused(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert run(*arguments) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]  # after the progress bar, if there was one


def test_own_network_and_learner_train_resume_and_are_evaluated(here, capsys):
    table = "runs/quickstart/table"
    command = ["train", table, "--out", "runs/own", *SMALL, "--train.static.network", "my_net.py:Deep"]
    command += ["--train.learners", f"[{OWN}]"]
    assert run(*command) == 0
    metrics = pd.read_parquet("runs/own/metrics.parquet")
    assert set(metrics["learner"]) == {OWN}
    assert np.isfinite(metrics["train_return"]).all()
    assert (here / "runs" / "own" / "checkpoints" / file_name(OWN) / "10").is_dir()

    assert run("evaluate", "runs/own") == 0
    row = next(row for row in read_json(here / "runs/own/evaluation.json")["policies"] if row["kind"] == "learned")
    assert row["name"] == OWN
    assert row["router_cost"] > 0
    assert run("report", "runs/own") == 0

    line = refused(capsys, "export", "runs/own", "policies/own", "--learner", OWN)
    assert "has the network my_net.py:Deep, but a policy bundle holds a two-layer network only" in line

    (here / "my_net.py").write_text((here / "my_net.py").read_text() + "\n# changed\n")
    assert "the file of my_net.py:Deep is not what it was there" in refused(capsys, *command)


def test_the_bundle_of_own_learner_rebuilds_own_encoder(here):
    encoder = build_encoder({"kind": "my_encoder.py:Letters", "letters": "abcr12"})
    table = random_table(queries=30, embedding=encoder.size)
    contexts = [Context("a cab, 1 bar"), Context("b", ("ab", "2r2"))]
    np.testing.assert_array_equal(
        encoder.encode(contexts), [[3, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]]
    )
    router = replace(random_router(table), name=OWN)
    router.bundle(replace(table, encoder=encoder.spec)).save(here / "policy")
    bundle = PolicyBundle.load(here / "policy")
    assert bundle.provenance["learner"] == OWN
    again = build_encoder(bundle.encoder)
    np.testing.assert_array_equal(again.encode(contexts), encoder.encode(contexts))


def test_a_mistyped_name_says_what_was_meant(here, capsys):
    train = ["train", "runs/quickstart/table", "--out", "runs/bad", *SMALL]
    for options, said in (
        (("--train.learners", "[ppo+stp]"), "learner 'ppo+stp' is unknown; did you mean ppo+stop?"),
        (("--train.static.network", "two_layer"), "network 'two_layer' is unknown; did you mean two-layer?"),
        (("--train.static.network", "mlp"), "network 'mlp' is unknown; known are two-layer, an import path"),
        (("--train.learners", "[none.py:f]"), "none.py is no file"),
        (("--train.static.network", "my_net.py:Dep"), "my_net.py has no 'Dep'"),
    ):
        assert said in refused(capsys, *train, *options)


BROKEN = """
import jax.numpy as jnp
from dataclasses import replace
from flax import linen as nn


class NoFields(nn.Module):
    pass


class OneOutput(nn.Module):
    num_actions: int
    horizon: int
    hidden: tuple
    stage_size: int

    @nn.compact
    def __call__(self, seen):
        return nn.Dense(self.num_actions)(seen.features), jnp.zeros(3)


class Statistics(OneOutput):
    @nn.compact
    def __call__(self, seen):
        nn.BatchNorm(use_running_average=False)(seen.features)
        return nn.Dense(self.num_actions)(seen.features), seen.spent


def silent(state, table, network, static, hyper):
    return state, {}


def halved(state, table, network, static, hyper):
    return replace(state, best_return=state.best_return.astype(jnp.float16)), {"train_return": jnp.zeros(())}


def wide(state, table, network, static, hyper):
    return state, {"train_return": jnp.zeros(4)}
"""


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("network", "NoFields", "must be a Flax module with num_actions, horizon, hidden, stage_size"),
        ("network", "OneOutput", r"gives outputs of shapes ((3,), (3,)), but should give logits and value of shapes"),
        ("network", "Statistics", "keeps batch_stats, params, but may keep parameters (params) only"),
        ("learners", "silent", "its metrics are [], but must hold train_return"),
        ("learners", "halved", "best_return of the state it returns is float16[], but was float32[]"),
        ("learners", "wide", "its metric train_return is an array, but metrics must be scalars"),
    ],
)
def test_what_does_not_keep_to_the_form_is_one_sentence(here, capsys, option, name, said):
    (here / "broken.py").write_text(BROKEN)
    path = f"broken.py:{name}"
    chosen = ["--train.static.network", path] if option == "network" else ["--train.learners", f"[{path}]"]
    assert said in refused(capsys, "train", "runs/quickstart/table", "--out", "runs/bad", *SMALL, *chosen)


def test_file_names_are_safe_and_differ():
    assert file_name("all-actions+stop") == "all-actions+stop"
    names = [file_name(name) for name in ("a/b.py:f", "a-b.py:f", "../b.py:f", "x" * 300 + "/b.py:f+stop")]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"\w[\w+.-]{,80}", name) for name in names)
