"""Rebuild a calibrated graph from an integer model, node by node, each proven by its rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import NEURAL
from pipeline.quantization.calibrated_graph import CalibratedGraph, NodeQuantization
from pipeline.quantization.floats.chains import is_end, takes_rates
from pipeline.quantization.floats.constants import bias_floats, padding_floats
from pipeline.quantization.floats.differences import refusals
from pipeline.quantization.floats.kernels import kernel_floats, scaled_units, separable_floats
from pipeline.quantization.floats.outputs import input_quantizer, output_quantizer
from pipeline.quantization.floats.units import sum_scales
from pipeline.quantization.integerize import RULES
from pipeline.quantization.kernel_rules import in_rule_layout, kernel_axis
from pipeline.quantization.quantized_graph import Format, QuantizedGraph, QuantizedNode
from pipeline.quantization.walk import Walk, align
from simulator.refusal import Refusal

ADDED = ("Quantizer", "Dequantizer")
"""Nodes of integer models that are no nodes of the float graph."""
UNALIGNED = ("DepthwiseConv2D",)
"""Layers with a kernel that keep each channel's own scale."""


def restore(quantized: QuantizedGraph) -> CalibratedGraph:
    """Return a calibrated graph whose integers are those of an integer model.

    Parameters
    ----------
    quantized : QuantizedGraph
        Of the scheme quantizeml; channels are aligned before a Flatten, not after it.

    Returns
    -------
    CalibratedGraph
        `pipeline.quantization.integerize` computes the same registers from it, except that a
        register that cannot matter may differ.

    Raises
    ------
    IncompatibleModelError
        If floats cannot give some integers; names all such layers and registers.
    """
    return _Restoration(quantized).run()


class _Restoration:
    """The nodes that are rebuilt so far.

    Each node is quantized again as soon as it is rebuilt, so that the next one starts from the
    formats that its inputs will have.
    """

    def __init__(self, quantized: QuantizedGraph):
        self.quantized = quantized
        self.feeds = {n.name: n.inputs[0] for n in quantized.nodes if n.op in ADDED}
        graph = self._shells()
        self.settings: dict[str, NodeQuantization] = {}
        quantizer = next((n for n in quantized.nodes if n.op == "Quantizer"), None)
        self.calibrated = CalibratedGraph(
            graph=graph,
            nodes=self.settings,
            input=None if quantizer is None else input_quantizer(quantizer),
            flatten_saturates=True,
            notes=quantized.notes,
        )
        self.walk = Walk(self.calibrated, RULES)
        self.refusals: list[Refusal] = []

    def run(self) -> CalibratedGraph:
        """Rebuild every node and return the graph."""
        nodes = [self._node(self.quantized.node(shell.name)) for shell in self.walk.graph.nodes]
        self.walk.dequantize()
        self._compare(self.walk.nodes[-1], self.quantized.node(self.quantized.output))
        if self.refusals:
            raise IncompatibleModelError(
                self.quantized.name, self.refusals, "write the model as floats with their ranges"
            )
        return replace(self.calibrated, graph=self.calibrated.graph.with_nodes(nodes))

    def _shells(self) -> Graph:
        """Return the graph without weights."""
        last = self.quantized.node(self.quantized.output)
        nodes = [
            make_node(node.name, node.op, map(self._source, node.inputs), node.attrs)
            for node in self.quantized.nodes
            if node.op not in ADDED
        ]
        return Graph(self.quantized.name, tuple(nodes), self._source(last.name))

    def _source(self, name: str) -> str:
        while name in self.feeds:
            name = self.feeds[name]
        return name

    def _node(self, node: QuantizedNode) -> Node:
        shell = self.walk.graph.node(node.name)
        try:
            weights, self.settings[node.name] = self._floats(node)
            restored = make_node(shell.name, shell.op, shell.inputs, shell.attrs, weights)
            self.walk.add(restored)
        except IncompatibleModelError as error:
            self.refusals += error.refusals
            self.walk.emit(shell, {}, {}, node.format)
            return shell
        except ModelError as error:
            self.refusals.append(Refusal(layers=(node.name,), found=str(error)))
            self.walk.emit(shell, {}, {}, node.format)
            return shell
        for found in self._emitted(node):
            self._compare(found, self.quantized.node(self._twin(found)))
        return restored

    def _emitted(self, node):
        """Return the nodes that the rule has just added."""
        return [
            n
            for n in self.walk.nodes
            if n.name == node.name or (n.op in ADDED and n.inputs == (node.name,))
        ]

    def _twin(self, found):
        """Return the name of the original of a node; the input's quantizer may be named anew."""
        if found.op == "Quantizer":
            return next(n.name for n in self.quantized.nodes if n.op == "Quantizer")
        return found.name

    def _compare(self, found: QuantizedNode, wanted: QuantizedNode) -> None:
        layer = self._source(wanted.name)
        self.refusals += refusals(self.quantized, found, wanted, layer)

    def _floats(self, node: QuantizedNode) -> tuple[Mapping[str, np.ndarray], NodeQuantization]:
        """Return weights and quantizers of a node."""
        weights, settings = {}, NodeQuantization(buffer_bits=_buffer_bits(node))
        if node.op in NEURAL:
            given = self.walk.source(self.walk.graph.node(node.name))
            if node.op not in UNALIGNED:
                given = align(given)[1]
            weights = _kernels(self.quantized, node, given)
            padding = _padding(node, given)
            settings = replace(settings, weight_bits=node.bits["weights"], padding_value=padding)
        if "lut_values" in node.registers:
            settings = replace(settings, lut_bits=_lut_bits(node))
        accumulator = self._accumulator(node, weights, settings)
        if "bias" in node.registers:
            weights["bias"] = bias_floats(
                node.registers["bias"],
                node.registers["bias_shift"],
                accumulator.frac_bits,
                accumulator.scales,
            )
        per_axis = takes_rates(self.quantized, node)
        output = output_quantizer(node, accumulator, may_be_per_axis=per_axis)
        return weights, replace(settings, output=output)

    def _accumulator(self, node, weights, settings) -> Format:
        """Return the format of a node's result before its output is quantized."""
        shell = self.walk.graph.node(node.name)
        self.settings[node.name] = settings
        before = len(self.walk.nodes)
        self.walk.add(replace(shell, weights=weights))
        del self.walk.nodes[before:]
        return self.walk.formats[node.name]


def _kernels(
    quantized: QuantizedGraph, node: QuantizedNode, given: Format
) -> dict[str, np.ndarray]:
    """Return the float kernels of a layer whose aligned input has the format `given`."""
    bits, registers, axis = node.bits["weights"], node.registers, kernel_axis(node.op)
    factor = np.float32(1 if given.scales is None else given.scales)
    units = sum_scales(quantized, node, given.frac_bits)
    if is_end(node) and "kernel" in registers:
        units = scaled_units(registers["kernel"], bits, axis, units, factor)
    if node.op == "SeparableConv2D":
        kernels = (registers[name] for name in ("depthwise_kernel", "pointwise_kernel"))
        depthwise, pointwise = separable_floats(*kernels, bits, np.float32(units), factor)
        return {"depthwise_kernel": depthwise, "pointwise_kernel": pointwise}
    if axis is None:
        units = np.ravel(units)[0]
    kernel = kernel_floats(registers["kernel"], bits, axis, units, factor)
    return {"kernel": in_rule_layout(node.op, kernel)}


def _padding(node, given) -> np.ndarray | None:
    integers = node.registers.get("padding_value")
    if integers is None:
        return None
    scales = np.float32(1) if given.scales is None else given.scales
    values = padding_floats(integers, given.frac_bits, scales)
    return values[:1] if (values == values[0]).all() else values


def _buffer_bits(node) -> int:
    """Return the width of a node's accumulator; of a ReLU or pooling it is no register."""
    if "buffer" in node.bits:
        return node.bits["buffer"]
    return node.bits.get("post_op_buffer", 32)


def _lut_bits(node) -> int:
    """Return the width of a table's values, which reach the largest integer of that width."""
    return int(np.abs(node.registers["lut_values"].astype(np.int64)).max()).bit_length() + 1
