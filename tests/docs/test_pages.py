"""Every block of code and every command of the documentation runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hierrouter_jax.bundle import PolicyBundle
from tests.docs.pages import PAGES, ROOT, blocks, left_out
from tests.docs.running import Reader

# What must be there when a page has run, by the page: of the folder and of the Python session.
THEN: dict[str, Callable[[Path, dict[str, Any]], None]] = {}
RUNNABLE = ("python", "bash")
MOST_LEFT_OUT = 0.1
# Half a minute and more each: of make test-all alone; other tests run these verbs.
LONGEST = (
    "compare",
    "report",
    "many-runs",
    "collecting",
    "leaderboard",
    "planning",
    "import",
    "tasks",
    "opponents",
    "tutorial",
    "learn-from-logs",
    "transfer",
    "rewards",
    "results",
    "conditions",
)
WITH_BLOCKS = [
    pytest.param(page, marks=[pytest.mark.extended] if page.stem in LONGEST else [], id=page.stem)
    for page in PAGES
    if any(not block.reason for block in blocks(page))
]


def then(page: str) -> Callable:
    """Marks a function as the check of what a page leaves."""
    return lambda check: THEN.setdefault(page, check)


@then("tutorial")
def tutorial_left(home: Path, names: dict[str, Any]) -> None:
    low, high = names["accuracy"].interval
    assert low <= names["accuracy"].value <= high
    assert names["cost"].value > 0  # a small weight of cost spends more
    assert PolicyBundle.load(home / "policies/tutorial").allow_stop
    assert (home / "tutorial.png").stat().st_size > 10_000


@then("many-runs")
def many_runs_left(home: Path, names: dict[str, Any]) -> None:
    assert names["metrics"]["train_return"].shape[0] == 3  # three keys, three rates
    assert "best_return" in names["result"].frame
    assert (home / "runs/sweep/sweep.parquet").is_file()
    assert (home / "policies/best/policy.json").is_file()


@then("rewards")
def rewards_left(home: Path, names: dict[str, Any]) -> None:
    config = yaml.safe_load((home / "runs/short/config.yaml").read_text())
    assert config["train"]["hyper"]["reward"]["custom"] == {"my_terms.py:short_answers": 0.2}


@then("estimate")
def estimate_left(home: Path, names: dict[str, Any]) -> None:
    assert names["result"]["episodes"]["used"] == 5000
    assert (home / "runs/estimate/report.html").is_file()


@then("README")
def readme_left(home: Path, names: dict[str, Any]) -> None:
    assert (home / "runs/mine/report.html").is_file()
    assert PolicyBundle.load(home / "policies/first").pool == PolicyBundle.load(home / "policies/mine").pool


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_a_page_runs_from_top_to_bottom(page, home):
    reader = Reader(home)
    for block in blocks(page):
        if not block.reason:
            reader.run(block)
    THEN.get(page.stem, lambda home, names: None)(home, reader.names)


def test_at_most_one_block_in_ten_is_left_out():
    found = [block for page in PAGES for block in blocks(page) if block.language in RUNNABLE]
    out = left_out(found)
    assert len(found) > 60
    assert len(out) <= MOST_LEFT_OUT * len(found), [f"{block}: {block.reason}" for block in out]


def test_the_pages_are_all_in_the_index():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    named = {line.strip() for line in text.splitlines()}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - named == {"index"}
