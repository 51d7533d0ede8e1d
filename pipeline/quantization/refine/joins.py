"""Scale together what joins and several layers read, so that powers of two fit the ranges.

An output that one layer reads takes any factor: the next kernel takes it back. The inputs of an
addition must share theirs, and every layer that reads one of them takes it back. One factor is
chosen for all, by the steps that it gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import NEURAL, TEMPORAL
from pipeline.quantization.assignment import block_ends
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.equalization import divide_kernel, next_layer
from pipeline.quantization.fixed_point import max_frac_bits

FACTORS = np.exp2(np.arange(8) / 8).astype(np.float32)
"""Factors that are tried: a whole power of two changes nothing."""
_PASSED = ("MaxPooling2D", "Dropout")


@dataclass(frozen=True)
class Stream:
    """Outputs that take one factor.

    Attributes
    ----------
    outputs : tuple of str
        Nodes with output quantizers.
    ends : tuple of str
        ReLUs of additions of them, which take the factor back.
    layers : tuple of str
        Layers that read them.
    """

    outputs: tuple[str, ...]
    ends: tuple[str, ...]
    layers: tuple[str, ...]


def scale_joins(calibrated: CalibratedGraph) -> tuple[CalibratedGraph, list[str]]:
    """Return an equivalent model whose joint outputs use more of their levels; names of these.

    Parameters
    ----------
    calibrated : CalibratedGraph
    """
    names = []
    for stream in streams(calibrated):
        factor = _best(calibrated, stream)
        if not (factor == 1).all():
            calibrated = _scaled(calibrated, stream, factor)
            names += stream.outputs
    return calibrated, names


def streams(calibrated: CalibratedGraph) -> Iterator[Stream]:
    """Yield the outputs that no single layer reads, those of one addition together."""
    graph, nodes = calibrated.graph, calibrated.nodes
    quantized = [name for name, node in nodes.items() if node.output is not None]
    group = {name: {name} for name in quantized}
    for add in (node for node in graph.nodes if node.op == "Add"):
        joined = [*block_ends(graph, add.name), *([add.name] if add.name in group else [])]
        merged = set().union(*(group.get(name, {name}) for name in joined))
        group |= dict.fromkeys(merged, merged)
    for members in {id(found): found for found in group.values()}.values():
        stream = _stream(calibrated, [name for name in quantized if name in members])
        if stream is not None and members <= set(quantized):
            yield stream


def _stream(calibrated, outputs) -> Stream | None:
    """Return the stream of some outputs, or None if one of them takes no factor."""
    graph, layers, ends = calibrated.graph, {}, {}
    single = len(outputs) == 1 and graph.node(outputs[0]).op != "Add"
    for name in outputs:
        per_tensor = calibrated.nodes[name].output.per_tensor
        if single and next_layer(graph, name, per_tensor=per_tensor) is not None:
            return None
        for reader in _readers(graph, name):
            if reader.op == "Add":
                if reader.name in outputs:
                    continue
                end = graph.sole_consumer(reader)
                if end is None or end.op != "ReLU" or end.attrs["max_value"] is not None:
                    return None
                if calibrated.nodes[end.name].output is None:
                    return None
                ends[end.name] = None
            elif not _takes_back(reader):
                return None
            else:
                layers[reader.name] = None
        if name == graph.output or graph.node(name).op == "Activation":
            return None
    return Stream(tuple(outputs), tuple(ends), tuple(layers))


def _takes_back(reader: Node) -> bool:
    """Return whether a layer's kernel takes a factor of its input back."""
    simple = reader.op not in TEMPORAL and reader.attrs.get("groups", 1) == 1
    return reader.op in NEURAL and simple


def _readers(graph: Graph, name: str) -> Iterator[Node]:
    for node in graph.consumers(name):
        if node.op in _PASSED:
            yield from _readers(graph, node.name)
        else:
            yield node


def _best(calibrated, stream) -> np.ndarray:
    """Return the factor of least squared steps, float32 of shape () or (channels,)."""
    quantizers = [calibrated.nodes[name].output for name in stream.outputs]
    costs = []
    for factor in FACTORS:
        cost = 0.0
        for quantizer in quantizers:
            bits = quantizer.bits - quantizer.signed
            reach = np.asarray(quantizer.range_max * factor, np.float32)
            cost = cost + np.exp2(-2.0 * max_frac_bits(bits, reach)) / factor**2
        costs.append(cost)
    costs = np.stack([np.broadcast_to(cost, np.shape(sum(costs))) for cost in costs])
    if any(quantizer.per_tensor for quantizer in quantizers):
        costs = costs.reshape(len(costs), -1).sum(axis=1)
    return FACTORS[costs.argmin(axis=0)]


def _scaled(calibrated, stream, factor) -> CalibratedGraph:
    graph, nodes = calibrated.graph, dict(calibrated.nodes)
    for name in stream.outputs:
        quantizer = nodes[name].output
        changes = {"range_max": np.asarray(quantizer.range_max * factor, np.float32)}
        if graph.node(name).op != "Add":
            rate = np.asarray(quantizer.rescaling_rate * factor, np.float32)
            changes["rescaling_rate"] = rate
        nodes[name] = replace(nodes[name], output=replace(quantizer, **changes))
    for name in stream.ends:
        quantizer = nodes[name].output
        rate = np.asarray(quantizer.rescaling_rate / factor, np.float32)
        nodes[name] = replace(nodes[name], output=replace(quantizer, rescaling_rate=rate))
    divided = {name: divide_kernel(graph.node(name), factor, None) for name in stream.layers}
    graph = graph.with_nodes(divided.get(node.name, node) for node in graph.nodes)
    return replace(calibrated, graph=graph, nodes=nodes)
