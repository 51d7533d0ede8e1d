"""Estimate how long each step of refining takes, so that progress tells the time left."""

from __future__ import annotations

import math

from pipeline.graph.graph import Graph
from pipeline.quantization.refine import rows, wide
from pipeline.quantization.refine.steps import Step

VALUE, ROUNDED, STEP = 140, 40, 1e9
"""Time of a value that a layer reads or gives, of one product of a kernel with its inputs' second
moments, and of what a layer with a kernel takes besides, in multiplications of a forward pass:
fitted to the layers of AkidaNet 0.5 and DS-CNN (each within a factor of two)."""


def cost(graph: Graph, step: Step, images: int) -> float:
    """Return the relative time of refining one step on some images.

    Parameters
    ----------
    graph : Graph
        Prepared float graph.
    step : Step
    images : int
    """
    macs = sum(_macs(graph, node) for node in step)
    values = sum(
        math.prod(graph.shapes[name]) for node in step for name in (node.name, *node.inputs)
    )
    return 1.0 + images * (macs + VALUE * values) + _rounding(step[0])


def total(graph: Graph, images: int) -> float:
    """Return the relative time of running the whole model once as floats and once as integers."""
    values = sum(math.prod(shape) for shape in graph.shapes.values())
    return images * (sum(_macs(graph, node) for node in graph.nodes) + VALUE * values) / 2


def _macs(graph, node) -> int:
    if not node.inputs:
        return 0
    return node.operation.macs(node, graph.shapes[node.inputs[0]], graph.shapes[node.name])


def _rounding(head) -> float:
    if not rows.covered(head):
        return 0.0
    groups, inputs, filters = rows.kernel_matrix(head).shape
    return STEP + ROUNDED * groups * min(inputs, wide.INPUTS) * inputs * filters
