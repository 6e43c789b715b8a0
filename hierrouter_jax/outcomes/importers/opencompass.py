"""OpenCompass-style evaluations: one JSON file a model and data set, with every prompt, prediction and verdict."""

from pathlib import Path
from typing import Any

from hierrouter_jax.outcomes.importers.reading import found, read_document, stem
from hierrouter_jax.outcomes.importers.records import Gatherer, Records

_VERDICTS = ("correct", "is_correct")


def read(path: Path) -> Records:
    """Read a folder, at any depth of which lie files of any of three layouts; all may be gzipped.

    `TASK/MODEL.json`: `details[key]` holds `prompt` or `origin_prompt`, `origin_prediction` and `correct`.
    `TASK/predictions/MODEL.json`: `[key]` holds `origin_prompt`, `prediction` and `gold`; and
    `TASK/results/MODEL.json`: `details[key]` holds `is_correct` or `correct`.
    `predictions/MODEL/TASK.json` and `results/MODEL/TASK.json`: the same, in OpenCompass's own work folder.

    Raises:
      InputError: if there is no such file, or none holds an outcome.
    """
    rows = Gatherer(path)
    files: list[Path] = []
    for file in found(path, "**/*.json", "**/*.json.gz"):
        folder, above = file.parent, file.parent.parent
        if "results" in (folder.name, above.name):
            continue  # read with its predictions
        if folder.name == "predictions":
            task, model, judged = above.name, stem(file), above / "results" / file.name
        elif above.name == "predictions":
            task, model, judged = stem(file), folder.name, above.parent / "results" / folder.name / file.name
        else:
            task, model, judged = folder.name, stem(file), file
        verdicts = _details(judged, rows)
        _add(rows, file, task, model, verdicts if judged == file else read_document(file), verdicts)
        files += dict.fromkeys((file, judged))
    return rows.records(
        files,
        public_test=True,
        notes=("one sample a model and query: accuracies are conditional on the responses in the files",),
    )


def _details(file: Path, rows: Gatherer) -> dict[str, Any]:
    """`details` as a mapping of its rows; newer evaluations write a list."""
    document = read_document(file)
    details = document.get("details") if isinstance(document, dict) else None
    if isinstance(details, list):
        return {str(number): value for number, value in enumerate(details)}
    if not isinstance(details, dict):
        rows.reject(file, "details", "is missing, but must hold the rows")
        return {}
    return details


def _add(rows: Gatherer, file: Path, task: str, model: str, predictions: Any, verdicts: dict[str, Any]) -> None:
    if not isinstance(predictions, dict):
        rows.reject(file, "top level", "must hold the rows by their number")
        return
    for key, told in predictions.items():
        if not isinstance(told, dict):
            if key != "type":  # how OpenCompass marks generation
                rows.reject(file, key, f"is {told!r:.40}, but must be an object (name: value)")
            continue
        verdict = verdicts.get(key)
        score = next((verdict[name] for name in _VERDICTS if name in verdict), None) if verdict else None
        if score is None:
            rows.reject(file, key, "has no verdict")
            continue
        prompt = told.get("origin_prompt", told.get("prompt"))
        rows.add(
            file,
            key,
            {
                "query_id": f"{task}-{key}",
                "query": _text(prompt),
                "task": task,
                "gold": told.get("gold", told.get("references", told.get("answer"))),
                "model": model,
                "score": score,
                "response": told.get("origin_prediction", told.get("prediction")),
            },
        )


def _text(prompt: Any) -> Any:
    """Chat turns as one text, turn by turn."""
    if isinstance(prompt, list):
        return "\n".join(str(turn.get("prompt", "")) if isinstance(turn, dict) else str(turn) for turn in prompt)
    return prompt
