"""Where the queries of a collection come from."""

import pytest

from hierrouter_jax.bridge.tasks import MixConfig
from hierrouter_jax.cli.collection import source_of
from hierrouter_jax.cli.configs import CollectConfig
from hierrouter_jax.errors import InputError


def test_without_a_source_the_tiny_tasks_are_made():
    queries = source_of(CollectConfig(counts={"train": 16, "validation": 8, "test": 8}, seed=3))
    assert [query.split for query in queries].count("train") == 16
    assert len(queries) == 32
    assert queries != source_of(CollectConfig(counts={"train": 16, "validation": 8, "test": 8}, seed=4))


def test_a_mix_is_cut_to_tasks_and_counts():
    mix = source_of(CollectConfig(mix="mix/paper.yaml", tasks="arc", counts={"test": 3}, seed=7))
    assert isinstance(mix, MixConfig)
    assert (list(mix.tasks), mix.tasks["arc"].test, mix.seed) == (["arc"], 3, 7)


def test_sources_that_exclude_one_another_are_refused(tmp_path):
    with pytest.raises(InputError, match="--data is a copy of the benchmarks"):
        source_of(CollectConfig(data=tmp_path))
    with pytest.raises(InputError, match="--queries brings its own queries"):
        source_of(CollectConfig(queries=tmp_path, tasks="arc"))


def test_replicates_by_order_ask_each_question_in_as_many_orders():
    options = {"tasks": "arc,gsm8k", "counts": {"test": 3}, "replicates": 3}
    by_order = source_of(CollectConfig(**options, replicate_by="order"))
    by_seed = source_of(CollectConfig(**options))
    assert isinstance(by_order, MixConfig)
    assert isinstance(by_seed, MixConfig)
    assert [share.orders for share in by_order.tasks.values()] == [3, 3]
    assert [share.orders for share in by_seed.tasks.values()] == [1, 1]
