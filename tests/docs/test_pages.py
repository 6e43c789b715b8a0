"""Every block of code and every command of the documentation runs."""

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, left_out
from tests.docs.running import Reader

RUNNABLE = ("python", "bash")
MOST_LEFT_OUT = 0.1
WITH_BLOCKS = [page for page in PAGES if any(not block.reason for block in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.stem)
def test_a_page_runs_from_top_to_bottom(page, home):
    reader = Reader(home)
    for block in blocks(page):
        if not block.reason:
            reader.run(block)


def test_at_most_one_block_in_ten_is_left_out():
    found = [block for page in PAGES for block in blocks(page) if block.language in RUNNABLE]
    out = left_out(found)
    assert len(found) > 60
    assert len(out) <= MOST_LEFT_OUT * len(found), [f"{block}: {block.reason}" for block in out]


def test_the_pages_are_all_in_the_index():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    named = {line.strip() for line in text.splitlines()}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - named == {"index"}
