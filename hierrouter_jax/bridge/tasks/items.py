"""What a row of a benchmark becomes: the six that ship, and what a user's own must return."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hierrouter_jax.bridge.grading.markup import last_box
from hierrouter_jax.errors import InputError, brief
from hierrouter_jax.plugins import is_import_path, load_object

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """A question of a benchmark.

    Attributes:
      content: text of the question without instructions: the text that duplicates are found by.
      gold: right answer as the task's grader reads it.
      fields: values that the prompt's templates may name.
      stratum: subject or level, for draws that keep its share; empty where there is none.
      key: name of the item within its split; its row number where empty.
    """

    content: str
    gold: str
    fields: Mapping[str, Any]
    stratum: str = ""
    key: str = ""


MakeItem = Callable[[Row], Item]


def gsm8k(row: Row) -> Item:
    """`openai/gsm8k`: the gold follows `####`; `solution` comes before it, less its calculator marks."""
    solution, mark, gold = row["answer"].rpartition("####")
    if not mark:
        raise InputError(f"answer holds no '####': {row['answer'][-60:]!r}")
    fields = {
        "question": row["question"].strip(),
        "solution": re.sub(r"<<.*?>>", "", solution).strip(),
        "gold": gold.strip(),
    }
    return Item(fields["question"], fields["gold"], fields)


def math(row: Row) -> Item:
    r"""`hendrycks/competition_math`: the gold is what the solution boxes last; strata are subject and level."""
    gold = last_box(row["solution"])
    if gold is None:
        raise InputError(f"solution boxes no answer: {row['solution'][-60:]!r}")
    fields = {"problem": row["problem"].strip(), "solution": row["solution"].strip(), "gold": gold}
    return Item(fields["problem"], gold, fields, stratum=f"{row['type']}, {row['level']}")


def mbpp(row: Row) -> Item:
    """`google-research-datasets/mbpp`, `full` or `sanitized`: the gold holds the tests and what runs before them.

    `setup` runs after the solution, as task 367's needs the class that the solution defines.
    """
    gold = {
        "kind": "mbpp",
        "setup": _lines(row.get("test_setup_code", "")),
        "tests": [_lines(test) for test in row["test_list"]],
        "imports": list(row.get("test_imports", [])),
    }
    text = (row["text"] if "text" in row else row["prompt"]).strip()
    fields = {"text": text, "tests": gold["tests"], "code": _lines(row["code"]).strip()}
    return Item(text, json.dumps(gold), fields, key=str(row["task_id"]))


def humaneval(row: Row) -> Item:
    """`openai/openai_humaneval`: the gold holds the prompt, whose function a response completes, and its test."""
    gold = {"kind": "humaneval", **{name: row[name] for name in ("prompt", "test", "entry_point")}}
    fields = {"prompt": row["prompt"].strip(), "code": (row["prompt"] + row["canonical_solution"]).strip()}
    return Item(row["prompt"], json.dumps(gold), fields, key=row["task_id"].rpartition("/")[2])


def arc(row: Row) -> Item:
    """`allenai/ai2_arc`: options labelled 1, 2, ... are lettered A, B, ... as most already are."""
    labels = list(row["choices"]["label"])
    if row["answerKey"] not in labels:
        raise InputError(f"answerKey is {row['answerKey']!r}, but the labels are {', '.join(labels)}")
    return choices(row["question"], row["choices"]["text"], labels.index(row["answerKey"]), key=row["id"])


def mmlu(row: Row) -> Item:
    """`cais/mmlu`: the answer is the position of the right option; strata are subjects."""
    return choices(row["question"], row["choices"], int(row["answer"]), stratum=row["subject"])


def choices(question: str, options: Sequence[str], right: int, stratum: str = "", key: str = "") -> Item:
    """A question with lettered options; the gold is `{"answer": "B", "choices": {"A": ..., ...}}`.

    Raises:
      InputError: if the right one is not among the options.
    """
    if not 0 <= right < len(options) <= 26:
        raise InputError(f"option {right} is right, but there are {len(options)}")
    lettered = {chr(ord("A") + place): str(option).strip() for place, option in enumerate(options)}
    answer = chr(ord("A") + right)
    fields = {"question": question.strip(), "choices": lettered, "answer": answer, "subject": stratum.replace("_", " ")}
    content = "\n".join([fields["question"], *lettered.values()])
    return Item(content, json.dumps({"answer": answer, "choices": lettered}), fields, stratum, key)


# An option that speaks of other options by their letter or place means something else where those have moved.
_OF_OTHERS = re.compile(
    r"\b(?:(?i:above|below|following|preceding)|(?i:answers?|options?|choices?|only)\s+\(?[A-H]"
    r"|[A-H]\)?(?:\s*[,/&]\s*(?:(?i:and|or)\s+)?|\s+(?i:and|or|nor)\s+)\(?[A-H]|[A-H]\)?\s+(?i:only))\b"
    r"|\b(?i:both|neither)\b.*\b[A-H]\b|^[A-H]$"
)


def movable(item: Item) -> bool:
    """Whether an item's options mean the same in another order: none speaks of the others ("all of the above")."""
    options = item.fields.get("choices")
    return isinstance(options, Mapping) and not any(_OF_OTHERS.search(str(text)) for text in options.values())


def reordered(item: Item, times: int) -> Item:
    """The same question with its options in another order: each moved on by `times` places, around the end.

    So over as many orders as there are options the right one stands at every place once.

    Raises:
      InputError: if the item is no question with options, or has too few for so many orders.
    """
    options = item.fields.get("choices")
    if not isinstance(options, Mapping) or "answer" not in item.fields:
        raise InputError(f"{item.content[:60]!r} has no options, so they cannot stand in another order")
    if times >= len(options):
        raise InputError(f"{item.content[:60]!r} has {len(options)} options, too few for {times + 1} orders")
    texts = list(options.values())
    moved = texts[-times:] + texts[:-times] if times else texts
    right = (list(options).index(item.fields["answer"]) + times) % len(texts)
    again = choices("", moved, right)
    fields = {**item.fields, **{name: again.fields[name] for name in ("choices", "answer")}}
    return replace(item, gold=again.gold, fields=fields)


BUILT_IN: dict[str, MakeItem] = {f.__name__: f for f in (gsm8k, math, mbpp, humaneval, arc, mmlu)}


def item_maker(name: str) -> MakeItem:
    """One of the six by its name, or a user's own by its import path.

    Raises:
      InputError: if there is none of this name.
    """
    if is_import_path(name):
        return load_object(name)
    if name not in BUILT_IN:
        raise InputError(f"rows is {name!r}, but must be {', '.join(BUILT_IN)}, or an import path (file.py:function)")
    return BUILT_IN[name]


def make_item(make: MakeItem, row: Row, where: str) -> Item:
    """Apply a maker to a row.

    Raises:
      InputError: naming the row, and the column that is missing or mistyped or the part of the item that is no text.
    """
    try:
        item = make(row)
    except KeyError as error:
        raise InputError(f"{where}: column {error} is missing; the columns are {', '.join(row)}") from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{where}: {error}; are these the columns of this task?") from None
    if not isinstance(item, Item):
        raise InputError(f"{where}: rows must give an Item, not {type(item).__name__}")
    absent = {name: "" for name in ("stratum", "key") if getattr(item, name) is None}  # a row without that column
    item = replace(item, **absent)
    for name in ("content", "gold", "stratum", "key"):
        if not isinstance(value := getattr(item, name), str):
            raise InputError(f"{where}: {name} of the Item is {brief(repr(value))}, but must be text")
    return item


def _lines(code: str) -> str:
    return code.replace("\r\n", "\n")
