"""The verb `loop`: what it writes and prints, and what it refuses."""

import json

import pytest

from hierrouter_jax.baselines.problem import returns
from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.studies import loop
from hierrouter_jax.studies.choice import bundle_ends
from hierrouter_jax.studies.named_policy import named_policy
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


def test_what_was_played_is_not_played_again(tmp_path, capsys, monkeypatch):
    """One seed, then two of them: as if there had been two from the start; other settings are refused."""
    save_table(random_table(queries=60), tmp_path / "table")
    command = ["loop", str(tmp_path / "table"), "--best", "best-sequence", *SMALL, "--out"]
    assert main([*command, str(tmp_path / "two")]) == 0
    assert main([*command, str(tmp_path / "one"), "--seeds", "1"]) == 0
    assert "training" in capsys.readouterr().err  # the bar
    real = loop.run_loop

    def once(*arguments):
        assert arguments[4] == 1, "seed 0 is played again"
        return real(*arguments)

    monkeypatch.setattr(loop, "run_loop", once)
    assert main([*command, str(tmp_path / "one")]) == 0
    assert read_json(tmp_path / "one" / "loop.json") == read_json(tmp_path / "two" / "loop.json")
    assert main([*command, str(tmp_path / "one"), "--every", "50"]) == 2
    assert "holds another loop (loop.every is 100 there, but 50 here)" in capsys.readouterr().err
    path = tmp_path / "one/plays/thompson-0.json"
    path.write_text(path.read_text().replace("1", "2", 1))
    assert main([*command, str(tmp_path / "one")]) == 2
    assert str(path) in capsys.readouterr().err


def test_an_interrupted_loop_says_what_it_keeps_and_goes_on(tmp_path, capsys, monkeypatch):
    save_table(random_table(queries=60), tmp_path / "table")
    command = ["loop", str(tmp_path / "table"), "--best", "best-sequence", *SMALL, "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patched:
        patched.setattr(loop, "online_ppo", interrupted)
        assert main(command) == 130
    assert f"{tmp_path / 'out'} keeps the finished loops, run the same command again" in capsys.readouterr().err
    assert not (tmp_path / "out/loop.json").exists()
    monkeypatch.setattr(loop, "run_loop", None)
    assert main(command) == 0
    assert (tmp_path / "out/loop.json").exists()


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("exported", [True, False])
def test_regret_is_counted_at_the_cost_weight_that_is_learned_for(exported, tmp_path):
    """Whatever the cost weight that the best fixed policy was made at."""
    table = random_table(queries=60)
    save_table(table, tmp_path / "table")
    bundle = named_policy("best-sequence", table, 0.01 if exported else 0.5)
    bundle.save(tmp_path / "best")
    best = str(tmp_path / "best") if exported else "best-sequence"
    short = ["--opponents", "false", *SMALL, "--episodes", "60", "--every", "60", "--seeds", "1"]
    command = ["loop", str(tmp_path / "table"), "--best", best, "--out", str(tmp_path / "out"), *short]
    assert main([*command, "--train.hyper.reward.hop_cost", "0.5"]) == 0
    train = table.split("train")
    value = returns(train, bundle_ends(bundle, train), 0.5 / bundle.cost_normaliser)
    assert read_json(tmp_path / "out" / "loop.json")["references"]["best fixed"] == pytest.approx(value)


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
