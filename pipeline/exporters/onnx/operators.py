"""How each operation is written in ONNX' operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.exporters.onnx.kernels import conv, dense, depthwise_conv, pads, separable, transposed
from pipeline.exporters.onnx.sheet import FIRST, LAST, PLACE, Sheet
from pipeline.graph.axes import axis_without_batch
from pipeline.graph.node import Node

Write = Callable[[Sheet, Node], str]
"""Adds the nodes of one; returns the tensor of its output."""


def rescaling(sheet: Sheet, node: Node) -> str:
    """Write a scale and an offset."""
    scale, offset = (
        sheet.constant(node, key, sheet.along(node, node.attrs[key])) for key in ("scale", "offset")
    )
    scaled = sheet.add(node, "Mul", [sheet.source(node), scale], part="scaled")
    return sheet.add(node, "Add", [scaled, offset])


def batchnorm(sheet: Sheet, node: Node) -> str:
    """Write a batch norm with its statistics."""
    mean = node.weights["moving_mean"]
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    held = {
        "gamma": node.weights["gamma"] if node.attrs["scale"] else ones,
        "beta": node.weights["beta"] if node.attrs["center"] else zeros,
        "moving_mean": mean,
        "moving_variance": node.weights["moving_variance"],
    }
    inputs = [sheet.constant(node, key, values) for key, values in held.items()]
    return sheet.add(
        node,
        "BatchNormalization",
        [sheet.source(node), *inputs],
        epsilon=float(node.attrs["epsilon"]),
    )


def relu(sheet: Sheet, node: Node) -> str:
    """Write a ReLU, with its maximum or its slope."""
    source, top, slope = sheet.source(node), node.attrs["max_value"], node.attrs["negative_slope"]
    if not slope and top is None:
        return sheet.add(node, "Relu", [source])
    if not slope:
        bounds = sheet.number(node, "min", 0), sheet.number(node, "max", top)
        return sheet.add(node, "Clip", [source, *bounds])
    part = "" if top is None else "slope"
    leaky = sheet.add(node, "LeakyRelu", [source], part=part, alpha=float(slope))
    return leaky if top is None else sheet.add(node, "Min", [leaky, sheet.number(node, "max", top)])


def leaky_relu(sheet: Sheet, node: Node) -> str:
    """Write a leaky ReLU."""
    slope = float(node.attrs["negative_slope"])
    return sheet.add(node, "LeakyRelu", [sheet.source(node)], alpha=slope)


def prelu(sheet: Sheet, node: Node) -> str:
    """Write a PReLU with one slope per channel, or one for all."""
    slope = sheet.along(node, node.weights["alpha"].reshape(-1))
    return sheet.add(node, "PRelu", [sheet.source(node), sheet.constant(node, "alpha", slope)])


def activation(sheet: Sheet, node: Node) -> str:
    """Write a function by its name."""
    kind, source = node.attrs["activation"], sheet.source(node)
    if kind in SINGLE:
        return sheet.add(node, SINGLE[kind], [source])
    if kind == "softmax":
        return sheet.add(node, "Softmax", [source], axis=_axis(sheet, node, -1))
    if kind == "leaky_relu":
        return sheet.add(node, "LeakyRelu", [source], alpha=float(node.attrs["alpha"]))
    if kind == "relu6":
        bounds = sheet.number(node, "min", 0), sheet.number(node, "max", 6)
        return sheet.add(node, "Clip", [source, *bounds])
    if kind == "swish":
        gate = sheet.add(node, "Sigmoid", [source], part="sigmoid")
        return sheet.add(node, "Mul", [source, gate])
    divided = sheet.add(
        node, "Div", [source, sheet.number(node, "root", np.sqrt(2))], part="divided"
    )
    erf = sheet.add(node, "Erf", [divided], part="erf")
    gate = sheet.add(node, "Add", [erf, sheet.number(node, "one", 1)], part="gate")
    product = sheet.add(node, "Mul", [source, gate], part="product")
    return sheet.add(node, "Mul", [product, sheet.number(node, "half", 0.5)])


SINGLE = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "hard_silu": "HardSwish",
    "linear": "Identity",
}
"""Activations that are one operator."""


def softmax(sheet: Sheet, node: Node) -> str:
    """Write a softmax along one axis."""
    axis = _axis(sheet, node, node.attrs["axis"])
    return sheet.add(node, "Softmax", [sheet.source(node)], axis=axis)


def _axis(sheet, node, axis) -> int:
    """Return ONNX' axis of one of a node's input, counted with the batch."""
    shape = sheet.graph.shapes[node.inputs[0]]
    found = axis + len(shape) + 1 if axis < 0 else axis
    return PLACE[found] if len(shape) == 3 else found


def add(sheet: Sheet, node: Node) -> str:
    """Write a sum or an average."""
    op = "Mean" if node.attrs["average"] else "Add" if len(node.inputs) == 2 else "Sum"
    return sheet.add(node, op, sheet.sources(node))


def concatenate(sheet: Sheet, node: Node) -> str:
    """Write a concatenation."""
    axis = axis_without_batch(node, sheet.graph.shapes[node.inputs[0]]) + 1
    return sheet.add(node, "Concat", sheet.sources(node), axis=_axis(sheet, node, axis))


def multiply(sheet: Sheet, node: Node) -> str:
    """Write a product of tensors, two by two."""
    product, *rest = sheet.sources(node)
    for number, other in enumerate(rest, 1):
        part = "" if number == len(rest) else f"product_{number}"
        product = sheet.add(node, "Mul", [product, other], part=part)
    return product


def _pool(op: str, **options) -> Write:
    def write(sheet, node):
        size = node.attrs["pool_size"]
        return sheet.add(
            node,
            op,
            [sheet.source(node)],
            kernel_shape=size,
            strides=node.attrs["strides"] or size,
            pads=pads(sheet, node, size),
            **options,
        )

    return write


def _global_pool(op: str) -> Write:
    def write(sheet, node):
        source = sheet.source(node)
        if node.attrs["keepdims"]:
            return sheet.add(node, op, [source])
        return sheet.add(node, "Flatten", [sheet.add(node, op, [source], part="map")], axis=1)

    return write


def zero_padding(sheet: Sheet, node: Node) -> str:
    """Write zeros around a map."""
    (top, bottom), (left, right) = node.attrs["padding"]
    amounts = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    return sheet.add(node, "Pad", [sheet.source(node), sheet.constant(node, "pads", amounts)])


def cropping(sheet: Sheet, node: Node) -> str:
    """Write a map without some of its rows and columns."""
    height, width, _ = sheet.graph.shapes[node.inputs[0]]
    (top, bottom), (left, right) = node.attrs["cropping"]
    places = {
        "starts": [top, left],
        "ends": [height - bottom, width - right],
        "axes": [2, 3],
    }
    inputs = [sheet.constant(node, key, np.array(values)) for key, values in places.items()]
    return sheet.add(node, "Slice", [sheet.source(node), *inputs])


def upsampling(sheet: Sheet, node: Node) -> str:
    """Write a repetition of pixels."""
    scales = sheet.constant(node, "scales", np.array([1, 1, *node.attrs["size"]], np.float32))
    return sheet.add(
        node,
        "Resize",
        [sheet.source(node), "", scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def reshape(sheet: Sheet, node: Node) -> str:
    """Write a change of shape, in the order of the graph's values."""
    source = node.inputs[0]
    shape = sheet.graph.shapes[node.name]
    if sheet.graph.shapes[source] == shape:
        return sheet.add(node, "Identity", [sheet.source(node)])
    return sheet.shaped(node, sheet.channels_last(node, sheet.source(node), source), shape)


def permute(sheet: Sheet, node: Node) -> str:
    """Write a permutation of the axes after the batch."""
    perm = [0, *node.attrs["dims"]]
    if len(perm) == 4:
        # To channels last, permuted, to channels first again.
        perm = [LAST[perm[axis]] for axis in FIRST]
    return sheet.add(node, "Transpose", [sheet.source(node)], perm=perm)


def identity(sheet: Sheet, node: Node) -> str:
    """Write what does nothing in inference."""
    return sheet.add(node, "Identity", [sheet.source(node)])


OPERATORS: Mapping[str, Write] = {
    "Conv2D": conv,
    "DepthwiseConv2D": depthwise_conv,
    "SeparableConv2D": separable,
    "Conv2DTranspose": transposed,
    "DepthwiseConv2DTranspose": transposed,
    "Dense": dense,
    "Rescaling": rescaling,
    "BatchNormalization": batchnorm,
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "PReLU": prelu,
    "Activation": activation,
    "Softmax": softmax,
    "Add": add,
    "Concatenate": concatenate,
    "Multiply": multiply,
    "MaxPooling2D": _pool("MaxPool"),
    "AveragePooling2D": _pool("AveragePool", count_include_pad=0),
    "GlobalAveragePooling2D": _global_pool("GlobalAveragePool"),
    "GlobalMaxPooling2D": _global_pool("GlobalMaxPool"),
    "ZeroPadding2D": zero_padding,
    "Cropping2D": cropping,
    "UpSampling2D": upsampling,
    "Flatten": reshape,
    "Reshape": reshape,
    "Permute": permute,
    "Dropout": identity,
}
"""Operation to how it is written."""
