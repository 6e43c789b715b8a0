"""The number of a list's item or of a step is not an answer, wherever a response is cut off; a number alone is."""

import pytest

from hierrouter_jax.bridge.grading.final_answer import final_answer
from hierrouter_jax.bridge.grading.gsm8k import Gsm8kGrader
from hierrouter_jax.bridge.grading.markup import is_item, starts_list, unfinished, without_marker, without_steps
from hierrouter_jax.outcomes.table import Query


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


def test_a_heading_is_no_commitment_to_a_formula_either():
    assert final_answer("#### 3. Simplify\n\nHence $x = 5$").text == "x = 5"
    assert final_answer("Solution:\n2. So $x = 7$").text == "x = 7"
    assert final_answer("#### 7").text == "7"
    assert final_answer("#### 7 apples").text == "7 apples"


def test_the_item_before_decides_of_a_number_alone():
    assert without_marker("4.", ["3. three"]) == ""
    assert without_marker("4.", ["2. two"]) == "4."
    assert without_marker("**4)**", ["(3) three"]) == ""
    assert without_marker("(4", ["(3) three"]) == ""
    assert without_marker("4", ["4. four", "5. five"]) == "4"
    assert without_marker("1.", ["The steps are as follows:"]) == ""
    assert without_marker("1.", ["The number of cats is:"]) == "1."


def test_parts_of_a_text():
    assert without_steps("by step 3, 7 eggs").split() == ["by", ",", "7", "eggs"]
    assert without_steps("3 steps of 30 cm") == "3 steps of 30 cm"
    assert without_steps("a step 30% higher") == "a step 30% higher"
    assert is_item("3. Add")
    assert not is_item("3.")
    assert not is_item("3 apples")
    assert starts_list("\n1. Add")
    assert not starts_list("\n18. Because")
    assert not starts_list("1")


@pytest.mark.parametrize("text", ["3 +", "3 *", "= 30 *", "a =", r"\frac{3}{4", r"\[ 3", "$$ 3", r"3 \times", "9 -"])
def test_a_computation_that_breaks_off(text):
    assert unfinished(text)


@pytest.mark.parametrize(
    "text", ["3", "**3**", "*3*", r"\[ 3 \]", "$$3$$", "3.", "<answer>3</answer>", r"It is \(3\)", "\\[ 3\n\nSo 3."]
)
def test_a_text_that_ends(text):
    assert not unfinished(text)
