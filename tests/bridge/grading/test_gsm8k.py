"""One-number answers, decided by reading; each case is one that a pattern for numbers gets wrong.

The number of a list's item or of a step is not an answer, wherever a response is cut off; a number alone is.
"""

import pytest

from hierrouter_jax.bridge.grading.gsm8k import Gsm8kGrader
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from tests.bridge.benchmarks import benchmark


def taken(response: str) -> str:
    """What is read as the number; empty where there is none."""
    verdict = Gsm8kGrader()([response], [Query("q", "?", "gsm8k", "0.123", "test")])[0]
    return "" if verdict.reason == "no answer" else verdict.extracted


@pytest.mark.parametrize(
    ("response", "number"),
    [
        ("9. Tom walks for 40 minutes\n10. 25 minutes to the shop = 25 *", ""),
        ("10. 25 minutes to the shop = 25 * 2 = 50", "50"),
        ("10. 25 minutes to the shop", "25"),
        ("Each box holds 12.\nStep 4", ""),
        ("Each box holds 12.\nStep 4:", ""),
        ("Each box holds 12.\n\n### Step 4: Find the number of boxes", ""),
        ("Each box holds 12.\n\n#### Step 4: Find the number of boxes", ""),
        ("#### 4. Find the number of boxes\n\n12 * 2 = 24", "24"),
        ("Each box holds 12.\n\n**Step 4: Count the boxes**", ""),
        ("**Step 4 -** Each box holds 12 bulbs", "12"),
        ("**4. Count the boxes:**", ""),
        ("4) Count the boxes", ""),
        ("(4) Count the boxes", ""),
        ("[4] Count the boxes", ""),
        ("4.2. Count the boxes", ""),
        ("> 4. Count the boxes", ""),
        ("- 4. Count the boxes", ""),
        ("- 14 boxes", "14"),
        ("* 14 boxes", "14"),
        ("Step 2.1: Count the boxes", ""),
        ("Schritt 3: Die Kisten", ""),
        ("Étape 3 : les boîtes", ""),
        ("Paso 3: las cajas", ""),
        ("第3步：数一数", ""),
        ("Case 2: he has boxes", ""),
        ("Here is how:\n1.", ""),
        ("1. Count\n2. Multiply\n3.", ""),
        ("1. Count\n2. Multiply\n**3.**", ""),
        ("As Step 3 says, he needs boxes", ""),
        ("He needs 14 boxes, as in step 3", "14"),
        ("3.", "3"),
        ("3", "3"),
        ("(3)", "3"),
        ("3)", "3"),
        ("**3**", "3"),
        ("He counts twice.\n\n30.", "30"),
        ("He counts twice.\n30.", "30"),
        ("30. That is because he counts 2 times.", "30"),
        ("3.5", "3.5"),
        ("3.5 boxes", "3.5"),
        ("3:00 pm", "3:00"),
        ("-3", "-3"),
        ("Answer:\n1. Count the boxes\n2. Add 7 more, which makes", "7"),
        ("The answer is:\n\n1. Count the boxes: 7 boxes\n2. Add them", ""),
        ("The answer is:\n\n17.", "17"),
        ("The answer is:\n1.", "1"),
        ("Then he takes the broken one", ""),
        ("one", "one"),
        ("He has only one left.", "one"),
        ("17 + 4 =", ""),
        ("He has 17 ×", ""),
        ("so we get 17 -", ""),
        (r"The price is \[ 17 = \frac{4}{4", ""),
        ("The price is\n\\[ 17", ""),
        ("1. **Boxes:** 12 * 4 = 48", "48"),
    ],
)
def test_the_number_that_a_response_gives(response, number):
    assert taken(response) == number


WORKING = """Let's solve it step by step.

### Step 1: Read
1. Each crate holds 90 bottles.
2. Lea buys 95 crates:
   - 95 crates
   - each of 90 bottles

### Step 2: Multiply
3) 95 × 90 = 8550 bottles
(4) 9 bottles break

**Step 5: Take off the broken ones**
6. \\[ 8550 - 9 = 8541 \\]

#### Step 7: Say it
7. So Lea sells 8541 bottles
"""


def test_no_cut_makes_an_items_number_the_answer():
    """Every quantity of this working starts with 8 or 9, the numbers of its items with 1 to 7."""
    for end in range(len(WORKING)):
        assert taken(WORKING[:end])[:1] in ("", "8", "9"), WORKING[:end][-40:]
    assert taken(WORKING) == "8541"


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


GSM8K_SAME = [
    "{}",
    "Thinking of 7 and 12.\nThe answer is {}.",
    "#### {}",
    r"\boxed{{{}}}",
    r"\boxed{{{}.00}}",
    r"\boxed{{\${}}}",
    r"\boxed{{{}\%}}",
    r"\boxed{{{} \text{{ apples}}}}",
    r"\boxed{{x = {}}}",
    r"So 2 * 3 = 6, and $x = {}$.",
    "**Answer:** {} apples for 3 days.",
    "He pays **${}** in the end.",
    "That makes {} km.\n\nLet me know if you need more than 1 explanation!",
]


def test_gsm8k_golds_in_other_words():
    golds = [answer.rpartition("####")[2].strip() for answer in benchmark("gsm8k").answer]
    plain = [gold.replace(",", "") for gold in golds]
    written = [plain, [f"{int(gold):,}" for gold in plain]]
    other = [str(int(gold) + 1) for gold in plain]
    queries = [Query(str(row), "?", "gsm8k", gold, "test") for row, gold in enumerate(golds)]
    assert len(golds) == 1319
    for shape in GSM8K_SAME:
        for texts, quality in ((written[0], 1.0), (written[1], 1.0), (other, 0.0)):
            verdicts = Gsm8kGrader()([shape.format(text) for text in texts], queries)
            assert [v for v in verdicts if v.quality != quality] == [], shape
