"""A comparison read for its page: every number lies beside it, and what is wrong is named by its place."""

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.report.data.compare import CompareFiles, point_at
from hierrouter_jax.report.pages.compare import build_compare_page
from tests.report.page_reader import change
from tests.studies.compare_fixture import SMALL, build_compare_folder, comparison


def read_csv(path):
    return pd.read_csv(path, float_precision="round_trip")


def test_every_number_of_a_comparison_lies_beside_its_page(compared):
    wanted, frames = comparison(**SMALL), {path.stem: read_csv(path) for path in (compared / "data").iterdir()}
    points = frames["points"].set_index(["arm", "cost_weight"])
    for arm in wanted["arms"]:
        for point in arm["points"]:
            row = points.loc[(arm["name"], point["cost_weight"])]
            assert row["accuracy_mean"] == point["accuracy"]["mean"]
            assert [row["cost_mean_ci_low"], row["cost_mean_ci_high"]] == point["cost"]["mean_ci"]
    assert frames["comparisons"]["difference"].tolist() == [row["difference"] for row in wanted["comparisons"]]
    assert frames["comparisons"]["verdict"].tolist() == [row["verdict"] for row in wanted["comparisons"]]
    assert frames["per_seed"].shape[0] == 3 * 2 * 4
    assert frames["curves"].shape[0] == 3 * 2 * 8 * 2
    assert frames["routes"].groupby(["arm", "cost_weight", "task"])["share"].sum().to_numpy() == pytest.approx(1)
    assert frames["arms"].set_index("name").loc["plain", "hypervolume_value"] == 0.44


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda value: value.pop("claims"), "no 'claims'"),
        (lambda value: value["arms"][1]["points"][2].pop("curve"), "arms[1].points[2] has no 'curve'"),
        (lambda value: value["comparisons"][0].pop("verdict"), "comparisons[0] has no 'verdict'"),
        (lambda value: value.update(arms=[]), "'arms' is empty"),
    ],
)
def test_a_comparison_without_a_field_is_refused_by_its_place(tmp_path, edit, place):
    folder = build_compare_folder(tmp_path / "rewards", seeds=2)
    change(folder / "compare.json", edit)
    with pytest.raises(InputError, match=r"compare\.json") as caught:
        build_compare_page(folder)
    assert place in str(caught.value)


def test_what_a_page_shows_of_a_comparison():
    files = CompareFiles("rewards", comparison(**SMALL))
    assert (files.shown_weight, files.baseline) == (0.03, "plain")
    assert files.unit == (11.2, "speller")  # the cheapest model that is called once
    assert files.models == ["reader", "calculator", "speller"]
    assert {row["metric"] for row in files.family("secondary")} == {"aiq", "accuracy at matched cost"}
    assert point_at(files.compare["arms"][0], 0.03)["cost_weight"] == 0.03
    assert point_at(files.compare["arms"][0], 7.0) is None
