"""The policy of a bundle as an ONNX graph, node for node what `bundle_graph` computes."""

import math
from itertools import count
from typing import Any

import numpy as np

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.bundle_graph import input_names, policy_tensors
from hierrouter_jax.bundle_logits import ENSEMBLE, LINEAR, PRIOR, networks, num_layers
from hierrouter_jax.errors import InputError

OPSET = 18
OUTPUT = "logits"


def onnx_bytes(bundle: PolicyBundle) -> bytes:
    """A serialized ONNX model: the inputs of `bundle_graph.input_names` (float32, the stage int64), output `logits`.

    Raises:
      InputError: if onnx is not installed.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError:
        raise InputError("writing ONNX needs the extra onnx: pip install 'hierrouter_jax[onnx]'") from None

    tensors = policy_tensors(bundle)
    graph = _Graph(helper)
    masked = _policy(graph, bundle, {name: graph.constant(array) for name, array in tensors.items()})
    graph.nodes.append(helper.make_node("Identity", [masked], [OUTPUT]))
    sizes = {"embedding": ["B", len(bundle.reduction.mean)], "charges": ["B", len(bundle.pool)]}
    inputs = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if name == "stage" else TensorProto.FLOAT, sizes.get(name, ["B"])
        )
        for name in input_names(bundle)
    ]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["B", len(bundle.pool) + 1])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "router", inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=9,  # what runtimes of the opset's time read
        producer_name="hierrouter_jax",
    )
    checker.check_model(model, full_check=True)
    return model.SerializeToString()


class _Graph:
    """Nodes of a graph as they are added; a value is known by its name."""

    def __init__(self, helper: Any) -> None:
        self._helper, self._names = helper, (f"v{number}" for number in count())
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = next(self._names)
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = next(self._names)
        self.nodes.append(self._helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def column(self, value: str) -> str:
        """[B] as [B, 1]."""
        return self("Unsqueeze", value, self.constant([1], np.int64))


def _policy(add: _Graph, bundle: PolicyBundle, tensors: dict[str, str]) -> str:
    centred = add("MatMul", add("Sub", "embedding", tensors["reduction/mean"]), tensors["reduction/components"])
    reduced = add("Div", centred, tensors["reduction/scale"])
    if bundle.kind in LINEAR:
        return _masked(add, bundle, _linear(add, tensors, reduced))
    read = [add.column(add("Div", "cost", add.constant(bundle.cost_normaliser))), *_conditions(add, bundle)]
    parts = networks(tensors) if bundle.kind == ENSEMBLE else [tensors]
    each = [_network(add, part, reduced, read) for part in parts]
    return _masked(add, bundle, add("Mean", *each) if len(each) > 1 else each[0])


def _conditions(add: _Graph, bundle: PolicyBundle) -> list[str]:
    columns = []
    if "cost_weight" in bundle.conditions:
        low, high = bundle.conditions["cost_weight"]
        bounded = add("Clip", "cost_weight", add.constant(low), add.constant(high))
        position = add("Log", add("Div", bounded, add.constant(low)))
        scaled = add("Mul", position, add.constant(2 / math.log(high / low)))
        columns.append(add.column(add("Sub", scaled, add.constant(1.0))))
    if "budget" in bundle.conditions:
        most = bundle.cost_normaliser * bundle.conditions["budget"][1]
        left = add("Div", add("Sub", "budget", "cost"), add.constant(most))
        columns.append(add.column(add("Clip", left, add.constant(0.0), add.constant(1.0))))
    return columns


def _network(add: _Graph, tensors: dict[str, str], reduced: str, read: list[str]) -> str:
    hidden = add("Concat", reduced, add("Gather", tensors["stage_embedding"], "stage", axis=0), *read, axis=1)
    for layer in range(num_layers(tensors)):
        hidden = add("Tanh", _dense(add, hidden, tensors, f"hidden_{layer}"))
    logits = _dense(add, hidden, tensors, "logits")
    return add("Add", logits, _linear(add, tensors, reduced)) if PRIOR[0] in tensors else logits


def _dense(add: _Graph, value: str, tensors: dict[str, str], layer: str) -> str:
    return add("Add", add("MatMul", value, tensors[f"{layer}/kernel"]), tensors[f"{layer}/bias"])


def _linear(add: _Graph, tensors: dict[str, str], reduced: str) -> str:
    kernel, means, task_kernel, task_bias = (add("Gather", tensors[name], "stage", axis=0) for name in PRIOR)
    scores = add("Add", add("Einsum", reduced, task_kernel, equation="bf,bft->bt"), task_bias)
    by_task = add("Einsum", add("Softmax", scores, axis=1), means, equation="bt,bta->ba")
    return add("Add", add("Einsum", reduced, kernel, equation="bf,bfa->ba"), by_task)


def _masked(add: _Graph, bundle: PolicyBundle, logits: str) -> str:
    shape = add("Concat", add("Shape", "cost"), add.constant([len(bundle.pool)], np.int64), axis=0)
    may_call = add("Expand", add.constant(True, bool), shape)
    if "budget" in bundle.conditions:
        charged = add("Add", add.column("cost"), "charges")
        may_call = add("LessOrEqual", charged, add.column("budget"))
    stop = bundle.may_stop
    later = add("And", add("Greater", "stage", add.constant(0, np.int64)), add.constant(stop, bool))
    some = add("ReduceMax", add("Cast", may_call, to=1), add.constant([1], np.int64), keepdims=0)
    none = add("Less", some, add.constant(0.5))
    legal = add("Concat", may_call, add.column(add("Or", later, none)), axis=1)
    return add("Where", legal, logits, add.constant(-np.inf))
