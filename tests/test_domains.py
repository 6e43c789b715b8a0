"""Every number of every configuration has a domain, and a value outside is one sentence, however it is given."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from math import inf, nan
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.bridge.collect import Budget
from hierrouter_jax.bridge.forecast import load_assumptions
from hierrouter_jax.bridge.forecast.assumptions import StatedSize
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig, Sampling
from hierrouter_jax.bridge.tasks import MixConfig
from hierrouter_jax.bridge.tasks.config import Share, ShotsConfig
from hierrouter_jax.cli.main import VERBS, main
from hierrouter_jax.cli.parser import config_of
from hierrouter_jax.config import config_path, from_dict, to_dict
from hierrouter_jax.domains import COUNT, NATURAL, NONNEGATIVE, POSITIVE, REAL, SEED, SHARE, Domain, check_values
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import ImportOptions
from hierrouter_jax.policies.conditions import Range
from hierrouter_jax.quickstart import QuickstartConfig
from hierrouter_jax.studies.compare.config import Arm, CompareConfig, Tuning
from hierrouter_jax.studies.leaderboard.config import LeaderboardConfig, LearnerSpec
from hierrouter_jax.studies.partial import PartialConfig
from hierrouter_jax.sweeps.search.config import Halving, SweepConfig
from hierrouter_jax.training.settings import TrainConfig

MODEL = ModelConfig("m", "somewhere", max_new_tokens=4, base_rate=1.0)
# Every configuration that a verb reads, with all of its parts filled in.
CONFIGS = [
    TrainConfig(),
    LearnerHyper(reward=RewardWeights(custom={"mine.py:term": 1.0})),
    SweepConfig(Path("t"), space={"learning_rate": [0.1, 0.2]}, chunk=2, halving=Halving()),
    SweepConfig(Path("t"), space={"learning_rate": "log(0.1, 0.2)"}, draws=4),
    CompareConfig({"a": Arm(), "b": Arm()}, Path("t"), chunk=2, tuning=Tuning(space={"entropy": [0.1]})),
    LeaderboardConfig((Path("t"),), learners={"exact": LearnerSpec(features=8, seeds=2)}, workers=2),
    QuickstartConfig(),
    PartialConfig(),
    PoolConfig((MODEL,)),
    replace(MODEL, base_rate=None, price_in=1.0, price_out=2.0, positions=64),
    replace(MODEL, sampling=Sampling(0.5, 0.9, 5, 1)),
    replace(MODEL, source="", kind="openai", endpoint=Endpoint("http://here/v1", "m", requests_per_minute=5.0)),
    MixConfig({"gsm8k": Share(1, 1, 1, shots=2)}),
    ShotsConfig(1),
    replace(load_assumptions(config_path("assumptions/h100.yaml")), sizes={"x": StatedSize(1, 1, 1, 1)}),
    Budget(1.0, 1.0),
    ImportOptions(tokens_out=3),
]


def kinds(hint: Any) -> set[type]:
    """The plain types that may stand in a field, inside containers too."""
    if get_origin(hint) in (Union, UnionType) or get_origin(hint) in (tuple, list):
        return set().union(*(kinds(inside) for inside in get_args(hint)))
    if get_origin(hint) is not None:
        return kinds(get_args(hint)[-1])
    return {hint} if isinstance(hint, type) else set()


def leaves(config: Any, at: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Every field that may hold a number, of the configuration and of those inside it, with the class that has it."""
    for field in fields(config):
        value, hint = getattr(config, field.name), get_type_hints(type(config))[field.name]
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
        nested = [one for one in inside if is_dataclass(one)]
        for one in nested[:1]:
            key = next(iter(value)) if isinstance(value, dict) else 0 if isinstance(value, tuple) else None
            yield from leaves(one, (*at, (field.name, key)))
        if not nested and kinds(hint) & {int, float} - {bool}:
            yield (*at, (field.name, None)), config


LEAVES = {
    f"{type(config).__name__}: {'.'.join(name for name, _ in at)}": (config, at, owner)
    for config in CONFIGS
    for at, owner in leaves(config)
}


def domain_of(owner: Any, name: str) -> Domain:
    assert name in type(owner).DOMAINS, f"{type(owner).__name__}.{name} is a number without a domain"
    return type(owner).DOMAINS[name]


def outside(domain: Domain) -> list[float]:
    """Values that the domain does not hold, near its ends and far from them."""
    values: list[float] = [nan, inf, -inf]
    if domain.low > -inf:
        values += [domain.low - 1, -(10**9), *([domain.low] if domain.open_low else [])]
    if domain.high < inf:
        values += [domain.high + 1, 10**12, *([domain.high] if domain.open_high else [])]
    return values + ([domain.low + 0.5] if domain.whole else [])


def spoilt(data: Any, at: tuple, value: Any) -> Any:
    """Plain data with another value at a place; in a list or mapping of numbers, as its first."""
    (name, key), rest = at[0], at[1:]
    if rest:
        inside = data[name] if key is None else data[name][key]
        changed = spoilt(inside, rest, value)
        if key is None:
            return data | {name: changed}
        old = data[name]
        return data | {name: (old | {key: changed}) if isinstance(old, dict) else [changed, *old[1:]]}
    old = data[name]
    if isinstance(old, list):
        value = [value, *old[1:]]
    elif isinstance(old, dict):
        value = old | {next(iter(old), "task"): value}
    return data | {name: value}


def names(config: Any, at: tuple) -> Any:
    """The part of a configuration that a place lies in."""
    for name, key in at[:-1]:
        config = getattr(config, name) if key is None else getattr(config, name)[key]
    return config


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_number_of_every_configuration_refuses_what_is_outside_its_domain(leaf):
    config, at, owner = LEAVES[leaf]
    name = at[-1][0]
    domain = domain_of(owner, name)
    for value in outside(domain):
        integer = float not in kinds(get_type_hints(type(owner))[name])
        if not isinstance(config, ImportOptions):  # which no file holds
            with pytest.raises(InputError) as caught:  # as YAML and as JSON give it
                from_dict(type(config), spoilt(to_dict(config), at, value), "file.yaml")
            assert str(caught.value).startswith("file.yaml: ")
            assert name in str(caught.value)
        if integer and not float(value).is_integer():
            continue  # what is no whole number is of another type, and so says the message
        old = getattr(owner, name)
        new = (value, *old[1:]) if isinstance(old, tuple) else value
        new = {next(iter(old), "task"): [value] if name == "tune" else value} if isinstance(old, dict) else new
        with pytest.raises(InputError) as caught:  # as Python gives it
            replace(owner, **{name: new})
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert names(config, at) is owner


def test_the_leaves_are_those_of_all_configurations():
    assert len(LEAVES) > 150
    owners = {type(owner).__name__ for _, _, owner in LEAVES.values()}
    assert {"LearnerStatic", "LearnerHyper", "RewardWeights", "Range", "TrainConfig", "Endpoint", "Sampling"} <= owners


@pytest.mark.parametrize("verb", VERBS)
def test_every_number_that_a_verb_takes_has_a_domain(verb):
    config = config_of(verb)
    for name, hint in get_type_hints(config).items():
        if get_origin(hint) is not ClassVar and kinds(hint) & {int, float}:
            assert name in config.DOMAINS, f"{verb} --{name} is a number without a domain"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "T", "--train.seed", "-1"], "seed is -1, but must be a whole number of at least 0 and at most"),
        (["train", "T", "--train.seed", "4294967296"], "seed is 4294967296, but must be"),
        (["train", "T", "--train.seed", "2147483647", "--train.num_seeds", "2"], "seed is 2147483647, but must be at"),
        (
            ["train", "T", "--train.static.minibatches", "0"],
            "minibatches is 0, but must be a whole number of",
        ),
        (["train", "T", "--train.static.evaluate_every", "0"], "evaluate_every is 0"),
        (["train", "T", "--train.static.num_updates", "-5"], "num_updates is -5"),
        (["train", "T", "--train.static.hidden", "[0]"], "hidden[0] is 0"),
        (["train", "T", "--train.static.num_envs", "0"], "num_envs is 0"),
        (["train", "T", "--train.hyper.learning_rate", ".nan"], "learning_rate"),
        (["train", "T", "--train.hyper.entropy", ".inf"], "entropy"),
        (["train", "T", "--train.hyper.gamma", "2"], "gamma is 2.0, but must be a finite number of at least 0 and at"),
        (["train", "T", "--train.hyper.dropout", "1"], "dropout is 1.0"),
        (["train", "T", "--train.hyper.reward.hop_cost", ".inf"], "hop_cost"),
        (["train", "T", "--train.hyper.ranges.budget.low", "9"], "low must be below high"),
        (["sweep", "T", "learning_rate=1e-3,2e-3", "--seeds", "0"], "seeds is 0"),
        (
            ["leaderboard", "T", "--validation", "1"],
            "validation is 1.0, but must be a finite number above",
        ),
        (["import", "long", "T", "--similarity", ".nan"], "similarity"),
        (["import", "long", "T", "--seed", "-1"], "seed is -1"),
        (["collect", "OUT", "--horizon", "0"], "horizon is 0, but must be a whole number of at least 1"),
        (["collect", "OUT", "--batch_size", "0"], "batch_size is 0"),
        (["collect", "OUT", "--counts", "{train: -3}"], "counts.train is -3"),
        (["collect", "OUT", "--seed", "-1"], "seed is -1"),
        (["collect", "OUT", "--max_cost", "0"], "max_cost is 0"),
        (["calibrate", "OUT", "--accuracy", "2"], "accuracy is 2.0"),
        (["worth", "T", "--cost_weight", "-1"], "cost_weight is -1.0"),
        (["export", "T", "OUT", "--seed", "-1"], "seed is -1"),
    ],
)
def test_a_number_out_of_its_domain_is_one_sentence_before_anything_is_begun(tmp_path, capsys, arguments, words):
    places = {"T": str(tmp_path / "table"), "OUT": str(tmp_path / "out")}
    words_given = [places.get(word, word) for word in arguments]
    out = [] if arguments[0] in ("collect", "calibrate", "worth", "export") else ["--out", places["OUT"]]
    assert main([*words_given, *out]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("domain", "inside", "out", "words"),
    [
        (REAL, [0, -1e300, 1e300, 10**400], [nan, inf], "a finite number"),
        (NONNEGATIVE, [0, 0.0, 1e-300], [-1e-300, -1], "a finite number of at least 0"),
        (POSITIVE, [1e-300, 1], [0, 0.0, -0.0], "a finite number above 0"),
        (SHARE, [0, 1, 0.5], [1.0000001, -0.1], "a finite number of at least 0 and at most 1"),
        (NATURAL, [0, 1.0, 10**30], [-1, 0.5], "a whole number of at least 0"),
        (COUNT, [1, np.int64(3)], [0, 1.5, np.float32(0)], "a whole number of at least 1"),
        (SEED, [0, 2**31 - 1], [2**31, -1], "a whole number of at least 0 and at most 2147483647"),
        (Domain(0, 1, True, True), [0.5], [0, 1], "a finite number above 0 and below 1"),
    ],
)
def test_domains_by_hand(domain, inside, out, words):
    assert all(value in domain for value in inside)
    assert not any(value in domain for value in out)
    assert str(domain) == words


def test_numbers_are_found_wherever_they_stand_and_nothing_else_is_one():
    fine = {"a": [1, (2, {"x": 3})], "b": None, "c": True, "d": "-1", "e": object(), "f": np.array(["x"])}
    check_values(fine, dict.fromkeys(fine, COUNT))
    for value, where in (
        ([1, (2, {"x": 0})], r"n\[1\]\[1\].x is 0"),
        (np.array([[1.0, np.nan]]), r"n\[1\] is nan"),
        (np.float32(np.inf), "n is inf"),
        (np.int8(0), "n is 0"),
    ):
        with pytest.raises(InputError, match=where):
            check_values({"n": value}, {"n": COUNT})


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_what_jax_traces_or_holds_is_left_alone(value):
    """A learner's numbers are leaves of a pytree: jit, vmap, grad and stacking go through whatever they are."""

    @jax.jit
    def shrink(hyper: LearnerHyper) -> LearnerHyper:
        return jax.tree.map(lambda leaf: -leaf * value, hyper)

    jax.vmap(shrink)(jax.tree.map(lambda leaf: jnp.full(2, leaf), LearnerHyper()))
    shrink(LearnerHyper())
    LearnerHyper(gamma=jnp.float32(value))
    jax.tree.map(lambda leaf: None, LearnerHyper())
    jax.grad(lambda hyper: -3 * hyper.gamma + hyper.clip)(jax.tree.map(jnp.float32, LearnerHyper()))
    if value in SHARE:
        assert LearnerHyper(gamma=value).gamma == value
    else:
        with pytest.raises(InputError, match="gamma is"):
            LearnerHyper(gamma=value)


def test_a_range_of_conditions_has_its_ends_in_order():
    for low, high in ((1.0, 1.0), (2.0, 1.0)):
        with pytest.raises(InputError, match="low must be below high"):
            Range(low, high)
    Range(jnp.float32(2.0), jnp.float32(1.0))
