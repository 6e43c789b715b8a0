"""docs/tutorial.md runs as it stands, on a small table where the quickstart would have left its own."""

import re
from pathlib import Path

import matplotlib as mpl

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.outcomes.store import save_table
from tests.tables import random_table

PAGE = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text()


def test_the_tutorial_walks_from_a_table_to_a_figure(tmp_path, monkeypatch, capsys):
    save_table(random_table(queries=60, models=2, horizon=2), tmp_path / "runs" / "quickstart" / "table")
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    cells = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    names: dict = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f"tutorial cell {number}", "exec"), names)
    assert "exact+stop" in capsys.readouterr().out
    assert names["accuracy"].interval[0] <= names["accuracy"].value <= names["accuracy"].interval[1]
    assert names["cost"].value > 0  # a small weight of cost spends more
    assert PolicyBundle.load(tmp_path / "policies" / "tutorial").allow_stop
    assert (tmp_path / "tutorial.png").stat().st_size > 10_000
