"""The long format of logs: every field is read as it must be, and the first bad row is refused by its place."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.logs import LOG_COLUMNS, read_steps
from tests.outcomes.outcome_files import write

ROW = {
    "episode": "e1",
    "candidates": ["small", "large"],
    "propensities": [0.25, 0.75],
    "action": "large",
    "query": "What is 2 + 2?",
    "quality": 1,
}


def steps(tmp_path, *rows, **options):
    return list(read_steps(write(tmp_path / "log.jsonl", list(rows)), **options))


def test_a_row_by_hand(tmp_path):
    full = ROW | {
        "stage": 0, "time": "2026-03-01T12:00:00Z", "quality_time": 1772366410, "cost": 0.5, "tokens_in": 7,
        "tokens_out": 2, "seconds": 1.5, "response": "4", "task": "sums", "policy": "p1", "table": "t1",
        "settings": {"top_p": 0.5}, "end": "max_hops",
    }  # fmt: skip
    (step,) = steps(tmp_path, full)
    assert (step.episode, step.stage, step.action, step.candidates) == ("e1", 0, "large", ("small", "large"))
    assert (step.probs, step.propensity, step.quality) == ((0.25, 0.75), 0.75, 1.0)
    assert (step.time, step.quality_time) == (1772366400.0, 1772366410.0)
    assert (step.cost, step.tokens_in, step.tokens_out, step.seconds) == (0.5, 7, 2, 1.5)
    assert (step.query, step.response, step.features) == ("What is 2 + 2?", "4", None)
    assert (step.task, step.policy, step.table, step.end) == ("sums", "p1", "t1", "max_hops")
    assert step.settings == '{"top_p": 0.5}'
    assert step.where == f"{tmp_path / 'log.jsonl'}: row 0"


def test_csv_parquet_and_json_lines_are_read_alike(tmp_path):
    lines = steps(tmp_path, ROW)
    csv = write(
        tmp_path / "log.csv",
        'episode,candidates,propensities,action,query,quality\ne1,small|large,"[0.25, 0.75]",large,What is 2 + 2?,1\n',
    )
    pq.write_table(pa.Table.from_pylist([ROW]), tmp_path / "log.parquet")
    for path in (csv, tmp_path / "log.parquet"):
        (step,) = read_steps(path)
        assert vars(step) | {"where": ""} == vars(lines[0]) | {"where": ""}


def test_distributions_are_lists_objects_or_of_the_action_alone(tmp_path):
    by_name = ROW | {"propensities": {"large": 0.5, "small": 0.2, "STOP": 0.3}, "stage": 1}
    alone = {name: value for name, value in ROW.items() if name != "propensities"} | {"propensity": "0.75"}
    rounded = ROW | {"propensities": [0.3333, 0.6666], "propensity": 0.6666}
    first, second, third = steps(tmp_path, by_name, alone, rounded)
    assert (first.probs, first.propensity) == ((0.2, 0.5, 0.3), 0.5)
    assert (second.probs, second.propensity) == (None, 0.75)
    assert sum(third.probs or ()) == pytest.approx(1, abs=1e-12)


def test_feedback_is_another_name_of_quality_and_may_be_missing(tmp_path):
    renamed = {name: value for name, value in ROW.items() if name != "quality"}
    first, second = steps(tmp_path, renamed | {"feedback": True}, renamed)
    assert (first.quality, second.quality) == (1.0, None)


def test_columns_and_scales_are_mapped(tmp_path):
    row = {name: value for name, value in ROW.items() if name not in ("quality", "episode")}
    path = write(tmp_path / "log.jsonl", [row | {"id": "x", "stars": 4}])
    (step,) = read_steps(path, {"episode": "id", "quality": "stars"}, [1, 5])
    assert (step.episode, step.quality) == ("x", 0.75)


@pytest.mark.parametrize("columns", [{"cost": "usdd"}, {"quality": "qualty"}])
def test_a_column_that_is_mapped_is_there(tmp_path, columns):
    """Or it would be 0 in every row; and feedback is no other name of a quality that is called otherwise."""
    (name,), (column,) = columns, columns.values()
    with pytest.raises(InputError, match=f"--columns: {name} is '{column}', but no column of .* is called so"):
        steps(tmp_path, ROW | {"usd": 2, "feedback": 0}, columns=columns)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"episode": None}, "row 1: episode is missing"),
        ({"action": "huge"}, "row 1: action is 'huge', but must be one of the candidates small, large, or STOP"),
        ({"action": "STOP"}, "row 1: action is STOP at stage 0, but there is no answer yet"),
        (
            {"propensities": [0.25, 0.5, 0.25]},
            "row 1: propensities give STOP 0.25 at stage 0, but there is no answer yet",
        ),
        ({"propensities": ["25%", "75%"]}, "row 1: propensities holds '25%', but must hold numbers"),
        ({"propensities": [0.25, 0.5]}, "row 1: propensities sum to 0.75, but must to 1"),
        ({"propensities": [1.25, -0.25]}, "row 1: propensities holds 1.25, but must hold numbers in [0, 1]"),
        ({"propensities": [1.0, 0.0]}, "row 1: propensities give the action 'large' probability 0, but it was taken"),
        ({"propensities": [1.0]}, "row 1: propensities has 1 values, but must have one for each of the 2 candidates"),
        ({"propensities": {"tiny": 1.0}}, "row 1: propensities names 'tiny', but the candidates are small, large"),
        ({"propensities": ["a", "b"]}, "row 1: propensities holds 'a', but must hold numbers"),
        ({"propensities": None}, "row 1: propensities and propensity are missing, but one is needed"),
        ({"propensity": 0.5}, "row 1: propensity is 0.5, but propensities give the action 'large' 0.75"),
        ({"propensity": 0, "propensities": None}, "row 1: propensity is 0, but must be a number above 0"),
        ({"candidates": 3}, "row 1: candidates is 3, but must be a list of names"),
        ({"candidates": ["a", "a"]}, "row 1: candidates is ['a', 'a'], but must hold at least one name, each once"),
        ({"stage": -1}, "row 1: stage is -1, but must be a number of at least 0"),
        ({"stage": 0.5}, "row 1: stage is 0.5, but must be a whole number"),
        ({"quality": "good"}, "row 1: quality is 'good', but must be a number in [0, 1]"),
        (
            {"quality": 5},
            "row 1: column 'quality' holds the score '5', but scores are in [0, 1]; say which scale",
        ),
        ({"time": "noon"}, "row 1: time is noon, but must be a date in ISO 8601, or seconds since 1970"),
        (
            {"time": 1772366400000},
            "row 1: time is 1772366400000, but must be a date in ISO 8601, or seconds since 1970",
        ),
        ({"cost": -1}, "row 1: cost is -1, but must be a number of at least 0"),
        ({"features": "many"}, "row 1: features is 'many', but must be a list of numbers"),
        ({"settings": 3}, "row 1: settings is 3, but must be an object (name: value)"),
        ({"end": "over"}, "row 1: end is 'over', but must be one of stop, horizon"),
    ],
)
def test_a_bad_row_is_refused_in_one_sentence(tmp_path, change, sentence):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'log.jsonl'}: {sentence}")) as refused:
        steps(tmp_path, ROW, ROW | change)
    assert "\n" not in str(refused.value)


def test_columns_that_are_missing_or_unknown_are_named(tmp_path):
    for lacking, sentence in (
        ("action", "column 'action' is missing"),
        ("propensities", "neither column 'propensities' nor column 'propensity' is there, but one is needed"),
    ):
        row = {name: value for name, value in ROW.items() if name != lacking}
        with pytest.raises(InputError, match=sentence):
            steps(tmp_path, row)
    with pytest.raises(InputError, match="--columns: epsiode is not a column; did you mean episode"):
        steps(tmp_path, ROW, columns={"epsiode": "id"})


def test_every_column_is_in_the_documentation():
    page = (Path(__file__).parents[3] / "docs" / "logs.md").read_text(encoding="utf-8")
    assert [name for name in LOG_COLUMNS if f"`{name}`" not in page] == []
