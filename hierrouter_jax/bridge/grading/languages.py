"""The words by which responses announce an answer, refuse one, or go on to another question: one row a language.

A word that another language uses for something else must not stand in a row. Number words are read in English only
(`number_words`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """Phrases of one language, as alternatives of a regular expression without groups.

    Attributes:
      name: name of the language, in English.
      stems: texts of which each of its announcements contains one, in lower case; a text without is not searched.
      answers: nouns that announce an answer, with what may stand before them ("final answer", "Antwort").
      results: nouns that do so only with a verb, as they also head a working ("solution").
      verbs: words that join such a noun and the answer ("is", "lautet").
      options: nouns that announce an option of several, with their verb or a colon ("the right choice").
      chooses: words behind which an option is named ("I choose").
      insists: adjectives of an answer that overrides an earlier one ("final", "richtige").
      questions: words that start another question ("Question").
      affirms: words behind an option that is called right ("is correct").
      refuses: words that decline all options ("none of these").
      spaced: whether words are parted by spaces.
    """

    name: str
    stems: tuple[str, ...]
    answers: str
    results: str
    verbs: str
    options: str
    chooses: str
    insists: str
    questions: str
    affirms: str
    refuses: str
    spaced: bool = True


LANGUAGES = (
    Language(
        "English",
        stems=("",),
        answers=r"(?:(?:final|correct|corrected|actual|right)\s+)?answers?",
        results=r"results?|solutions?",
        verbs=r"is|are|was|were|would\s+be|should\s+be|must\s+be|has\s+to\s+be|will\s+be|equals|becomes|remains",
        options=(
            r"(?:correct|right|best|final|most\s+accurate)\s+(?:option|choice|statement|one|letter|selection)"
            r"|response"
        ),
        chooses=r"(?:choose|chose|pick|select|selecting|go(?:ing)?\s+with|opt\s+for|guess(?:\s+is)?|settle\s+on)",
        insists=r"final|correct|corrected|actual|right",
        questions=r"(?:next\s+|new\s+)?(?:question|problem|exercise|instruction|task)|q|human|user",
        affirms=(
            r"(?:is|are|seems|appears|looks|must be|would be)\s+(?:to be\s+)?(?:the\s+)?(?:only\s+|most\s+|"
            r"clearly\s+)?(?:likely\s+|accurate\s+)?(?:correct|right|best|answer|true one)"
        ),
        refuses=(
            r"none of (?:the(?:se|m)?|those)(?: above| options| choices| given| answers| provided| listed)|"
            r"none of these|no(?:ne)? (?:correct )?(?:option|choice|answer)s? (?:is|are) (?:correct|right|"
            r"given|listed)|(?:i|we) (?:can(?:not|['’]t| not)|(?:do not|don['’]t) know|(?:am|are) (?:unable|"
            r"not able))|i['’]m (?:unable|not able|sorry)|unable to (?:answer|determine)|"
            r"cannot be (?:answered|determined)|not (?:listed|among the)"
        ),
    ),
    Language(
        "German",
        stems=(
            "antwort",
            "ergebnis",
            "lösung",
            "option",
            "wahl",
            "aussage",
            "wähle",
            "ich nehme",
            "entscheide mich",
        ),
        answers=(
            r"(?:(?:richtige|korrekte|endgültige|finale|korrigierte)\s+)?(?:antwort(?:en)?|antwortoption|"
            r"endergebnis)"
        ),
        results=r"ergebnis|lösung",
        verbs=r"ist|sind|lautet|lauten|wäre|beträgt|bleibt",
        options=r"(?:richtige|korrekte|beste)\s+(?:option|auswahl|wahl|aussage)",
        chooses=r"ich\s+(?:wähle|nehme)|entscheide\s+mich\s+für",
        insists=r"richtige|korrekte|endgültige|finale|korrigierte|end",
        questions=r"(?:nächste\s+)?(?:frage|aufgabe)|benutzer",
        affirms=r"ist\s+(?:richtig|korrekt|die\s+richtige)",
        refuses=(
            r"keine der (?:antworten|optionen|aussagen|möglichkeiten|genannten)|ich (?:weiß (?:es )?nicht|"
            r"kann (?:das|die frage) nicht)"
        ),
    ),
    Language(
        "French",
        stems=(
            "réponse",
            "résultat",
            "solution",
            "option",
            "proposition",
            "choisis",
            "opte",
            "sélectionne",
        ),
        answers=r"(?:bonne\s+)?réponses?(?:\s+(?:finale|correcte|exacte|juste))?",
        results=r"résultat|solution",
        verbs=r"est|sont|serait|vaut|reste",
        options=r"(?:bonne|meilleure)\s+(?:option|proposition)|(?:option|proposition)\s+correcte",
        chooses=r"(?:je\s+choisis|j['’]opte\s+pour|je\s+sélectionne)",
        insists=r"(?:bonne\s+)?réponses?\s+(?:finale|correcte|exacte|juste)",
        questions=r"(?:nouvelle\s+)?question|problème|exercice|utilisateur",
        affirms=r"est\s+(?:correcte?|juste|la\s+bonne)",
        refuses=r"aucune? (?:des|de ces) (?:réponses|options|propositions)|je ne (?:sais|peux) pas",
    ),
    Language(
        "Spanish",
        stems=(
            "respuesta",
            "resultado",
            "solución",
            "opción",
            "alternativa",
            "elijo",
            "escojo",
            "selecciono",
            "opto",
            "quedo con",
        ),
        answers=r"respuestas?(?:\s+(?:final|correcta|definitiva))?",
        results=r"resultado|solución",
        verbs=r"es|son|sería|queda",
        options=r"(?:opción|alternativa)\s+correcta|mejor\s+(?:opción|alternativa)",
        chooses=r"(?:elijo|escojo|selecciono|opto\s+por|me\s+quedo\s+con)",
        insists=r"respuestas?\s+(?:final|correcta|definitiva)",
        questions=r"(?:nueva\s+)?pregunta|problema|ejercicio|usuario",
        affirms=r"es\s+(?:correcta|la\s+correcta)",
        refuses=r"ninguna de (?:las|estas)|no (?:lo )?sé\b|no puedo (?:responder|contestar)",
    ),
    Language(
        "Italian",
        stems=(
            "risposta",
            "risultato",
            "soluzione",
            "opzione",
            "alternativa",
            "scelgo",
            "seleziono",
        ),
        answers=r"risposta(?:\s+(?:finale|corretta|esatta|giusta))?",
        results=r"risultato|soluzione",
        verbs=r"è|sono|sarebbe",
        options=r"(?:opzione|alternativa)\s+(?:corretta|giusta)",
        chooses=r"(?:scelgo|seleziono)",
        insists=r"risposta\s+(?:finale|corretta|esatta|giusta)",
        questions=r"domanda|utente",
        affirms=r"è\s+(?:corretta|giusta)",
        refuses=r"nessuna delle|non (?:lo )?so\b|non posso rispondere",
    ),
    Language(
        "Portuguese",
        stems=(
            "resposta",
            "resultado",
            "solução",
            "alternativa",
            "opção",
            "escolho",
            "seleciono",
        ),
        answers=r"resposta(?:\s+(?:final|correta|certa))?",
        results=r"resultado|solução",
        verbs=r"é|são|seria",
        options=r"(?:opção|alternativa)\s+(?:correta|certa)",
        chooses=r"(?:escolho|seleciono)",
        insists=r"resposta\s+(?:final|correta|certa)",
        questions=r"pergunta|questão|exercício",
        affirms=r"é\s+(?:correta|a\s+correta)",
        refuses=r"nenhuma das|não (?:sei|posso responder)",
    ),
    Language(
        "Dutch",
        stems=(
            "antwoord",
            "resultaat",
            "oplossing",
            "optie",
            "keuze",
            "kies",
        ),
        answers=r"(?:(?:juiste|correcte|uiteindelijke)\s+)?antwoord",
        results=r"resultaat|oplossing",
        verbs=r"is|zijn|luidt",
        options=r"(?:juiste|correcte)\s+(?:optie|keuze)",
        chooses=r"ik\s+kies",
        insists=r"juiste|correcte|uiteindelijke",
        questions=r"vraag|opgave",
        affirms=r"is\s+(?:juist|correct)",
        refuses=r"geen van de",
    ),
    Language(
        "Russian",
        stems=("ответ", "результат", "вариант", "выбираю"),
        answers=r"(?:(?:правильный|верный|окончательный)\s+)?ответ",
        results=r"результат",
        verbs=r"это|является|равен|будет",
        options=r"(?:правильный|верный)\s+вариант",
        chooses=r"(?:я\s+)?выбираю",
        insists=r"правильный|верный|окончательный",
        questions=r"вопрос|задача",
        affirms=r"верно|правильно|(?:верный|правильный)\s+ответ",
        refuses=r"ни один из|не знаю",
    ),
    Language(
        "Chinese",
        stems=(
            "答案",
            "选",
            "结果",
            "解",
        ),
        answers=r"(?:最终|正确|最后)?(?:的)?答案",
        results=r"结果|解",
        verbs=r"应该是|应为|应该选|就是|是|为|选择|选",
        options=r"(?:正确)?选项",
        chooses=r"(?:我|应|应该|故|所以|因此|答案)选(?:择)?",
        insists=r"最终|正确|最后",
        questions=r"问题|题目|用户",
        affirms=r"(?:选项)?(?:是|为)?(?:正确|对)的?",
        refuses=r"以上都不|都不(?:对|正确)|没有正确|无法(?:确定|回答)|不知道",
        spaced=False,
    ),
    Language(
        "Japanese",
        stems=(
            "答え",
            "解",
            "結果",
            "選択肢",
        ),
        answers=r"(?:最終的な|正しい)?(?:答え|解答|正解)",
        results=r"結果",
        verbs=r"は",
        options=r"(?:正しい)?選択肢",
        chooses=r"選択肢は",
        insists=r"最終的な|正しい|正解",
        questions=r"質問|問題",
        affirms=r"が(?:正しい|正解)",
        refuses=r"該当なし|わかりません|分かりません",
        spaced=False,
    ),
    Language(
        "Korean",
        stems=(
            "답",
            "결과",
            "보기",
            "선택",
        ),
        answers=r"(?:최종\s*)?(?:정답|답)",
        results=r"결과",
        verbs=r"은|는",
        options=r"(?:정답|올바른)\s*(?:선택지|보기)",
        chooses=r"선택은",
        insists=r"최종|정답",
        questions=r"질문|문제",
        affirms=r"(?:이|가)\s*정답",
        refuses=r"정답이 없|모르겠",
        spaced=False,
    ),
)
