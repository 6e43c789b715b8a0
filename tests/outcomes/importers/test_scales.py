"""Scores on the scale that is stated, or on 0 to 1; and models that are far below what they promise."""

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import read_format
from hierrouter_jax.outcomes.importers.scales import Scales, number_of, suspicious
from tests.outcomes import outcome_files as made
from tests.outcomes.outcome_files import CITY, COLOUR, SUM, write


def test_suspicious_columns_by_hand():
    """On b the others' median is .8; z has 0, and y .3 though it lies .1 behind the median elsewhere."""
    means = {(task, model): mean for task in "acd" for model, mean in zip("wxyz", (0.6, 0.6, 0.5, 0.6), strict=True)}
    means |= {("b", "w"): 0.8, ("b", "x"): 0.8, ("b", "y"): 0.3, ("b", "z"): 0.0}
    rows = [
        {"task": task, "model": model, "score": float(number < 10 * mean)}
        for (task, model), mean in means.items()
        for number in [*range(10), *range(10)]
    ]
    flags = {(flag["task"], flag["model"]): flag for flag in suspicious(pd.DataFrame(rows))}
    assert set(flags) == {("b", "y"), ("b", "z")}
    assert "about 0, while the other models' median is 0.80" in flags["b", "z"]["reason"]
    assert "far below the 0.70 that its other tasks promise" in flags["b", "y"]["reason"]
    few = [row for row in rows if row["task"] not in "cd"]
    assert {flag["model"] for flag in suspicious(pd.DataFrame(few))} == {"z"}, "one other task promises nothing"
    assert not suspicious(pd.DataFrame(rows[::3])), "too few outcomes tell nothing"


SCORES = {  # on a scale: what they are in [0, 1]
    "percent": ([0, 100], ["0", "87.5", "100"], [0, 0.875, 1]),
    "written percentages": ([0, 100], ["0%", "12.5 %", "100%"], [0, 0.125, 1]),
    "out of ten": ([0, 10], ["0", "7", "10"], [0, 0.7, 1]),
    "stars": ([1, 5], ["1", "2", "5"], [0, 0.25, 1]),
    "signed": ([-1, 1], ["-1", "0", "0.5"], [0, 0.5, 0.75]),
    "points of a test": ([0, 3], ["3", "0", "1.5"], [1, 0, 0.5]),
    "log-probabilities": ([-2, 0], ["-2", "-1", "0"], [0, 0.5, 1]),
    "a grade downwards from 100": ([50, 100], ["50", "75", "1e2"], [0, 0.5, 1]),
    "elo": ([1000, 2000], ["1000", "1100", "2000"], [0, 0.1, 1]),
    "half a unit": ([0, 0.5], ["0", "0.25", "0.5"], [0, 0.5, 1]),
    "truth": ([0, 10], ["true", "False", "5"], [1, 0, 0.5]),
}


def long_of(folder, scores):
    rows = "".join(f"{text},m,{score},1\n" for text, score in zip((SUM, CITY, "What?"), scores, strict=True))
    return write(folder / "o.csv", f"query,model,score,cost\n{rows}")


@pytest.mark.parametrize(("scale", "scores", "quality"), SCORES.values(), ids=SCORES)
def test_a_stated_scale_is_mapped(tmp_path, scale, scores, quality):
    path = long_of(tmp_path, scores)
    for stated in (scale, {"score": scale}):
        frame = read_format("long", path, score_range=stated).frame
        assert frame["score"].tolist() == pytest.approx(quality)


@pytest.mark.parametrize(
    ("scores", "row"),
    [
        (["0", "100", "0"], 1),
        (["0", "0", "87.5"], 2),
        (["1", "1", "5"], 2),
        (["-1", "1", "1"], 0),
        (["0", "1", "1.0001"], 2),
        (["0", "1", "2"], 2),
        (["50%", "0", "1"], 0),
        (["0.5", "1%", "1"], 1),
        (["1e9", "0", "0"], 0),
        (["-0.01", "0", "0"], 0),
    ],
)
def test_an_unstated_scale_stops_the_import(tmp_path, scores, row):
    path = long_of(tmp_path, scores)
    with pytest.raises(InputError) as caught:
        read_format("long", path)
    assert f"o.csv: row {row}: column 'score' holds the score '{scores[row]}', but scores are in [0, 1]" in str(
        caught.value
    )
    assert "--score_range" in str(caught.value)
    if "%" not in scores[row]:
        kept = read_format("long", path, score_range=[0, 1])
        assert [rejected.row for rejected in kept.rejected] == [str(row)]


def test_every_format_names_its_own_column(tmp_path):
    def refused(format, path, columns=None):
        with pytest.raises(InputError) as caught:
            read_format(format, path, columns)
        return str(caught.value)

    renamed = write(tmp_path / "long.csv", f"query,model,stars\n{SUM},m,5\n")
    assert "long.csv: row 0: column 'stars' holds the score '5'" in refused("long", renamed, {"score": "stars"})
    wide = write(tmp_path / "w.csv", made.ROUTERBENCH.replace("1.0,0.25", "1.0,2.5"))
    assert "w.csv: row 0: column 'b' holds the score '2.5'" in refused("routerbench", wide)
    write(tmp_path / "lm/mmlu_x.csv", f"prompt,weak,strong\n{SUM},1,0\n{CITY},0,10\n")
    assert "mmlu_x.csv: row 1: column 'strong' holds the score '10'" in refused("routellm", tmp_path / "lm")
    folder = made.llmrouter(tmp_path / "data")
    scores = folder / "dcrouter_preprocessed/train.json"
    scores.write_text(scores.read_text().replace('"a": 0.25', '"a": 25'))
    assert "train.json: row 1: column 'a' holds the score '25'" in refused("llmrouter", folder)
    compass = write(tmp_path / "c/t/m.json", {"details": {"0": {"prompt": SUM, "prediction": "4", "correct": 100}}})
    assert "m.json: row 0: column 'correct' holds the score '100'" in refused("opencompass", compass)


def test_a_scale_of_one_column_leaves_the_others(tmp_path):
    write(tmp_path / "mmlu_x.csv", f"prompt,weak,strong\n{SUM},1,7\n{CITY},0,10\n{COLOUR.replace(',', '')},0.5,0\n")
    frame = read_format("routellm", tmp_path, score_range={"strong": [0, 10]}).frame
    assert frame[frame["model"] == "strong"]["score"].tolist() == [0.7, 1, 0]
    assert frame[frame["model"] == "weak"]["score"].tolist() == [1, 0, 0.5]
    with pytest.raises(InputError, match="no column of scores is called 'storng'; did you mean strong"):
        read_format("routellm", tmp_path, score_range={"storng": [0, 10], "strong": [0, 10]})


@pytest.mark.parametrize(
    "stated",
    [[0], [1, 0], [0, 0], [0, 50, 100], [], [0, float("inf")], [float("nan"), 1], {"a": [0]}, {"a": [2, 1]}, {"a": []}],
)
def test_a_scale_is_two_numbers(stated):
    with pytest.raises(InputError, match=r"--score_range(: a)? is .*two numbers, the lower first"):
        Scales(stated)


@pytest.mark.parametrize("score", ["good", "B", "0,5", "nan", "inf", "1/2", "yes"])
def test_what_is_no_number_is_no_score(tmp_path, score):
    path = write(tmp_path / "o.csv", f'query,model,score,cost\n{SUM},m,1,1\n{CITY},m,"{score}",1\n')
    (rejected,) = read_format("long", path).rejected
    assert rejected.reason == f"score is '{score}', but must be a number in [0, 1]"


@pytest.mark.parametrize(
    ("value", "number"),
    [("1.5", (1.5, False)), ("50%", (50.0, True)), ("x", (None, False)), ("inf", (None, False)), (2, (2.0, False))],
)
def test_numbers_are_finite_and_may_be_percentages(value, number):
    assert number_of(value) == number
