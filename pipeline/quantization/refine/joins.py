"""Scale together what joins and several layers read, so that powers of two fit the ranges.

An output that one layer reads takes any factor: the next kernel takes it back. The inputs of an
addition must share theirs, and every layer that reads one of them takes it back. One factor is
chosen for all, by the steps that it gives them. The inputs of a Concatenate need not share one: a
layer after it takes back each one's factor in the channels that come from it.
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
AVERAGE = "GlobalAveragePooling2D"
_PASSED = ("MaxPooling2D", "Dropout", AVERAGE)


@dataclass(frozen=True)
class Stream:
    """Outputs that take one factor.

    Attributes
    ----------
    outputs : tuple of str
        Nodes with output quantizers.
    ends : tuple of str
        ReLUs of additions of them, which take the factor back.
    layers : tuple of (str, int)
        Layers that read them, and the first channel at which each does.
    averages : tuple of str
        Global averages that they pass on the way, with ranges of their own.
    """

    outputs: tuple[str, ...]
    ends: tuple[str, ...]
    layers: tuple[tuple[str, int], ...]
    averages: tuple[str, ...] = ()


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
    graph, layers, ends, averages = calibrated.graph, {}, {}, {}
    single = len(outputs) == 1 and graph.node(outputs[0]).op != "Add"
    for name in outputs:
        per_tensor = calibrated.nodes[name].output.per_tensor
        if single and next_layer(graph, name, per_tensor=per_tensor) is not None:
            return None
        for reader in _readers(graph, name):
            if reader.node.op == "Add":
                if reader.joined:
                    return None
                if reader.node.name in outputs:
                    continue
                end = _end(calibrated, reader)
                if end is None:
                    return None
                ends[end] = None
            elif not _takes_back(reader.node):
                return None
            else:
                layers[reader.node.name, reader.first] = None
            averages |= dict.fromkeys(reader.averages)
        if name == graph.output or graph.node(name).op == "Activation":
            return None
    return Stream(tuple(outputs), tuple(ends), tuple(layers), tuple(averages))


def _end(calibrated, reader) -> str | None:
    """Return the ReLU of an addition, if it takes a factor of the sum back."""
    end = calibrated.graph.sole_consumer(reader.node)
    if end is None or end.op != "ReLU" or end.attrs["max_value"] is not None:
        return None
    return None if calibrated.nodes[end.name].output is None else end.name


def _takes_back(reader: Node) -> bool:
    """Return whether a layer's kernel takes a factor of its input back."""
    simple = reader.op not in TEMPORAL and reader.attrs.get("groups", 1) == 1
    return reader.op in NEURAL and simple


@dataclass(frozen=True)
class _Reader:
    """A node that reads an output at its channels from `first` on, and what lies between.

    Attributes
    ----------
    node : Node
    first : int
    averages : tuple of str
        Global averages on the way.
    joined : bool
        Whether a Concatenate is on the way.
    """

    node: Node
    first: int = 0
    averages: tuple[str, ...] = ()
    joined: bool = False


def _readers(graph: Graph, name: str) -> Iterator[_Reader]:
    for node in graph.consumers(name):
        if node.name == graph.output:
            yield _Reader(node)
        elif node.op in _PASSED:
            averages = (node.name,) * (node.op == AVERAGE)
            for reader in _readers(graph, node.name):
                yield replace(reader, averages=(*averages, *reader.averages))
        elif node.op == "Concatenate":
            start = 0
            for source in node.inputs:
                if source == name:
                    for reader in _readers(graph, node.name):
                        yield replace(reader, first=reader.first + start, joined=True)
                start += graph.shapes[source][-1]
        else:
            yield _Reader(node)


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
    for name in stream.averages:
        nodes[name] = _widened(nodes[name], factor)
    width = graph.shapes[stream.outputs[0]][-1]
    divided = {}
    for name, first in stream.layers:
        node = divided.get(name, graph.node(name))
        divided[name] = divide_kernel(node, _spread(graph, node, factor, first, width), None)
    graph = graph.with_nodes(divided.get(node.name, node) for node in graph.nodes)
    return replace(calibrated, graph=graph, nodes=nodes)


def _widened(node, factor):
    """Return an average whose range holds channels that are larger by a factor."""
    if node.output is None:
        return node
    reach = np.asarray(node.output.range_max * np.max(factor), np.float32)
    return replace(node, output=replace(node.output, range_max=reach))


def _spread(graph, node, factor, first, width) -> np.ndarray:
    """Return a factor of some input channels as one of all of them."""
    channels = graph.shapes[node.inputs[0]][-1]
    if channels == width:
        return factor
    spread = np.ones(channels, np.float32)
    spread[first : first + width] = factor
    return spread
