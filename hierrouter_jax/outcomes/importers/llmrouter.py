"""LLMRouter's data folder: scores a query and model, query files with the tasks, and a price list."""

from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.costs import read_prices
from hierrouter_jax.outcomes.importers.records import Gatherer, Records, missing, outcome_rows, source_files
from hierrouter_jax.outcomes.rows import read_document
from hierrouter_jax.outcomes.texts import NotText, as_text

_SCORES, _QUERIES, _PRICES = "dcrouter_preprocessed", "query_data", "default_llm.json"
_SPLITS = ("train", "test")


def read_llmrouter(path: Path, rows: Gatherer) -> Records:
    """Read `dcrouter_preprocessed/{train,test}.json`, `query_data/*_{train,test}.jsonl` and `default_llm.json`.

    A row of scores holds `question` and `scores` by model; the query file of the same split gives the task and the
    gold answer of that very text. All but the prices may be gzipped.

    A split of which a file is missing is left out, and noted.

    Args:
      path: the data folder.
      rows: the gatherer that outcomes are added to.

    Raises:
      InputError: if both splits miss a file, or no row can be read.
    """
    files, ambiguous, missed = [], 0, []
    for split in _SPLITS:
        try:
            queries = source_files(path / _QUERIES, f"*_{split}.jsonl", f"*_{split}.jsonl.gz")[0]
            file = source_files(path / _SCORES, f"{split}.json", f"{split}.json.gz")[0]
        except InputError as error:
            missed.append(error)
            rows.note(f"{error}: no {split} queries are read")
            continue
        tasks, doubtful = _tasks(queries, rows)
        scores = read_document(file)
        if not isinstance(scores, list):
            raise InputError(f"{file}: must hold a list of rows with question and scores")
        for number, row in enumerate(scores):
            ambiguous += isinstance(row, dict) and _text(row.get("question")) in doubtful
            _add(rows, file, number, row, split, tasks)
        files += [file, queries]
    if len(missed) == len(_SPLITS):
        raise missed[0]
    prices = path / _PRICES
    notes = ["no responses and no token counts: cost cannot tell a long answer from a short one"]
    if ambiguous:
        notes.append(f"{ambiguous} queries stand in the query file under two tasks; the first is taken")
    if prices.is_file():
        files.append(prices)
        by_model, unit = read_prices(prices)
        return rows.records(files, prices=by_model, money_unit=unit, notes=tuple(notes), public_test=True)
    return rows.records(files, notes=tuple(notes), public_test=True)


def _tasks(file: Path, rows: Gatherer) -> tuple[dict[str, tuple[Any, Any]], set[str]]:
    """Task and gold answer by text, and the texts that stand under two tasks."""
    tasks: dict[str, tuple[Any, Any]] = {}
    doubtful: set[str] = set()
    for _, row in outcome_rows(file, rows).rows:
        task, text = (row.get("task_name"), row.get("ground_truth")), _text(row.get("query"))
        if tasks.setdefault(text, task)[0] != task[0]:
            doubtful.add(text)
    return tasks, doubtful


def _add(rows: Gatherer, file: Path, number: int, row: Any, split: str, tasks: dict[str, tuple[Any, Any]]) -> None:
    if not isinstance(row, dict) or not isinstance(row.get("scores"), dict):
        rows.reject(file, number, "has no scores by model")
        return
    text = _text(row.get("question"))
    if text not in tasks:
        rows.reject(file, number, f"its question stands in no {split} query file, so its task is unknown")
        return
    task, gold = tasks[text]
    for model in sorted(row["scores"]):  # their order changes from row to row
        values = {"query_id": f"{split}-{number:05d}", "query": text, "task": task, "gold": gold, "split": split}
        rows.add(file, number, values | {"model": model, "score": row["scores"][model]}, model)


def _text(value: Any) -> str:
    """The text that a question and its row of scores are joined by."""
    try:
        return "" if missing(value) else as_text(value)
    except NotText:
        return ""
