"""Refit the linear layers after a moved pooling to their previous outputs."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.float_kernels import pad, windows
from pipeline.graph.forward import run_node
from pipeline.graph.graph import Graph
from pipeline.graph.logits import before_probabilities, final_activation, has_one_output
from pipeline.graph.node import Node
from pipeline.graph.traits import KEEPS_VALUES
from pipeline.transforms.gap.class_fit import fit_classes
from pipeline.transforms.gap.outputs import outputs
from pipeline.transforms.gap.ridge import fit_ridge
from pipeline.transforms.gap.rounding_noise import rounding_noise
from simulator.windows import same_padding

LINEAR = ("Dense", "Conv2D", "SeparableConv2D")
PASSED = (*KEEPS_VALUES, "DepthwiseConv2D", "BatchNormalization")
"""Layers that may come between the pooling and the linear layer to be refitted."""


def is_linear(node: Node) -> bool:
    """Return True if `refit` can fit a layer."""
    return node.op in LINEAR and node.attrs.get("groups", 1) == 1


def linear_layers(graph: Graph, name: str) -> list[str]:
    """Return the first linear layer on every path from the node `name`.

    Empty if a path reaches another layer first: then no refit can compensate a change at `name`.
    """
    found: dict[str, None] = {}
    queue = [name]
    while queue:
        current = queue.pop(0)
        consumers = graph.consumers(current)
        if not consumers or current == graph.output:
            return []
        for consumer in consumers:
            if is_linear(consumer):
                found[consumer.name] = None
            elif consumer.op in PASSED:
                queue.append(consumer.name)
            else:
                return []
    return list(found)


def refit(graph: Graph, reference: Graph, name: str, images: np.ndarray) -> tuple[Graph, dict]:
    """Return `graph` with the layer `name` fitted to its outputs in `reference`.

    The fit includes rounding to 8 bits: weights that are only accurate in float lose more on the
    chip than they gain.

    A separable layer keeps its depthwise kernel; its pointwise kernel is fitted. A layer without a
    bias gets one, unless the batch norm after it can absorb it. A last Dense layer is then fitted
    to the class probabilities.

    Parameters
    ----------
    graph, reference : Graph
        The layer has the same name and shape in both.
    name : str
        A layer for which `is_linear` is true.
    images : array of shape (n, height, width, channels)
        Unlabelled.

    Returns
    -------
    Graph
    dict
        ``penalty``, and ``residual``: the unexplained share of the outputs' variance.
    """
    node = graph.node(name)
    (inputs,) = outputs(graph, [node.inputs[0]], images)
    before, wanted = outputs(reference, [reference.node(name).inputs[0], name], images)
    rows, before = _features(node, inputs), _features(node, before)
    wanted = wanted.reshape(len(rows), -1)
    key = node.operation.output_kernel
    kernel = node.weights[key]
    prior = _slopes(rows, before)[:, None] * kernel.reshape(-1, kernel.shape[-1])
    largest = np.abs(rows).max()
    noise = rounding_noise(largest, rows.mean(0, dtype=np.float64), rows.var(0, dtype=np.float64))
    weights, bias, penalty = fit_ridge(rows, wanted, prior, noise)
    if _gives_classes(graph, node):
        weights, bias = fit_classes(rows, wanted, weights, bias, noise)
    residual = np.square(rows @ weights + bias - wanted).sum()
    spread = np.square(wanted - wanted.mean(0)).sum()
    share = float(residual / spread) if spread else 0.0
    node = node.with_weights(**{key: weights.reshape(kernel.shape).astype(np.float32)})
    new = _with_bias(graph, node, bias.astype(np.float32))
    return new, {"penalty": penalty, "residual": share}


def _slopes(rows, before) -> np.ndarray:
    """Return the regression slope of each input's former value on its new one."""
    rows = rows - rows.mean(0, dtype=np.float64)
    products = (rows * (before - before.mean(0, dtype=np.float64))).sum(0)
    squares = np.square(rows).sum(0)
    return np.divide(products, squares, out=np.ones_like(products), where=squares > 0)


def _gives_classes(graph, node):
    """Return True if a Dense layer's outputs are the logits of classes.

    A single output is a logit if a sigmoid follows; otherwise it may be a regression.
    """
    if node.op != "Dense" or node.name != before_probabilities(graph).output:
        return False
    return not has_one_output(graph) or final_activation(graph) == "sigmoid"


def _features(node: Node, x: np.ndarray) -> np.ndarray:
    """Return the inputs of the fitted kernel, one row per output position."""
    if node.op == "Dense":
        return x.reshape(-1, x.shape[-1])
    attrs = node.attrs
    if node.op == "SeparableConv2D":
        keys = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
        depthwise = make_node(
            node.name,
            "DepthwiseConv2D",
            node.inputs,
            {**{key: attrs[key] for key in keys}, "use_bias": False},
            {"kernel": node.weights["depthwise_kernel"]},
        )
        x = run_node(depthwise, x)
        return x.reshape(-1, x.shape[-1])
    kernel, strides, dilation = attrs["kernel_size"], attrs["strides"], attrs["dilation_rate"]
    if attrs["padding"] == "same":
        sides = zip(x.shape[1:3], kernel, strides, dilation, strict=True)
        x = pad(x, *(same_padding(n, (k - 1) * d + 1, s) for n, k, s, d in sides))
    view = windows(np.ascontiguousarray(x), kernel, strides, dilation)
    return view.reshape(-1, kernel[0] * kernel[1] * x.shape[-1])


def _with_bias(graph, node, bias) -> Graph:
    follower = graph.sole_consumer(node.name)
    changed = {node.name: node}
    if node.attrs["use_bias"]:
        changed[node.name] = node.with_weights(bias=bias)
    elif follower is not None and follower.op == "BatchNormalization":
        mean = follower.weights["moving_mean"] - bias
        changed[follower.name] = follower.with_weights(moving_mean=mean)
    else:
        changed[node.name] = node.with_attrs(use_bias=True).with_weights(bias=bias)
    return graph.with_nodes(changed.get(old.name, old) for old in graph.nodes)
