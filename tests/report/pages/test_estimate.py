"""The page of an estimate: the answer, every estimator beside the truth, and the overlap; or why there is none."""

import json
from copy import deepcopy

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.report.build import build_page
from hierrouter_jax.studies.off_policy.estimate import estimate
from tests.report.page_reader import assert_self_contained
from tests.studies.off_policy.logs import PART, log, plan


def page(folder, result):
    (folder / "estimate.json").write_text(json.dumps({"log": "log", "name": "plan"} | result))
    return assert_self_contained(build_page([folder]).read_text(encoding="utf-8")).text


def test_a_page_has_the_answer_beside_the_truth(tmp_path):
    result = estimate(log(episodes=1000), plan(), table=PART)
    text = page(tmp_path, result)
    value, (low, high) = result["estimate"]["return"]["value"], result["estimate"]["return"]["ci"]
    assert f"plan would reach a return of {value:.3f} ({low:.3f} to {high:.3f})" in text
    assert "The paired difference is" in text
    assert "Line: the truth" in text
    estimators = pd.read_csv(tmp_path / "data" / "estimators.csv").set_index("estimator")
    assert estimators.loc[result["estimator"], "return"] == pytest.approx(value)
    assert estimators.loc[result["estimator"], "return_high"] == pytest.approx(high)
    assert (tmp_path / "figures" / "overlap.svg").is_file()
    assert {"actions", "overlap", "drift"} <= {path.stem for path in (tmp_path / "data").iterdir()}


def test_a_page_says_why_there_is_no_answer(tmp_path):
    text = page(tmp_path, estimate(log("none", episodes=300), plan(), Exploration("epsilon", 0.5)))
    assert "The log cannot say what plan would reach" in text
    assert "no row has an interval" in text


@pytest.fixture(scope="module")
def whole():
    return estimate(log(episodes=1000), plan(), table=PART)


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        *[(lambda value, key=key: value.pop(key), f"has no '{key}'") for key in ("money_unit", "cost_weight")],
        (lambda value: value.pop("cost_normaliser"), "has no 'cost_normaliser'"),
        *[
            (lambda value, key=key: value["diagnostics"].pop(key), f": 'diagnostics' has no '{key}'")
            for key in ("effective_sample", "effective_wrong", "mean_weight", "drift")
        ],
        (lambda value: value["diagnostics"].update(mean_weight={}), ": diagnostics.mean_weight has no 'value'"),
        (lambda value: value["diagnostics"].update(actions=[]), ": 'diagnostics': 'actions' is empty"),
        (lambda value: value["diagnostics"]["overlap"][0].pop("task"), ": diagnostics.overlap[0] has no 'task'"),
        (lambda value: value["episodes"].pop("used"), ": 'episodes' has no 'used'"),
        (lambda value: value["estimators"][1]["cost"].pop("ci"), ": estimators[1].cost has no 'ci'"),
        (lambda value: value["logging"].pop("return"), ": logging has no 'return'"),
        (lambda value: value.pop("difference"), "has no 'difference'"),
        (lambda value: value.update(answers=False, reasons=[]), ": 'reasons' is empty"),
        (lambda value: value["truth"].pop("accuracy"), ": 'truth' has no 'accuracy'"),
    ],
)
def test_an_estimate_without_a_field_is_refused_by_its_place(tmp_path, whole, edit, place):
    value = deepcopy(whole)
    edit(value)
    with pytest.raises(InputError, match=r"estimate\.json") as caught:
        page(tmp_path, value)
    assert place in str(caught.value)


def test_a_file_that_is_no_estimate_is_refused(tmp_path):
    (tmp_path / "estimate.json").write_text('{"name": "plan"}')
    with pytest.raises(InputError, match="answers"):
        build_page([tmp_path])
