"""LLMRouterBench's results: one JSON file a data set, split, model and run, with a record a query."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.outcomes.importers.records import WHOLE, Gatherer, Records, found, missing

_STAMP = re.compile(r"(\d{8}_\d{6})\.json(?:\.gz)?$")


def read(path: Path, rows: Gatherer) -> Records:
    """Read `DATASET/SPLIT/MODEL/*.json` below a folder, or one such file: of each the latest run that is no demo.

    A file names its `model_name`, `dataset_name` and `split`; `records` hold `index`, `origin_query`, `prompt`,
    `prediction`, `ground_truth`, `score`, `prompt_tokens`, `completion_tokens`, `cost` and `raw_output`. The split is
    the benchmark's own ("test", say), not a router's, so splits are drawn. Where not every file states a cost above
    0, as of models that were run on own machines, costs are left out and prices are needed.

    A file that cannot be read is left out, and noted.

    Args:
      path: folder or file.
      rows: that outcomes are added to.

    Raises:
      InputError: if there is no such file, or nothing can be read.
    """
    files = found(path, "**/*.json", "**/*.json.gz")
    runs: dict[tuple[str, str, str], tuple[str, Path, dict[str, Any]]] = {}
    for file in files:
        document = rows.document(file)
        if not isinstance(document, dict) or not isinstance(document.get("records"), list):
            if document is not None:
                rows.reject(file, WHOLE, "holds no list of records")
            continue
        if document.get("demo"):
            rows.reject(file, WHOLE, "is a demonstration run")
            continue
        key = _key(file, document)
        stamp = _STAMP.search(file.name)
        run = (stamp[1] if stamp else "", file, document)
        older, runs[key] = sorted((runs.get(key, run), run), key=lambda one: one[0])
        if older is not run or runs[key] is not run:
            rows.reject(older[1], WHOLE, f"is an older run of {key[2]} on {key[0]}")
    billed = all(run[2].get("cost") for run in runs.values())
    for (task, split, model), (_, file, document) in runs.items():
        for number, record in enumerate(document["records"]):
            if isinstance(record, dict):
                rows.add(file, number, _values(record, number, task, split, model, billed))
            else:
                rows.reject(file, number, f"is {record!r:.40}, but must be an object (name: value)")
    return rows.records(files, money_unit="US dollars" if billed else None, public_test=True)


def _key(file: Path, document: dict[str, Any]) -> tuple[str, str, str]:
    """Data set, split and model: as the file tells, or else its folders."""
    folders = (file.parents[2].name, file.parents[1].name, file.parents[0].name) if len(file.parents) > 2 else ("",) * 3
    told = (document.get(name) for name in ("dataset_name", "split", "model_name"))
    task, split, model = (str(one or other) for one, other in zip(told, folders, strict=True))
    return task, split, model


def _values(record: dict[str, Any], number: int, task: str, split: str, model: str, billed: bool) -> dict[str, Any]:
    response = record.get("raw_output")
    return {
        "query_id": f"{task}-{split}-{record.get('index', number)}",
        "query": record.get("origin_query") or record.get("prompt"),
        "task": task,
        "gold": record.get("ground_truth"),
        "model": model,
        "score": record.get("score"),
        "response": record.get("prediction") if missing(response) or isinstance(response, Mapping) else response,
        "tokens_in": record.get("prompt_tokens"),
        "tokens_out": record.get("completion_tokens"),
        "cost": record.get("cost") if billed else None,
    }
