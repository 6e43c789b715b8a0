"""The published GSM8K responses, and who is right where our verdict differs from theirs."""

import re
from pathlib import Path

import pandas as pd

from hierrouter_jax.bridge.grading.gsm8k import Gsm8kGrader
from hierrouter_jax.bridge.grading.verdict import Verdict
from hierrouter_jax.outcomes.table import RIGHT, Query
from scripts.regrade_cases import Case, Judgement, read_rows

_OUTCOMES = Path("outcomes/lookahead/test/GSM8k")
_NUMBER = r"[$€\\]*\s*[\d,]+(?:\.\d+)?"
# The class of an answer that the published verdict calls wrong although its number is right, by what was compared
# there with the gold number. Nothing but a bare number equalled it.
_CLASSES = [
    ("a clock time at the full hour", re.compile(r"\d{1,2}:00.*", re.DOTALL)),
    ("an ordinal", re.compile(r"\d+(?:st|nd|rd|th)")),
    ("a unit behind the number", re.compile(rf"{_NUMBER}\s*(?:\\,)?\s*(?:\\text\{{)?\s*[A-Za-z].*", re.DOTALL)),
    ("a currency sign", re.compile(rf"[$€\\]+{_NUMBER}")),
    ("markup around the number", re.compile(r"[^\w]*[\d,.]+[^\w]*")),
    ("an equation or a sentence in the box", re.compile(r"[^\n]*[ =][^\n]*\d[^\n]*")),
]
# Read one by one: the number is right, but the response hedges, or never says that it answers the question.
_HEDGED = {("Llama-3.1-8B-Instruct", "gsm8k/324"), ("Llama-3.1-8B-Instruct", "gsm8k/1216")}
_HEDGED |= {("gemma-2-9b-it", "gsm8k/1077"), ("Llama-3.1-8B-Instruct", "gsm8k/1090")}


def gsm8k_cases(data: Path, model: str) -> list[Case]:
    rows = read_rows(data / _OUTCOMES / f"{model}.json.gz")
    questions = pd.read_parquet(data / "benchmarks" / "gsm8k" / "test.parquet")["question"]
    return [
        Case(
            model,
            row["origin_prediction"],
            Query(f"gsm8k/{number}", question, "gsm8k", row["references"], "test"),
            row["correct"],
            _note(row["predictions"]),
        )
        for number, (row, question) in enumerate(zip(rows, questions, strict=True))
    ]


def _note(taken: str) -> str:
    """What was taken as the answer; where that is the response itself, its spaces gone, no more than that."""
    return "(no box)" if " " not in taken and re.search(r"[A-Za-z']{12}", taken) else taken


def boxed_grader() -> Gsm8kGrader:
    """As the prompt asks for a box: an answer without any mark counts as wrong, as in the published verdicts."""
    return Gsm8kGrader(marked=True)


def gsm8k_rules(case: Case, verdict: Verdict) -> Judgement:
    """Of a disagreement: what the published verdict stumbled over, and who is right."""
    if verdict.quality < RIGHT:
        # The only kind seen: the gold is an integer, and theirs is the answer with its decimals cut off.
        cut = verdict.extracted.partition(".")[0].lstrip("$") == case.note
        return Judgement("decimals cut off", "ours") if cut else Judgement("not classed", "undecided")
    if (case.model, case.query.id) in _HEDGED:
        return Judgement("a hedged answer without a mark", "undecided")
    for reason, pattern in _CLASSES:
        if case.note != "(no box)" and pattern.fullmatch(case.note.strip()):
            return Judgement(reason, "ours")
    return Judgement("an answer outside a box", "ours")
