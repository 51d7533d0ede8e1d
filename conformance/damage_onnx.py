"""Damage ONNX files where they stay protobuf: operators, attributes, wires, shapes, constants."""

from __future__ import annotations

import random

import onnx
from google.protobuf.message import DecodeError, EncodeError

WHOLE = (0, -1, 1, 2, 3, 7, 255, 2**31, -(2**63), 2**62)
REAL = (0.0, -0.5, 1e-45, 1e38, float("nan"), float("inf"))
TEXTS = (b"", b"x", b"SAME_LOWER", b"NOTSET", b"a\nb", "é".encode(), b"linear")
OPERATORS = (
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "Gemm", "MatMul", "Reshape", "Transpose"),
    *("Resize", "Pad", "Concat", "Shape", "Gather", "Slice", "Expand", "ConstantOfShape", "Range"),
    *("Softmax", "Clip", "Mul", "Div", "Loop", "If", "NoSuchOperator", "QLinearConv", "Squeeze"),
)


def onnx_model(content: bytes, rng: random.Random) -> bytes:
    """Change a few things in a model that is written as protobuf again."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
        if not model.graph.node:
            return content
        for _ in range(rng.choice((1, 1, 2, 4))):
            rng.choice((_operator, _wire, _wire, _number, _number, _tensor, _input, _opset))(
                model, rng
            )
        return model.SerializeToString()
    except (DecodeError, EncodeError, ValueError, TypeError, UnicodeError):
        return content


def _operator(model, rng):
    rng.choice(model.graph.node).op_type = rng.choice(OPERATORS)


def _wire(model, rng):
    """Let a node read or write another tensor, or none."""
    graph = model.graph
    node = rng.choice(graph.node)
    names = [name for other in graph.node for name in (*other.input, *other.output)]
    end = rng.choice((node.input, node.input, node.output))
    kind = rng.choice(("change", "change", "add", "drop"))
    if kind == "add":
        end.append(rng.choice(names))
    elif len(end):
        place = rng.randrange(len(end))
        if kind == "drop":
            del end[place]
        else:
            end[place] = rng.choice((*names, "", "nothing"))


def _number(model, rng):
    """Change, add or drop an attribute."""
    node = rng.choice(model.graph.node)
    if not node.attribute or rng.random() < 0.2:
        name = rng.choice(("axis", "pads", "strides", "perm", "group", "alpha", "other"))
        node.attribute.append(onnx.helper.make_attribute(name, rng.choice(WHOLE)))
        return
    attribute = rng.choice(node.attribute)
    kind = rng.random()
    if kind < 0.1:
        node.attribute.remove(attribute)
    elif kind < 0.2:
        attribute.type = rng.randrange(1, 15)
    elif len(attribute.ints):
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(WHOLE)
    elif attribute.s:
        attribute.s = rng.choice(TEXTS)
    else:
        attribute.i, attribute.f = rng.choice(WHOLE), rng.choice(REAL)


def _tensor(model, rng):
    """Change shape, type, place or values of a constant."""
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    kind = rng.choice(("dims", "type", "external", "values", "name"))
    if kind == "dims" and len(tensor.dims):
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(WHOLE)
    elif kind == "type":
        tensor.data_type = rng.randrange(0, 26)
    elif kind == "external":
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=rng.choice(("../x", "/etc/passwd", "x")))
    elif kind == "name":
        tensor.name = rng.choice(("", "x", "é"))
    elif tensor.raw_data:
        tensor.raw_data = rng.randbytes(len(tensor.raw_data))


def _input(model, rng):
    """Change the sizes or the type of the input."""
    if not model.graph.input:
        return
    kind = rng.choice(model.graph.input).type.tensor_type
    if rng.random() < 0.3 or not kind.shape.dim:
        kind.elem_type = rng.randrange(0, 26)
    else:
        rng.choice(kind.shape.dim).dim_value = rng.choice(WHOLE)


def _opset(model, rng):
    if model.opset_import:
        model.opset_import[0].version = rng.choice((1, 7, 9, 10, 11, 13, 18, 22, 23, -1))
