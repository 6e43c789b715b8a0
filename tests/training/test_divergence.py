"""Training whose parameters are not finite: never the best, and said so."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.sweeps.sweep import train_many
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.router import TrainedRouter
from tests.tables import random_table

STATIC = LearnerStatic(num_envs=16, num_updates=5, hidden=(8,), minibatches=2, allow_stop=True)
SMALL = [
    *("--train.num_seeds", "2", "--train.features", "4", "--train.static.num_envs", "16", "--train.checkpoint_every"),
    *("5", "--train.static.num_updates", "10", "--train.static.hidden", "[8]"),
]
WILD = ["--train.hyper.learning_rate", "1e30"]
TABLE = random_table(queries=60)


@pytest.fixture(scope="module")
def state() -> tuple[learner.LearnerState, object]:
    features = fit_features(TABLE.split("train"), 4)
    device = features.on_device(TABLE.split("validation"))
    return learner.init(jax.random.key(0), device, STATIC, LearnerHyper()), device


SPOILERS = {
    "one parameter": lambda path, leaf: leaf.at[(0,) * leaf.ndim].set(jnp.nan) if "logits" in path else leaf,
    "an infinite one": lambda path, leaf: leaf.at[(0,) * leaf.ndim].set(jnp.inf) if "hidden_0" in path else leaf,
    "minus infinity": lambda path, leaf: leaf.at[-1].set(-jnp.inf) if "bias" in path else leaf,
    "the value's head alone": lambda path, leaf: leaf * jnp.nan if "value" in path else leaf,
    "all of them": lambda path, leaf: leaf * jnp.nan,
}


@pytest.mark.parametrize("spoiler", SPOILERS)
@pytest.mark.parametrize("before", [-np.inf, -5.0, 0.25])
def test_parameters_that_are_not_finite_are_never_kept(state, spoiler, before):
    fresh, device = state
    spoilt = jax.tree_util.tree_map_with_path(
        lambda path, leaf: SPOILERS[spoiler](jax.tree_util.keystr(path), leaf), fresh.params
    )
    assert not bool(learner.all_finite(spoilt)), "the spoiler spoils nothing"
    ahead = replace(fresh, params=spoilt, best_return=jnp.float32(before), update=jnp.int32(5))
    kept, metrics = jax.jit(learner.validate, static_argnums=2)(ahead, device, STATIC, LearnerHyper())
    assert float(kept.best_return) == before
    assert int(kept.best_update) == 0
    assert bool(learner.all_finite(kept.best_params))
    assert all(np.isnan(float(value)) for value in metrics.values())
    sound, metrics = learner.validate(replace(ahead, params=fresh.params), device, STATIC, LearnerHyper())
    assert np.isfinite(float(metrics["validation_return"]))
    assert float(sound.best_return) == max(before, float(metrics["validation_return"]))


def router(state, best_returns: list[float], lost: list[bool]) -> TrainedRouter:
    """A router of several seeds, of which some lost their last parameters."""
    seeds = len(best_returns)
    stacked = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * seeds), state.params)
    last = jax.tree.map(
        lambda leaf: np.stack([np.where(gone, np.nan, leaf[s]) for s, gone in enumerate(lost)]), stacked
    )
    told = replace(state, params=last, best_params=stacked, best_return=np.array(best_returns, np.float32))
    return TrainedRouter("ppo+stop", STATIC, LearnerHyper(), told, fit_features(TABLE.split("train"), 4))


@pytest.mark.parametrize(
    ("returns", "lost", "chosen", "diverged"),
    [
        ([0.1, 0.3, 0.2], [False, False, False], 1, []),
        ([0.1, -np.inf, 0.2], [False, True, False], 2, [1]),
        ([-np.inf, -0.9], [True, False], 1, [0]),
        ([np.nan, -0.9], [True, False], 1, [0]),
        ([np.inf, -0.9], [True, False], 1, [0]),
        ([0.4, 0.1], [True, False], 0, []),  # what it had before it diverged counts
        ([-np.inf, -np.inf], [True, True], 0, [0, 1]),
    ],
)
def test_validation_chooses_among_seeds_that_did_not_diverge(state, returns, lost, chosen, diverged):
    found = router(state[0], returns, lost)
    assert found.chosen_seed == chosen
    assert np.flatnonzero(found.diverged).tolist() == diverged
    assert found.stranded.tolist() == lost
    if diverged:
        with pytest.raises(InputError, match=rf"ppo\+stop, seed {diverged[0]}: training diverged"):
            found.bundle(TABLE, diverged[0])
    else:
        assert found.bundle(TABLE).horizon == 3


def test_members_of_a_sweep_that_diverged_come_last_and_are_not_exported(tmp_path):
    hypers = [LearnerHyper(), LearnerHyper(learning_rate=1e30)]
    found = train_many(TABLE, STATIC, hypers, 2, features=4, layout="map", progress=False)
    assert found.frame["diverged"].tolist() == [False, False, True, True]
    assert found.best_member in (0, 1)
    assert np.isneginf(found.frame["best_return"].to_numpy()[2:]).all()
    with pytest.raises(InputError, match="training diverged"):
        found.bundle(3)
    wild = train_many(TABLE, STATIC, hypers[1:], 2, features=4, layout="map", progress=False)
    with pytest.raises(InputError, match="every member of the sweep: training diverged"):
        _ = wild.best_member


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    save_table(TABLE, folder)
    return str(folder)


def test_a_training_that_diverges_says_so_and_is_never_a_success(tmp_path, table, capsys):
    out = str(tmp_path / "run")
    command = ["train", table, "--out", out, *SMALL, "--train.learners", "[ppo+stop]", *WILD]
    for times in range(2):  # a finished one, run again, says the same
        assert main(command) == 5
        said = capsys.readouterr()
        lines = [line for line in said.err.splitlines() if "diverged" in line]
        assert lines[0].startswith("ppo+stop: diverged in 2 of 2 seeds (0, 1)")
        assert lines[1].startswith(f"hierrouter: {out}: ppo+stop: training diverged")
        assert "validation return" not in said.out
        assert ("nothing is trained" in said.out) == bool(times)
    metrics = pd.read_parquet(tmp_path / "run" / "metrics.parquet")
    assert metrics["validation_return"].isna().all()
    for verb in (["evaluate", out], ["export", out, str(tmp_path / "policy"), "--learner", "ppo+stop"]):
        assert main(verb) == 2
        assert "training diverged" in capsys.readouterr().err
    assert not (tmp_path / "policy").exists()


def test_a_learner_that_diverges_is_left_out_of_the_evaluation_beside_one_that_does_not(tmp_path, table, capsys):
    """A learner of the user's own that loses its head from the start, and PPO, which does not."""
    own = tmp_path / "lost.py"
    own.write_text(
        "import jax\nfrom dataclasses import replace\nfrom hierrouter_jax.agents import ppo\n"
        "def update(*told):\n    state, metrics = ppo.update(*told)\n"
        "    return replace(state, params=jax.tree.map(lambda leaf: leaf * float('nan'), state.params)), metrics\n"
    )
    out = str(tmp_path / "run")
    learners = f"['{own}:update+stop', ppo+stop]"
    assert main(["train", table, "--out", out, *SMALL, "--train.learners", learners]) == 5
    assert "ppo+stop: validation return" in capsys.readouterr().out
    assert main(["evaluate", out]) == 0
    assert "left out, as training diverged" in capsys.readouterr().err
    learned = [p for p in read_json(tmp_path / "run" / "evaluation.json")["policies"] if p["kind"] == "learned"]
    assert [policy["name"] for policy in learned] == ["ppo+stop"]
    assert learned[0]["seeds"]["diverged"] == []
