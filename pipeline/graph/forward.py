"""Run a float graph in numpy: the definition of what each operation computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.errors import DataError, ModelError
from pipeline.graph import float_kernels as kernels
from pipeline.graph.activations import ACTIVATIONS, softmax
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.shapes import same_padding

Probe = Callable[[str, np.ndarray], None]


def forward(
    graph: Graph,
    images: np.ndarray,
    *,
    batch_size: int = 256,
    probe: Probe | None = None,
    streams: int = 1,
) -> np.ndarray:
    """Return the outputs of `graph` for `images`, in inference mode.

    Every operation means what the Keras layer of its name computes on ``channels_last`` float32
    data: batch norms use their moving statistics, dropouts pass. Results agree with Keras up to
    the order of float32 sums.

    Buffered temporal convolutions read the batch axis as time: image i follows image
    ``i - streams`` of the same stream, buffers start empty, and `batch_size` has no influence.
    (A Keras model that keeps its buffers between calls, fed with batches of B images, is
    ``streams=B``.)

    Parameters
    ----------
    graph : Graph
    images : array of shape (n, *graph.input.attrs["shape"])
        uint8, or any real type; what has a shape and reads its slices from a file will do.
    batch_size : int
        Images computed at once.
    probe : function of (node name, float32 array), optional
        Sees the output of every node, once per batch, in the graph's order. It must not change
        the arrays.
    streams : int
        Independent image streams that are interleaved in `images`.

    Returns
    -------
    float32 array of shape (n, *graph.shapes[graph.output])

    Raises
    ------
    DataError
        When images have another shape than the model's input.
    ModelError
        When a layer has no float meaning here (a batch norm over a spatial axis).
    """
    images = images if hasattr(images, "shape") else np.asarray(images)
    wanted = graph.shapes[graph.input.name]
    if images.shape[1:] != wanted or images.ndim != len(wanted) + 1:
        raise DataError(
            f"{graph.name}: images have the shape {images.shape}; its input takes"
            f" (n, {', '.join(map(str, wanted))}); resize or reshape them"
        )
    if images.dtype.kind not in "buif":
        raise DataError(f"{graph.name}: images are of type {images.dtype}; give numbers")
    if len(images) % streams:
        raise DataError(
            f"{graph.name}: {len(images)} images cannot be shared out to {streams} streams;"
            " give a multiple"
        )
    last_use = {name: node.name for node in graph.nodes for name in (*node.inputs, node.name)}
    past: dict[str, np.ndarray] = {}
    outputs = [np.zeros((0, *graph.shapes[graph.output]), np.float32)]
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size].astype(np.float32)
        values: dict[str, np.ndarray] = {}
        for node in graph.nodes:
            if node.op == "Input":
                value = batch
            elif node.op in TEMPORAL:
                value = _temporal(node, values[node.inputs[0]], past, streams)
            else:
                value = run_node(node, *(values[name] for name in node.inputs))
            value = np.asarray(value, np.float32)
            values[node.name] = value
            if probe:
                probe(node.name, value)
            for name in {*node.inputs, node.name}:
                if last_use[name] == node.name and name != graph.output:
                    del values[name]
        outputs.append(values[graph.output])
    return np.concatenate(outputs)


def run_node(node: Node, *inputs: np.ndarray) -> np.ndarray:
    """Return the output of one node without memory of past images.

    Parameters
    ----------
    node : Node
        Anything but ``Input`` and the buffered temporal convolutions.
    *inputs : float32 arrays with a batch axis
    """
    return OPERATORS[node.op](node, *inputs)


def _padded(x, node, kernel, value=0):
    if node.attrs["padding"] == "valid":
        return x
    strides = node.attrs["strides"] or kernel
    dilation = node.attrs.get("dilation_rate", (1, 1))
    rows, columns = (
        same_padding(n, (k - 1) * d + 1, s)
        for n, k, s, d in zip(x.shape[1:3], kernel, strides, dilation, strict=True)
    )
    return kernels.pad(x, rows, columns, value)


def _biased(node, y):
    return kernels.scale_and_shift(y, None, node.weights["bias"]) if node.attrs["use_bias"] else y


def _conv(node, x):
    attrs, value = node.attrs, node.attrs.get("padding_value")
    x = _padded(x, node, attrs["kernel_size"], 0 if value is None else np.float32(value))
    kernel = node.weights["kernel"]
    y = kernels.conv2d(x, kernel, attrs["strides"], attrs["dilation_rate"], attrs["groups"])
    return _biased(node, y)


def _depthwise(node, x):
    attrs = node.attrs
    x = _padded(x, node, attrs["kernel_size"])
    kernel = node.weights["kernel"]
    return _biased(
        node, kernels.depthwise_conv2d(x, kernel, attrs["strides"], attrs["dilation_rate"])
    )


def _separable(node, x):
    attrs, weights = node.attrs, node.weights
    x = _padded(x, node, attrs["kernel_size"])
    x = kernels.depthwise_conv2d(
        x, weights["depthwise_kernel"], attrs["strides"], attrs["dilation_rate"]
    )
    return _biased(node, kernels.conv2d(x, weights["pointwise_kernel"]))


def _transposed(kernel_function):
    def run(node, x):
        attrs = node.attrs
        if attrs["dilation_rate"] != (1, 1):
            raise ModelError(
                f"{node.name}: a transposed convolution with dilation_rate"
                f" {attrs['dilation_rate']} is not known; use (1, 1)"
            )
        y = kernel_function(x, node.weights["kernel"], attrs["strides"], attrs["padding"])
        return _biased(node, y)

    return run


def batchnorm_factors(node: Node) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (scale, mean, beta) of a batch norm in inference: y = (x - mean) * scale + beta.

    float32, one value per channel.
    """
    weights, attrs = node.weights, node.attrs
    spread = np.sqrt(weights["moving_variance"] + np.float32(attrs["epsilon"]))
    gamma = weights["gamma"] if attrs["scale"] else np.float32(1)
    beta = weights["beta"] if attrs["center"] else np.zeros_like(spread)
    return gamma / spread, weights["moving_mean"], beta


def _batchnorm(node, x):
    if node.attrs["axis"] not in (-1, x.ndim - 1):
        raise ModelError(
            f"{node.name}: BatchNormalization over axis {node.attrs['axis']}; only the last one"
            " (channels) is known"
        )
    scale, mean, beta = batchnorm_factors(node)
    return kernels.scale_and_shift(x, scale, beta - mean * scale)


def _relu(node, x):
    top, slope, threshold = (
        node.attrs[key] for key in ("max_value", "negative_slope", "threshold")
    )
    if slope or threshold:
        y = np.where(x > threshold, x, np.float32(slope) * (x - np.float32(threshold)))
        return y if top is None else np.minimum(y, np.float32(top))
    # One pass, and a faster one than a maximum with a number.
    return np.clip(x, np.float32(0), None if top is None else np.float32(top))


def _quantized_relu(node, x):  # ties go down
    highest = 2 ** node.attrs["bits"] - 1
    step = np.float32(node.attrs["max_value"] / highest)
    return step * np.clip(np.ceil((x - step / 2) / step), 0, highest)


def _leaky(node, x):
    return ACTIVATIONS["leaky_relu"](x, np.float32(node.attrs["negative_slope"]))


def _activation(node, x):
    name = node.attrs["activation"]
    if name not in ACTIVATIONS:
        raise ModelError(
            f"{node.name}: activation '{name}' is not known; known: {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name](x, np.float32(node.attrs["alpha"]))


def _max_pool(node, x):
    pool = node.attrs["pool_size"]
    x = _padded(x, node, pool, -np.inf)
    return kernels.max_pool(x, pool, node.attrs["strides"] or pool)


def _average_pool(node, x):
    pool = node.attrs["pool_size"]
    strides = node.attrs["strides"] or pool
    counts = _padded(np.ones((1, *x.shape[1:3], 1), np.float32), node, pool)
    total = kernels.sum_pool(_padded(x, node, pool), pool, strides)
    return total / kernels.sum_pool(counts, pool, strides)


def _up_sample(node, x):
    if node.attrs["interpolation"] != "nearest":
        raise ModelError(
            f"{node.name}: interpolation '{node.attrs['interpolation']}' is not known; use"
            " 'nearest'"
        )
    rows, columns = node.attrs["size"]
    return x.repeat(rows, 1).repeat(columns, 2)


def _add(node, *inputs):
    total = inputs[0]
    for other in inputs[1:]:
        total = total + other
    return total / np.float32(len(inputs)) if node.attrs["average"] else total


def _rescale(node, x):
    return x * np.float32(node.attrs["scale"]) + np.float32(node.attrs["offset"])


OPERATORS: dict[str, Callable[..., np.ndarray]] = {
    "Rescaling": _rescale,
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Conv2DTranspose": _transposed(kernels.conv2d_transpose),
    "DepthwiseConv2DTranspose": _transposed(kernels.depthwise_conv2d_transpose),
    "Dense": lambda node, x: _biased(node, np.matmul(x, node.weights["kernel"])),
    "BatchNormalization": _batchnorm,
    "ReLU": _relu,
    "QuantizedReLU": _quantized_relu,
    "LeakyReLU": _leaky,
    "PReLU": lambda node, x: np.maximum(x, 0) + node.weights["alpha"] * np.minimum(x, 0),
    "Activation": _activation,
    "Softmax": lambda node, x: softmax(x, node.attrs["axis"]),
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "GlobalAveragePooling2D": lambda node, x: x.mean((1, 2), keepdims=node.attrs["keepdims"]),
    "ZeroPadding2D": lambda node, x: kernels.pad(x, *node.attrs["padding"]),
    "UpSampling2D": _up_sample,
    "Flatten": lambda node, x: x.reshape(len(x), -1),
    "Reshape": lambda node, x: x.reshape(len(x), *node.attrs["target_shape"]),
    "Permute": lambda node, x: x.transpose(0, *node.attrs["dims"]),
    "Dropout": lambda node, x: x,
    "Add": _add,
    "Concatenate": lambda node, *inputs: np.concatenate(inputs, node.attrs["axis"]),
}
"""Operation to function of (node, input arrays)."""

TEMPORAL = ("BufferTempConv", "DepthwiseBufferTempConv")
"""Operations that remember earlier images."""


def _temporal(node, x, past, streams):
    steps = node.attrs["fifo_size"]
    before = past.get(node.name)
    if before is None:
        before = np.zeros(((steps - 1) * streams, *x.shape[1:]), np.float32)
    fifo = kernels.temporal_windows(x, before, steps, streams)
    past[node.name] = np.concatenate([before, x])[len(x) :]
    kernel = node.weights["kernel"]
    if node.op == "BufferTempConv":
        y = np.matmul(np.concatenate(fifo, -1), kernel[0, 0])
    else:
        y = sum(old * weights for old, weights in zip(fifo, kernel, strict=True))
    return _biased(node, y)
