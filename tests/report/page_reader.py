"""What a test reads of a page: its words, its ids, where it links to, and whatever a browser would fetch."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

FETCHING = {"src", "href", "xlink:href", "data", "poster", "srcset", "action"}


class Page(HTMLParser):
    """Visible text, ids, and whatever a browser would fetch."""

    def __init__(self, text: str):
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.ids: list[str] = []
        self.silent = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.silent = tag in ("style", "script")
        links = [value for name, value in attrs if name in FETCHING and not value.startswith("#")]
        self.linked += links if tag == "a" else []
        self.fetched += [] if tag == "a" else links
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        self.silent = False

    def handle_data(self, data):
        if not self.silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def policy_row(evaluation: dict, name: str) -> dict:
    return next(row for row in evaluation["policies"] if row["name"] == name)


def change(path: Path, edit) -> None:
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def assert_self_contained(html: str) -> Page:
    """Nothing is fetched, no id is there twice, and every link of the page leads somewhere in it or beside it."""
    page = Page(html)
    assert page.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "http" not in html
    assert not re.search(r"url\((?!#)", html)
    assert len(page.ids) == len(set(page.ids))
    return page
