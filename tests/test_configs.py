"""Every preset of configs/ loads into what it is a preset of; a mistyped key is refused with its right name."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from hierrouter_jax.bridge.forecast import load_assumptions
from hierrouter_jax.bridge.pool import load_pool, load_prompt
from hierrouter_jax.bridge.tasks import load_mix, load_task
from hierrouter_jax.cli.main import VERBS, main, parse
from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.costs import read_prices

CONFIGS = Path(__file__).parents[1] / "configs"
PRESETS = sorted(CONFIGS.rglob("*.yaml"))
# What the presets of folders are that are no verbs.
LOADERS = {
    "assumptions": load_assumptions,
    "mix": lambda path: load_mix(str(path)),
    "pool": load_pool,
    "prompt": load_prompt,
    "task": lambda path: load_task(str(path)),
    "reward": lambda path: from_dict(RewardWeights, load_yaml(path), path),
    "prices": read_prices,
}


def load(path: Path, kind: str) -> Any:
    if kind in LOADERS:
        return LOADERS[kind](path)
    assert kind in VERBS, f"configs/{kind}: neither a verb nor in this test's LOADERS"
    return parse(kind, [*shlex.split(VERBS[kind][2])[1:], "--config", str(path)])


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.relative_to(CONFIGS).as_posix())
def test_a_preset_loads_says_why_it_exists_and_refuses_a_mistyped_key(path, tmp_path):
    kind = path.parent.name
    assert load(path, kind)
    assert path.read_text().startswith("# ")
    settings = load_yaml(path)
    key = max(settings, key=len)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({name + "x" * (name == key): value for name, value in settings.items()}))
    with pytest.raises(InputError, match=f"{key}x is not .*did you mean {key}"):
        load(wrong, kind)


def refused(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line.removeprefix("hierrouter: error: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.static.num_env: 3", "train.static.num_env is not an option; did you mean train.static.num_envs?"),
        ("train: {static: {num_env: 3}}", "train.static.num_env is not an option; did you mean num_envs?"),
        ("trian: {static: {num_envs: 3}}", "trian is not an option; did you mean train?"),
        ("train: {learning_rate: 3}", "train.learning_rate is not an option; did you mean train.hyper.learning_rate?"),
        ("train: {zzz: 3}", "train.zzz is not an option; known are checkpoint_every, features, hyper,"),
        ("train: {static: {num_envs: abc}}", "train.static.num_envs is 'abc', but must be a whole number"),
        ("train: {num_seeds: 1, num_seeds: 2}", "'num_seeds' occurs twice"),
    ],
)
def test_a_wrong_key_or_value_of_a_file_is_one_sentence_that_names_it(tmp_path, capsys, text, said):
    path = tmp_path / "bad.yaml"
    path.write_text(text + "\n")
    line = refused(capsys, "train", "tables/none", "--config", str(path))
    assert line.startswith(str(path))
    assert said in line


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "train t --train.static.num_env 3",
            "--train.static.num_env is not an option; did you mean --train.static.num",
        ),
        (
            "train t --train.static '{num_env: 3}'",
            "--train.static: train.static.num_env is not an option; did you mean",
        ),
        ("train t --train.static.num_envs x", "--train.static.num_envs is 'x', but must be a whole number"),
        ("train t --train.static.hidden 3", "--train.static.hidden is '3', but must be a list"),
        ("export a b --seed x", "--seed is 'x', but must be a whole number"),
        ("quickstart --pol x", "--pol is not an option; did you mean --pool?"),
        ("collect t --encoder.kind.zzz 3 --quries q", "--quries is not an option; did you mean --queries?"),
        ("train", "the following arguments are required: table"),
    ],
)
def test_a_wrong_option_is_one_sentence_that_names_it(capsys, command, said):
    assert said in refused(capsys, *shlex.split(command))
