"""HumanEval and MBPP for `scripts.regrade`: published responses and verdicts, and rules that judge a disagreement.

The published verdicts come from a first-fence extraction that keeps only a function's body for HumanEval, and from
running the program together with its tests. The rules below name what made the difference; they never look at who
would gain.
"""

import json
import re
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from hierrouter_jax.bridge.grading.code import wanted_names
from hierrouter_jax.bridge.grading.pieces import Place, pieces
from hierrouter_jax.bridge.grading.source import defined_names
from hierrouter_jax.bridge.grading.verdict import Verdict
from hierrouter_jax.outcomes.table import Query
from scripts.regrade_cases import Case, Judgement, read_rows

_OUTCOMES = Path("outcomes/lookahead/test")


@lru_cache(maxsize=1)
def _humaneval_queries(data: Path) -> list[Query]:
    rows = pq.read_table(data / "benchmarks/openai_humaneval/test.parquet").to_pylist()
    fields = ("prompt", "test", "entry_point")
    golds = [json.dumps({"kind": "humaneval", **{name: row[name] for name in fields}}) for row in rows]
    return [_query(row["task_id"], row["prompt"], gold) for row, gold in zip(rows, golds, strict=True)]


def humaneval_cases(data: Path, model: str) -> list[Case]:
    folder = data / _OUTCOMES / "HumanEval"
    predictions = read_rows(folder / f"predictions/{model}.json.gz")
    results = read_rows(folder / f"results/{model}.json.gz")
    return [
        Case(model, prediction["prediction"], query, result["is_correct"], result["result"])
        for query, prediction, result in zip(_humaneval_queries(data), predictions, results, strict=True)
    ]


def mbpp_cases(data: Path, model: str) -> list[Case]:
    """The published sanitised questions have no ids: they are numbered, and keep their own asserts."""
    folder = data / _OUTCOMES / "MBPP"
    predictions = read_rows(folder / f"predictions/{model}.json.gz")
    results = read_rows(folder / f"results/{model}.json.gz")
    cases = []
    for number, (prediction, result) in enumerate(zip(predictions, results, strict=True)):
        tests = prediction["gold"].splitlines()
        gold = json.dumps({"kind": "mbpp", "setup": "", "tests": tests, "imports": []})
        query = _query(f"mbpp-sanitized/{number}", prediction["origin_prompt"][-1]["prompt"], gold)
        cases.append(Case(model, prediction["prediction"], query, result["is_correct"], result["result"]))
    return cases


def _query(name: str, text: str, gold: str) -> Query:
    return Query(id=name, text=text, task="code", gold=gold, split="test")


def code_rules(case: Case, verdict: Verdict) -> Judgement:
    """What made the difference, from the response alone.

    A response that defines the function twice is run in its last version by us and in its first by the publishers;
    neither reading is wrong. Where the text was cut off by the token limit behind a complete function, running the
    half line after it says nothing about the function.
    """
    gold = json.loads(case.query.gold)
    blocks = [piece.source for piece in pieces(case.response) if piece.place is not Place.OUTSIDE]
    versions = [code for code in blocks if defined_names(code) & set(wanted_names(gold))]
    demonstration = re.search(r"^(?:assert|print)\b", case.response, re.MULTILINE)
    cut = case.response.count("```") % 2 and not case.response.rstrip().endswith("```")
    if len(versions) < 2 and verdict.quality and demonstration and not cut:
        return Judgement("the function is right; prints or asserts behind it fail", "ours")
    if len(versions) > 1:
        return Judgement("several versions: we run the last, they the first", "undecided")
    if case.response.count("```") == 1 and case.response.rstrip().endswith("```"):
        return Judgement("code before a closing fence that none opens", "ours" if verdict.quality else "published")
    if case.response.count("```") % 2:
        return Judgement("cut off behind a complete function", "ours" if verdict.quality else "published")
    if verdict.reason.startswith("timeout") or "timed out" in case.note or case.note == "timeout":
        return Judgement("time limit", "undecided")
    if not verdict.extracted:
        return Judgement("no code found by us", "published")
    return Judgement("code taken differently", "ours" if verdict.quality else "published")
