"""The words by which responses announce an answer, refuse one, or go on to another question: one table a language.

All graders of text read them here. A language is one row; a word that another language uses for something else must
not stand in it. Number words are read in English only (`number_words`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """Phrases of one language, as alternatives of a regular expression without groups.

    Attributes:
      name: of the language, in English.
      stems: what each of its announcements contains, in lower case: a text without one of them is not searched.
      answers: nouns that announce an answer, with what may stand before them ("final answer", "Antwort").
      results: nouns that do so only with a verb, as they also head a working ("solution").
      verbs: what joins such a noun and the answer ("is", "lautet").
      chooses: words behind which an option is named ("I choose").
      insists: adjectives of an answer that overrides an earlier one ("final", "richtige").
      questions: what a text starts with that goes on to another question ("Question").
      judged: what follows an option that is called right ("is correct").
      spaced: whether words are parted by spaces.
    """

    name: str
    stems: tuple[str, ...]
    answers: str
    results: str
    verbs: str
    chooses: str
    insists: str
    questions: str
    judged: str = ""
    spaced: bool = True


LANGUAGES = (
    Language(
        "English",
        ("answer", "result", "solution", "choose", "chose", "pick", "select", "with", "opt for", "guess", "settle on"),
        r"(?:(?:final|correct|corrected|actual|right)\s+)?answers?",
        r"results?|solutions?",
        r"is|are|was|were|would\s+be|should\s+be|must\s+be|has\s+to\s+be|will\s+be|equals|becomes|remains",
        r"(?:choose|chose|pick|select|selecting|go(?:ing)?\s+with|opt\s+for|guess(?:\s+is)?|settle\s+on)",
        r"final|correct|corrected|actual|right",
        r"(?:next\s+|new\s+)?(?:question|problem|exercise|instruction|task)|q|human|user",
    ),
    Language(
        "German",
        ("antwort", "ergebnis", "lösung", "option", "wähle", "ich nehme", "entscheide mich"),
        r"(?:(?:richtige|korrekte|endgültige|finale|korrigierte)\s+)?(?:antwort(?:en)?|antwortoption|endergebnis)",
        r"(?:richtige\s+|korrekte\s+)?(?:ergebnis|lösung|option)",
        r"ist|sind|lautet|lauten|wäre|beträgt|bleibt",
        r"ich\s+(?:wähle|nehme)|entscheide\s+mich\s+für",
        r"richtige|korrekte|endgültige|finale|korrigierte|end",
        r"(?:nächste\s+)?(?:frage|aufgabe)|benutzer",
        r"ist\s+(?:richtig|korrekt|die\s+richtige)",
    ),
    Language(
        "French",
        ("réponse", "résultat", "solution", "option", "choisis", "opte", "sélectionne"),
        r"(?:bonne\s+)?réponses?(?:\s+(?:finale|correcte|exacte|juste))?",
        r"résultat|solution|(?:bonne\s+)?option(?:\s+correcte)?",
        r"est|sont|serait|vaut|reste",
        r"(?:je\s+choisis|j['’]opte\s+pour|je\s+sélectionne)",
        r"(?:bonne\s+)?réponses?\s+(?:finale|correcte|exacte|juste)",
        r"(?:nouvelle\s+)?question|problème|exercice|utilisateur",
        r"est\s+(?:correcte?|juste|la\s+bonne)",
    ),
    Language(
        "Spanish",
        ("respuesta", "resultado", "solución", "opción", "elijo", "escojo", "selecciono", "opto", "quedo con"),
        r"respuestas?(?:\s+(?:final|correcta|definitiva))?",
        r"resultado|solución|opción\s+correcta",
        r"es|son|sería|queda",
        r"(?:elijo|escojo|selecciono|opto\s+por|me\s+quedo\s+con)",
        r"respuestas?\s+(?:final|correcta|definitiva)",
        r"(?:nueva\s+)?pregunta|problema|ejercicio|usuario",
        r"es\s+(?:correcta|la\s+correcta)",
    ),
    Language(
        "Italian",
        ("risposta", "risultato", "soluzione", "scelgo", "seleziono"),
        r"risposta(?:\s+(?:finale|corretta|esatta|giusta))?",
        r"risultato|soluzione",
        r"è|sono|sarebbe",
        r"(?:scelgo|seleziono)",
        r"risposta\s+(?:finale|corretta|esatta|giusta)",
        r"domanda|utente",
        r"è\s+(?:corretta|giusta)",
    ),
    Language(
        "Portuguese",
        ("resposta", "resultado", "solução", "alternativa", "escolho", "seleciono"),
        r"resposta(?:\s+(?:final|correta|certa))?",
        r"resultado|solução|alternativa\s+correta",
        r"é|são|seria",
        r"(?:escolho|seleciono)",
        r"resposta\s+(?:final|correta|certa)",
        r"pergunta|questão|exercício",
        r"é\s+(?:correta|a\s+correta)",
    ),
    Language(
        "Dutch",
        ("antwoord", "resultaat", "oplossing", "kies"),
        r"(?:(?:juiste|correcte|uiteindelijke)\s+)?antwoord",
        r"resultaat|oplossing",
        r"is|zijn|luidt",
        r"ik\s+kies",
        r"juiste|correcte|uiteindelijke",
        r"vraag|opgave",
        r"is\s+(?:juist|correct)",
    ),
    Language(
        "Russian",
        ("ответ", "результат", "выбираю"),
        r"(?:(?:правильный|верный|окончательный)\s+)?ответ",
        r"результат",
        r"это|является|равен|будет",
        r"(?:я\s+)?выбираю",
        r"правильный|верный|окончательный",
        r"вопрос|задача",
    ),
    Language(
        "Chinese",
        ("答案", "选", "结果", "解"),
        r"(?:最终|正确|最后)?(?:的)?(?:答案|选项)",
        r"结果|解",
        r"应该是|应为|应该选|就是|是|为|选择|选",
        r"(?:我|应|应该|故|所以|因此|答案)选(?:择)?",
        r"最终|正确|最后",
        r"问题|题目|用户",
        spaced=False,
    ),
    Language(
        "Japanese",
        ("答え", "解", "結果", "選択肢"),
        r"(?:最終的な|正しい)?(?:答え|解答|正解)",
        r"結果",
        r"は",
        r"選択肢は",
        r"最終的な|正しい|正解",
        r"質問|問題",
        spaced=False,
    ),
    Language(
        "Korean",
        ("답", "결과", "선택"),
        r"(?:최종\s*)?(?:정답|답)",
        r"결과",
        r"은|는",
        r"선택은",
        r"최종|정답",
        r"질문|문제",
        spaced=False,
    ),
)


def any_of(field: str) -> str:
    """Alternatives of one field over all languages: whole words where a language parts its words."""
    parts = [(text, language.spaced) for language in LANGUAGES if (text := getattr(language, field))]
    return "|".join(rf"\b(?:{text})\b" if spaced else f"(?:{text})" for text, spaced in parts)


def _announcement(language: Language) -> str:
    """What announces an answer: a noun, some words, then a verb, or a colon behind a noun that needs none."""
    edge, reach = (r"\b", 80) if language.spaced else ("", 20)
    between = rf"(?:[^.\n:=<>]|\.(?=\d)){{0,{reach}}}?"
    verb = rf"{edge}(?:{language.verbs}){edge}"
    answer = rf"{edge}(?:{language.answers}){edge}{between}(?:{verb}|:|=)"
    return rf"{answer}|{edge}(?:{language.results}){edge}{between}{verb}"


_ANNOUNCES = [(language.stems, re.compile(_announcement(language), re.IGNORECASE)) for language in LANGUAGES]
_CHOOSES = [
    (language.stems, re.compile(rf"\b(?:{language.chooses})\b" if language.spaced else language.chooses, re.IGNORECASE))
    for language in LANGUAGES
]
# Behind a box, only such a phrase overrides it.
INSISTS = re.compile("|".join(language.insists for language in LANGUAGES), re.IGNORECASE)
# A line that goes on to another question, as a base model does behind its answer; or the end of a turn.
NEXT_QUESTION = re.compile(
    rf"^[ \t>*_#]*(?:{any_of('questions')})[ \t]*#?(?P<number>\d{{0,4}})[*_ \t]*:"
    r"|^[ \t]*#{1,4}[ \t]*(?:question|problem|instruction|input|user|human)\b[ \t]*\d*[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
END_OF_TURN = re.compile(
    r"<\|(?:im_end|im_start|endoftext|eot_id|end|end_of_text|start_header_id|user|eom_id)\|>|<(?:end|start)_of_turn>|</s>"
    r"|\[/?INST\]|<\uff5c[^\uff5c]{1,40}\uff5c>"
)


def announcements(text: str) -> list[re.Match[str]]:
    """Where a text announces an answer, in order: "The answer to this is", "Antwort:", 答案是."""
    return _matches(_ANNOUNCES, text)


def choices(text: str) -> list[re.Match[str]]:
    """Where a text says that it chooses, in order: "I choose", "ich wähle", 故选."""
    return _matches(_CHOOSES, text)


def _matches(patterns: Sequence[tuple[tuple[str, ...], re.Pattern[str]]], text: str) -> list[re.Match[str]]:
    lower = text.lower()
    found = [
        match for stems, pattern in patterns if any(stem in lower for stem in stems) for match in pattern.finditer(text)
    ]
    return sorted(found, key=lambda match: match.end())
