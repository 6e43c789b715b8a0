"""From outcomes to a table with its provenance."""

import pytest

from hierrouter_jax.errors import InputError
from tests.outcomes.outcome_files import SUM, long_rows, table_of, write


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_source_without_training_queries_is_refused(tmp_path, split):
    path = write(tmp_path / "o.jsonl", [row | {"split": split} for row in long_rows(SUM, "x")])
    with pytest.raises(InputError, match=f"holds no training query, only {split}; --resplit draws splits anew"):
        table_of("long", path)
    assert table_of("long", path, resplit=True).num_queries == 2
