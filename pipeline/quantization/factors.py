"""Factors on the outputs of a graph, which the kernels of later layers take back.

Equalization, and scales that joined outputs share, multiply quantized outputs. What computes
multiples from multiples passes a factor on; additions need the same one on all inputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import JOINS, MOVES_ONLY, NEURAL, POOLINGS, RESHAPES, TEMPORAL
from pipeline.quantization.equalization import divide_kernel
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator.refusal import Refusal

ONE = np.float32(1)
ROUNDING = 2.0**-22
"""A factor times its inverse, both rounded to float32, is 1 within this."""
_PASSED = tuple(op for op in (*POOLINGS, *MOVES_ONLY) if op not in (*RESHAPES, *JOINS, "Permute"))


def output_factors(
    graph: Graph | QuantizedGraph, rates: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[Refusal]]:
    """Return the factor on every output, if layers with kernels take back those of their inputs.

    Parameters
    ----------
    graph : Graph or QuantizedGraph
    rates : mapping of str to float32 array of shape () or (channels,)
        Factors that nodes multiply their own outputs by.

    Returns
    -------
    factors : dict of str to float32 array of shape () or (channels,)
        By node; the values of a vector count as channels.
    refusals : list of Refusal
        One for each set of nodes whose factors reach what neither passes them on nor takes them
        back, or the output of the model.
    """
    factors: dict[str, np.ndarray] = {}
    origins: dict[str, tuple[str, ...]] = {}
    stuck: dict[tuple[str, ...], None] = {}
    for node in graph.nodes:
        given = [factors[name] for name in node.inputs]
        from_where = [name for source in node.inputs for name in origins[source]]
        passed = ONE if node.op in NEURAL else passed_on(graph, node, given)
        if passed is None or (node.op in NEURAL and not takes_back(node, given[0])):
            stuck[tuple(dict.fromkeys(from_where))] = None
            passed = ONE
        rate = rates.get(node.name, ONE)
        # Addition only shifts its sum: there is no output scale that could hold a factor.
        own = ONE if node.op == "Add" else np.asarray(rate, np.float32)
        factors[node.name] = _simple(passed * own)
        kept = [*(from_where if not is_one(passed) else ()), *([node.name] * (not is_one(own)))]
        origins[node.name] = () if is_one(factors[node.name]) else tuple(dict.fromkeys(kept))
    if not is_one(factors[graph.output]):
        stuck[origins[graph.output]] = None
    found = "no layer after it can undo its equalization"
    refusals = [Refusal(layers=names, found=found, rule="equalization") for names in stuck]
    return factors, refusals


def divide_kernels(graph: Graph, factors: Mapping[str, np.ndarray], *, undo: bool = False) -> Graph:
    """Return the graph with every kernel divided by the factor of its input.

    Parameters
    ----------
    graph : Graph
    factors : mapping of str to float32 array
        See `output_factors`.
    undo : bool
        Divide by the inverse instead.
    """
    changed = {}
    for node in graph.nodes:
        if node.op in NEURAL and not is_one(given := factors[node.inputs[0]]):
            changed[node.name] = divide_kernel(node, 1 / given if undo else given, None)
    return graph.with_nodes(changed.get(node.name, node) for node in graph.nodes)


def passed_on(graph, node, given: list[np.ndarray]) -> np.ndarray | None:
    """Return the factor that a node without a kernel passes on of those of its inputs.

    None if it cannot pass them on.
    """
    if all(map(is_one, given)):
        return ONE
    if node.op in _PASSED or (node.op == "ReLU" and _is_homogeneous(node)):
        return given[0]
    if node.op in RESHAPES:
        before, after = (graph.shapes[name] for name in (node.inputs[0], node.name))
        rows = np.broadcast_to(given[0], before).reshape(-1, after[-1])
        return _simple(rows[0]) if (rows == rows[0]).all() else None
    if node.op == "Add":
        first = np.broadcast_arrays(*given)
        return given[0] if all(np.array_equal(first[0], other) for other in first) else None
    if node.op == "Concatenate" and node.attrs["axis"] in (-1, len(graph.shapes[node.name])):
        widths = (graph.shapes[name][-1] for name in node.inputs)
        spread = [np.broadcast_to(f, w) for f, w in zip(given, widths, strict=True)]
        return _simple(np.concatenate(spread))
    return None


def takes_back(node: Node, factor: np.ndarray) -> bool:
    """Return True if the kernel of a layer takes back a factor of its input."""
    if is_one(factor):
        return True
    simple = np.ndim(factor) == 0 or node.op not in TEMPORAL
    return simple and node.attrs.get("groups", 1) == 1


def is_one(factor: np.ndarray) -> bool:
    """Return True if a factor changes nothing."""
    return bool((factor == 1).all())


def _is_homogeneous(relu: Node) -> bool:
    return relu.attrs["max_value"] is None and not relu.attrs["threshold"]


def _simple(factor: np.ndarray) -> np.ndarray:
    """Return 1 for what is 1 but for rounding, and one number for equal ones."""
    if (np.abs(factor - 1) <= ROUNDING).all():
        return ONE
    return factor[0] if np.ndim(factor) and (factor == factor[0]).all() else np.asarray(factor)
