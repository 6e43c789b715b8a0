"""RouterBench's wide form: a row a prompt; a score, a response and a total cost a model."""

from pathlib import Path

from hierrouter_jax.outcomes.importers.records import Gatherer, Records, found, outcome_rows
from hierrouter_jax.outcomes.importers.wide import add_row, models_of
from hierrouter_jax.outcomes.texts import unwrapped

_NEEDED = ("sample_id", "prompt", "eval_name")
_KNOWN = (*_NEEDED, "oracle_model_to_route_to")
_RESPONSE = "|model_response"
_SUFFIXES = {"response": _RESPONSE, "cost": "|total_cost"}


def read(path: Path, rows: Gatherer) -> Records:
    """Read a .csv or .parquet of `sample_id`, `prompt`, `eval_name` and three columns a model.

    Those are MODEL (its score), `MODEL|model_response` and `MODEL|total_cost` in US dollars; the latter two may be
    missing. A prompt or response that is a list written as text is the texts of that list. The published files are
    pickles, which their owner must convert.

    Args:
      path: file, or folder of such files.
      rows: that outcomes are added to.

    Raises:
      InputError: if a column is missing, the file is a pickle, or nothing can be read.
    """
    files = found(path, "*.parquet", "*.csv", "*.csv.gz", "*.pkl")
    for file in files:
        grid = outcome_rows(file, rows)
        grid.need(file, *_NEEDED)
        models = models_of(file, grid, _KNOWN, _SUFFIXES, rows)
        for number, record in grid.rows:
            texts = {name: unwrapped(value) for name, value in record.items() if name.endswith((_RESPONSE, "prompt"))}
            query = {"query_id": record.get("sample_id"), "query": texts.get("prompt"), "task": record.get("eval_name")}
            add_row(rows, file, number, {**record, **texts}, query, models, _SUFFIXES)
    return rows.records(files, money_unit="US dollars", public_test=True)
