"""What the site makes of the code while it is built, and that its words lead somewhere."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest

import hierrouter_jax
from hierrouter_jax.cli.main import VERBS
from tests.docs.pages import PAGES, ROOT
from tests.test_walls import PACKAGE, read_package

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

import generated
import import_graph
import public_names
import verbs

WORDS_OF_README = 900
FILES_TO_THE_LOSS = 8
PATHS = re.compile(r"`((?:docs|tests|scripts|configs|hierrouter_jax)/[\w./-]+\.\w+)")


@pytest.fixture(scope="module")
def edges():
    return import_graph.room_edges()


def test_the_picture_shows_the_imports_of_the_code(edges):
    """Drawn lines are imports, and every import follows from them; read anew by the code that checks the walls."""
    modules = read_package(ROOT / PACKAGE)
    room = import_graph.room
    imports = {(room(name), room(other)) for name in modules for other in modules[name].inside}
    imports = {(one, other) for one, other in imports if one != other}
    assert edges == imports
    drawn = {(path.get("data-from"), path.get("data-to")) for path in lines(import_graph.svg(edges))}
    assert drawn <= imports
    assert all(other in import_graph.reach(one, drawn) for one, other in imports)
    assert len(drawn) < len(imports)


def lines(svg: str) -> list[ET.Element]:
    return [node for node in ET.fromstring(svg).iter() if node.get("class") == "import"]


def test_a_line_that_follows_from_others_is_left_out():
    edges = {("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}
    assert import_graph.drawn_edges(edges) == {("a", "b"), ("b", "c"), ("d", "c")}
    assert import_graph.levels(edges) == {"a": 2, "b": 1, "c": 0, "d": 1}


def test_every_room_has_a_box_and_a_row_in_the_page(edges):
    rooms = {name for edge in edges for name in edge} - {import_graph.GROUND}
    svg = import_graph.svg(edges)
    page = (ROOT / "docs" / "architecture.md").read_text()
    for room in rooms:
        assert f">{room}/<" in svg or f">{room}<" in svg
        assert f"| `{room}/` |" in page or f"| `{room}.py` |" in page


def test_the_way_to_the_loss_is_short_and_exists():
    page = (ROOT / "docs" / "architecture.md").read_text()
    listed = re.findall(r"^- `(hierrouter_jax/[\w/]+\.py)`", page, flags=re.MULTILINE)
    assert 1 < len(listed) <= FILES_TO_THE_LOSS
    assert [path for path in listed if not (ROOT / path).is_file()] == []


def test_the_reference_names_every_verb_and_option():
    reference = verbs.reference()
    for verb in VERBS:
        assert f"## {verb}\n" in reference
    for option in ("--train.hyper.reward.hop_cost", "--max_hours", "--responses", "--halving"):
        assert f"| `{option}` |" in reference
    assert "| `--train.static.num_envs` | number of episodes" in reference
    assert "Below `--train.hyper` and `--train.static` stand a learner's" in reference


def test_the_reference_describes_every_public_name():
    reference = public_names.reference()
    for name in hierrouter_jax.__all__:
        assert name == "__version__" or f":: hierrouter_jax.{name}\n" in reference
    for name in set(hierrouter_jax.envs.__all__) - set(hierrouter_jax.__all__):
        assert f":: hierrouter_jax.envs.{name}\n" in reference
    assert "## Further names" not in reference, "give new names a group"


def test_docstrings_become_text_of_the_site():
    assert public_names.as_rst(["An array [*B] of `*B`.", "  low, high: its ends."]) == [
        r"An array [\*B] of `*B`.",
        "  low: see `high`.",
        "  high: its ends.",
    ]


def test_every_preset_is_on_its_page():
    text = generated.presets()
    for path in (ROOT / "configs").rglob("*.yaml"):
        assert f"### {path.parent.name}/{path.name}\n" in text


def test_a_mark_is_filled_and_others_stay():
    assert "## quickstart" in generated.fill("# All\n\n<!-- generated: command line -->\n")
    assert generated.fill("<!-- a remark -->\n") == "<!-- a remark -->\n"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= WORDS_OF_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_and_path_of_a_page_leads_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
    for path in PATHS.findall(text):
        assert (ROOT / path).exists(), path
