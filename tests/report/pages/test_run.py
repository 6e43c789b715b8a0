"""The page of a run: its numbers come from the run's files, its words from the numbers, and it needs no network."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.report import formats
from hierrouter_jax.report.data import routers
from hierrouter_jax.report.figures import hop_tree
from hierrouter_jax.report.pages.run import build_report, build_run_page
from hierrouter_jax.report.site import Section
from tests.report.page_reader import Page, change, policy_row
from tests.training.run_folder_fixture import MODELS, TASKS, build_run_folder, metrics


def test_the_page_shows_the_numbers_of_every_policy(html, numbers):
    cells = [re.sub(r"<[^>]+>|\s+", " ", row) for row in re.findall(r"<tr.*?</tr>", html, flags=re.DOTALL)]
    for row in numbers["policies"]:
        shown = next(cell for cell in cells if cell.split()[: len(row["name"].split())] == row["name"].split())
        fields = ("accuracy", "repaired", "damaged", "oracle_gap_recovered")
        wanted = [formats.percent(row[field]) for field in fields]
        wanted += [
            formats.percent_interval(row["accuracy_ci"]),
            formats.multiple(row["cost"] / 9.10),
            f"{row['hops']:.2f}",
        ]
        wanted += [formats.percent(row[group]["accuracy"]) for group in ("seen_templates", "unseen_templates")]
        assert [text for text in wanted if text not in shown] == []


def test_every_part_has_something_of_every_file(html):
    text = Page(html).text
    parts = ("Results", "Comparisons", "Learning curves", "Cost and accuracy", "Routes of each task", "Live")
    assert all(part in text for part in parts)
    assert all(task in text for task in TASKS)
    assert all(model in text for model in MODELS)
    assert "24+18-6" in text
    assert "hierrouter quickstart --out runs/quickstart" in text
    assert "by construction" in text
    assert "Bootstrap over queries" in text


def test_a_changed_number_changes_the_page(no_paper, tmp_path):
    folder = build_run_folder(tmp_path / "run", seeds=2)
    change(folder / "evaluation.json", lambda value: policy_row(value, "task-sequence").update(accuracy=0.6127))
    change(folder / "behaviour.json", lambda value: value["policies"]["ppo"]["routes"].pop("fact-to-words"))
    change(folder / "run.json", lambda value: value.update(seed=4711))
    text = Page(build_report(folder).read_text()).text
    assert "61.3" in text
    assert "66.3" not in text
    assert "4711" in text
    assert "64 %" not in text  # the share of a route that is gone


def test_a_second_hops_gain_is_shown_in_its_two_parts(no_paper, tmp_path, html):
    split = {"first": "reader", "second": "speller", "control": "speller-fresh", "chosen": True}
    parts = {"gain": (0.123, 0.1, 0.15), "another_try": (0.023, -0.01, 0.05), "reading": (0.1, 0.07, 0.13)}
    shown = {name: {"value": value, "ci": [low, high]} for name, (value, low, high) in parts.items()}
    folder = build_run_folder(tmp_path / "run", seeds=2)
    change(folder / "evaluation.json", lambda value: value.update(second_hop=[split | shown]))
    text = " ".join(Page(build_report(folder).read_text()).text.split())
    assert "reader, speller speller-fresh" in text
    numbers = [formats.signed_points(one) for values in parts.values() for one in values]
    assert " ".join("{} {} to {}".format(*numbers[at : at + 3]) for at in (0, 3, 6)) in text
    assert "What a second hop gains" not in Page(html).text


def test_the_page_needs_no_network(html):
    page = Page(html)
    assert page.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "http" not in html
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_the_page_follows_the_theme_and_prints(html):
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    pictures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(pictures) == 2 + 2 + 2 + len(TASKS)
    assert not any(re.search(r"(fill|stroke): #", picture) for picture in pictures)


def test_ids_are_unique_and_references_resolve(html):
    ids = Page(html).ids
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', html)) <= set(ids)


def test_text_of_queries_is_escaped(html):
    assert "308 &lt;in words&gt; &amp; nothing else" in html


def test_a_router_that_is_told_a_cost_weight_shows_its_front(no_paper, tmp_path):
    folder = build_run_folder(tmp_path / "run", seeds=1)
    points = [
        {"cost_weight": w, "budget": None, "accuracy": 0.5 - w, "cost": 80 - 10 * w, "return": 0.1} for w in (0.1, 0.2)
    ]
    change(folder / "evaluation.json", lambda value: policy_row(value, "ppo").update(front=points))
    page = build_report(folder).read_text()
    assert "A coloured line is one router under a range" in page
    assert pd.read_csv(folder / "data" / "fronts.csv")["accuracy"].tolist() == [0.4, 0.3]


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("ppo", None, "ppo against task-sequence"),
        ("task-sequence", None, "task-sequence against best-single"),
        (None, "best-single", "ppo against best-single"),
    ],
)
def test_a_policy_is_held_against_the_best_opponent_other_than_itself(monkeypatch, tmp_path, a, b, words):
    class Policies:
        best, routers, table = "ppo", {"ppo": None}, SimpleNamespace(model_names=[])

        def __init__(self, run, files, table):
            pass

        def tree(self, query, router):
            return None

        def best_opponent(self, but):
            return next(name for name in ("task-sequence", "best-single") if name != but)

    def pair(one, other):
        raise InputError(f"{one.name} against {other.name}")

    monkeypatch.setattr(routers, "RunPolicies", Policies)
    monkeypatch.setattr(routers, "pair_section", pair)
    monkeypatch.setattr(hop_tree, "tree_section", lambda tree, models: Section({}))
    with pytest.raises(InputError, match=words):
        build_run_page(build_run_folder(tmp_path / "run", seeds=1), a=a, b=b)


def test_the_same_run_gives_the_same_page(run, html):
    assert build_report(run).read_text(encoding="utf-8") == html


def test_the_bare_contract_is_enough(no_paper, tmp_path):
    """Only what ARCHITECTURE names: no comparisons, templates, seeds, live routing; one learner, training return."""
    folder = build_run_folder(tmp_path / "run", live=False, seeds=1)

    def strip(value):
        for key in ("comparisons", "task_names", "money_unit", "cost_normaliser"):
            del value[key]
        value["live"] = None
        for row in value["policies"]:
            for key in ("seen_templates", "unseen_templates", "seeds"):
                row.pop(key, None)

    change(folder / "evaluation.json", strip)
    bare = metrics(1).query("learner == 'ppo'").assign(validation_return=float("nan"), validation_accuracy=float("nan"))
    bare.to_parquet(folder / "metrics.parquet")
    text = Page(build_report(folder).read_text()).text
    assert "Comparisons" not in text
    assert "without a paired interval" in text
    assert "Train return over" in text
    assert text.count("Live routing was not run.") == 2
