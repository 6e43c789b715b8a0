"""The report of a run: its numbers come from the run's files, its words from the numbers, and it needs no network."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from hierrouter_jax.errors import InputError
from hierrouter_jax.report import formats
from hierrouter_jax.report.data import transcripts
from hierrouter_jax.report.data.headlines import headlines, live_sentence, verdict
from hierrouter_jax.report.figures import routes
from hierrouter_jax.report.figures.palette import COLOUR, DARK
from hierrouter_jax.report.figures.plane import pareto
from hierrouter_jax.report.pages.run import build_report
from tests.report.page_reader import Page, change
from tests.training.run_folder_fixture import MODELS, TASKS, build_run_folder, evaluation, metrics

FIGURES = ("cost_accuracy", "learning_curves", "routes")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = build_run_folder(tmp_path_factory.mktemp("runs") / "quickstart")
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def html(run) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def no_paper(monkeypatch):
    """Nothing is drawn for paper, which takes longer than the page."""
    monkeypatch.setattr(routes, "paper_files", lambda _: {})


@pytest.fixture
def numbers() -> dict:
    return evaluation()


def policy(numbers: dict, name: str) -> dict:
    return next(row for row in numbers["policies"] if row["name"] == name)


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
    change(folder / "evaluation.json", lambda value: policy(value, "task-sequence").update(accuracy=0.6127))
    change(folder / "behaviour.json", lambda value: value["policies"]["ppo"]["routes"].pop("fact-to-words"))
    change(folder / "run.json", lambda value: value.update(seed=4711))
    text = Page(build_report(folder).read_text()).text
    assert "61.3" in text
    assert "66.3" not in text
    assert "4711" in text
    assert "64 %" not in text  # the share of a route that is gone


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


def test_figures_lie_beside_the_page_light_and_dark_at_the_size_of_print(run):
    files = {path.name: path for path in (run / "figures").iterdir()}
    assert files.keys() == {f"{name}{end}" for name in FIGURES for end in (".png", ".svg", ".dark.png", ".dark.svg")}
    for name in FIGURES:
        light, dark = (files[f"{name}{end}"].read_text() for end in (".svg", ".dark.svg"))
        assert 'width="7in"' in light
        assert COLOUR["ink"] in light
        assert not any(colour in dark for colour in DARK)
        with Image.open(files[f"{name}.png"]) as one, Image.open(files[f"{name}.dark.png"]) as other:
            assert one.size == other.size
            assert one.size[0] == pytest.approx(7 * one.info["dpi"][0], abs=2)
            assert sum(one.convert("RGB").getpixel((2, 2))) > 700 > 150 > sum(other.convert("RGB").getpixel((2, 2)))


def test_every_number_lies_beside_the_page(run, html, numbers):
    linked = Page(html).linked
    assert all((run / link).is_file() for link in linked)
    assert {f"data/{path.name}" for path in (run / "data").iterdir()} | {"report.json"} <= set(linked)
    tables = json.loads((run / "report.json").read_text())["tables"]
    for written in (pd.read_csv(run / "data" / "policies.csv"), pd.DataFrame(tables["policies"])):
        frame = written.set_index("name")
        for row in numbers["policies"]:
            for field in ("accuracy", "cost", "hops", "repaired", "damaged", "return", "oracle_gap_recovered"):
                assert frame.loc[row["name"], field] == pytest.approx(row[field], rel=1e-12)
            assert frame.loc[row["name"], "accuracy_ci_low"] == row["accuracy_ci"][0]
    per_task = pd.read_csv(run / "data" / "per_task.csv").set_index(["policy", "task"])
    assert (
        per_task.loc[("ppo", "fact-to-words"), "accuracy"]
        == policy(numbers, "ppo")["per_task"]["fact-to-words"]["accuracy"]
    )
    routes = pd.read_csv(run / "data" / "routes.csv")
    assert routes.groupby(["policy", "task"])["share"].sum().to_numpy() == pytest.approx(1, abs=0.011)
    compared = pd.read_csv(run / "data" / "comparisons.csv")
    assert compared["difference"].tolist() == [row["difference"] for row in numbers["comparisons"]]


def test_a_router_that_is_told_a_cost_weight_shows_its_front(no_paper, tmp_path):
    folder = build_run_folder(tmp_path / "run", seeds=1)
    points = [
        {"cost_weight": w, "budget": None, "accuracy": 0.5 - w, "cost": 80 - 10 * w, "return": 0.1} for w in (0.1, 0.2)
    ]
    change(folder / "evaluation.json", lambda value: policy(value, "ppo").update(front=points))
    page = build_report(folder).read_text()
    assert "A coloured line is one router under a range" in page
    assert pd.read_csv(folder / "data" / "fronts.csv")["accuracy"].tolist() == [0.4, 0.3]


def test_the_front_is_what_nothing_beats_for_less():
    assert pareto([(3, 0.5), (1, 0.2), (2, 0.5), (2, 0.4), (4, 0.9)]) == [(1, 0.2), (2, 0.5), (4, 0.9)]


def test_the_same_run_gives_the_same_page(run, html):
    assert build_report(run).read_text(encoding="utf-8") == html


def test_the_bare_contract_is_enough(no_paper, tmp_path):
    """Only what docs/files.md promises: no comparisons, templates, seeds or live routing; one learner, its return."""
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


@pytest.mark.parametrize("name", ["evaluation.json", "metrics.parquet", "behaviour.json", "run.json"])
def test_a_missing_or_broken_file_is_one_sentence(tmp_path, name):
    folder = build_run_folder(tmp_path / "run", seeds=1)
    (folder / name).write_bytes(b"{ not a file of this kind")
    assert_one_sentence(folder, name)
    (folder / name).unlink()
    assert_one_sentence(folder, name)


def test_a_missing_run_is_one_sentence(tmp_path):
    assert_one_sentence(tmp_path / "nowhere", "nowhere")


@pytest.mark.parametrize(
    ("name", "edit", "place"),
    [
        ("evaluation.json", lambda value: value["policies"][3].pop("accuracy"), "policies[3] has no 'accuracy'"),
        ("evaluation.json", lambda value: value["policies"][0].update(accuracy=95.2), "(ppo) has accuracy 95.2"),
        ("evaluation.json", lambda value: value.update(policies=[]), "'policies' is empty"),
        ("evaluation.json", lambda value: value["comparisons"][1].pop("ci"), "comparisons[1] has no 'ci'"),
        ("behaviour.json", lambda value: value["policies"]["ppo"].pop("routes"), "policies['ppo'] has no 'routes'"),
        ("live.json", lambda value: value["transcripts"]["ppo"][0].pop("gold"), "['ppo'][0] has no 'gold'"),
        ("run.json", lambda value: value.pop("seconds"), "no 'seconds'"),
    ],
)
def test_a_missing_field_is_named_with_its_place(tmp_path, name, edit, place):
    folder = build_run_folder(tmp_path / "run", seeds=1)
    change(folder / name, edit)
    assert_one_sentence(folder, name, place)


def test_a_missing_column_is_named(tmp_path):
    folder = build_run_folder(tmp_path / "run", seeds=1)
    metrics(1).drop(columns="env_steps").to_parquet(folder / "metrics.parquet")
    assert_one_sentence(folder, "metrics.parquet", "env_steps")


def assert_one_sentence(folder: Path, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        build_report(folder)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message
    assert message.count(". ") == 0
    assert not (folder / "report.html").exists()


def test_the_headline_follows_the_interval(numbers):
    numbers["policies"] = [row for row in numbers["policies"] if row["name"] != "ppo"]
    opponent = "task-sequence+stop"
    comparison = next(c for c in numbers["comparisons"] if (c["policy"], c["opponent"]) == ("ppo+stop", opponent))
    won = headlines(numbers)[0]
    assert "answers 95.8\u202f% of 600 test queries right, 24.3 points more than task-sequence+stop" in won
    assert "interval +20.5 to +28.2" in won
    assert "at 0.97 times its cost and 2.48 times the cost of reader" in won
    comparison.update(difference=-0.031, ci=[-0.05, -0.012])
    assert "3.1 points fewer than" in headlines(numbers)[0]
    assert "so it loses to it" in headlines(numbers)[0]
    comparison.update(difference=0.007, ci=[-0.02, 0.034])
    assert "differs by +0.7 points" in headlines(numbers)[0]
    assert "which is undecided" in headlines(numbers)[0]


def test_the_headline_never_hides_a_better_blind_opponent(numbers):
    policy(numbers, "task-sequence").update(accuracy=0.97)
    sentence = next(text for text in headlines(numbers) if "router ppo+stop answers" in text)
    assert "1.2 points fewer than task-sequence, the best opponent" in sentence
    assert "without a paired interval" in sentence


def test_a_fixed_router_is_held_against_its_own_moves_and_told_of_better_ones(numbers):
    def sentence():
        return next(text for text in headlines(numbers) if "router ppo answers" in text)

    against = "28.8 points more than task-sequence, the best opponent that does not look at the responses and makes as"
    assert against in sentence()
    assert "with fewer hops" not in sentence()
    policy(numbers, "task-sequence+stop").update(accuracy=0.96)
    assert sentence().endswith("; task-sequence+stop, with fewer hops, answers 96.0\u202f%.")


def test_a_run_without_a_learned_router_claims_none(numbers):
    numbers["policies"] = [row for row in numbers["policies"] if row["kind"] != "learned"]
    best = "task-sequence+stop answers 71.5\u202f% of 600 test queries right."
    assert headlines(numbers) == [f"No learned router was evaluated; {best}"]


@pytest.mark.parametrize(
    ("interval", "word"),
    [((0.01, 0.03), "better"), ((-0.03, -0.01), "worse"), ((-0.005, 0.02), "tied"), ((-0.02, 0.02), "undecided")],
)
def test_verdicts_by_hand(interval, word):
    assert verdict({"ci": interval}) == word


def test_live_disagreement_is_said(numbers):
    assert "600 of 600 queries took the table\u2019s route and 600 of 600 got" in live_sentence(numbers)
    numbers["live"]["responses_equal"] = 598
    assert "and 598 got its responses: the table does not" in live_sentence(numbers)


def test_transcripts_are_chosen_for_what_they_show():
    def one(task, stopped, *responses):
        hops = [{"model": "reader", "response": response} for response in responses]
        last = responses[-1]
        ending = {"stopped": stopped, "answer": last, "quality": float(last == "14")}
        return {"task": task, "gold": "14", "hops": hops, **ending}

    plain = [one("a", False, "14", "14") for _ in range(5)]
    repaired, damaged = one("a", False, "7-5", "14"), one("b", False, "14", "fourteen")
    stopped = one("a", True, "14")
    chosen = transcripts.choose([*plain, repaired, damaged, stopped], count=3)
    assert damaged in chosen
    assert repaired in chosen
    assert stopped in chosen
    assert transcripts.notes(repaired) == ["repaired on the way"]
    assert transcripts.notes(damaged) == ["damaged on the way"]
    assert transcripts.notes(stopped) == ["stopped after 1 hop"]


def test_numbers_read_well():
    assert [formats.percent(value) for value in (0.95166, None, -0.0001, -0.2)] == ["95.2", "–", "0.0", "−20.0"]
    assert [formats.multiple(value) for value in (3.428, 34.28, 342.8, None)] == ["3.43", "34.3", "343", "–"]
    assert [formats.signed_points(value) for value in (0.2884, -0.0134, 0.0001)] == ["+28.8", "−1.3", "0.0"]
    assert [formats.p_value(value) for value in (0.0001, 0.41, None)] == ["< 0.001", "0.410", "–"]
    assert [formats.probability(value) for value in (0.999, 0.98, 1.0)] == ["> 0.99", "0.98", "1.00"]


def test_the_co_failure_ceiling_is_what_some_model_gets_right(numbers):
    accuracy, (low, high) = formats.co_failure_ceiling(numbers)
    assert (accuracy, low, high) == pytest.approx((0.4533, 0.4133, 0.4933))
