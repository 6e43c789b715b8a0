"""The page of a leaderboard from a small file: costs relative to the cheapest model, and open ends of intervals."""

import json
from typing import Any

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.report.pages.leaderboard import build_leaderboard_page
from tests.report.page_reader import assert_self_contained


def policy(name: str, kind: str, accuracy: float, cost: float) -> dict[str, Any]:
    interval = {"accuracy_ci": [accuracy - 0.1, accuracy + 0.1], "cost_ci": [cost, cost]}
    point = {"cost_weight": 0.0, "accuracy": accuracy, "cost": cost, "return": accuracy, "return_ci": [0.0, 1.0]}
    return {"name": name, "kind": kind, "may_stop": False, "tried": 1, "hops": 1.0, "repaired": 0.0, "damaged": 0.0} | {
        **point,
        **interval,
        "accuracy_by_split": [accuracy],
        "aiq": {"value": 0.5, "ci": [0.4, None]},
        "hypervolume": None,
        "per_task": {"sums": {"accuracy": accuracy, "accuracy_ci": [0.0, 1.0], "cost": cost, "queries": 20}},
        "points": [{**point, **interval}],
        "ours_against": None,
    }


def board() -> dict[str, Any]:
    rows = [policy("ours", "learned", 0.8, 3.0), policy("m1", "single", 0.6, 4.0), policy("m0", "single", 0.5, 2.0)]
    against = {"opponent": "m1", "metric": "accuracy", "difference": 0.2, "ci": [0.1, 0.3], "p_value": 0.01}
    against |= {"p_holm": 0.02, "verdict": "better", "relative_cost": 0.75}
    rows[0]["chosen"], rows[1]["ours_against"] = {"exact": 1}, against
    split = {"kind": "random", "count": 1, "train": 40, "validation": 10, "test": 20, "seed": 0}
    return {
        "name": "sums",
        "split": split | {"duplicate_queries": 0, "unanswered_queries": 0},
        "left_out": {},
        "table": {"fingerprint": "f", "queries": 60, "tested": 20, "horizon": 1, "tasks": ["sums"], "encoder": {}}
        | {"pool": [{"name": name, "price_in": 1.0, "price_out": 1.0, "parameters": None} for name in ("m0", "m1")]},
        "money_unit": "credits",
        "cost_weights": [0.0],
        "cost_normaliser": 2.0,
        "reference": {"cost": 4.0, "accuracy": 0.0, "cost_range": [2.0, 4.0]},
        "co_failure": {"value": 0.1, "ci": [0.05, 0.2]},
        "policies": rows,
        "comparisons": [against],
        "headline": {"sentence": "Ours is first.", "standing": "first", "place": 1, "leader": "m1", "counts": {}},
    }


def test_the_page_ranks_and_every_number_lies_beside_it(tmp_path):
    (tmp_path / "leaderboard.json").write_text(json.dumps({"boards": [board()], "record": {"seed": 0}}))
    page = assert_self_contained(build_leaderboard_page(tmp_path).read_text(encoding="utf-8"))
    assert "sums: Ours is first." in page.text
    assert "1.50" in page.text  # 3 over the 2 of the cheapest model
    assert "40.0 to open" in page.text
    policies = pd.read_csv(tmp_path / "data" / "policies.csv").set_index("name")
    assert policies.loc["ours", ["accuracy_low", "accuracy_high"]].tolist() == pytest.approx([0.7, 0.9])
    compared = pd.read_csv(tmp_path / "data" / "comparisons.csv").iloc[0]
    assert (compared["table"], compared["low"], compared["verdict"]) == ("sums", 0.1, "better")


@pytest.mark.parametrize("key", ["boards", "record"])
def test_a_file_without_a_part_is_refused_by_its_name(tmp_path, key):
    whole = {"boards": [board()], "record": {}}
    del whole[key]
    (tmp_path / "leaderboard.json").write_text(json.dumps(whole))
    with pytest.raises(InputError, match=rf"leaderboard\.json has no '{key}'"):
        build_leaderboard_page(tmp_path)


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda board: board.pop("table"), "boards[0] has no 'table'"),
        (lambda board: board["split"].pop("count"), "boards[0].split has no 'count'"),
        (lambda board: board.update(policies=[]), "boards[0]: 'policies' is empty"),
        (lambda board: board.update(cost_weights=[]), "boards[0]: 'cost_weights' is empty"),
        (lambda board: board["policies"][1].pop("cost_ci"), "boards[0].policies[1] has no 'cost_ci'"),
        (
            lambda board: board["policies"][2]["per_task"].update(sums={}),
            "policies[2].per_task['sums'] has no 'accuracy'",
        ),
        (lambda board: board["policies"][0].pop("chosen"), "boards[0].policies[0] has no 'chosen'"),
        (lambda board: board["policies"][1]["ours_against"].pop("verdict"), "ours_against has no 'verdict'"),
        (lambda board: board.update(controls={"sentence": ""}), "boards[0].controls has no 'rows'"),
    ],
)
def test_a_board_without_a_field_is_refused_by_its_place(tmp_path, edit, place):
    whole = board()
    edit(whole)
    (tmp_path / "leaderboard.json").write_text(json.dumps({"boards": [whole], "record": {}}))
    with pytest.raises(InputError, match=r"leaderboard\.json: boards") as caught:
        build_leaderboard_page(tmp_path)
    assert place in str(caught.value)
