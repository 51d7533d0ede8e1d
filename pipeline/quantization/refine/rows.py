"""A layer's inputs as rows and its kernel as a matrix, so that the layer is a matrix product."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.graph.float_kernels import depthwise_conv2d, windows
from pipeline.graph.node import Node
from pipeline.graph.traits import TEMPORAL
from pipeline.graph.windows import padded

COVERED = ("Conv2D", "DepthwiseConv2D", "Dense", "SeparableConv2D", *TEMPORAL)
"""Operations whose kernels are refitted; of a SeparableConv2D, the pointwise one."""


def covered(node: Node) -> bool:
    """Return whether the kernel of a node can be refitted."""
    plain = node.attrs.get("groups", 1) == 1 and node.attrs.get("depth_multiplier", 1) == 1
    return node.op in COVERED and plain


def kernel_matrix(node: Node, kernel: np.ndarray | None = None) -> np.ndarray:
    """Return a covered node's kernel, or another of its shape, as (groups, inputs, filters)."""
    kernel = node.weights[node.operation.output_kernel] if kernel is None else kernel
    if node.op == "DepthwiseConv2D":
        return kernel.transpose(2, 0, 1, 3).reshape(kernel.shape[2], -1, 1)
    if node.operation.depthwise:
        return kernel.T[:, :, None]
    return kernel.reshape(1, -1, kernel.shape[-1])


def node_kernel(node: Node, matrix: np.ndarray) -> np.ndarray:
    """Return a matrix (groups, inputs, filters) in the layout of the node's kernel."""
    shape = node.weights[node.operation.output_kernel].shape
    if node.op == "DepthwiseConv2D":
        return matrix.reshape(shape[2], shape[0], shape[1], 1).transpose(1, 2, 0, 3)
    if node.operation.depthwise:
        return matrix[:, :, 0].T
    return matrix.reshape(shape)


def draw(
    node: Node,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    per_image: int,
    rng: np.random.Generator,
    *,
    pooled: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return some rows of a covered node's inputs, and the targets at their places.

    Parameters
    ----------
    node : Node
        Its padding value, in the unit of its input, surrounds the maps.
    batches : iterator of (x, y)
        The node's inputs and targets, float32 with a batch axis; a temporal node's inputs are
        what `pipeline.quantization.refine.frames.remembered` returns.
    per_image : int
        Places drawn from each image, with repetition; all where there are fewer.
    rng : Generator
    pooled : bool
        The sums are averaged over the map before anything else: one row for each image.

    Returns
    -------
    x : float32 array of shape (groups, rows, inputs)
    y : float32 array of shape (groups, rows, filters)
    """
    parts = [_some(node, x, y, 0 if pooled else per_image, rng) for x, y in batches]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if node.operation.depthwise:
        x = x.reshape(len(x), -1, y.shape[-1]).transpose(2, 0, 1)
        return np.ascontiguousarray(x), np.ascontiguousarray(y.T[:, :, None])
    return x.reshape(1, len(x), -1), y[None]


def _some(node, x, y, per_image, rng):
    view = _windows(node, x)
    places = y.shape[1:-1]
    if not per_image:
        return view.mean(axis=(1, 2)), y.mean(axis=(1, 2))
    total = int(np.prod(places, dtype=np.int64))
    if total <= per_image:
        chosen = np.tile(np.arange(total), len(x))
    else:
        chosen = rng.integers(0, total, len(x) * per_image)
    image = np.repeat(np.arange(len(x)), len(chosen) // len(x))
    index = (image, *np.unravel_index(chosen, places)) if places else (image,)
    return view[index], y[index]


def _windows(node, x):
    """Return what each output place reads: (n, *places, ...)."""
    attrs = node.attrs
    if node.op == "Dense" or node.operation.temporal:
        return x
    value = attrs.get("padding_value")
    x = padded(node, x, attrs["kernel_size"], 0 if value is None else np.float32(value))
    dilation = attrs["dilation_rate"]
    if node.op == "SeparableConv2D":
        return depthwise_conv2d(x, node.weights["depthwise_kernel"], attrs["strides"], dilation)
    return windows(x, attrs["kernel_size"], attrs["strides"], dilation)
