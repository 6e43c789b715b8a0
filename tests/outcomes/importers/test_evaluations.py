"""OpenCompass and LLMRouterBench on files made by hand."""

import gzip

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import read_format
from hierrouter_jax.outcomes.importers.records import Price
from tests.outcomes import outcome_files as made
from tests.outcomes.outcome_files import COLOUR, provenance, table_of, write


def test_predictions_without_results_leave_the_others(tmp_path):
    folder = made.opencompass(tmp_path)
    (folder / "run/results/a/cities.json").unlink()
    (folder / "Colours/predictions/b.json").write_text("{")
    records = read_format("opencompass", folder)
    assert set(records.frame["query_id"]) == {"Sums-0", "Colours-0", "Colours-1", "cities-0"}
    missed = "run/predictions/a/cities.json: its results, run/results/a/cities.json, are missing; left out"
    assert missed in records.notes
    assert any(note.startswith("Colours/predictions/b.json: not valid JSON (") for note in records.notes)
    for file in folder.rglob("results"):
        file.rename(file.with_name("elsewhere"))
    (folder / "Sums/a.json").unlink()
    (folder / "Sums/b.json").unlink()
    for file in folder.rglob("elsewhere/**/*.json"):
        file.unlink()
    with pytest.raises(InputError, match=r"no outcome can be read .*predictions/a.*: its results, .* are missing\)$"):
        read_format("opencompass", folder)


def test_results_without_predictions_are_named(tmp_path):
    folder = made.opencompass(tmp_path)
    (folder / "run/predictions/a/cities.json").unlink()
    assert (
        "run/results/a/cities.json: its predictions are missing; left out" in read_format("opencompass", folder).notes
    )
    write(tmp_path / "alone/results/m/t.json", {"details": {"0": {"correct": True}}})
    with pytest.raises(InputError, match=r"the first: results/m/t\.json: its predictions are missing"):
        read_format("opencompass", tmp_path / "alone")


@pytest.mark.parametrize("name", ["results", "predictions", "results/run"])
def test_what_the_folder_itself_is_called_does_not_count(tmp_path, name):
    folder = made.opencompass(tmp_path / name)
    assert set(read_format("opencompass", folder).frame["query_id"]) == {"Sums-0", "Colours-0", "Colours-1", "cities-0"}


def test_one_file_is_read_by_the_folders_that_it_lies_in(tmp_path):
    file = made.opencompass(tmp_path) / "Colours/predictions/a.json"
    assert set(read_format("opencompass", file).frame["query_id"]) == {"Colours-0", "Colours-1"}


def test_results_may_be_packed_where_predictions_are_not(tmp_path):
    folder = made.opencompass(tmp_path)
    for file in (folder / "run/results").rglob("*.json"):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert "cities-0" in set(read_format("opencompass", folder).frame["query_id"])


def test_a_broken_file_leaves_llmrouterbenchs_others(tmp_path):
    folder = made.llmrouterbench(tmp_path)
    write(folder / "sums/test/c/broken.json", "{")
    records = read_format("llmrouterbench", folder)
    assert set(records.frame["model"]) == {"a", "b"}
    assert any(note.startswith("sums/test/c/broken.json: not valid JSON") for note in records.notes)


def test_opencompass_by_hand(tmp_path):
    table = table_of("opencompass", made.opencompass(tmp_path), prices=dict.fromkeys("ab", Price(1, 1)))
    by_id = {query.id: row for row, query in enumerate(table.queries)}
    assert set(by_id) == {"Sums-0", "Colours-0", "Colours-1", "cities-0"}
    assert table.quality[by_id["Sums-0"], 1:].tolist() == [1, 0]
    assert table.quality[by_id["Colours-0"], 1:].tolist() == [0, 1]
    assert table.available[by_id["Colours-1"], 1:].tolist() == [True, False]
    assert table.quality[by_id["cities-0"], 1:].tolist() == [1, 1]
    assert table.response[by_id["Colours-0"], 1:].tolist() == ["a red", "b red"]
    assert table.queries[by_id["Colours-0"]].text == COLOUR
    assert provenance(table)["dev_only"]
    assert [row["reason"] for row in provenance(table)["rejected"]["rows"]] == ["has no verdict"]
    assert table.queries[by_id["Colours-1"]].split == "train", "partial queries are for training only"


def test_llmrouterbench_by_hand(tmp_path):
    """The latest run counts; a missing score is a missing cell; tokens and costs are the provider's."""
    table = table_of("llmrouterbench", made.llmrouterbench(tmp_path), counter=None)
    assert [query.id for query in table.queries] == ["sums-test-1", "sums-test-2"]
    np.testing.assert_array_equal(table.quality[:, 1:], [[1, 0], [1, 1]])
    np.testing.assert_array_equal(table.available[:, 1:], [[1, 0], [1, 1]])
    np.testing.assert_array_equal(table.tokens_in[1], [0, 15, 15])
    np.testing.assert_array_equal(table.cost, [[0, 0.005, 0], [0, 0.005, 0.005]])
    assert table.response[:, 1].tolist() == ["It is 4.", "Lima"]
    reasons = sorted(row["reason"] for row in provenance(table)["rejected"]["rows"])
    assert reasons == ["is a demonstration run", "is an older run of a on sums"]
    free = made.llmrouterbench(tmp_path / "own", cost=0)
    with pytest.raises(InputError, match="model 'a' has no price"):
        table_of("llmrouterbench", free, counter=None)
    assert table_of("llmrouterbench", free, None, dict.fromkeys("ab", Price(1, 2))).cost[0, 1] == 15 + 2 * 5
