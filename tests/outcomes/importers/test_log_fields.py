"""Fields of logs of others, one reader each: what they take, and the phrase for what they do not."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.log_fields import (
    Fault,
    candidates_of,
    distribution_of,
    faults_at,
    numbers_of,
    parsed,
    plain_number,
    quality_of,
    seconds_of,
)
from hierrouter_jax.outcomes.importers.scales import Scales


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6))
def test_a_distribution_is_the_same_as_list_json_array_or_by_name(weights):
    probs = [weight / sum(weights) for weight in weights]
    names = tuple(f"m{place}" for place in range(len(probs)))
    by_name = dict(reversed(list(zip(names, probs, strict=True))))
    for value in (probs, str(probs), np.array(probs), by_name):
        its = distribution_of(value, names, "p")
        assert sum(its) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(its, probs, atol=1e-9)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01 01:00:00+01:00", 1767225600.0),
        ("2026-01-01", 1767225600.0),  # without a zone it is UTC
        (1767225600.5, 1767225600.5),
        ("1767225600", 1767225600.0),
        (datetime(2026, 1, 1), 1767225600.0),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 1767225600.0),
    ],
)
def test_times_are_dates_or_seconds(value, seconds):
    assert seconds_of(value, "time") == seconds


@pytest.mark.parametrize("value", ["yesterday", -1, 1767225600000, float("nan"), None])
def test_other_times_are_refused(value):
    with pytest.raises(Fault, match=r"time is .*, but must be a date in ISO 8601, or seconds since 1970"):
        seconds_of(value, "time")


def test_candidates_are_lists_or_texts():
    for value in (["a", "b c"], '["a", "b c"]', "a| b c", np.array(["a", "b c"], dtype=object)):
        assert candidates_of(value) == ("a", "b c")
    for value in ("a|", [], ["a", "STOP"], ["a", "a"]):
        with pytest.raises(Fault, match="must hold at least one name, each once, and not STOP"):
            candidates_of(value)


def test_a_text_that_only_looks_like_json_stays_a_text():
    assert parsed("[sic] a") == "[sic] a"
    assert parsed('{"a": 1}') == {"a": 1}


def test_a_percentage_is_no_number():
    assert (plain_number("0.5"), plain_number("0.5%"), plain_number("far")) == (0.5, None, None)
    with pytest.raises(Fault, match=r"features holds '0\.5%', but must hold numbers"):
        numbers_of([1, "0.5%"], "features")
    with pytest.raises(Fault, match="time is 5%, but must be a date"):
        seconds_of("5%", "time")


def test_a_quality_of_an_empty_cell_is_missing():
    assert quality_of(None, Scales(), "quality") is None
    assert quality_of("true", Scales(), "quality") == 1.0
    with pytest.raises(Fault, match=r"quality is '6', but must be a number in \[1, 5\]"):
        quality_of(6, Scales([1, 5]), "quality")


def test_a_fault_gets_its_place():
    with pytest.raises(InputError, match=r"^a\.csv: row 3: cost is less$"), faults_at("a.csv: row 3"):
        raise Fault("cost is less")
