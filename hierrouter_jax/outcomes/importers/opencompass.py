"""OpenCompass-style evaluations: one JSON file a model and data set, with every prompt, prediction and verdict."""

from pathlib import Path
from typing import Any

from hierrouter_jax.outcomes.importers.records import WHOLE, Gatherer, Records, found, stem

_VERDICTS = ("correct", "is_correct")


def read(path: Path, rows: Gatherer) -> Records:
    """Read a folder, at any depth of which lie files of any of three layouts; all may be gzipped.

    `TASK/MODEL.json`: `details[key]` holds `prompt` or `origin_prompt`, `origin_prediction` and `correct`.
    `TASK/predictions/MODEL.json`: `[key]` holds `origin_prompt`, `prediction` and `gold`; and
    `TASK/results/MODEL.json`: `details[key]` holds `is_correct` or `correct`.
    `predictions/MODEL/TASK.json` and `results/MODEL/TASK.json`: the same, in OpenCompass's own work folder.

    Predictions without their results are left out, and so are files that cannot be read; both are noted.

    Args:
      path: folder or file.
      rows: that outcomes are added to.

    Raises:
      InputError: if there is no such file, or none holds an outcome.
    """
    files: list[Path] = []
    paired: set[Path] = set()
    results: list[Path] = []
    for file in found(path, "**/*.json", "**/*.json.gz"):
        folder, above = file.parent, file.parent.parent
        if "results" in (folder.name, above.name):
            results.append(file)  # read with its predictions
            continue
        if folder.name == "predictions":
            task, model, judged = above.name, stem(file), above / "results" / file.name
        elif above.name == "predictions":
            task, model, judged = stem(file), folder.name, above.parent / "results" / folder.name / file.name
        else:
            task, model, judged = folder.name, stem(file), file
        judged = next((one for one in (judged, *_packed(judged)) if one.is_file()), judged)
        paired.add(judged)
        if not judged.is_file():
            rows.leave_out(file, f"its results, {rows.name(judged)}, are missing")
            continue
        document = rows.document(judged)
        predictions = document if judged == file or document is None else rows.document(file)
        if document is None or predictions is None:
            continue
        verdicts = _details(judged, document, rows)
        _add(rows, file, task, model, verdicts if judged == file else predictions, verdicts)
        files += dict.fromkeys((file, judged))
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
    for key, told in predictions.items():
        if not isinstance(told, dict):
            if key != "type":  # how OpenCompass marks generation
                rows.reject(file, key, f"is {told!r:.40}, but must be an object (name: value)")
            continue
        verdict = verdicts.get(key)
        verdict = verdict if isinstance(verdict, dict) else {}
        column = next((name for name in _VERDICTS if verdict.get(name) is not None), None)
        if column is None:
            rows.reject(file, key, "has no verdict")
            continue
        prompt = told.get("origin_prompt", told.get("prompt"))
        rows.add(
            file,
            key,
            {
                "query_id": f"{task}-{key}",
                "query": prompt,
                "task": task,
                "gold": told.get("gold", told.get("references", told.get("answer"))),
                "model": model,
                "score": verdict[column],
                "response": told.get("origin_prediction", told.get("prediction")),
            },
            column,
        )
