"""RouteLLM's evaluation files: a prompt and whether the weak and the strong model were right."""

from pathlib import Path

from hierrouter_jax.outcomes.importers.records import Gatherer, Records, found, outcome_rows, stem
from hierrouter_jax.outcomes.importers.wide import add_row, models_of

_SUFFIXES = {"response": "_response"}


def read(path: Path, rows: Gatherer) -> Records:
    """Read `mmlu_DOMAIN.csv` or `gsm8k_responses.csv`, or a folder that holds such files at any depth.

    A row holds `prompt`, true or false for each model under its name, and, for GSM8K, its text under
    `MODEL_response`. The task is the file's name without `_responses`.

    Args:
      path: file or folder.
      rows: that outcomes are added to.

    Raises:
      InputError: if there is no such file, or nothing can be read.
    """
    files = found(path, "**/*.csv")
    for file in files:
        grid = outcome_rows(file, rows)
        grid.need(file, "prompt")
        task = stem(file).removesuffix("_responses")
        models = models_of(file, grid, ("prompt",), _SUFFIXES, rows, telling=False)
        for number, record in grid.rows:
            query = {"query_id": f"{task}-{number:05d}", "query": record.get("prompt"), "task": task}
            add_row(rows, file, number, record, query, models, _SUFFIXES)
    return rows.records(
        files,
        public_test=True,
        notes=(
            "prompts are without the worked examples that the models read (RouteLLM leaves them out), so tokens read "
            "are fewer than were billed",
        ),
    )
