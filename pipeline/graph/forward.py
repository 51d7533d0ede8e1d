"""Run a float graph in NumPy, node by node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.errors import DataError
from pipeline.graph.float_kernels import temporal_windows
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node

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

    Every operation computes what the Keras layer of its name computes on ``channels_last`` float32
    data: batch norms use their moving statistics, dropouts are the identity. Results agree with
    Keras up to the order of float32 sums.

    Buffered temporal convolutions read the batch axis as time: image i follows image
    ``i - streams`` of the same stream, buffers start empty, and `batch_size` has no influence.
    (A Keras model that keeps its buffers between calls, fed with batches of B images, is
    ``streams=B``.)

    Parameters
    ----------
    graph : Graph
    images : array of shape (n, *graph.input.attrs["shape"])
        uint8, or any real type; objects with a shape that read slices from a file are accepted.
    batch_size : int
        Images per batch.
    probe : function of (node name, float32 array), optional
        Called with the output of every node, once per batch, in the graph's order. It must not
        modify the arrays.
    streams : int
        Independent image streams that are interleaved in `images`.

    Returns
    -------
    float32 array of shape (n, *graph.shapes[graph.output])

    Raises
    ------
    DataError
        If images have another shape than the model's input.
    ModelError
        If a layer has no float implementation (a batch norm over a spatial axis).
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
            f"{graph.name}: {len(images)} images cannot be divided among {streams} streams;"
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
            elif node.operation.temporal:
                value = run_temporal(node, values[node.inputs[0]], past, streams)
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
    """Return the output of one stateless node.

    Parameters
    ----------
    node : Node
        Anything but ``Input`` and the buffered temporal convolutions.
    *inputs : float32 arrays with a batch axis
    """
    return node.operation.forward(node, *inputs)


def run_temporal(node: Node, x: np.ndarray, past: dict, streams: int) -> np.ndarray:
    """Return the output of a temporal node, and store its last images in `past`.

    Parameters
    ----------
    node : Node
    x : float32 array of shape (n, ...)
        Images of `streams` interleaved streams.
    past : dict of str to array
        By node, read and updated; empty before the first image.
    streams : int
    """
    steps = node.attrs["fifo_size"]
    before = past.get(node.name)
    if before is None:
        before = np.zeros(((steps - 1) * streams, *x.shape[1:]), np.float32)
    frames = temporal_windows(x, before, steps, streams)
    past[node.name] = np.concatenate([before, x])[len(x) :]
    return node.operation.forward(node, *frames)
