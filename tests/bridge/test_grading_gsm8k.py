"""One-number answers, decided by reading; each case is one that a pattern for numbers gets wrong."""

import pytest

from hierrouter_jax.bridge.grading.gsm8k import Gsm8kGrader
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query

CASES = [  # gold, response, what is taken, reason
    ("18", "She sells 9 eggs at $2. The answer is 18.", "18", "right"),
    ("18", "The answer is $18 for 9 eggs.", "18", "right"),
    ("18", "She makes 9 * 2 = 18 dollars.", "18", "right"),
    ("18", r"\boxed{18}. The answer is what 9 eggs bring.", "18", "right"),
    ("18", "The answer is 9. Wait, I forgot the price. The answer is 18.", "18", "right"),
    ("18", "The answer is 18. Wait, I forgot breakfast. The answer is 9.", "9", "wrong: value"),
    ("70000", r"\boxed{Profit = \$70,000}", "$70,000", "right"),
    ("70000", r"\boxed{70{,}000}", "70000", "right"),
    ("70000", "#### 70,000", "70,000", "right"),
    ("70000", "The answer is 70.000.", "70.000", "wrong: value"),
    ("64", r"\boxed{64.00}", "64.00", "right"),
    ("64", r"$\boxed{64 \text{ dollars}}$", "64", "right"),
    ("64", "**Answer:** $64.", "64", "right"),
    ("180", r"\boxed{90 + 90 = 180}", "180", "right"),
    ("5", "so $x = 5$", "5", "right"),
    ("20", r"The share is \boxed{20\%}.", "20", "right"),
    ("20", r"\boxed{0.2}", "0.2", "wrong: value"),
    ("33", "The answer is 33.33.", "33.33", "wrong: value"),
    ("18", "The answer is 17.9999999", "17.9999999", "right"),
    ("2", r"\boxed{\frac{4}{2}}", r"\frac{4}{2}", "right"),
    ("2.5", r"\boxed{2\frac{1}{2}}", r"2\frac{1}{2}", "right"),
    ("2.5", "The answer is 2 1/2 cups.", "2 1/2", "right"),
    ("-5", r"The answer is $-5$.", "-5", "right"),
    ("5", r"The answer is $-5$.", "-5", "wrong: value"),
    ("12", r"\boxed{10-12}", "10-12", "wrong: range"),
    ("12", "The answer is 10 to 12.", "10 to 12", "wrong: range"),
    ("2", r"\boxed{2:00 \text{ pm}}", "2:00", "right"),
    ("30", r"\boxed{2:30}", "2:30", "wrong: time"),
    ("90", "The answer is 1 hour and 30 minutes.", "1 hour, 30 minutes", "right"),
    ("30", "The answer is 1 hour and 30 minutes.", "1 hour, 30 minutes", "wrong: value"),
    ("6", r"Finley finished in \boxed{6th} place.", "6th", "right"),
    ("77", r"\boxed{€77}", "77", "right"),
    ("50", r"\boxed{50 \, \text{miles}}", "50", "right"),
    ("5", "The answer is five apples.", "five", "right"),
    ("45", r"\boxed{\text{forty-five}}", "forty five", "right"),
    ("16", r"\boxed{Cannot be determined}", "Cannot be determined", "no answer"),
    ("16", "I am 16 tokens short of\n\nan answer, sorry.", "an answer, sorry", "no answer"),
    ("9", "That is 9.\n\nLet me know if you have 2 more questions!", "9", "right"),
    ("27", "3 + 24\n= 27 eggs", "27", "right"),
    ("1", "", "", "no answer"),
]


@pytest.mark.parametrize(("gold", "response", "taken", "reason"), CASES)
def test_verdict_by_careful_reading(gold, response, taken, reason):
    found = Gsm8kGrader()([response], [Query("q", "?", "gsm8k", gold, "test")])[0]
    assert (found.extracted, found.reason) == (taken, reason)
    assert found.quality == float(reason == "right")


def test_the_gold_may_be_the_whole_solution():
    query = Query("q", "?", "gsm8k", "He has 2 * 500 = <<2*500=1000>>1000.\n#### 1,000", "test")
    assert Gsm8kGrader()(["#### 1000"], [query])[0].quality == 1


def test_only_marked_answers_count_where_the_prompt_asks_for_a_mark():
    query = Query("q", "?", "gsm8k", "9", "test")
    verdicts = Gsm8kGrader(marked=True)(["That is 9.", r"That is \boxed{9}.", "The answer is 9."], [query] * 3)
    assert [verdict.reason for verdict in verdicts] == ["unmarked", "right", "right"]


@pytest.mark.parametrize("gold", ["", "nine", "9 apples", "1/0"])
def test_a_gold_that_is_no_number_is_refused(gold):
    with pytest.raises(InputError, match="query q: gold is"):
        Gsm8kGrader()(["9"], [Query("q", "?", "gsm8k", gold, "test")])


@pytest.mark.parametrize("piece", ["1", r"\boxed{", "The answer is 1 ", r"\(", "**", "1,111,", "answer "])
def test_no_text_takes_long(piece):
    """Thirty thousand characters of what a pattern could go back and forth on."""
    Gsm8kGrader()([piece * (30_000 // len(piece))], [Query("q", "?", "gsm8k", "2", "test")])
