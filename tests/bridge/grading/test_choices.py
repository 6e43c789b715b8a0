"""The option that a response commits to, decided by reading; each case is one that a pattern gets wrong."""

import json

import pytest

from hierrouter_jax.bridge.grading.choices import ChoiceGrader
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query

CELLS = {"A": "a plant cell", "B": "a bacterium", "C": "a virus", "D": "a red blood cell"}
NUMBERS = {"1": "4", "2": "2", "3": "8", "4": "16"}
BLOOD = {"A": "AB", "B": "A", "C": "O", "D": "B"}
GIVEN_UP = {"A": "3", "B": "5", "C": "30", "D": "It cannot be determined."}
MIXTURE = {"A": "compound", "B": "A mixture of gases", "C": "element", "D": "A mixture of gases and dust"}


def verdict(response: str, answer: str, texts: dict[str, str]):
    gold = json.dumps({"answer": answer, "choices": texts})
    return ChoiceGrader()([response], [Query("q", "?", "mmlu", gold, "test")])[0]


RIGHT = [
    ("B", CELLS, "B"),
    ("b", CELLS, "B"),
    ("(b)", CELLS, "B"),
    ("B.", CELLS, "B"),
    ("**B**", CELLS, "B"),
    ("B. a bacterium", CELLS, "B"),
    ("B\n\nBecause it has no nucleus, a plant cell is ruled out.", CELLS, "B"),
    ("The answer is B.", CELLS, "B"),
    ("the answer is b.", CELLS, "B"),
    ("The answer is: **(B)** a bacterium", CELLS, "B"),
    ("**Answer:** B", CELLS, "B"),
    ("Answer: Option B", CELLS, "B"),
    (r"So the final answer is \boxed{\text{B}}.", CELLS, "B"),
    (r"$\boxed{\text{(B) a bacterium}}$", CELLS, "B"),
    (r"\boxed{b}", CELLS, "B"),
    ("The correct option is therefore [B].", CELLS, "B"),
    ("I would go with option B here.", CELLS, "B"),
    ("B is the correct answer.", CELLS, "B"),
    ("The answer is a bacterium.", CELLS, "B"),
    ("The answer is A. a plant cell\nWait, plant cells have nuclei. The answer is B.", CELLS, "B"),
    ("A is wrong, C is not alive, D has no DNA. Hence (B).", CELLS, "B"),
    ("The answer is not A. The correct answer is B", CELLS, "B"),
    ("A. a plant cell\nB. a bacterium\nC. a virus\nD. a red blood cell\n\nThe answer is B", CELLS, "B"),
    ("It has a cell wall but no nucleus, so it must be a bacterium.", CELLS, "B"),
    ("<think>The answer is C.</think>The answer is B.", CELLS, "B"),
    ("The answer to question 3 is B", CELLS, "B"),
    ("The correct answer is:\n\nB. a bacterium", CELLS, "B"),
    ("Option A is incorrect. Option B is correct.", CELLS, "B"),
    ("If I had to guess, I would choose (B).", CELLS, "B"),
    ("The answer is 2.", NUMBERS, "2"),
    ("(3)", NUMBERS, "3"),
    ("The answer is A mixture of gases", MIXTURE, "B"),
    ("The answer is a mixture of gases and dust.", MIXTURE, "D"),
    ("The answer is B.", BLOOD, "B"),
    ("The answer is AB.", BLOOD, "A"),
    ("The answer is 3.", GIVEN_UP, "A"),
    ("The answer is: It cannot be determined.", GIVEN_UP, "D"),
    ("The answer is A because plants have walls.", CELLS, "A"),
]
WRONG = [
    ("The answer is A.", CELLS, "B", "wrong: option"),
    ("The answer is B. Actually no, the answer is C.", CELLS, "B", "wrong: option"),
    ("A bacterium cannot be seen, which is why this is hard.", CELLS, "A", "no answer"),
    ("The answer is a matter of taste.", CELLS, "A", "no answer"),
    ("The answer is A or B.", CELLS, "A", "several"),
    ("The answer is (a) or (b).", CELLS, "A", "several"),
    ("The answer is (A) and (B).", CELLS, "B", "several"),
    ("It is either option A or option B", CELLS, "A", "several"),
    ("I cannot answer this question.", CELLS, "B", "refusal"),
    ("The answer is none of the above.", CELLS, "B", "refusal"),
    ("Not A.", CELLS, "A", "no answer"),
    ("The answer is not B.", CELLS, "B", "no answer"),
    ("It is definitely not (B).", CELLS, "B", "no answer"),
    ("", CELLS, "B", "no answer"),
    ("Big animals eat small ones.", CELLS, "B", "no answer"),
    ("The answer is E.", CELLS, "B", "no answer"),
    ("The answer is 30.", GIVEN_UP, "A", "wrong: option"),
    ("The answer is 3.5.", GIVEN_UP, "A", "no answer"),
    ("A. a plant cell\nB. a bacterium\nC. a virus\nD. a red blood cell", CELLS, "D", "no answer"),
    ("I'm sorry, but I can't help. B is a letter.", CELLS, "B", "refusal"),
]


@pytest.mark.parametrize(("response", "texts", "answer"), RIGHT)
def test_right_by_careful_reading(response, texts, answer):
    found = verdict(response, answer, texts)
    assert (found.quality, found.extracted, found.reason) == (1.0, answer, "right")


@pytest.mark.parametrize(("response", "texts", "answer", "reason"), WRONG)
def test_wrong_by_careful_reading(response, texts, answer, reason):
    found = verdict(response, answer, texts)
    assert (found.quality, found.reason) == (0.0, reason)


@pytest.mark.parametrize("shape", ["{}", "({})", "{}.", "**{}**", "Answer: {}", "The answer is {}.", "\\boxed{{{}}}"])
def test_every_label_in_every_shape_is_itself_alone(shape):
    for label in "ABCD":
        graded = [verdict(shape.format(label), answer, CELLS).quality for answer in "ABCD"]
        assert graded == [float(answer == label) for answer in "ABCD"]


@pytest.mark.parametrize(
    "gold", ["B", "{}", '{"answer": "E", "choices": {"A": "x"}}', '{"answer": "A", "choices": ["x"]}', "[1]"]
)
def test_a_gold_of_another_form_is_refused(gold):
    with pytest.raises(InputError, match="query q: gold"):
        ChoiceGrader()(["B"], [Query("q", "?", "mmlu", gold, "test")])


@pytest.mark.parametrize(
    "response",
    [
        r"Given 16 seconds, half is 7. The answer is \(\boxed{7}\).",
        "There are 16 of them, and 9 are left. The answer is 7.",
        "We start from 16. <answer>7</answer>",
        r"Of the 16 there are \boxed{5} left.",
        "16 is the total; the correct answer is therefore 12.",
    ],
)
def test_an_answer_that_is_no_option_is_not_replaced_by_one_that_the_working_names(response):
    assert verdict(response, "4", NUMBERS).quality == 0


def test_what_stands_behind_a_box_that_is_no_option_still_counts():
    assert verdict(r"\boxed{32} is too much, so I choose the half of it, option 4.", "4", NUMBERS).quality == 1


@pytest.mark.parametrize("minus", ["-", "−"])
def test_a_number_with_a_minus_is_another_number(minus):
    signed = {"A": "−36", "B": "−14", "C": "14", "D": "36"}
    said = rf"The value of \(-25 - (-11)\) is \({minus}14\)."
    assert verdict(said, "C", signed).quality == 0
    assert verdict(said, "B", signed).quality == 1
