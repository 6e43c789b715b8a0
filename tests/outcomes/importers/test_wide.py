"""RouterBench and RouteLLM on files made by hand, and which columns are models."""

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import read_format
from hierrouter_jax.outcomes.importers.records import Price
from hierrouter_jax.outcomes.importers.wide import is_index
from hierrouter_jax.outcomes.store import load_table, save_table
from tests.outcomes import outcome_files as made
from tests.outcomes.outcome_files import CITY, SUM, provenance, table_of, write


@pytest.mark.parametrize(
    "name",
    [
        "Unnamed: 0",
        "Unnamed: 0.1",
        "Unnamed: 12",
        "index",
        "idx",
        "level_0",
        "level_1",
        "__index_level_0__",
        "Index",
        "id",
    ],
)
def test_a_saved_index_is_no_model(tmp_path, name):
    assert is_index(name)
    grid = f"{name},prompt,weak,strong\n0,{SUM},True,False\n1,{CITY},1,0\n"
    for header in (name, ""):
        write(tmp_path / "mmlu_x.csv", grid.replace(name, header, 1))
        records = read_format("routellm", tmp_path)
        assert set(records.frame["model"]) == {"weak", "strong"}
        assert not records.notes[1:]


@pytest.mark.parametrize("name", ["gpt-4", "index-7b", "Unnamed", "level-5", "llama_level_x", "0", "a: 1"])
def test_a_model_is_no_saved_index(name):
    assert not is_index(name)


def test_columns_that_are_no_models_are_noted(tmp_path):
    path = write(tmp_path / "w.csv", made.ROUTERBENCH.replace("sample_id,", "sample_id,length,", 1))
    path.write_text(path.read_text().replace("sums.1,", "sums.1,87,").replace("cities.1,", "cities.1,12,"))
    records = read_format("routerbench", path)
    assert set(records.frame["model"]) == {"a", "b"}
    why = "no column NAME|model_response or NAME|total_cost"
    assert f"w.csv: no models, as there is {why} of theirs: length" in records.notes
    path.unlink()
    write(tmp_path / "mmlu_x.csv", f"prompt,subject,weak\n{SUM},sums,1\n{CITY},cities,0\n")
    assert "mmlu_x.csv: no models, as there is no score of theirs: subject" in read_format("routellm", tmp_path).notes


def test_routellm_by_hand(tmp_path):
    prices = {"weak": Price(1, 10), "strong": Price(2, 20)}
    table = table_of("routellm", made.routellm(tmp_path), prices=prices, tokens_out=1)
    assert [query.task for query in table.queries] == ["gsm8k", "mmlu_anatomy"]
    assert table.model_names == ("strong", "weak")
    np.testing.assert_array_equal(table.quality[:, 1:], [[1, 1], [1, 0]])
    np.testing.assert_array_equal(table.tokens_out[:, 1:], [[1, 3], [1, 1]])
    np.testing.assert_array_equal(table.cost[:, 1:], [[6 * 2 + 20, 6 + 30], [11 * 2 + 20, 11 + 10]])
    with pytest.raises(InputError, match=r"'mmlu_anatomy-00000'.*neither response nor tokens_out.*--tokens_out N"):
        table_of("routellm", tmp_path, prices=prices)


def test_routerbench_by_hand(tmp_path):
    """Costs stand as stated, whatever the tokens; they survive the disk and leave the fingerprint alone."""
    table = table_of("routerbench", write(tmp_path / "wide.csv", made.ROUTERBENCH))
    assert [query.id for query in table.queries] == ["sums.1", "cities.1"]
    assert table.queries[0].text == f"{SUM}\nBe brief."
    np.testing.assert_array_equal(table.quality, np.float32([[0, 1, 0.25], [0, 0, 0]]))
    np.testing.assert_array_equal(table.available, [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(table.cost, [[0, 0.001, 0.02], [0, 0.002, 0]])
    assert table.money_unit == "US dollars"
    assert table.charge is None
    assert provenance(table)["billed_over_priced"] == {"a": 1.0, "b": 1.0}, "prices that the costs imply"
    save_table(table, tmp_path / "t")
    loaded = load_table(tmp_path / "t")
    np.testing.assert_array_equal(loaded.cost, table.cost)
    assert loaded.fingerprint == table.fingerprint
    np.testing.assert_array_equal(loaded.select([1]).cost, table.cost[1:])
    priced = table_of("routerbench", tmp_path / "wide.csv", prices=dict.fromkeys("ab", Price(1e-4, 1e-4)))
    np.testing.assert_array_equal(priced.cost, table.cost)
    assert priced.fingerprint == table.fingerprint
    assert provenance(priced)["billed_over_priced"] == {"a": 1.5789, "b": 20.0}, ".003 over 19 tokens, .02 over 10"
