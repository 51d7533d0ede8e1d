"""Activations."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.expressions import RECOGNISED, evaluate
from pipeline.importers.onnx.functions import ATTRIBUTES, SINGLE, recognised
from pipeline.importers.onnx.operators.arithmetic import affine
from pipeline.importers.onnx.tensor import Tensor

KNOWN = "ReLU (to a maximum, with a slope), sigmoid, tanh, swish, hard_silu, gelu"


def function(call: Call) -> Tensor:
    """Read a function of one number, as the operation here that computes the same."""
    tensor = call.tensor()
    rest = [call.constant(index) for index in range(1, len(call.values))]
    numbers = [None if array is None else float(array.reshape(())) for array in rest]
    found = recognised(lambda x: evaluate(call.node, [x, *numbers]))
    if found is None and call.node.op == "HardSigmoid":
        line = affine(call, tensor, call.attr("alpha", 0.2), call.attr("beta", 0.5), part="line")
        return call.pointwise(line, "ReLU", {"max_value": 1.0})
    if found is None:
        raise ModelError(f"no operation here computes the same; allowed: {KNOWN}")
    return _operation(call, tensor, *found)


def several(call: Call) -> Tensor:
    """Read what several operators compute together."""
    return _operation(call, call.tensor(), call.attr("operation"), call.attr("attributes"))


def _operation(call, tensor, op, attrs):
    # A function without effect, such as a Clip to all of float32.
    return tensor if op == "Dropout" else call.pointwise(tensor, op, attrs)


def prelu(call: Call) -> Tensor:
    """Read a PRelu with one slope, or one for each channel."""
    tensor, slopes = call.per_channel(call.tensor(), call.weights(1))
    if slopes.ndim == 0:
        return call.pointwise(tensor, "LeakyReLU", {"negative_slope": float(slopes)})
    shared = tuple(range(1, len(tensor.shape)))
    weights = {"alpha": slopes.reshape((1,) * len(shared) + (-1,))}
    return call.pointwise(tensor, "PReLU", {"shared_axes": shared or None}, weights)


def softmax(call: Call) -> Tensor:
    """Read a Softmax over one axis; before opset 13 all later axes must have the size 1."""
    tensor = call.tensor()
    old = call.opset < 13
    axis = call.attr("axis", 1 if old else -1)
    place, first = tensor.axis(axis), axis % (len(tensor.shape) + 1)
    if old and np.prod(tensor.shape[first:], dtype=object) != 1:
        raise ModelError(
            f"before opset 13 it is over all axes from {first} on; allowed: over the last one"
        )
    return call.pointwise(tensor, "Softmax", {"axis": place})


RULES = {
    **{
        name: Rule(read=function, attributes=ATTRIBUTES.get(name, ()), keeps_shape=True)
        for name in SINGLE
    },
    RECOGNISED: Rule(read=several, attributes=("operation", "attributes"), keeps_shape=True),
    "PRelu": Rule(read=prelu, keeps_shape=True),
    "Softmax": Rule(read=softmax, attributes=("axis",), keeps_shape=True),
}
