"""The verb `loop`: what it writes and prints, and what it refuses."""

import json

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from tests.tables import random_table

SMALL = ["--train.num_seeds", "1", "--train.features", "4", "--train.static.num_updates", "5"]
SMALL += ["--train.static.num_envs", "32", "--episodes", "200", "--every", "100", "--seeds", "2"]


def test_every_player_is_counted_at_every_training(tmp_path, capsys):
    save_table(random_table(queries=60), tmp_path / "table")
    out = tmp_path / "out"
    assert main(["loop", str(tmp_path / "table"), "--best", "best-sequence", "--out", str(out), *SMALL]) == 0
    printed = capsys.readouterr().out
    record = read_json(out / "loop.json")
    assert set(record["players"]) == {"loop", "thompson", "epsilon-greedy", "ppo"}
    assert all(name in printed for name in record["players"])
    assert record["players"]["loop"]["episodes"] == [100, 200]
    for one in record["players"].values():
        for curves in one["regret"].values():
            assert len(curves) == 2
            assert all(len(curve) == len(one["episodes"]) for curve in curves)
    assert record["references"]["oracle"] >= record["references"]["best fixed"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--explore", "sometimes"], "explore is 'sometimes'"),
        (["--level", "1.5"], "level"),
        (["--seeds", "0"], "seeds"),
    ],
)
def test_what_cannot_be_played(options, words, tmp_path, capsys):
    assert main(["loop", str(tmp_path), *options]) == 2
    assert words in capsys.readouterr().err


def test_json_for_machines(tmp_path, capsys):
    save_table(random_table(queries=60), tmp_path / "table")
    command = ["loop", str(tmp_path / "table"), "--best", "best-sequence", "--out", str(tmp_path / "out"), "--json"]
    assert main([*command, "--opponents", "false", *SMALL]) == 0
    assert set(json.loads(capsys.readouterr().out)["players"]) == {"loop"}
