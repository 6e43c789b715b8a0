"""Pools read from files: a control beside the member that it is compared with, and what is refused."""

import pytest

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.studies.second_hop import second_hops

POOL = """
prompt: {{members: {{twin: {{fresh: {of}}}}}}}
models:
  - &large {{name: large, source: "{source}", max_new_tokens: 6, base_rate: 2}}
  - {{<<: *large, name: twin{twin}}}
  - {{<<: *large, name: small, base_rate: 1}}
"""


@pytest.fixture
def pool(tmp_path, model_folder):
    """Writes a pool whose `twin` is a control, and reads it."""
    source = model_folder()

    def read(of: str = "large", twin: str = ""):
        path = tmp_path / "pool.yaml"
        path.write_text(POOL.format(of=of, twin=twin, source=source))
        return load_pool(path)

    return read


def test_a_control_answers_once_whatever_the_drafts(pool):
    """Greedy, it answers on the second hop what the same model answers alone."""
    config = pool(twin=", sampling: {temperature: 0}")
    queries = [Query(split, f"Is it {split}?", "task", "ok", split) for split in ("train", "test")]
    grader, tree = one_by_one(exact_match), HopTree(3, 2)
    table = collect(
        queries, load_backends(config), tree, NGramEncoder(), config.prompt, grader, CallCache(None), progress=False
    )
    seconds = [tree.node([first, 1]) for first in range(3)]
    assert (table.response[:, seconds] == table.response[:, [tree.node([0])]]).all()
    assert (table.tokens_in[:, seconds] == table.tokens_in[:, [tree.node([0])]]).all()
    assert (table.tokens_in[:, [tree.node([1, 0])]] > table.tokens_in[:, [tree.node([0])]]).all()
    rows = second_hops(table.split("train"), table.split("test"))
    assert [(row["first"], row["second"], row["control"]) for row in rows] == [
        ("large", "large", "twin"),
        ("small", "large", "twin"),
    ]


def test_a_control_is_the_same_model_and_may_sample(pool):
    assert not pool(twin=", sampling: {temperature: 1.0}").models[1].sampling.greedy
    for of, twin, why in (
        ("large", ", max_new_tokens: 7", "'twin' and 'large' must be one model, but max_new_tokens is 7 and 6"),
        ("small", "", "'twin' and 'small' must be one model, but base_rate is 2.0 and 1.0"),
        ("twin", "", "'twin' is no other member of the pool; known are large, small"),
        ("larg", "", r"'larg' is no other member of the pool; did you mean large\?"),
    ):
        with pytest.raises(InputError, match=rf"pool.yaml: prompt.members.twin.fresh: {why}"):
            pool(of, twin)
