"""A second, strict reading of a table's responses beside its verdicts, and every place where the two differ.

python -m scripts.strict_grading TABLE --show 20

Strict means what the benchmarks' own scripts do: the answer stands in the very form that the prompt asks for, or there
is none. GSM8K: the number of the last "The answer is N."; MATH: the last box, equal as text after spaces and sizes of
brackets are taken out (Hendrycks et al. 2021); ARC and MMLU: the letter of the last "The answer is X."; MBPP and
HumanEval: the first fenced block, or the whole response, run as it is. Where the table's grader alone says right, the
response was right in another form, or the grader reads too much; where strict alone does, the grader missed something.
"""

import re
from collections import Counter
from pathlib import Path

from jsonargparse import auto_cli

from hierrouter_jax.bridge.grading.code import read_gold, tests_of
from hierrouter_jax.bridge.grading.markup import last_box
from hierrouter_jax.bridge.grading.sandbox.sandbox import Limits, Sandbox, find_sandbox
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import RIGHT, Query

_NUMBER = re.compile(r"[Tt]he answer is:? *\$?(-?[\d,]*\.?\d+)")
_LETTER = re.compile(r"[Tt]he answer is:? *\(?([A-Z])\b")
_FENCED = re.compile(r"```(?:python|py)?\n(.*?)```", re.DOTALL)


def strict(response: str, query: Query, sandbox: Sandbox) -> bool:
    """Whether a response is right by the strict reading of its task's benchmark."""
    if query.task == "gsm8k":
        found = _NUMBER.findall(response)
        return bool(found) and float(found[-1].replace(",", "")) == float(
            query.gold.rpartition("####")[2].replace(",", "")
        )
    if query.task == "math":
        answer = last_box(response)
        return answer is not None and _plain(answer) == _plain(query.gold)
    if query.task in ("arc", "mmlu"):
        letters = _LETTER.findall(response)
        return bool(letters) and f'"answer": "{letters[-1]}"' in query.gold
    gold = read_gold(query)
    fenced = _FENCED.search(response)
    program = fenced[1] if fenced else response
    if gold["kind"] == "humaneval" and f"def {gold['entry_point']}" not in program:
        program = gold["prompt"] + program
    return sandbox.run(program, tests_of(gold), Limits()).passed


def _plain(latex: str) -> str:
    latex = re.sub(r"\\(?:left|right|!|,|;| )|\s|\\\$|\$|\\%|%|(?<=\d),(?=\d{3})", "", latex)
    return re.sub(r"\\[dt]frac", r"\\frac", latex).rstrip(".")


def main(table: Path, show: int = 10) -> None:
    """Print how often the two readings agree by task, and some of the responses on which they do not.

    Args:
      table: folder of a table of the six benchmarks.
      show: responses to print of each task and direction.
    """
    outcomes, sandbox = load_table(table), find_sandbox(False)
    counts: Counter[tuple[str, str]] = Counter()
    for row, query in enumerate(outcomes.queries):
        for node in range(1, outcomes.tree.num_nodes):
            if not outcomes.available[row, node]:
                continue
            ours, response = outcomes.quality[row, node] >= RIGHT, outcomes.response[row, node]
            other = strict(response, query, sandbox)
            verdict = ("both wrong", "strict only", "ours only", "both right")[2 * ours + other]
            counts[query.task, verdict] += 1
            if ours != other and counts[query.task, verdict] <= show:
                reason = outcomes.details["reason"][row, node]
                print(f"--- {verdict}: {query.id}, node {node}, {reason}, gold {query.gold[-80:]}\n{response}\n")
    for (task, verdict), count in sorted(counts.items()):
        print(f"{task:10} {verdict:12} {count:6,}")


if __name__ == "__main__":
    auto_cli(main)
