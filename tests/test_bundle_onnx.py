"""The ONNX graph, run by ONNX Runtime, says what the NumPy reader says."""

import sys

import numpy as np
import pytest

from hierrouter_jax.bundle_onnx import OUTPUT, onnx_bytes
from hierrouter_jax.errors import InputError
from tests.bundles import BUNDLES, assert_same_logits, random_states, reference_logits

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", BUNDLES)
def test_onnx_and_numpy_agree_on_ten_thousand_states(name):
    bundle = BUNDLES[name]
    session = onnxruntime.InferenceSession(onnx_bytes(bundle), providers=["CPUExecutionProvider"])
    inputs = random_states(bundle)
    assert [one.name for one in session.get_inputs()] == list(inputs)
    (logits,) = session.run([OUTPUT], inputs)
    assert_same_logits(logits, reference_logits(bundle, inputs))
    single = {name: array[:1] for name, array in inputs.items()}
    np.testing.assert_allclose(session.run(None, single)[0], logits[:1], atol=1e-5)


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'hierrouter_jax\[onnx\]'"):
        onnx_bytes(BUNDLES["plain"])
