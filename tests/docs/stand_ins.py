"""A small folder in place of what a reader has: tables, runs and policies of real calls of the tiny pool."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from hierrouter_jax.cli.main import main
from hierrouter_jax.config import config_path
from hierrouter_jax.outcomes.store import load_table, save_table
from tests.docs.running import small
from tests.tables import random_table

ONE_HOP = ("tables/lookahead", "tables/llmrouter", "tables/llmrouter-told", "tables/published", "tables/first")


def make(folder: Path) -> None:
    """Everything that pages take for granted; they say in the text where it comes from."""
    assert main(["quickstart", "--out", str(folder / "runs/quickstart"), *small("quickstart", [])]) == 0
    run, mine = folder / "runs/quickstart", folder / "tables/mine"
    shutil.copytree(run / "table", mine)
    shutil.copytree(run, folder / "runs/mine")
    shutil.copytree(run / "policy", folder / "policies/mine")
    shutil.copy(config_path("pool/tiny.yaml"), folder / "pool.yaml")
    queries = load_table(mine).queries
    rows = [{"id": one.id, "text": one.text, "gold": one.gold, "task": one.task, "split": one.split} for one in queries]
    (folder / "queries.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows[::4]))
    (folder / "questions.txt").write_text("".join(f"{row['text']}\n" for row in rows[-3:]))
    for place, name in enumerate(ONE_HOP):
        save_table(one_hop(place), folder / name)
    (folder / "prices.yaml").write_text(
        "money_unit: US dollars\nmodels: {small: {base_rate: 1}, large: {base_rate: 2}}\n"
    )


def one_hop(seed: int):
    """Outcomes of six models, each asked once."""
    table = random_table(seed=seed, queries=120, models=6, horizon=1)
    return replace(
        table,
        queries=tuple(
            replace(query, text=f"{query.text} {'abcdefgh'[i % 8] * 9} {i}") for i, query in enumerate(table.queries)
        ),
    )
