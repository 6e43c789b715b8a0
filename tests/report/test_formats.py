"""Order, units and number formats of result tables, by hand."""

import pytest

from hierrouter_jax.report import formats
from tests.report.page_reader import policy_row


def test_numbers_read_well():
    assert [formats.percent(value) for value in (0.95166, None, -0.0001, -0.2)] == ["95.2", "–", "0.0", "−20.0"]
    assert [formats.multiple(value) for value in (3.428, 34.28, 342.8, None)] == ["3.43", "34.3", "343", "–"]
    assert [formats.signed_points(value) for value in (0.2884, -0.0134, 0.0001)] == ["+28.8", "−1.3", "0.0"]
    assert [formats.p_value(value) for value in (0.0001, 0.41, None)] == ["< 0.001", "0.410", "–"]
    assert [formats.probability(value) for value in (0.999, 0.98, 1.0)] == ["> 0.99", "0.98", "1.00"]


def test_the_co_failure_ceiling_is_what_some_model_gets_right(numbers):
    accuracy, (low, high) = formats.co_failure_ceiling(numbers)
    assert (accuracy, low, high) == pytest.approx((0.4533, 0.4133, 0.4933))


def test_the_unit_of_cost_is_the_cheapest_model_that_is_called_once(numbers):
    assert formats.cheapest_single(numbers)["name"] == "reader"
    assert formats.relative_cost(policy_row(numbers, "calculator"), numbers) == pytest.approx(11.25 / 9.10)
    numbers["table"]["pool"] = ["calculator", "speller"]  # names alone are a pool, too
    assert formats.model_names(numbers["table"]) == ["calculator", "speller"]
    assert formats.pool_members(numbers["table"])[0] == {"name": "calculator"}
    assert formats.cheapest_single(numbers)["name"] in ("calculator", "speller")
    assert formats.cheapest_single({**numbers, "policies": []}) is None
    assert formats.relative_cost({"cost": 1.0}, {**numbers, "policies": []}) is None


def test_rows_are_sorted_by_accuracy_and_the_oracles_are_apart(numbers):
    able = formats.deployable(numbers)
    assert [row["name"] for row in able[:3]] == ["ppo+stop", "ppo", "task-sequence+stop"]
    assert all(row["kind"] != "oracle" for row in able)
    assert "oracle_return" in [row["name"] for row in formats.oracles(numbers)]
    assert formats.percent_interval((0.9, 0.95)) == "90.0 to 95.0"
    assert formats.number(-0.001) == "0.00"
