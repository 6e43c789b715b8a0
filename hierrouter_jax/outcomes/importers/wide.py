"""Wide grids (RouterBench, RouteLLM): one row a query, one column of scores a model, further columns by its name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.records import Gatherer, Records, missing, outcome_rows, source_files, stem
from hierrouter_jax.outcomes.importers.scales import number_of
from hierrouter_jax.outcomes.rows import Rows
from hierrouter_jax.outcomes.texts import unwrapped

_ROUTELLM = {"response": "_response"}
_NEEDED = ("sample_id", "prompt", "eval_name")
_KNOWN = (*_NEEDED, "oracle_model_to_route_to")
_RESPONSE = "|model_response"
_ROUTERBENCH = {"response": _RESPONSE, "cost": "|total_cost"}
_INDEX = ("index", "idx", "id", "sample_id", "row", "row_id")


def read_routellm(path: Path, rows: Gatherer) -> Records:
    """RouteLLM: `mmlu_DOMAIN.csv` or `gsm8k_responses.csv`, or a folder that holds such files at any depth.

    A row holds `prompt`, true or false for each model under its name, and, for GSM8K, its text under
    `MODEL_response`. The task is the file's name without `_responses`.

    Args:
      path: the file or the folder.
      rows: the gatherer that outcomes are added to.

    Raises:
      InputError: if there is no such file, or nothing can be read.
    """
    files = source_files(path, "**/*.csv")
    for file in files:
        grid = outcome_rows(file, rows)
        grid.need(file, "prompt")
        task = stem(file).removesuffix("_responses")
        models = models_of(file, grid, ("prompt",), _ROUTELLM, rows, described=False)
        for number, record in grid.rows:
            query = {"query_id": f"{task}-{number:05d}", "query": record.get("prompt"), "task": task}
            add_row(rows, file, number, record, query, models, _ROUTELLM)
    return rows.records(
        files,
        public_test=True,
        notes=(
            "prompts are without the worked examples that the models read (RouteLLM leaves them out), so tokens read "
            "are fewer than were billed",
        ),
    )


def read_routerbench(path: Path, rows: Gatherer) -> Records:
    """RouterBench: a .csv or .parquet of `sample_id`, `prompt`, `eval_name` and three columns a model.

    Those are MODEL (its score), `MODEL|model_response` and `MODEL|total_cost` in US dollars; the latter two may be
    missing. A prompt or response that is a list written as text is the texts of that list. The published files are
    pickles, which their owner must convert.

    Args:
      path: the file, or a folder of such files.
      rows: the gatherer that outcomes are added to.

    Raises:
      InputError: if a column is missing, the file is a pickle, or nothing can be read.
    """
    files = source_files(path, "*.parquet", "*.csv", "*.csv.gz", "*.pkl")
    for file in files:
        grid = outcome_rows(file, rows)
        grid.need(file, *_NEEDED)
        models = models_of(file, grid, _KNOWN, _ROUTERBENCH, rows)
        for number, record in grid.rows:
            texts = {name: unwrapped(value) for name, value in record.items() if name.endswith((_RESPONSE, "prompt"))}
            query = {"query_id": record.get("sample_id"), "query": texts.get("prompt"), "task": record.get("eval_name")}
            add_row(rows, file, number, {**record, **texts}, query, models, _ROUTERBENCH)
    return rows.records(files, money_unit="US dollars", public_test=True)


def models_of(
    file: Path, grid: Rows, known: tuple[str, ...], suffixes: Mapping[str, str], rows: Gatherer, described: bool = True
) -> list[str]:
    """Names of the score columns, in the file's order.

    Where the file has columns of a model's name and one of the `suffixes`, its models are those that have one.
    Where it has none, they are the columns that hold a score. A column that is neither, nor `known`, nor an index that
    was saved with the rows, is noted, not read.

    Args:
      file: the file that the grid was read from.
      grid: the rows of that file.
      known: names of columns that are no model's.
      suffixes: what a column's name adds to a model's name, by column of the neutral frame.
      rows: the gatherer that a note is added to.
      described: whether a model has such columns wherever another has; else any column with a score is one.

    Raises:
      InputError: if there is none.
    """
    names = [name for name in grid.columns if name not in known and not name.endswith(tuple(suffixes.values()))]
    names = [name for name in names if not is_index(name)]
    models = [
        name for name in names if described and any(f"{name}{suffix}" in grid.columns for suffix in suffixes.values())
    ]
    has_columns = bool(models)
    models = models or [name for name in names if any(_is_score(record.get(name)) for _, record in grid.rows)]
    if not models:
        raise InputError(f"{file}: no column holds a model's scores; its columns are {', '.join(grid.columns)}")
    why = f"no column NAME{' or NAME'.join(suffixes.values())}" if has_columns else "no score"
    if others := [name for name in names if name not in models]:
        rows.note(f"{file.name}: no models, as there is {why} of theirs: {', '.join(others)}")
    return models


def is_index(name: str) -> bool:
    """Whether a column is called as an index is that was saved with the rows."""
    stem, _, number = name.partition(":")
    unnamed = stem == "Unnamed" and number.strip().replace(".", "").isdigit()
    level = name.strip("_").removeprefix("index_").removeprefix("level_").isdigit() and "level_" in name
    return unnamed or level or name.strip().lower() in _INDEX


def add_row(
    rows: Gatherer, file: Path, number: int, record: Mapping[str, Any], query: dict[str, Any], models: list[str],
    suffixes: Mapping[str, str],
) -> None:  # fmt: skip
    """One outcome for each model of a row.

    Args:
      rows: the gatherer that the outcomes are added to.
      file: the file that the row stands in.
      number: number of the row, from 0.
      record: values of the row by column.
      query: values that all outcomes of the row share.
      models: names of the score columns.
      suffixes: what a column's name adds to a model's name, by column of the neutral frame.
    """
    for model in models:
        more = {name: record.get(f"{model}{suffix}") for name, suffix in suffixes.items()}
        rows.add(file, number, query | {"model": model, "score": record.get(model)} | more, model)


def _is_score(value: Any) -> bool:
    if missing(value):
        return False
    return number_of(value)[0] is not None or str(value).strip().lower() in ("true", "false")
