"""The page of a loop: what every player reached, by hand, and what a file must hold."""

import json

import pandas as pd
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.report.build import build_page
from tests.report.page_reader import assert_self_contained


def player(accuracies, regrets):
    rounds = [[{"episodes": 100 * (at + 1), "accuracy": one} for at, one in enumerate(its)] for its in accuracies]
    return {"rounds": rounds, "episodes": [100, 200], "regret": {"oracle": regrets}}


def page(folder, players):
    record = {"episodes": 200, "references": {"oracle": 0.9}, "players": players}
    (folder / "loop.json").write_text(json.dumps(record))
    return assert_self_contained(build_page([folder]).read_text(encoding="utf-8")).text


def test_a_page_has_the_mean_and_interval_over_seeds(tmp_path):
    """Regrets 60, 70 and 80: mean 70, and 4.303 x 10 / sqrt(3) = 24.84 around it."""
    loop = player([[0.3, 0.8], [0.5, 0.9], [0.4, 1.0]], [[50, 60], [60, 70], [70, 80]])
    text = page(tmp_path, {"loop": loop, "thompson": player([[None, 0.5]] * 3, [[90, 1180]] * 3)})
    assert "After 200 episodes the loop answers 90.0" in text
    assert "would have earned more until then: loop 70, thompson 1,180" in text
    assert "45 to 95" in text
    curves = pd.read_csv(tmp_path / "data" / "curves.csv").set_index(["player", "of", "episodes"])
    assert curves.loc[("loop", "oracle", 200), "high"] == pytest.approx(94.84, abs=0.01)
    assert curves.loc[("loop", "accuracy", 100), "mean"] == pytest.approx(0.4)
    assert (tmp_path / "figures" / "loop.svg").is_file()


def test_one_seed_has_no_interval(tmp_path):
    assert "t-intervals" not in page(tmp_path, {"loop": player([[None, 0.5]], [[90, 100]])})


def test_a_file_that_is_no_loop_is_refused(tmp_path):
    (tmp_path / "loop.json").write_text('{"episodes": 3}')
    with pytest.raises(InputError, match="references"):
        build_page([tmp_path])
    with pytest.raises(InputError, match="'rounds'"):
        page(tmp_path, {"loop": {}})
    whole = player([[0.3, 0.8]], [[50, 60]])
    for players, words in (
        ({}, "'players' is empty"),
        ({"loop": whole | {"rounds": []}}, "player 'loop': 'rounds' is empty"),
        ({"loop": whole, "thompson": whole | {"regret": {}}}, "player 'thompson': 'regret' is empty"),
        ({"loop": whole | {"regret": {"best": [[50, 60]]}}}, "player 'loop': 'regret' has no 'oracle'"),
        ({"loop": whole | {"rounds": [[{}, {}]]}}, r"player 'loop': rounds\[0\]\[0\] has no 'accuracy'"),
    ):
        with pytest.raises(InputError, match=rf"loop\.json: {words}"):
            page(tmp_path, players)
