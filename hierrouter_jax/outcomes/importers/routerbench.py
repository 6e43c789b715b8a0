"""RouterBench's wide form: a row a prompt; a score, a response and a total cost a model."""

import ast
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.reading import found, read_grid
from hierrouter_jax.outcomes.importers.records import Gatherer, Records
from hierrouter_jax.outcomes.importers.wide import add_row, models_of

_NEEDED = ("sample_id", "prompt", "eval_name")
_KNOWN = (*_NEEDED, "oracle_model_to_route_to", "idx", "index", "__index_level_0__")
_SUFFIXES = {"response": "|model_response", "cost": "|total_cost"}


def read(path: Path) -> Records:
    """Read a .csv or .parquet of `sample_id`, `prompt`, `eval_name` and three columns a model.

    Those are MODEL (its score), `MODEL|model_response` and `MODEL|total_cost` in US dollars; the latter two may be
    missing. The published files are pickles, which their owner must convert.

    Raises:
      InputError: if a column is missing, the file is a pickle, or nothing can be read.
    """
    rows = Gatherer(path)
    files = found(path, "*.parquet", "*.csv", "*.csv.gz", "*.pkl")
    for file in files:
        grid = read_grid(file)
        for name in _NEEDED:
            if name not in grid.columns:
                raise InputError(f"{file}: column {name!r} is missing; {', '.join(_NEEDED)} are needed")
        models = [name for name in models_of(file, grid, _KNOWN, ()) if "|" not in name]
        for number, record in enumerate(grid.to_dict("records")):
            query = {"query_id": record["sample_id"], "query": _text(record["prompt"]), "task": record["eval_name"]}
            add_row(rows, file, number, record, query, models, _SUFFIXES)
    return rows.records(files, money_unit="US dollars", public_test=True)


def _text(prompt: Any) -> Any:
    """The turns of a prompt that was written as a list, one after another."""
    if isinstance(prompt, str) and prompt.startswith("[") and prompt.endswith("]"):
        try:
            turns = ast.literal_eval(prompt)
        except (ValueError, SyntaxError):  # text in square brackets
            return prompt
        return "\n".join(map(str, turns))
    return prompt
