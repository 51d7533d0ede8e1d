"""Output shape of every operation, and the padding geometry of windows (Keras' rules)."""

from __future__ import annotations

import math

from pipeline.errors import ModelError

Shape = tuple[int, ...]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding before and after one axis under ``padding="same"``.

    The odd pixel goes after the image (bottom, right), as in TensorFlow.
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def window_output(size: int, kernel: int, stride: int, padding: str) -> int:
    """Return the output length of one axis of a convolution or a pooling."""
    if padding == "same":
        return math.ceil(size / stride)
    return (size - kernel) // stride + 1


def _windowed(node, shape, kernel, channels):
    strides = node.attrs["strides"] or kernel
    dilation = node.attrs.get("dilation_rate", (1, 1))
    spatial = tuple(
        window_output(n, (k - 1) * d + 1, s, node.attrs["padding"])
        for n, k, s, d in zip(shape[:2], kernel, strides, dilation, strict=True)
    )
    if min(spatial) < 1:
        raise ModelError(
            f"{node.name}: a window of {kernel} does not fit its input of {shape[:2]}; use"
            " padding 'same', a smaller window or a larger image"
        )
    return (*spatial, channels)


def _convolved(node, shape):
    groups, filters = node.attrs["groups"], node.attrs["filters"]
    if shape[-1] % groups or filters % groups:
        raise ModelError(
            f"{node.name}: groups is {groups}; it must divide the {shape[-1]} channels of the input"
            f" and the {filters} filters"
        )
    return _windowed(node, shape, node.attrs["kernel_size"], filters)


def _transposed(node, shape, channels):
    spatial = []
    for n, k, s in zip(shape[:2], node.attrs["kernel_size"], node.attrs["strides"], strict=True):
        spatial.append(n * s if node.attrs["padding"] == "same" else n * s + max(k - s, 0))
    return (*spatial, channels)


def _reshape(node, shape):
    target, size = list(node.attrs["target_shape"]), math.prod(shape)
    if -1 in target:
        known = -math.prod(target)
        target[target.index(-1)] = size // known if known else 0
    if math.prod(target) != size:
        raise ModelError(
            f"{node.name}: cannot reshape {shape} ({size} values) to {tuple(target)}"
            f" ({math.prod(target)} values)"
        )
    return tuple(target)


def _axis(node, shape) -> int:
    """Return the node's axis, counted without the batch from 0."""
    axis, rank = node.attrs["axis"], len(shape)
    if axis == 0 or not -rank <= axis <= rank:
        raise ModelError(
            f"{node.name}: axis is {axis}; its input has the axes 1 to {rank} behind the batch"
        )
    return axis - 1 if axis > 0 else rank + axis


def _rescaling(node, shapes):
    for key in ("scale", "offset"):
        value = node.attrs[key]
        if isinstance(value, tuple) and len(value) not in (1, shapes[0][-1]):
            raise ModelError(
                f"{node.name}: {key} has {len(value)} values; its input has {shapes[0][-1]}"
                " channels"
            )
    return shapes[0]


def _softmax(node, shapes):
    _axis(node, shapes[0])
    return shapes[0]


def _permute(node, shape):
    dims = node.attrs["dims"]
    if len(dims) != len(shape):
        raise ModelError(f"{node.name}: dims are {dims}; its input has {len(shape)} axes")
    return tuple(shape[axis - 1] for axis in dims)


def _concatenate(node, shapes):
    axis = _axis(node, shapes[0])
    rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    if len(rest) > 1:
        raise ModelError(f"{node.name}: cannot concatenate shapes {', '.join(map(str, shapes))}")
    joined = sum(shape[axis] for shape in shapes)
    return (*shapes[0][:axis], joined, *shapes[0][axis + 1 :])


def _add(node, shapes):
    if len(set(shapes)) > 1:
        raise ModelError(f"{node.name}: cannot add shapes {', '.join(map(str, shapes))}")
    return shapes[0]


def _zero_padding(node, shape):
    (top, bottom), (left, right) = node.attrs["padding"]
    return (shape[0] + top + bottom, shape[1] + left + right, shape[2])


RULES = {
    "Input": lambda node, shapes: tuple(node.attrs["shape"]),
    "Conv2D": lambda node, s: _convolved(node, s[0]),
    "SeparableConv2D": lambda node, s: _windowed(
        node, s[0], node.attrs["kernel_size"], node.attrs["filters"]
    ),
    "DepthwiseConv2D": lambda node, s: _windowed(
        node, s[0], node.attrs["kernel_size"], s[0][-1] * node.attrs["depth_multiplier"]
    ),
    "MaxPooling2D": lambda node, s: _windowed(node, s[0], node.attrs["pool_size"], s[0][-1]),
    "AveragePooling2D": lambda node, s: _windowed(node, s[0], node.attrs["pool_size"], s[0][-1]),
    "Conv2DTranspose": lambda node, s: _transposed(node, s[0], node.attrs["filters"]),
    "DepthwiseConv2DTranspose": lambda node, s: _transposed(node, s[0], s[0][-1]),
    "Dense": lambda node, s: (*s[0][:-1], node.attrs["units"]),
    "GlobalAveragePooling2D": lambda node, s: (
        (1, 1, s[0][-1]) if node.attrs["keepdims"] else (s[0][-1],)
    ),
    "ZeroPadding2D": lambda node, s: _zero_padding(node, s[0]),
    "UpSampling2D": lambda node, s: (
        s[0][0] * node.attrs["size"][0],
        s[0][1] * node.attrs["size"][1],
        s[0][2],
    ),
    "Flatten": lambda node, s: (math.prod(s[0]),),
    "Reshape": lambda node, s: _reshape(node, s[0]),
    "Permute": lambda node, s: _permute(node, s[0]),
    "Softmax": _softmax,
    "Rescaling": _rescaling,
    "Add": _add,
    "Concatenate": _concatenate,
    "BufferTempConv": lambda node, s: (*s[0][:-1], node.attrs["filters"]),
}


SPATIAL = (
    *("Conv2D", "SeparableConv2D", "DepthwiseConv2D"),
    *("Conv2DTranspose", "DepthwiseConv2DTranspose", "MaxPooling2D", "AveragePooling2D"),
    *("GlobalAveragePooling2D", "ZeroPadding2D", "UpSampling2D"),
)
"""Operations on maps."""


def infer_shapes(graph) -> dict[str, Shape]:
    """Return the output shape of every node of `graph`, without the batch dimension.

    Raises
    ------
    ModelError
        When a layer does not fit its input.
    """
    shapes: dict[str, Shape] = {}
    for node in graph.nodes:
        inputs = [shapes[source] for source in node.inputs]
        if node.op in SPATIAL and len(inputs[0]) != 3:
            raise ModelError(
                f"{node.name}: {node.op} needs (height, width, channels), found {inputs[0]}; add a"
                " Reshape"
            )
        rule = RULES.get(node.op)
        shapes[node.name] = rule(node, inputs) if rule else inputs[0]
    return shapes
