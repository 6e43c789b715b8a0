"""A run folder read for its report: what is wrong is one sentence, and its tables by hand."""

from pathlib import Path

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.report.data.run import curves_frame, flat, read_run, records, routes_frame, run_frames, seed_band
from hierrouter_jax.report.pages.run import build_report
from tests.report.page_reader import change
from tests.training.run_folder_fixture import build_run_folder, metrics


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
        ("evaluation.json", lambda value: value["comparisons"][0].pop("p_value"), "comparisons[0] has no 'p_value'"),
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


def test_the_band_over_seeds_by_hand():
    """Of 0, 1, 2, 9 the middle half is 1 and 2; the second step lacks a seed and is left out."""
    rows = [("ppo", seed, 10, value) for seed, value in enumerate((0.0, 1.0, 2.0, 9.0))]
    rows += [("ppo", seed, 20, value) for seed, value in enumerate((1.0, 1.0, float("nan"), 1.0))]
    frame = pd.DataFrame(rows, columns=["learner", "seed", "env_steps", "train_return"])
    band = seed_band(frame, "train_return")
    assert band.to_dict("records") == [
        {"env_steps": 10, "seeds": 4, "iqm": 1.5, "quartile_1": 0.75, "quartile_3": 3.75}
    ]
    curves = curves_frame(frame)
    assert curves[["learner", "metric", "iqm"]].to_dict("records") == [
        {"learner": "ppo", "metric": "train_return", "iqm": 1.5}
    ]
    assert seed_band(frame[frame["env_steps"] == 20], "train_return").empty


def test_nested_values_are_columns_and_unknown_ones_null_by_hand():
    row = flat({"name": "a", "cost": {"mean": 1.0, "mean_ci": [0.5, 1.5]}, "ci": (0, 1), "list": [1]})
    assert row == {"name": "a", "cost_mean": 1.0, "cost_mean_ci_low": 0.5, "cost_mean_ci_high": 1.5} | {
        "ci_low": 0,
        "ci_high": 1,
    }
    assert records(pd.DataFrame({"x": [0.1, float("nan")]})) == [{"x": 0.1}, {"x": None}]


def test_routes_are_rows_under_the_columns_of_their_router():
    tasks = {"sums": [{"route": ["m0", "m1"], "stopped": False, "share": 1.0}]}
    assert routes_frame([({"arm": "a", "cost_weight": 0.1}, tasks)]).to_dict("records") == [
        {"arm": "a", "cost_weight": 0.1, "task": "sums", "route": "m0 > m1", "stopped": False, "share": 1.0}
    ]


def test_costs_are_relative_to_the_cheapest_single_model(run):
    policies = run_frames(read_run(run))["policies"].set_index("name")
    assert policies.loc["reader", "relative_cost"] == 1.0
    assert policies.loc["ppo", "relative_cost"] == pytest.approx(31.20 / 9.10)
