"""Comparisons are refused in one sentence where they are wrong, and presets load."""

from pathlib import Path

import pytest

from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.cli.main import main, parse
from hierrouter_jax.config import config_path, from_dict, load_yaml
from hierrouter_jax.errors import InputError
from hierrouter_jax.studies.compare.config import Arm, CompareConfig, Tuning, drawn_settings, resolve

TABLE = Path("tables/mine")


def resolved(arm: dict, **config):
    return resolve(CompareConfig({"plain": Arm(), "mine": from_dict(Arm, arm, "arms.mine")}, TABLE, **config))[1]


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"rewards": "paper"}, "arms.mine: rewards is not a field; did you mean reward"),
        ({"learner": "pop"}, "arms.mine: learner 'pop' is unknown; did you mean ppo"),
        ({"reward": "papre"}, "arms.mine: reward is no preset .*papre.yaml: no such file.*reward/paper.yaml"),
        ({"reward": {"qualty_gain": 1.0}}, "arms.mine: reward: qualty_gain is not a field; did you mean quality_gain"),
        ({"cost_term": "hop_costs"}, "arms.mine: cost_term is 'hop_costs', .*did you mean hop_cost"),
        ({"reward": {"log_cost": 1.0}, "cost_term": "log_cost"}, "arms.mine: cost_term is log_cost, so say in reward"),
        ({"cost_scale": 0}, "arms.mine: cost_scale is 0.0, but must be a finite number above 0"),
        ({"static": {"epoch": 2}}, "arms.mine: static: epoch is not a field; did you mean epochs"),
        ({"static": {"algorithm": "ppo"}}, "static.algorithm is set by the learner's name"),
        ({"static": {"budgeted": True}}, "one policy a cost weight"),
        ({"hyper": {"learning_rte": 1}}, "arms.mine: learning_rte is not a number of the learner; did you mean"),
        ({"hyper": {"clip": "much"}}, "arms.mine: hyper.clip holds 'much', but must hold numbers"),
        (
            {"tune": {"clip": "log(0, 1)"}},
            r"arms.mine: clip is 'log\(0, 1\)': a logarithmic range needs",
        ),
        ({"tune": {"clip": "around(0, 1)"}}, r"arms.mine: clip is 'around\(0, 1\)', but a range is log\(low, high\)"),
        (
            {"log": {"policy": "softmax:0"}},
            "arms.mine: log.*policy is 'softmax:0', but must be softmax:T with",
        ),
        ({"tune": {"reward.hop_cost": [0.1, 1]}}, "reward.hop_cost cannot be tuned, because the cost weight sets it"),
    ],
)
def test_a_wrong_arm_is_named_with_its_field(arm, message):
    with pytest.raises(InputError, match=message) as error:
        resolved(arm)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arms": {"one": Arm()}}, "at least two arms"),
        ({"arms": {"a": Arm(), "b/c": Arm()}}, "'b/c' is no name"),
        ({"arms": {"a": Arm(), "..": Arm()}}, "'..' is no name; .* with no . first"),
        ({"table": None}, "table is missing"),
        ({"split": "dev"}, "split is 'dev'"),
        ({"cost_weights": (0.1, 0.1)}, "cost_weights must be one or more different numbers"),
        ({"cost_weights": (-0.1,)}, "but must be a finite number of at least 0"),
        ({"seeds": 0}, "seeds is 0"),
    ],
)
def test_a_wrong_comparison_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        CompareConfig(**({"arms": {"a": Arm(), "b": Arm()}, "table": TABLE} | wrong))


def test_equal_budgets_need_a_space_for_every_arm():
    with pytest.raises(InputError, match=r"arms\.mine: tuning\.draws is 4, but there is no space"):
        resolved({"tune": {}}, tuning=Tuning(draws=4, space={"clip": [0.1, 0.2]}))


def test_an_arm_is_the_base_with_what_it_says():
    weights = {"hop_cost": 0.0, "log_cost": 1.0}
    arm = resolved({"reward": weights, "cost_term": "log_cost", "cost_scale": 2.0, "hyper": {"clip": "1e-1"}})
    hyper = arm.at(0.25, {"entropy": 0.5})
    assert (hyper.reward.log_cost, hyper.reward.hop_cost, hyper.clip, hyper.entropy) == (0.5, 0.0, 0.1, 0.5)
    assert arm.settings.learner == "exact+stop"
    assert resolved({"learner": "ppo"}).settings.static.allow_stop is False


def test_a_space_is_read_as_it_is_written():
    settings = drawn_settings({"clip": "uniform(0.1, 0.3)"}, 5, LearnerHyper(), "reward.hop_cost")
    assert settings[0] == {}
    assert len({one["clip"] for one in settings[1:]}) == 4
    assert all(0.1 <= one["clip"] <= 0.3 for one in settings[1:])


def test_the_costs_scale_is_tuned_by_its_own_name():
    """An arm whose reward is larger than the paper's may find out itself how much cost has to weigh in it."""
    arm = resolved({"tune": {"cost_scale": [4.0]}}, tuning=Tuning(draws=2, space={"clip": [0.1]}))
    settings = drawn_settings(arm.space, 2, arm.settings.hyper, arm.leaf)
    assert settings == [{}, {"cost_scale": 4.0}]
    assert [arm.at(0.25, one).reward.hop_cost for one in settings] == [0.25, 1.0]


@pytest.mark.parametrize("preset", ["rewards", "learners"])
def test_presets_load(preset):
    function, options = parse("compare", ["tables/mine", "--config", f"compare/{preset}.yaml"])
    assert function.__name__ == "compare"
    config = options["config"]
    assert config.table == TABLE
    arms = resolve(config)
    assert [arm.name for arm in arms] == list(load_yaml(config_path(f"compare/{preset}.yaml"))["arms"])
    if preset == "rewards":
        assert len({arm.settings.static for arm in arms}) == 1
        assert len({str(arm.at(0.1)) for arm in arms}) == 6
        assert len(arms) * len(config.cost_weights) * config.seeds == 300


def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("arms: {plain: {}, mine: {cost_term: money}}\n")
    command = ["compare", str(tmp_path), "--config", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "arms.mine: cost_term is 'money', which is no reward term" in capsys.readouterr().err
    assert main(["compare", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["hierrouter: error: a comparison needs at least two arms; the first is the baseline"]
    assert not (tmp_path / "out").exists()
