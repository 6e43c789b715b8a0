"""Results of OpenCompass and LLMRouterBench: a JSON file a model and data set, with every response and its score."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.outcomes.importers.records import WHOLE, Gatherer, Records, missing, source_files, stem

_VERDICTS = ("correct", "is_correct")
_STAMP = re.compile(r"(\d{8}_\d{6})\.json(?:\.gz)?$")


def read_opencompass(path: Path, rows: Gatherer) -> Records:
    """OpenCompass: a folder, at any depth of which lie files of any of three layouts; all may be gzipped.

    `TASK/MODEL.json`: `details[key]` holds `prompt` or `origin_prompt`, `origin_prediction` and `correct`.
    `TASK/predictions/MODEL.json`: `[key]` holds `origin_prompt`, `prediction` and `gold`; and
    `TASK/results/MODEL.json`: `details[key]` holds `is_correct` or `correct`.
    `predictions/MODEL/TASK.json` and `results/MODEL/TASK.json`: the same, in OpenCompass's own work folder.

    Predictions without their results are left out, and so are files that cannot be read; both are noted. What the
    folder itself is called, and those above it, does not count.

    Args:
      path: the folder, or one file of it.
      rows: the gatherer that outcomes are added to.

    Raises:
      InputError: if there is no such file, or none holds an outcome.
    """
    files: list[Path] = []
    paired: set[Path] = set()
    results: list[Path] = []
    for file in source_files(path, "**/*.json", "**/*.json.gz"):
        folder, above = file.parent, file.parent.parent
        inside = file.relative_to(path).parts[:-1] if path.is_dir() else file.parts[:-1]
        if "results" in inside[-2:]:
            results.append(file)  # read with its predictions
            continue
        if inside[-1:] == ("predictions",):
            task, model, results_file = above.name, stem(file), above / "results" / file.name
        elif inside[-2:-1] == ("predictions",):
            task, model, results_file = stem(file), folder.name, above.parent / "results" / folder.name / file.name
        else:
            task, model, results_file = folder.name, stem(file), file
        results_file = next((one for one in (results_file, *_packed(results_file)) if one.is_file()), results_file)
        paired.add(results_file)
        if not results_file.is_file():
            rows.leave_out(file, f"its results, {rows.name(results_file)}, are missing")
            continue
        document = rows.document(results_file)
        predictions = document if results_file == file or document is None else rows.document(file)
        if document is None or predictions is None:
            continue
        verdicts = _details(results_file, document, rows)
        _add(rows, file, task, model, verdicts if results_file == file else predictions, verdicts)
        files += dict.fromkeys((file, results_file))
    for file in results:
        if file not in paired:
            rows.leave_out(file, "its predictions are missing")
    return rows.records(
        files,
        public_test=True,
        notes=("one sample a model and query: accuracies are conditional on the responses in the files",),
    )


def _packed(file: Path) -> tuple[Path, ...]:
    """The same file gzipped, or not."""
    return (file.with_suffix("") if file.suffix == ".gz" else file.with_name(f"{file.name}.gz"),)


def _details(file: Path, document: Any, rows: Gatherer) -> dict[str, Any]:
    """`details` as a mapping of its rows; newer evaluations write a list."""
    details = document.get("details") if isinstance(document, dict) else None
    if isinstance(details, list):
        return {str(number): value for number, value in enumerate(details)}
    if not isinstance(details, dict):
        rows.reject(file, "details", "is missing, but must hold the rows")
        return {}
    return details


def _add(rows: Gatherer, file: Path, task: str, model: str, predictions: Any, verdicts: dict[str, Any]) -> None:
    if not isinstance(predictions, dict):
        rows.reject(file, WHOLE, "must hold the rows by their number")
        return
    for key, prediction in predictions.items():
        if not isinstance(prediction, dict):
            if key != "type":  # how OpenCompass marks generation
                rows.reject(file, key, f"is {prediction!r:.40}, but must be an object (name: value)")
            continue
        verdict = verdicts.get(key)
        verdict = verdict if isinstance(verdict, dict) else {}
        column = next((name for name in _VERDICTS if verdict.get(name) is not None), None)
        if column is None:
            rows.reject(file, key, "has no verdict")
            continue
        prompt = prediction.get("origin_prompt", prediction.get("prompt"))
        rows.add(
            file,
            key,
            {
                "query_id": f"{task}-{key}",
                "query": prompt,
                "task": task,
                "gold": prediction.get("gold", prediction.get("references", prediction.get("answer"))),
                "model": model,
                "score": verdict[column],
                "response": prediction.get("origin_prediction", prediction.get("prediction")),
            },
            column,
        )


def read_llmrouterbench(path: Path, rows: Gatherer) -> Records:
    """LLMRouterBench: `DATASET/SPLIT/MODEL/*.json` below a folder, or one such file; the latest run that is no demo.

    A file names its `model_name`, `dataset_name` and `split`; `records` hold `index`, `origin_query`, `prompt`,
    `prediction`, `ground_truth`, `score`, `prompt_tokens`, `completion_tokens`, `cost` and `raw_output`. The split is
    the benchmark's own ("test", say), not a router's, so splits are drawn. Where not every file states a cost above
    0, as of models that were run on own machines, costs are left out and prices are needed.

    A file that cannot be read is left out, and noted.

    Args:
      path: the folder, or one file of it.
      rows: the gatherer that outcomes are added to.

    Raises:
      InputError: if there is no such file, or nothing can be read.
    """
    files = source_files(path, "**/*.json", "**/*.json.gz")
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
    names = (document.get(name) for name in ("dataset_name", "split", "model_name"))
    task, split, model = (str(one or other) for one, other in zip(names, folders, strict=True))
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
