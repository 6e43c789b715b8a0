"""Where an answer stands: in tags and boxes, behind phrases of many languages, before what a base model adds."""

import pytest

from hierrouter_jax.bridge.grading.final_answer import final_answer
from hierrouter_jax.bridge.grading.options import Options


@pytest.mark.parametrize(
    "response",
    [
        "The answer is $7$.",
        "Final answer: 7",
        "Answer -> 7",
        "Die Antwort lautet $7$.",
        "Die richtige Antwort ist also 7.",
        "Endergebnis: 7",
        "Ergebnis: 7",
        "Das Ergebnis beträgt 7.",
        "La réponse est : 7",
        "Réponse finale : $7$",
        "Le résultat vaut 7.",
        "La respuesta es 7.",
        "Respuesta: 7",
        "La respuesta correcta es $7$.",
        "El resultado es 7.",
        "最终答案是7。",
        "答案：7",
        "所以，答案为 $7$。",
        "结果是7个。",
        "La risposta è 7.",
        "A resposta é 7.",
        "Het antwoord is 7.",
        "Ответ: 7",
        "答えは7です。",
        "정답: 7",
        "Total: 7",
    ],
)
def test_phrases_of_many_languages(response):
    assert final_answer(response).text == "7"


@pytest.mark.parametrize(
    "response",
    ["La respuesta no es 7.", "答案不是7", "The answer is not 7.", "Die Antwort ist nicht 7.", "答えは7", "7"],
)
def test_what_the_answer_is_not_is_no_answer(response):
    assert (final_answer(response).text == "7") == (response in ("答えは7", "7"))


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("<answer>7</answer>", "7"),
        ("<ANSWER> 7 </ANSWER>", "7"),
        ("<answer>\n7\n</answer>", "7"),
        ("<final_answer>7</final_answer>", "7"),
        ("<|begin_of_box|>7<|end_of_box|>", "7"),
        ("[ANSWER]7[/ANSWER]", "7"),
        ("<answer>7", "7"),
        (r"<answer>\boxed{7}</answer>", "7"),
        ("<answer>The answer is 7.</answer>", "7"),
        ("<answer>3 + 4 = 7, so\nx = 7</answer>", "7"),
        ("I write <answer> first: <answer>7</answer>", "7"),
        (r"\boxed{6}, no: <answer>7</answer>", "7"),
        (r"<answer>6</answer>, no: \boxed{7}", "7"),
        ("<answer>your answer</answer>, that is <answer>7</answer>", "7"),
        (r"\boxed{7}, put into \boxed{} as asked", "7"),
        (r"\boxed{7} as \boxed wants it", "7"),
        (r"\boxed{7}, in \boxed{answer} form", "7"),
        (r"\boxed{7} and I hope \boxed{...} is right", "7"),
    ],
)
def test_tags_and_boxes(response, text):
    assert final_answer(response).text == text


@pytest.mark.parametrize(
    "added",
    [
        "\n\nQuestion: What is 4 + 5?\nAnswer: 9",
        "\n\nQ: What is 4 + 5?\nA: 9",
        "\nProblem: 4 + 5\n\\boxed{9}",
        "\n\nQuestion 8: 4 + 5\n#### 9",
        "\n\n**Question:** 4 + 5\n\n**Answer:** 9",
        "\n\n### Question\n4 + 5\n### Answer\n9",
        "\n\nHuman: and 4 + 5?\nAssistant: The answer is 9.",
        "\n\nUser: and 4 + 5?\n\\boxed{9}",
        "\n\nInstruction: Add 4 and 5.\nResponse: 9",
        "\n\nAufgabe: 4 + 5\nAntwort: 9",
        "\n\nPregunta: 4 + 5\nRespuesta: 9",
        "\n\n问题：4 + 5\n答案：9",
        "<|im_end|>\n<|im_start|>user\nThe answer is 9.",
        "</s> The answer is 9.",
        "<|endoftext|>#### 9",
        "[INST] more [/INST] \\boxed{9}",
    ],
)
@pytest.mark.parametrize("answer", ["The answer is 7.", "3 + 4 = 7\n#### 7", r"\boxed{7}", " 7", "so 3 + 4 = 7"])
def test_what_a_base_model_adds_is_not_read(answer, added):
    assert final_answer(answer + added).text.strip(".") == "7"


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("Question: What is 3 + 4?\nAnswer: 7", "7"),
        ("Here is my way:\nProblem: 3 + 4\nThe answer is 7.", "7"),
        ("Question 1: 1 + 1?\nThe answer is 2.\nQuestion 2: 3 + 4?\nThe answer is 7.", "7"),
        ("<|im_start|>assistant\nThe answer is 7.", "7"),
    ],
)
def test_a_response_that_repeats_or_parts_its_question_is_read_to_the_end(response, text):
    assert final_answer(response).text == text


def test_a_price_is_no_formula():
    assert final_answer("He pays $90 x 40 = $3600.").text == "$3600"


@pytest.mark.parametrize(
    "piece",
    [
        "answer ",
        "is ",
        "the answer is ",
        "Question:\n",
        "3.\n",
        "<answer>",
        "\\boxed{",
        "\\boxed ",
        "$1 ",
        "答案",
        "**",
        "- ",
        "[",
    ],
)
def test_no_text_takes_long(piece):
    """Thirty thousand characters of what a pattern could go back and forth on: seconds, where a bad one takes hours."""
    text = piece * (30_000 // len(piece))
    final_answer(text)
    Options({"A": "one", "B": "two"}).commitment(text)


def test_a_heading_is_no_commitment_to_a_formula_either():
    assert final_answer("#### 3. Simplify\n\nHence $x = 5$").text == "x = 5"
    assert final_answer("Solution:\n2. So $x = 7$").text == "x = 7"
    assert final_answer("#### 7").text == "7"
    assert final_answer("#### 7 apples").text == "7 apples"


@pytest.mark.parametrize(
    ("response", "text", "marker"),
    [
        (r"First \boxed{3}. Wait, \boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}", "boxed"),
        (r"$x = \boxed{2}$ or $x = \boxed{3}$", "2, 3", "boxed"),
        (r"\boxed{2}, as said. The answer is in 3 units.", "2", "boxed"),
        (r"\boxed{2}. Correction: the final answer is $4$.", "4", "phrase"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}", "boxed"),
        (r"\fbox{7}", "7", "boxed"),
        (r"It is $\boxed 5$.", "5", "boxed"),
        (r"It is \boxed{12", "12", "boxed"),
        ("so 3+4=7\n#### 7", "7", "hashes"),
        (r"The answer is $\frac{1}{2}$.", r"\frac{1}{2}", "phrase"),
        (r"The answer is $x=2$ or $x=3$. Done.", "x=2, x=3", "phrase"),
        (r"**Final Answer:** $\sqrt{2}$", r"\sqrt{2}", "phrase"),
        ("The answer is 3.5 metres. It is long.", "3.5 metres", "phrase"),
        ("The answer is east.", "east", "phrase"),
        (r"Hence \[ x = 4 \]", "x = 4", "line"),
        ("It must be **42**.\n\nLet me know if you need more help!", "42", "bold"),
        (r"<think>\boxed{1}</think>\boxed{2}", "2", "boxed"),
        ("", "", ""),
    ],
)
def test_where_the_final_answer_stands(response, text, marker):
    found = final_answer(response)
    assert (found.text, found.marker) == (text, marker)
