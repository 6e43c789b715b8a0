"""What is wrong with a policy bundle is one sentence that names the file and the field, before anything acts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from hierrouter_jax.bundle import HEADER, WEIGHTS, FeatureReduction, PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.sums import drop_sums

SHAPES = {
    "stage_embedding": (2, 3),
    "hidden_0/kernel": (4 + 3 + 1 + 1, 8),
    "hidden_0/bias": (8,),
    "hidden_1/kernel": (8, 5),
    "hidden_1/bias": (5,),
    "logits/kernel": (5, 3),
    "logits/bias": (3,),
}


def policy() -> PolicyBundle:
    """Two models, two hops, conditioned on a cost weight."""
    rng = np.random.default_rng(0)
    return PolicyBundle(
        pool=(PricedModel("a", 1.0, 2.0), PricedModel("b", 3.0, 4.0)),
        horizon=2,
        allow_stop=True,
        encoder={"kind": "ngrams", "size": 6},
        money_unit="cents",
        cost_normaliser=10.0,
        reduction=FeatureReduction(np.zeros(6, np.float32), rng.normal(size=(6, 4)), np.ones(4)),
        weights={name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()},
        table_fingerprint="f",
        provenance={},
        conditions={"cost_weight": [0.01, 0.3]},
        cost_weight=0.02,
    )


@pytest.fixture
def saved(tmp_path) -> Path:
    policy().save(tmp_path)
    drop_sums(tmp_path)  # so that the reader's own checks are seen
    return tmp_path


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        PolicyBundle.load(folder)
    for word in (str(folder), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "1", "null", '"policy"', "true", "", "{", "NaN", "[" * 100_000, "\ufeff{}"])
def test_a_header_that_holds_no_fields_is_refused(saved, content):
    (saved / HEADER).write_text(content)
    refused(saved, HEADER)


@pytest.mark.parametrize("file", [HEADER, WEIGHTS])
def test_a_folder_or_nothing_in_a_files_place_is_refused(saved, file):
    (saved / file).unlink()
    refused(saved, file, "no such file")
    (saved / file).mkdir()
    refused(saved, file, "cannot be read")


NAN, INF = float("nan"), float("inf")
HEADERS: list[tuple[str, Any]] = [
    *(("horizon", value) for value in (0, -1, 2.0, "2", None, True, [2])),
    *(("allow_stop", value) for value in ("false", 0, 1, None, [])),
    *(("cost_normaliser", value) for value in (0, 0.0, -1.0, NAN, INF, -INF, None, "10", [10.0], True)),
    *(("cost_weight", value) for value in (NAN, INF, -INF, "0.02", [], None)),
    *(("conditions", value) for value in (None, [], "cost_weight", {"speed": [1.0, 2.0]}, {"cost_weight": None})),
    *(("conditions", {"cost_weight": value}) for value in ([], [1.0], [0.0, 1.0], [2.0, 1.0], [1.0, 1.0], [NAN, 1.0])),
    *(("conditions", {"cost_weight": value}) for value in ([0.1, INF], [0.1, NAN], [-1.0, 1.0], ["a", "b"], [1, 2, 3])),
    *(("pool", value) for value in (None, [], {}, "ab", [1, 2], [{"name": "a"}], [{"price_in": 1.0}])),
    *(("encoder", value) for value in (None, [], "ngrams", 1)),
    *(("money_unit", value) for value in (None, 1, [])),
    *(("table_fingerprint", value) for value in (None, 1)),
    *(("provenance", value) for value in (None, [], "me")),
    *(("architecture", value) for value in (None, [], "tanh")),
]


@pytest.mark.parametrize(("field", "value"), HEADERS, ids=lambda value: str(value)[:40])
def test_every_field_of_the_header_has_a_type_and_a_domain(saved, field, value):
    header = json.loads((saved / HEADER).read_text()) | {field: value}
    (saved / HEADER).write_text(json.dumps(header))
    named = next(iter(value)) if field == "conditions" and isinstance(value, dict) else field
    refused(saved, named)


@pytest.mark.parametrize("field", ["horizon", "allow_stop", "cost_normaliser", "pool", "encoder", "money_unit"])
def test_a_missing_field_is_named(saved, field):
    header = json.loads((saved / HEADER).read_text())
    header.pop(field)
    (saved / HEADER).write_text(json.dumps(header))
    refused(saved, HEADER, f"{field} is missing")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("activation", "relu"),
        ("activation", None),
        ("features", 5),
        ("hidden", [8]),
        ("hidden", [8, 6]),
        ("stage_embedding", [3, 2]),
        ("actions", ["b", "a", "STOP"]),
        ("actions", ["a", "b"]),
    ],
)
def test_a_header_that_says_another_network_is_refused(saved, field, value):
    header = json.loads((saved / HEADER).read_text())
    header["architecture"][field] = value
    (saved / HEADER).write_text(json.dumps(header))
    refused(saved, f"architecture.{field}")


def test_the_pool_of_a_header_must_be_of_different_models_with_prices(saved):
    text = (saved / HEADER).read_text()
    for change in ({"name": "b"}, {"name": " "}, {"price_in": NAN}, {"price_out": -1.0}, {"max_new_tokens": -3}):
        header = json.loads(text)
        header["pool"][0] |= change
        (saved / HEADER).write_text(json.dumps(header))
        refused(saved, "pool" if "price_in" not in change and "price_out" not in change else next(iter(change)))


def test_what_a_later_version_adds_is_left_alone(saved):
    header = json.loads((saved / HEADER).read_text()) | {"colour": "green"}
    header["architecture"]["colour"] = "green"
    header.pop("conditions")
    (saved / HEADER).write_text(json.dumps(header))
    tensors = load_file(saved / WEIGHTS)
    tensors["hidden_0/kernel"] = tensors["hidden_0/kernel"][1:]
    save_file(tensors, saved / WEIGHTS)
    assert PolicyBundle.load(saved).conditions == {}


def _first(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed[(0,) * changed.ndim] = value
        return changed

    return change


TENSORS: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = []
for _name in (*SHAPES, "reduction/mean", "reduction/components", "reduction/scale"):
    TENSORS += [(_name, f"{value}", _first(value)) for value in (NAN, INF, -INF)]
    TENSORS += [
        (_name, "empty", lambda array: array[:0]),
        (_name, "one row too many", lambda array: np.concatenate([array, array[:1]])),
        (_name, "an axis too many", lambda array: array[..., None]),
        (_name, "one number", lambda array: array.ravel()[0].reshape(())),
        (_name, "whole numbers", lambda array: array.astype(np.int32)),
        (_name, "truth values", lambda array: array > 0),
    ]
for _value in (0.0, -1.0, -1e-9):
    TENSORS.append(("reduction/scale", f"{_value}", _first(_value)))
TENSORS.append(("reduction/mean", "of length 1, which NumPy would stretch", lambda array: array[:1]))
TENSORS.append(("reduction/scale", "of length 1, which NumPy would stretch", lambda array: array[:1]))


@pytest.mark.parametrize(("name", "what", "change"), TENSORS, ids=[f"{name} {what}" for name, what, _ in TENSORS])
def test_every_tensor_has_a_shape_and_finite_values(saved, name, what, change):
    """A layer that is wider than it was makes the next one wrong: either may be named."""
    tensors = load_file(saved / WEIGHTS)
    save_file(tensors | {name: np.ascontiguousarray(change(tensors[name]))}, saved / WEIGHTS)
    family = name.split("/")[0].rstrip("01")
    refused(saved, family if name.startswith(("reduction", "logits", "stage")) else "hidden_")


@pytest.mark.parametrize("name", [*SHAPES, "reduction/mean", "reduction/components", "reduction/scale"])
def test_a_missing_tensor_is_named(saved, name):
    tensors = load_file(saved / WEIGHTS)
    tensors.pop(name)
    save_file(tensors, saved / WEIGHTS)
    refused(saved, name)


def test_a_sound_bundle_is_read_back_as_it_was(saved):
    before, after = policy(), PolicyBundle.load(saved)
    contexts, cost = np.random.default_rng(1).normal(size=(5, 6)), np.arange(5.0)
    np.testing.assert_array_equal(after.logits(contexts, 1, cost), before.logits(contexts, 1, cost))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    policy().save(folder)
    return folder


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3),
    max_leaves=4,
)


@given(field=st.sampled_from(["schema_version", *{field for field, _ in HEADERS}]), value=JSON)
def test_whatever_json_stands_in_a_field_the_bundle_acts_or_is_refused(sound, tmp_path_factory, field, value):
    folder = tmp_path_factory.mktemp("fuzzed")
    shutil.copy(sound / WEIGHTS, folder)
    (folder / HEADER).write_text(json.dumps(json.loads((sound / HEADER).read_text()) | {field: value}))
    try:
        bundle = PolicyBundle.load(folder)
    except InputError as error:
        assert HEADER in str(error) or str(folder) in str(error)  # noqa: PT017
        return
    action, chance = bundle.act(np.zeros((1, 6)), 0, np.zeros(1))
    assert np.isfinite(chance).all()
    assert action[0] in (0, 1)
