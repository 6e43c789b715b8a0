"""A comparison end to end on a tiny table: its numbers the slow obvious way, interrupted, and refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from hierrouter_jax.cli.main import main
from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.studies.compare import run as of_compare
from hierrouter_jax.studies.compare.config import Arm
from hierrouter_jax.studies.compare.run import compare
from hierrouter_jax.sweeps.result import load_sweep
from hierrouter_jax.training.run_folder import RunFolder
from tests.studies.compare.tiny import ARMS, BASE, WEIGHTS, rerun


def test_the_rewards_differ_by_their_numbers_and_the_cost_weight_drives_the_named_term(config, result):
    sweep = load_sweep(config.out / "sweeps" / "0")
    assert sweep.frame["reward.quality_gain"].tolist() == [0.0] * 4 + [1.0] * 4
    assert sweep.frame["reward.hop_cost"].tolist() == [0.01, 0.01, 0.3, 0.3] * 2
    assert sweep.frame["seed"].tolist() == [0, 1] * 4
    assert result["arms"][1]["reward"]["quality_gain"] == 1.0
    assert {arm["cost_term"] for arm in result["arms"]} == {"hop_cost"}


def test_routes_stop_rates_and_the_frame_tell_the_same(config, result):
    frame = pd.read_parquet(config.out / "compare.parquet")
    assert len(frame) == 8
    for arm in result["arms"]:
        for point in arm["points"]:
            its = frame[(frame.arm == arm["name"]) & (frame.cost_weight == point["cost_weight"])]
            assert its.accuracy.tolist() == pytest.approx(point["accuracy"]["per_seed"])
            assert its.hops.mean() == pytest.approx(point["hops"])
            assert its.stop_rate.mean() == pytest.approx(point["stop_rate"]["all"])
            assert its[its.chosen].seed.tolist() == [point["chosen_seed"]]
            assert int(np.argmax(point["validation_return"])) == point["chosen_seed"]
            hops = [len(route["route"]) * route["share"] for routes in point["routes"].values() for route in routes]
            assert sum(hops) / len(point["routes"]) == pytest.approx(point["hops"])  # tasks are equally frequent here
            for routes in point["routes"].values():
                assert sum(route["share"] for route in routes) == pytest.approx(1)
                assert all(route["stopped"] == (len(route["route"]) < 3) for route in routes)
            assert point["curve"]["update"] == [2, 4]
            kept = np.max(point["curve"]["validation_accuracy"]["high"])
            assert 0 <= kept <= 1


def test_an_interrupted_comparison_goes_on_to_the_same_files(config, result, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(config.out, cut)
    for name in ("compare.json", "compare.parquet", "compare.csv", "run.json", "sweeps/0/sweep.parquet"):
        (cut / name).unlink()
    chunks = sorted((cut / "sweeps" / "0" / "chunks").iterdir())
    for path in chunks[1::2]:
        path.unlink()
    rerun(config, cut)
    for name in ("compare.json", "compare.parquet", "compare.csv"):
        assert (cut / name).read_bytes() == (config.out / name).read_bytes(), name
    assert read_json(cut / "sweeps" / "0" / "sweep.json")["last_run"]["trained"] == len(chunks) // 2


def test_a_folder_of_another_comparison_is_refused(config, result, tmp_path):
    for changes, message in (
        ({"seeds": 3}, "seeds is 2 there, but 3 here"),
        ({"arms": {"gain": ARMS["gain"], "plain": ARMS["plain"]}}, "order is"),
        ({"base": replace(BASE, features=5)}, "base.features is 6 there, but 5 here"),
    ):
        with pytest.raises(InputError, match=message):
            compare(replace(config, **changes), progress=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no comparison"):
        rerun(config, tmp_path)


def test_a_folder_of_another_split_encoder_or_pricing_is_refused(config, tmp_path):
    """What a log arm learned depends on them, though outcomes are the same. An older folder says nothing of them."""
    table, run = load_table(config.table), RunFolder(tmp_path)
    of_compare._begin(run, config, table)
    of_compare._begin(run, config, table)
    splits = tuple(replace(query, split={"train": "test"}.get(query.split, query.split)) for query in table.queries)
    others = {
        "splits": replace(table, queries=splits),
        "encoder": replace(table, encoder={"kind": "ngrams", "size": 9}),
        "embedding": replace(table, context_embedding=table.context_embedding + 1),
        "pool": replace(table, pool=tuple(replace(member, price_in=9.0) for member in table.pool)),
    }
    for field, other in others.items():
        assert other.fingerprint == table.fingerprint
        with pytest.raises(InputError, match=rf"holds another comparison \(identity\.{field}\."):
            of_compare._begin(run, config, other)
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del written["identity"]
    run.write_config(written)
    of_compare._begin(run, config, others["pool"])
    assert "identity" not in yaml.safe_load((tmp_path / "config.yaml").read_text())


def test_arms_that_are_the_same_are_tied(config, result, tmp_path):
    twice = {"zeta": Arm(), "alpha": Arm(reward={"terminal_quality": 1.0})}
    same = rerun(config, tmp_path / "same", arms=twice, cost_weights=(0.3,))
    assert [arm["name"] for arm in same["arms"]] == ["zeta", "alpha"]
    for row in same["comparisons"]:
        assert (row["difference"], row["ci"], row["p_value"], row["verdict"]) == (0.0, [0.0, 0.0], 1.0, "tied")
        assert row["probability_of_improvement"]["value"] == 0.5


def test_one_seed_claims_nothing_of_an_arm(config, result, tmp_path):
    alone = rerun(config, tmp_path / "alone", seeds=1)
    assert {row["verdict"] for row in alone["comparisons"]} == {"undecided"}
    assert alone["claims"][1].startswith("One seed allows no claim")
    assert result["claims"][1].startswith("With 2 seeds only very large differences")


def test_an_arm_that_diverges_is_judged_as_it_began_and_not_exported(config, result, tmp_path):
    """The first arm's runs, the first of the sweep among them, have no finite parameters after an update."""
    arms = {"wild": Arm(hyper={"learning_rate": 3e38}), "plain": Arm()}
    compared = rerun(config, tmp_path / "lost", arms=arms, cost_weights=(0.3,), export=True)
    wild, plain = (arm["points"][0] for arm in compared["arms"])
    assert (wild["diverged"], plain["diverged"]) == ([0, 1], [])
    assert wild["validation_return"] == [None, None]
    assert plain["cost"]["per_seed"] == pytest.approx(result["arms"][0]["points"][1]["cost"]["per_seed"])
    assert [path.name for path in (tmp_path / "lost" / "policies").iterdir()] == ["plain-0.3"]
    frame = pd.read_parquet(tmp_path / "lost" / "compare.parquet")
    assert frame.diverged.tolist() == [True, True, False, False]


@pytest.mark.extended
def test_the_command_line_asks_for_the_same_comparison_and_prints_it(config, result, tmp_path, capsys):
    """Found finished in its folder, so that it must be the same one."""
    base = to_dict(BASE)
    arms = {"plain": {}, "gain": {"reward": {"quality_gain": 1.0}}}
    options = {
        "table": "elsewhere",
        "arms": arms,
        "base": base,
        "cost_weights": list(WEIGHTS),
        "seeds": 2,
        "layout": "map",
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(options, sort_keys=False))
    command = ["compare", str(config.table), "--config", str(tmp_path / "mine.yaml"), "--out", str(config.out)]
    assert main([*command, "--resamples", "200", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result
    assert main([*command, "--resamples", "200"]) == 0
    printed = capsys.readouterr().out
    point = result["arms"][1]["points"][1]
    low, high = point["return"]["mean_ci"]
    assert f"{100 * point['return']['mean']:.1f} {100 * low:.1f}–{100 * high:.1f}" in printed
    assert "oracle_stop" in printed
    assert " ".join(result["claims"][0].split()) in " ".join(printed.split())
