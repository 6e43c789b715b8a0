"""Which option a text commits to, in any quotes and eleven languages; what explains a choice does not undo it."""

import pytest

from hierrouter_jax.bridge.grading.options import Options, normalised

METALS = {"A": "chalk", "B": "iron", "C": "silver", "D": "coal"}
ANSWERS = {"A": "Yes, it can", "B": "No, it cannot", "C": "Lima, Peru", "D": "10,000"}


def chosen(response: str, texts: dict[str, str] = METALS) -> str:
    found = Options(texts).commitment(response)
    return found.label or found.reason


@pytest.mark.parametrize(
    "shape", ["'{}'", "‘{}’", '"{}"', "“{}”", "„{}“", "«{}»", "‹{}›", "「{}」", "『{}』", "【{}】", "<{}>", "_{}_"]
)
@pytest.mark.parametrize("said", ["{}", "The answer is {}.", "Answer: {}", r"\boxed{{{}}}", "So it is {}."])
def test_a_letter_in_any_quotes(shape, said):
    assert [chosen(said.format(shape.format(label))) for label in "ABCD"] == list("ABCD")


@pytest.mark.parametrize(
    "response",
    [
        "Antwort: B",
        "Die richtige Antwort ist B.",
        "Die Antwort lautet (B).",
        "Die richtige Option ist B.",
        "Ich wähle B.",
        "B ist richtig.",
        "Réponse : B",
        "La bonne réponse est la B.",
        "Je choisis B.",
        "B est correcte.",
        "Respuesta: B",
        "La respuesta correcta es la opción B.",
        "Elijo B",
        "B es la correcta.",
        "正确答案是B。",
        "答案：B",
        "答案选B",
        "因此选择B。",
        "故选（B）",
        "B是正确的",
        "La risposta è B.",
        "A resposta é B.",
        "Het antwoord is B.",
        "Ответ: B",
        "答えはB",
        "정답은 B",
    ],
)
def test_phrases_of_many_languages(response):
    assert chosen(response) == "B"


@pytest.mark.parametrize(
    "behind",
    [
        ", as none of these others is a metal.",
        ". None of the other options is a metal.",
        ", and we cannot say more.",
        ". Chalk is not among the metals.",
        ". I don't know why coal is listed.",
        ". This cannot be determined from its colour alone.",
        ". I am unable to think of a better one.",
        "; none of them but this rusts.",
        ".\n\nI can't see how chalk would rust.",
        ". Keine der Antworten passt besser.",
    ],
)
@pytest.mark.parametrize("answer", ["The answer is B", "**B**", r"\boxed{B}", "I choose B", "Option B is correct"])
def test_what_explains_a_choice_is_no_refusal(answer, behind):
    assert chosen(answer + behind) == "B"


@pytest.mark.parametrize(
    "response",
    [
        "The answer is B. Actually, none of the above is right.",
        "The answer is B. Wait, I cannot answer this.",
        "B is correct.\nOn second thought, none of the options fits.",
        "The answer is none of these.",
        "I choose B. Correction: the answer is none of the above.",
        "I am unable to answer.",
        "None of the above",
        "Keine der Antworten ist richtig.",
        "Ninguna de las opciones",
        "Aucune des réponses",
        "以上都不是",
    ],
)
def test_what_takes_a_choice_back_is_a_refusal(response):
    assert chosen(response) == "refusal"


@pytest.mark.parametrize(
    ("response", "label"),
    [
        ("B\n\nA: chalk breaks\nC: silver tarnishes\nD: coal burns", "B"),
        ("B\n\nA. chalk\nB. iron\nC. silver\nD. coal", "B"),
        ("C. silver\n\nA. chalk is no metal\nB. iron rusts", "C"),
        ("A: chalk is soft\nB: iron rusts\n\nC", "C"),
        ("A\nB\nC\nD", "no answer"),
        ("A. chalk\nB. iron\nC. silver\nD. coal", "no answer"),
        ("It rusts.\n\nSo it is B.", "B"),
        ("It is B rather than A.", "B"),
        ("It's B, not A.", "B"),
        ("Hence (B).", "B"),
        ("Therefore, B", "B"),
        ("Choose option B instead of option A", "B"),
        ("So A is wrong.", "no answer"),
        ("It is A metal", "no answer"),
        ("If it is B then", "no answer"),
        ("The answer is B, A is too soft.", "B"),
        ("The answer is B, A", "several"),
        ("The answer is (B), (A) is too soft.", "B"),
        ("The answer is (a) or (b).", "several"),
        ("The answer is (a) or (b) because both rust.", "several"),
        ("The answer is b) or c)", "several"),
        ("The answer is b/c", "several"),
        ("The answer is (b), d.", "several"),
        ("The answer is (b) or (B).", "B"),
        ("The answer is (b) or a similar one.", "B"),
        ("The answer is (b), (a) is too soft.", "B"),
        ("The answer is (a).", "A"),
        ("(a)", "A"),
        ("The answer is neither A nor D, it is B.", "B"),
        ("The answer isn't B.", "no answer"),
        ("La respuesta no es B.", "no answer"),
        ("答案不是B", "no answer"),
        ("A: B", "B"),
        ("<answer>B</answer>", "B"),
        ("<answer>iron</answer>", "B"),
        ("<|begin_of_box|>(B) iron<|end_of_box|>", "B"),
        ("B\n\nQuestion: What burns?\nAnswer: D", "B"),
        ("The answer is B.\n\nQ: What burns?\nA: D", "B"),
        ("It must be iron.\n\nQuestion: What burns?\nAnswer: D", "B"),
    ],
)
def test_lines_conclusions_and_tags(response, label):
    assert chosen(response) == label


@pytest.mark.parametrize(
    ("response", "label"),
    [
        ("No, it cannot", "B"),
        ("no, it cannot.", "B"),
        ("‘No, it cannot’", "B"),
        ("Yes, it can", "A"),
        ("Lima, Peru", "C"),
        ("The answer is Lima, Peru.", "C"),
        ("'Lima, Peru'", "C"),
        ("10,000", "D"),
        ("10000", "D"),
        ("The answer is 10000.", "D"),
        ("It flows.\n\nNo, it cannot.", "B"),
    ],
)
def test_the_words_of_an_option_alone(response, label):
    assert chosen(response, ANSWERS) == label


NUMBERS = {"A": "225", "B": "320", "C": "400", "D": "4"}


@pytest.mark.parametrize(
    ("response", "label"),
    [
        ("So the total number of words is:\n   \\[\n   400", "no answer"),
        (r"We set \(f'(x) = 0\) and find \(\cos x = -2 \cos (4", "no answer"),
        (r"Given: \( P(D) = 0.05 \ ", "no answer"),
        (r"We know that \( P(\neg D) = 1 - P(D) \). Substituting, we", "no answer"),
        (r"Here P(D) is small, so (B) fits.", "B"),
        ("So she needs 320 minutes:\n\n320", "B"),
        (r"So she needs \(\boxed{320}\) minutes, as \( 80,000 /", "B"),
    ],
)
def test_what_breaks_off_in_a_computation_is_no_choice(response, label):
    assert chosen(response, NUMBERS) == label


def test_letters_of_an_abbreviation_are_no_second_option():
    assert chosen("The answer is (b), e.g. rust.", METALS | {"E": "tin"}) == "B"


def test_normal_words():
    assert normalised("“Planck’s” *constant*.") == "plancks constant"
    assert normalised(r"\text{1,000} and 2,5") == "1000 and 2,5"
