"""Concatenation."""

from __future__ import annotations

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.operators.arithmetic import aligned
from pipeline.importers.onnx.tensor import Tensor


def concat(call: Call) -> Tensor:
    """Read a Concat of computed tensors."""
    tensors = [call.tensor(index) for index in range(len(call.values))]
    if len(tensors) == 1:
        return tensors[0]
    if len({len(tensor.shape) for tensor in tensors}) > 1:
        raise ModelError("it joins tensors with different numbers of axes")
    # A vector that was flattened in another order cannot be joined part by part.
    tensors = [
        call.builder.straight(tensor, call.name) if tensor.packed is not None else tensor
        for tensor in tensors
    ]
    tensors = aligned(call, tensors)
    axis = tensors[0].axis(call.attr("axis", 1))
    node = call.emit("Concatenate", [tensor.node for tensor in tensors], {"axis": axis})
    return call.builder.tensor(node, tensors[0].order)


RULES = {"Concat": Rule(read=concat, attributes=("axis",))}
