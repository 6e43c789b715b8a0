"""Configs are read strictly, say where they are wrong, and come back as they were written."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax import config
from hierrouter_jax.config import config_path, from_dict, load_yaml, to_dict
from hierrouter_jax.errors import InputError


@dataclass(frozen=True)
class Optimizer:
    learning_rate: float = 3e-4
    kind: Literal["adam", "sgd"] = "adam"

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise InputError("learning_rate must be above 0")


@dataclass(frozen=True)
class Training:
    name: str
    steps: int = 10
    stop: bool = False
    optimizer: Optimizer = field(default_factory=Optimizer)
    widths: tuple[int, ...] = (64, 64)
    interval: tuple[float, float] = (0.0, 1.0)
    stages: tuple[Optimizer, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    table: Path | None = None
    seeds: int | list[int] = 1
    extra: Any = None


optimizers = st.builds(Optimizer, st.floats(1e-6, 1e3), st.sampled_from(["adam", "sgd"]))
trainings = st.builds(
    Training,
    name=st.text(),
    steps=st.integers(),
    stop=st.booleans(),
    optimizer=optimizers,
    widths=st.lists(st.integers()).map(tuple),
    interval=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    stages=st.lists(optimizers, max_size=3).map(tuple),
    weights=st.dictionaries(st.text(), st.floats(allow_nan=False)),
    table=st.none() | st.just(Path("tables/tiny")),
    seeds=st.integers() | st.lists(st.integers()),
)


def refusal(data: Any) -> str:
    with pytest.raises(InputError) as caught:
        from_dict(Training, data, "run.yaml")
    return str(caught.value)


@given(trainings)
def test_a_config_survives_yaml(training):
    text = yaml.safe_dump(to_dict(training))
    assert from_dict(Training, yaml.load(text, Loader=config._StrictLoader), "run.yaml") == training


def test_defaults_fill_what_is_left_out():
    assert from_dict(Training, {"name": "a"}, "run.yaml") == Training("a")


def test_an_int_will_do_for_a_float():
    rate = from_dict(Training, {"name": "a", "optimizer": {"learning_rate": 1}}, "run.yaml").optimizer.learning_rate
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stpes": 5}, "run.yaml: stpes is not a field; did you mean steps?"),
        (
            {"optimizer": {"learning_rat": 1.0}},
            "run.yaml: optimizer.learning_rat is not a field; did you mean learning_rate?",
        ),
        (
            {"optimizer": {"zzz": 1}},
            "run.yaml: optimizer.zzz is not a field; the fields are learning_rate, kind",
        ),
        ({"steps": "ten"}, "run.yaml: steps is 'ten', but must be a whole number"),
        ({"steps": True}, "run.yaml: steps is True, but must be a whole number"),
        ({"optimizer": {"learning_rate": "1e"}}, "run.yaml: optimizer.learning_rate is '1e', but must be a number"),
        ({"optimizer": {"learning_rate": True}}, "run.yaml: optimizer.learning_rate is True, but must be a number"),
        ({"steps": 1.5}, "run.yaml: steps is 1.5, but must be a whole number"),
        ({"stop": 1}, "run.yaml: stop is 1, but must be true or false"),
        ({"optimizer": {"kind": "Adam"}}, "run.yaml: optimizer.kind is 'Adam', but must be 'adam' or 'sgd'"),
        ({"optimizer": None}, "run.yaml: optimizer is None, but must be the fields of Optimizer (name: value)"),
        ({"widths": 64}, "run.yaml: widths is 64, but must be a list"),
        ({"widths": [64, "x"]}, "run.yaml: widths[1] is 'x', but must be a whole number"),
        ({"interval": [0.0]}, "run.yaml: interval holds 1 values, but must hold 2"),
        (
            {"stages": [{}, {"learning_rate": "x"}]},
            "run.yaml: stages[1].learning_rate is 'x', but must be a number",
        ),
        ({"weights": {"cost": "x"}}, "run.yaml: weights.cost is 'x', but must be a number"),
        ({"weights": {1: 1.0}}, "run.yaml: weights.1 is 1, but must be text"),
        ({"table": 3}, "run.yaml: table is 3, but must be a path"),
        ({"seeds": "x"}, "run.yaml: seeds is 'x', but must be a whole number or list"),
        (
            {"optimizer": {"learning_rate": 10**400}},
            f"run.yaml: optimizer.learning_rate is 1{'0' * 26} ... {'0' * 28}, but must be a number that a float can "
            "hold, of at most 1.8e308",
        ),
        (
            {"optimizer": {"learning_rate": [1000 + place for place in range(40)]}},
            "run.yaml: optimizer.learning_rate is [1000, 1001, 1002, 1003, 10 ... 035, 1036, 1037, 1038, 1039], but "
            "must be a number",
        ),
        ({"optimizer": {"learning_rate": 0.0}}, "run.yaml: optimizer: learning_rate must be above 0"),
    ],
)
def test_a_wrong_field_is_named_with_the_way_out(change, message):
    assert refusal({"name": "a"} | change) == message


def test_a_missing_field_is_named():
    assert refusal({}) == "run.yaml: name is missing"


def test_a_config_must_be_fields():
    assert refusal([1]) == "run.yaml: top level is [1], but must be the fields of Training (name: value)"


def test_a_field_of_a_foreign_type_is_our_own_mistake():
    @dataclass(frozen=True)
    class Odd:
        value: complex

    with pytest.raises(TypeError, match="cannot be of type"):
        from_dict(Odd, {"value": 1}, "run.yaml")
    with pytest.raises(TypeError, match="cannot hold complex"):
        to_dict(Odd(1j))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2\n", ", line 3: not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", ", line 3: not valid YAML ('a' occurs twice)"),
        ("a: !!python/object:os.system x\n", ", line 1: not valid YAML"),
        ("a: \x07\n", ": not valid YAML"),
        ("- 1\n", ": is [1], but must hold fields"),
        (f"- {'x' * 99}\n", f": is ['{'x' * 25} ... {'x' * 26}'], but must hold fields"),
        (f"a: {'9' * 5000}\n", ": not valid YAML (Exceeds the limit (4300 digits)"),
        (f"a: 0x{'f' * 5000}\n", ": not valid YAML (Exceeds the limit (4300 digits)"),
    ],
)
def test_bad_yaml_names_file_and_line(tmp_path, text, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_yaml(path)
    assert f"{path}{message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreadable_file_is_one_clear_line(tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.yaml", tmp_path, binary):
        with pytest.raises(InputError, match="cannot be read"):
            load_yaml(path)


@pytest.mark.parametrize("written", ["3e-4", "3.0e-4", "3.e-4", "+3E-4", "0.0003"])
def test_numbers_in_scientific_notation_are_numbers(tmp_path, written):
    path = tmp_path / "run.yaml"
    path.write_text(f"learning_rate: {written}\n")
    assert from_dict(Optimizer, load_yaml(path), path).learning_rate == 3e-4


def test_an_empty_file_is_an_empty_config(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("# nothing\n")
    assert load_yaml(path) == {}


@pytest.fixture(params=["installed", "checkout"])
def presets(request, tmp_path, monkeypatch):
    """The presets' folder of a package that is installed, or lies in a checkout."""
    package = tmp_path / "hierrouter_jax"
    folder = (package if request.param == "installed" else tmp_path) / "configs"
    (folder / "pool").mkdir(parents=True)
    (folder / "pool" / "tiny.yaml").write_text("horizon: 3\n")
    monkeypatch.setattr(config, "PACKAGE", package)
    return folder


def test_a_preset_is_found_by_name(presets):
    assert config_path("pool/tiny.yaml") == presets / "pool" / "tiny.yaml"


def test_a_path_on_disk_is_taken_as_it_is(presets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = Path("pool/tiny.yaml")
    own.parent.mkdir()
    own.write_text("horizon: 2\n")
    assert config_path("pool/tiny.yaml") == own
    assert config_path(str(own.resolve())) == own.resolve()


def test_an_unknown_preset_lists_those_there_are(presets):
    with pytest.raises(InputError) as caught:
        config_path("pool/huge.yaml")
    assert str(caught.value) == "pool/huge.yaml: no such file, and no such preset; the presets are pool/tiny.yaml"


@pytest.mark.parametrize("name", ["tiny", "tiny.yaml", "pools/tiny.yml"])
def test_a_preset_without_its_folder_is_named_with_it(presets, name):
    with pytest.raises(InputError, match=r"no such preset; did you mean pool/tiny\.yaml\?"):
        config_path(name)
