"""The tiny pool's eight task families and the router's queries, split so that nothing is asked twice, nor nearly."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.duplicates import find_duplicates
from hierrouter_jax.outcomes.table import SPLITS, Query
from hierrouter_jax.tiny.arithmetic import (
    LARGEST_SPELLED,
    Fact,
    draw_expression,
    evaluate,
    facts,
    number_words,
)
from hierrouter_jax.tiny.problems import (
    Problem,
    ask,
    expression_problem,
    fact_problem,
    number_problem,
    word_problem,
)

# As many as the facts suffice for: .29 of the queries ask for one, half of those for a number.
MOST_QUERIES = 2200


@dataclass(frozen=True)
class Family:
    """A task family: a kind of problem, the form of its answer, and how often it is asked."""

    kind: str
    form: str
    share: float
    one_step: bool = False


# Facts are rare enough for each to be asked once. Words from a story or a recalled expression take one
# reduction only: with two there would be no hop left to spell the result.
FAMILIES = {
    "expression-to-value": Family("expression", "value", 0.13),
    "word-problem-to-expression": Family("word", "expression", 0.10),
    "number-to-words": Family("number", "words", 0.10),
    "word-problem-to-value": Family("word", "value", 0.14),
    "expression-to-words": Family("expression", "words", 0.13),
    "word-problem-to-words": Family("word", "words", 0.11, one_step=True),
    "fact-to-value": Family("fact", "value", 0.145),
    "fact-to-words": Family("fact", "words", 0.145, one_step=True),
}


def make_queries(counts: dict[str, int], seed: int) -> tuple[Query, ...]:
    """Seeded queries for each split; every expression, number and fact is asked of the router once.

    No query is a near copy (`find_duplicates`) of one of an earlier split: such a one is put in words anew.

    Args:
      counts: queries a split, for example `{"train": 1200, "validation": 300, "test": 600}`.
      seed: another seed draws other queries and deals the facts out anew.

    Raises:
      InputError: if more facts are asked for than the reader knows.
    """
    if sum(counts.values()) > MOST_QUERIES:
        raise InputError(
            f"queries: {sum(counts.values())} are asked for, but the reader knows {len(facts())} facts and each is "
            f"asked once: at most {MOST_QUERIES} in all"
        )
    rng = random.Random(seed)
    fact_source = FactDealer(rng)
    used: set[str] = set()
    drafts = []
    for split in SPLITS:
        rows = [_draft(rng, task, split, used, fact_source) for task in _quota(counts.get(split, 0))]
        rng.shuffle(rows)
        drafts += rows
    while again := _near_copies(drafts):
        drafts = [_reworded(rng, draft) if row in again else draft for row, draft in enumerate(drafts)]
    number = {split: itertools.count() for split in SPLITS}
    return tuple(draft.query(f"{draft.split}-{next(number[draft.split]):05d}") for draft in drafts)


@dataclass(frozen=True)
class _Draft:
    """A query without its id, which can be put in other words.

    Attributes:
      task, split: its task family and its split.
      problem: the problem that it asks.
      text: the problem's text with what form the answer is to have.
      in_words: function that puts the same problem in words anew.
    """

    task: str
    split: str
    problem: Problem
    text: str
    in_words: Callable[[], Problem]

    def query(self, query_id: str) -> Query:
        gold = _gold(self.problem.content, FAMILIES[self.task].form)
        return Query(query_id, self.text, self.task, gold, self.split, self.problem.template, self.problem.test_only)


def _draft(rng: random.Random, task: str, split: str, used: set[str], fact_source: "FactDealer") -> _Draft:
    family, test = FAMILIES[task], split == "test"
    if family.kind == "fact":
        fact = fact_source.deal(family.one_step)
        in_words = partial(fact_problem, rng, fact, test)
        problem = in_words()
    elif family.kind == "number":
        number = int(_fresh(used, lambda: str(rng.randint(0, LARGEST_SPELLED))))
        in_words = partial(number_problem, rng, number, test)
        problem = in_words()
    else:
        # Only 64 products of two digits exist: stories may share one, as long as their templates differ.
        steps = (1,) if family.one_step else (1, 2)
        make = word_problem if family.kind == "word" else expression_problem
        problem = _fresh_problem(used, lambda: make(rng, draw_expression(rng, rng.choice(steps)), test))
        in_words = partial(make, rng, problem.content, test)
    return _Draft(task, split, problem, ask(rng, problem, family.form), in_words)


def _reworded(rng: random.Random, draft: _Draft) -> _Draft:
    problem = draft.in_words()
    return replace(draft, problem=problem, text=ask(rng, problem, FAMILIES[draft.task].form))


def _near_copies(drafts: Sequence[_Draft]) -> set[int]:
    """Rows that are near copies of a row of an earlier split, or the same as an earlier row."""
    pairs = find_duplicates([draft.text for draft in drafts]).pairs
    return {pair.second for pair in pairs if pair.equal or drafts[pair.first].split != drafts[pair.second].split}


def _gold(content: str, form: str) -> str:
    if form == "expression":
        return content
    value = evaluate(content)
    return str(value) if form == "value" else number_words(value)


def _fresh(used: set[str], draw: Callable[[], str]) -> str:
    while (content := draw()) in used:
        pass
    used.add(content)
    return content


def _fresh_problem(used: set[str], draw: Callable[[], Problem]) -> Problem:
    """A problem whose expression was not asked before.

    One of two single digits, of which there are few, may come again in another template.
    """
    while True:
        problem = draw()
        key = problem.template + problem.content if len(problem.content) == 3 else problem.content
        if key not in used:
            used.add(key)
            return problem


def _quota(count: int) -> Iterator[str]:
    """Task names for `count` queries, by largest remainder of the families' shares."""
    exact = {task: family.share * count for task, family in FAMILIES.items()}
    whole = {task: int(value) for task, value in exact.items()}
    by_remainder = sorted(exact, key=lambda task: whole[task] - exact[task])
    for task in by_remainder[: count - sum(whole.values())]:
        whole[task] += 1
    return (task for task, times in whole.items() for _ in range(times))


class FactDealer:
    """Deals every fact once: half of them numbers; two-step expressions only where the horizon leaves room.

    Where a kind has run out another takes its place, until all are dealt.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._stock: dict[str, list[Fact]] = {}
        for fact in facts():
            self._stock.setdefault(fact.kind, []).append(fact)
        for pile in self._stock.values():
            rng.shuffle(pile)
        self._turn = 0

    def deal(self, one_step: bool) -> Fact:
        """The next fact; with `one_step` none that takes two reductions, as long as there are others."""
        self._turn += 1
        kind = "one_step" if one_step or self._rng.random() < 0.5 else "two_step"
        kind = "number" if self._turn % 2 else kind
        others = ("one_step", "number", "two_step") if one_step else ("one_step", "two_step", "number")
        return self._stock[next(kind for kind in (kind, *others) if self._stock[kind])].pop()
