"""LLMRouter's data folder on files made by hand."""

import numpy as np
import pytest

from hierrouter_jax.outcomes.importers import read_format
from tests.outcomes import outcome_files as made
from tests.outcomes.outcome_files import provenance, table_of


@pytest.mark.parametrize("gone", ["dcrouter_preprocessed/test.json", "query_data/default_query_test.jsonl"])
def test_llmrouter_goes_on_without_a_split(tmp_path, gone):
    folder = made.llmrouter(tmp_path / "data")
    (folder / gone).unlink()
    records = read_format("llmrouter", folder)
    assert set(records.frame["split"]) == {"train"}
    assert any("no test queries are read" in note for note in records.notes)


def test_llmrouter_by_hand(tmp_path):
    """The leaked sum leaves train, or else test; scores are keyed by name; the file's price fields are taken."""
    table = table_of("llmrouter", made.llmrouter(tmp_path / "data"), shares={"train": 1})
    assert [(query.id, query.split, query.task) for query in table.queries] == [
        ("train-00001", "train", "colours"),
        ("test-00000", "test", "sums"),
        ("test-00001", "test", "cities"),
    ]
    np.testing.assert_array_equal(table.quality[:, 1:], [[0.25, 0.5], [1, 1], [1, 0]])
    assert [(member.price_in, member.price_out) for member in table.pool] == [
        (pytest.approx(2e-7), pytest.approx(4e-7)),
        (pytest.approx(2e-6), pytest.approx(4e-7)),
    ]
    np.testing.assert_allclose(table.cost[:, 1:] * 1e6, [[1.8, 18], [1.2, 12], [1.6, 16]])
    report = provenance(table)
    assert report["duplicates"]["leaked"]["test"]["sums"] == {"queries": 1, "exact": 1, "near": 0}
    assert report["duplicates"]["dropped"] == {"train": {"sums": 1}}
    assert "tokens read alone" in report["cost"]
    assert "stands in no train query file" in report["rejected"]["rows"][0]["reason"]
    kept = table_of("llmrouter", tmp_path / "data", shares={"train": 1}, leaks="test", tokens_out=100)
    assert [query.id for query in kept.queries] == ["train-00000", "train-00001", "test-00001"]
    assert "an assumed 100 tokens written" in provenance(kept)["cost"]
    np.testing.assert_allclose(kept.cost[0, 1:] * 1e6, [1.2 + 40, 12 + 40])
    both = table_of("llmrouter", tmp_path / "data", shares={"train": 1}, leaks="keep")
    assert both.num_queries == 4
