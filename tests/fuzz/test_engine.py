"""How the time of `make fuzz` is shared, and that no law is left out of it."""

import pytest

from tests.fuzz import engine
from tests.fuzz.engine import fuzz, shares


def test_each_kind_has_the_same_time_and_its_laws_have_equal_parts():
    assert shares({"a": "tables", "b": "logs", "c": "tables"}, 600) == {"a": 300, "b": 600, "c": 300}


def test_a_law_that_names_no_kind_fails():
    with pytest.raises(KeyError, match="test_a_law_that_names_no_kind_fails"):
        fuzz(lambda: None)


@pytest.mark.fuzzed("none")
def test_a_law_has_its_share(request):
    assert engine.SHARES[request.node.nodeid] == engine.SECONDS
