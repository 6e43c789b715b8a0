"""The examples of the documentation do what they say, on a small table."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hierrouter_jax as hr
from hierrouter_jax.outcomes.store import save_table
from tests.tables import random_table

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def example(name: str) -> dict:
    return runpy.run_path(str(EXAMPLES / name))


def test_train_one_takes_at_most_sixty_lines_and_the_public_names():
    text = (EXAMPLES / "train_one.py").read_text()
    assert len(text.splitlines()) <= 60
    assert "hierrouter_jax." not in text


def test_train_one_walks_from_a_table_to_a_bundle(tmp_path, capsys):
    table = random_table(queries=90, models=2, horizon=2, embedding=70)
    save_table(table, tmp_path / "table")
    row = example("train_one.py")["main"](tmp_path / "table", tmp_path / "policy", num_updates=10)
    shown = capsys.readouterr().out
    assert shown.splitlines()[1:]
    assert f"{row['name']:24} accuracy {row['accuracy']:.3f}" in shown
    bundle = hr.PolicyBundle.load(tmp_path / "policy")
    assert [model.name for model in bundle.pool] == list(table.model_names)
    assert bundle.allow_stop
    test = table.split("test")
    _, probability = bundle.act(test.context_embedding[:, 0], stage=0, cost=np.zeros(test.num_queries))
    np.testing.assert_allclose(probability.sum(axis=-1), 1.0, atol=1e-5)


def test_the_environment_loop_gives_quality_less_cost():
    """Whatever the random actions were: an episode's return is the answer's quality less .02 times its route's cost."""
    table = random_table(queries=12, models=2, horizon=3)
    on_device = hr.envs.device_table(table, table.context_embedding, 2.0)
    returns, end = jax.jit(example("environment_loop.py")["random_episodes"])(jax.random.key(3), on_device)
    assert end.done.all()
    assert len(np.unique(end.node)) > 3
    paid = on_device.quality[end.query, end.node] - 0.02 * on_device.spent[end.query, end.node]
    np.testing.assert_allclose(returns, paid, atol=1e-6)


def test_the_term_of_ones_own_is_given_for_short_answers():
    """Three models, three hops: nodes 13 to 39 are leaves, node n wrote n - 13 tokens; .2 for those of at most ten."""
    table = random_table(queries=1)
    hop = hr.envs.device_table(table, table.context_embedding, 1.0).replace(tokens=jnp.arange(40.0)[None] - 13)
    weights = hr.RewardWeights(
        terminal_quality=0.0, hop_cost=0.0, custom={f"{EXAMPLES / 'my_terms.py'}:short_answers": 0.2}
    )
    rewards = hr.envs.entering_rewards(hop, weights)[0]
    assert rewards.tolist() == [pytest.approx(0.2) if 13 <= node <= 23 else 0.0 for node in range(40)]
