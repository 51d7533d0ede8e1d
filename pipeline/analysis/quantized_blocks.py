"""A quantized model of scheme quantizeml in blocks, run node by node in integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np

from pipeline.analysis.blocks import PRODUCT, Block, Matched, Step, run_chain, unmatched
from pipeline.analysis.expected import unexpected
from pipeline.errors import IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation import prepare
from pipeline.quantization.assignment import PASS_THROUGH
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.quantization.refine.integer_forward import (
    run_node,
    run_nodes,
    with_output_stage,
    without_output_stage,
)
from pipeline.quantization.refine.steps import steps
from pipeline.quantization.units import refined, tensor_units, trained
from pipeline.transforms.exact.unfuse_separable import unfuse_separable

BORDERS = ("Quantizer", "Dequantizer")
ENDS = ("Dequantizer", "Outputs")
NO_BLOCKS = ("Input", "Outputs")
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


class MatchedQuantized(Matched):
    """A float model and its quantized model, matched through folding and splitting.

    Parameters
    ----------
    graph : Graph
        Float model as it was quantized, or before its separable convolutions were split.
    quantized : QuantizedGraph
        Of scheme quantizeml, without temporal layers.
    each : bool
        True makes every layer a block.

    Raises
    ------
    IncompatibleModelError
        If layers have no counterpart; lists all.
    """

    def __init__(self, graph: Graph, quantized: QuantizedGraph, *, each: bool = False):
        prepared, _ = prepare(graph)
        names = {node.name for node in quantized.nodes if node.op not in BORDERS}
        if names != prepared.by_name.keys():
            split, _ = prepare(unfuse_separable(graph).graph)
            prepared = split if names == split.by_name.keys() else prepared
        missing = [name for name in names if name not in prepared.by_name]
        extra = [name for name in prepared.by_name if name not in names]
        if refusals := unmatched(missing, extra):
            raise IncompatibleModelError(graph.name, refusals, "be analysed")
        self.graph, self.quantized = prepared, quantized
        self.units = tensor_units(quantized)
        parts = [(node,) for node in prepared.nodes] if each else _steps(prepared, quantized)
        self.parts = {part[0].name: part for part in parts if part[0].op not in NO_BLOCKS}
        self.blocks = tuple(map(self._block, self.parts.values()))

    @property
    def fitted(self) -> bool:
        """True if registers were refined or trained."""
        return refined(self.quantized) or trained(self.quantized)

    def real(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the floats that a node's integers stand for, float32."""
        zero = self.units.zeros.get(name)
        values = values if zero is None else values - zero.astype(np.int64)
        return np.asarray(values * self.units.outputs[name], np.float32)

    def run(self, batch: np.ndarray) -> Iterator[Step]:
        """Yield what each block that computes gives for a batch."""
        integers = {self.quantized.input.name: batch}
        for node in self.quantized.nodes:
            if node.op == "Quantizer":
                integers[node.name] = run_node(node, batch)
        for block in self.blocks:
            floats = self.parts[block.name]
            nodes = self._nodes(floats)
            given = {name: integers[name] for name in nodes[0].inputs}
            last = without_output_stage(nodes[-1])
            sums = run_nodes((*nodes[:-1], last), given)[last.name]
            counts: Counter[str] = Counter()
            tally = lambda stage, number, to=counts: to.update({stage: number})  # noqa: E731
            out = integers[block.end] = with_output_stage(nodes[-1], sums, tally)
            if block.computes:
                real = [self.real(name, given[name]) for name in nodes[0].inputs]
                yield Step(
                    block=block,
                    alone=run_chain(floats, real, {}),
                    sums=sums * self.units.sums[block.end],
                    out=out,
                    real=self.real(block.end, out),
                    beyond=counts[PRODUCT],
                )
        for node in self.quantized.nodes:
            if node.op in ENDS:
                integers[node.name] = run_node(node, *(integers[name] for name in node.inputs))
        self._outputs = integers[self.quantized.output]

    @property
    def outputs(self) -> np.ndarray:
        """Outputs of the last batch, float32."""
        return self._outputs

    def unexpected(self) -> dict[str, list[str]]:
        """Return, by layer, sentences on registers that do not follow from the float model."""
        if trained(self.quantized):
            return {}
        return unexpected(self.graph, self.quantized, refined=refined(self.quantized))

    def _nodes(self, part: tuple[Node, ...]) -> tuple[QuantizedNode, ...]:
        return tuple(self.quantized.node(node.name) for node in part)

    def _block(self, part: tuple[Node, ...]) -> Block:
        nodes, ops = self._nodes(part), [node.op for node in part]
        first, last = nodes[0], nodes[-1]
        bits = last.format.value_bits
        return Block(
            name=first.name,
            type=" > ".join(ops),
            end=last.name,
            members=tuple(node.name for node in nodes),
            inputs=part[0].inputs,
            activated=any(op in ("ReLU", "Activation") for op in ops),
            computes=any(node.bits or node.op not in PASS_THROUGH for node in nodes),
            channels=last.shape[-1],
            weight_bits=first.bits.get("weights"),
            output_bits=last.bits.get("output"),
            kernels=tuple(first.registers[key] for key in KERNELS if key in first.registers),
            lowest=-(1 << bits),
            highest=(1 << bits) - 1,
            cuts_off="output_shift" in last.registers,
            flattens=last.op == "Flatten",
            unit=self.units.outputs[last.name],
        )


def _steps(prepared: Graph, quantized: QuantizedGraph):
    settings = {
        node.name: SimpleNamespace(output=node.registers.get("output_shift"))
        for node in quantized.nodes
        if node.bits
    }
    return steps(prepared, settings)
