"""A cascade goes on just where it should."""

import numpy as np
import pytest

from hierrouter_jax.baselines import cascade
from hierrouter_jax.baselines.regressors import Fitted, logistic
from tests.baselines.known_tables import doubt, outcome


@pytest.mark.parametrize(("name", "dear"), [("cascade", 4), ("self-refinement", 2)])
def test_a_cascade_goes_on_just_where_the_answer_is_wrong(name, dear):
    """All are right in the end; model 0 costs 2 a call, and only the half that it got wrong pay for another."""
    test = doubt().split("test")
    found = outcome(name, doubt(), weight=0.01)
    assert found.quality.mean() == 1
    first_wrong = test.quality[:, 1] == 0
    np.testing.assert_allclose(found.cost, 2 + dear * first_wrong)


def test_a_cascade_stops_at_once_where_going_on_does_not_pay():
    """The repair of half the queries is worth .5 a query and the second call costs 4 at .2 a unit."""
    assert outcome("cascade", doubt(), weight=0.3).hops.max() == 1


def test_only_what_a_chain_is_chosen_by_is_held_out(monkeypatch):
    """The one chain of two models asks for the confidence after its first call; regularisation asks for predictions."""
    fits, held_out = [], []

    def counted(x, y, known, inverse):
        fitted = logistic(x, y, known, inverse)
        fits.append(inverse)
        return Fitted(fitted.predict, lambda: held_out.append(inverse) or fitted.held_out())

    monkeypatch.setattr(cascade, "logistic", counted)
    outcome("cascade", doubt(), weight=0.01)
    assert len(fits) == 2 * len(cascade.INVERSE_REGULARISATION) + 1
    assert len(held_out) == 1
