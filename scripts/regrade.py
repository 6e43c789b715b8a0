"""Regrade published responses: how often our graders agree with the verdicts that came with them, and who is right.

The published verdicts are laid into a table, and that is regraded as `hierrouter regrade` does a table of one's own.

python -m scripts.regrade       # every benchmark; docs/grading-disagreements.md, docs/data/grading-disagreements.csv
python -m scripts.regrade --benchmarks '[mbpp]' --out runs/regrade.md

The data are the responses of six models under `outcomes/lookahead` (see the README there) beside the repository. A
benchmark is one entry of `BENCHMARKS`: where its cases come from, its grader, and the rules that judge a disagreement.
"""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from jsonargparse import auto_cli

from hierrouter_jax.bridge.grading.code import CodeGrader
from hierrouter_jax.bridge.grading.gsm8k import Gsm8kGrader
from hierrouter_jax.bridge.grading.parallel import VerdictCache, grade_all
from hierrouter_jax.bridge.grading.verdict import Grader, Verdict
from hierrouter_jax.bridge.regrade import compared
from hierrouter_jax.bridge.tasks.graders import ByTask
from hierrouter_jax.files import write_text
from hierrouter_jax.outcomes.table import RIGHT
from scripts.regrade_cases import MODELS, Case, Judgement, Rules, published_table
from scripts.regrade_code import code_rules, humaneval_cases, mbpp_cases
from scripts.regrade_gsm8k import boxed_grader, gsm8k_cases, gsm8k_rules

COLUMNS = ("benchmark", "query", "model", "verdict", "published", "class", "right")
PREAMBLE = """# Where graders and published verdicts disagree

Written by `python -m scripts.regrade`; do not edit. The responses are those of six models in the test outcomes of
[lookahead-routing](https://github.com/huangcb01/lookahead-routing) (MIT). *Ours* are the verdicts of this project's
graders. Each response on which the two differ is a row of [LISTING](data/LISTING): benchmark, query, model, our
verdict, the published one, the class of the disagreement, and who is right. Classes and judgements are assigned by
rules beside the script and were checked by reading.
"""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark that can be regraded.

    Attributes:
      cases: given the data folder and a model, its responses with the published verdicts, in a stable order.
      grader: makes the grader.
      judge: given a case and our verdict where they disagree: a short class and who is right.
    """

    cases: Callable[[Path, str], list[Case]]
    grader: Callable[[], Grader]
    judge: Rules


BENCHMARKS: Mapping[str, Benchmark] = {
    "humaneval": Benchmark(humaneval_cases, CodeGrader, code_rules),
    "mbpp": Benchmark(mbpp_cases, CodeGrader, code_rules),
    "gsm8k": Benchmark(gsm8k_cases, boxed_grader, gsm8k_rules),
    "gsm8k-unmarked-too": Benchmark(gsm8k_cases, Gsm8kGrader, gsm8k_rules),
}


def main(
    data: Path = Path("../shared/data"),
    benchmarks: Sequence[str] = tuple(BENCHMARKS),
    out: Path = Path("docs/grading-disagreements.md"),
    cache: Path | None = Path("runs/regrade.sqlite"),
) -> None:
    """Regrade; write the page, and beside it in `data/` the list of all disagreements as CSV.

    Args:
      data: folder with `benchmarks` and `outcomes`.
      benchmarks: which of them.
      out: the page.
      cache: verdicts of earlier runs.
    """
    kept = VerdictCache(cache)
    listing = out.parent / "data" / f"{out.stem}.csv"
    rows: list[Sequence[str]] = [COLUMNS]
    sections = [section(name, BENCHMARKS[name], data, kept, rows) for name in benchmarks]
    write_text(out, "\n".join([PREAMBLE.replace("LISTING", listing.name), *sections]))
    with StringIO(newline="") as text:
        csv.writer(text, lineterminator="\n").writerows(rows)
        listing.parent.mkdir(exist_ok=True)
        write_text(listing, text.getvalue())
    print(out, listing)


def section(name: str, benchmark: Benchmark, data: Path, cache: VerdictCache, listed: list[Sequence[str]]) -> str:
    """One benchmark's part of the page: agreement per model and classes; every disagreement is added to `listed`."""
    cases = {model: benchmark.cases(data, model) for model in MODELS}
    table = published_table(name, cases)
    grader = ByTask({name: benchmark.grader()}, lambda one, responses, asked: grade_all(one, responses, asked, cache))
    regraded, changes = compared(table, grader)
    agreement = ["| model | responses | agree | published right | ours right |", "| --- | ---: | ---: | ---: | ---: |"]
    for place, model in enumerate(MODELS):
        published, ours = table.quality[:, place + 1] >= RIGHT, regraded.quality[:, place + 1] >= RIGHT
        agreement.append(
            f"| {model} | {len(ours)} | {(published == ours).mean():.2%} | {published.mean():.2%} | {ours.mean():.2%} |"
        )
        print(f"{name} {agreement[-1]}")
    index = {query.id: row for row, query in enumerate(table.queries)}
    rows: list[tuple[Case, Verdict, Judgement]] = []
    for change in sorted(changes, key=lambda change: (change.node, index[change.query])):
        if (change.old_quality >= RIGHT) != (change.new_quality >= RIGHT):
            case = cases[change.route[0]][index[change.query]]
            verdict = Verdict(change.new_quality, change.new_extracted, change.new_reason)
            rows.append((case, verdict, benchmark.judge(case, verdict)))
    listed += [
        (name, case.query.id, case.model, cell(verdict.reason), cell(case.note), judged.reason, judged.right)
        for case, verdict, judged in rows
    ]
    return "\n".join([f"## {name}", "", *agreement, "", *classes(rows), ""])


def classes(rows: Sequence[tuple[Case, Verdict, Judgement]]) -> list[str]:
    counts = Counter((judgement.reason, judgement.right) for _, _, judgement in rows)
    lines = [f"| {reason} | {right} | {count} |" for (reason, right), count in counts.most_common()]
    return ["| class | who is right | responses |", "| --- | --- | ---: |", *lines]


def cell(text: str) -> str:
    """Short and on one line."""
    return " ".join(text.split()).replace("`", "'")[:80]


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
