"""An integer model in blocks, each with the float layers that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import NEURAL
from pipeline.messages.notes import REFINED, TRAINED
from pipeline.preparation import prepare
from pipeline.quantization.assignment import PASS_THROUGH
from pipeline.quantization.quantized_graph import Format, QuantizedGraph, QuantizedNode
from pipeline.quantization.refine.steps import steps
from pipeline.transforms.exact.unfuse_separable import unfuse_separable
from simulator.refusal import Refusal

BORDERS = ("Quantizer", "Dequantizer")


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """Layers up to a quantized output: a convolution, its pooling and its activation, say.

    Attributes
    ----------
    floats : tuple of Node
        Of the prepared float graph.
    nodes : tuple of QuantizedNode
        The same layers in integers.
    unit, sum_unit : float64 array of shape () or (channels,)
        Float value of one integer of the output, and of the sums before it is quantized.
    """

    floats: tuple[Node, ...]
    nodes: tuple[QuantizedNode, ...]
    unit: np.ndarray
    sum_unit: np.ndarray

    @property
    def name(self) -> str:
        """Name of the first layer."""
        return self.floats[0].name

    @property
    def type(self) -> str:
        """Operations, in order."""
        return " > ".join(node.op for node in self.floats)

    @property
    def end(self) -> QuantizedNode:
        """The last layer, whose output is the block's."""
        return self.nodes[-1]

    @property
    def computes(self) -> bool:
        """True if it does more than move values, so that it can add an error."""
        return any(node.bits or node.op not in PASS_THROUGH for node in self.nodes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Blocks:
    """A float model and its integers, matched.

    Attributes
    ----------
    graph : Graph
        Prepared float graph.
    quantized : QuantizedGraph
    blocks : tuple of Block
        In the graph's order; without the input and the final dequantization.
    units : dict of str to float64 array
        Float value of one integer, by node of the quantized graph.
    zeros : dict of str to array
        Integer of 0 by node, where it is not 0.
    """

    graph: Graph
    quantized: QuantizedGraph
    blocks: tuple[Block, ...]
    units: dict[str, np.ndarray]
    zeros: dict[str, np.ndarray]

    @property
    def refined(self) -> bool:
        """True if kernels and biases were fitted to the layers' inputs."""
        return self._says(REFINED, "refined")

    @property
    def trained(self) -> bool:
        """True if registers were trained."""
        return self._says(TRAINED, "trained")

    def _says(self, kind: str, first: str) -> bool:
        notes = self.quantized.notes
        return any(note.kind == kind and note.text.startswith(first) for note in notes)

    def real(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the floats that a node's integers stand for, float32."""
        zero = self.zeros.get(name)
        values = values if zero is None else values - zero.astype(np.int64)
        return np.asarray(values * self.units[name], np.float32)

    def sources(self, block: Block) -> tuple[str, ...]:
        """Return the last layers of the blocks that compute a block's inputs."""
        ends = {other.end.name: other for other in self.blocks}
        found = []
        for name in block.floats[0].inputs:
            while name in ends and not ends[name].computes:
                name = ends[name].floats[0].inputs[0]
            found.append(name)
        return tuple(found)


def matched(graph: Graph, quantized: QuantizedGraph, *, each: bool = False) -> Blocks:
    """Match a float model with its integers through folding and splitting.

    Parameters
    ----------
    graph : Graph
        Float model as it was quantized, or before its separable convolutions were split.
    quantized : QuantizedGraph
    each : bool
        True makes every layer a block.

    Raises
    ------
    IncompatibleModelError
        If layers have no counterpart, or the scheme or a layer cannot be analysed; lists all.
    """
    prepared, _ = prepare(graph)
    names = {node.name for node in quantized.nodes if node.op not in BORDERS}
    if names != prepared.by_name.keys():
        split, _ = prepare(unfuse_separable(graph).graph)
        prepared = split if names == split.by_name.keys() else prepared
    refusals = [*_unmatched(prepared, names), *_unsupported(quantized)]
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, "be analysed")
    units, sums, zeros = _units(quantized)
    parts = [(node,) for node in prepared.nodes] if each else _steps(prepared, quantized)
    blocks = tuple(
        Block(
            floats=step,
            nodes=tuple(quantized.node(node.name) for node in step),
            unit=units[step[-1].name],
            sum_unit=sums[step[-1].name],
        )
        for step in parts
        if step[0].op != "Input"
    )
    return Blocks(graph=prepared, quantized=quantized, blocks=blocks, units=units, zeros=zeros)


def _steps(prepared: Graph, quantized: QuantizedGraph):
    settings = {
        node.name: SimpleNamespace(output=node.registers.get("output_shift"))
        for node in quantized.nodes
        if node.bits
    }
    return steps(prepared, settings)


def _unmatched(prepared: Graph, names: set[str]) -> list[Refusal]:
    fix = "give the model that was quantized"
    missing = tuple(name for name in names if name not in prepared.by_name)
    extra = tuple(name for name in prepared.by_name if name not in names)
    found = ((missing, "only in the quantized model"), (extra, "only in the float model"))
    return [Refusal(layers=sorted(n), found=text, fix=fix) for n, text in found if n]


def _unsupported(quantized: QuantizedGraph) -> list[Refusal]:
    if quantized.scheme != "quantizeml":
        return [Refusal(found=f"scheme {quantized.scheme}", allowed="quantizeml")]
    buffered = tuple(n.name for n in quantized.nodes if n.op.endswith("BufferTempConv"))
    found = "remembers past images"
    return [Refusal(layers=buffered, found=found, allowed="layers without memory")] * bool(buffered)


def _units(quantized: QuantizedGraph):
    """Return what one integer of each node and of its sums is, and the integers of 0."""
    units, sums, zeros, factors = {}, {}, {}, {}
    for node in quantized.nodes:
        given = factors[node.inputs[0]] if node.inputs else np.float64(1)
        if node.op in NEURAL:
            given = np.float64(1)
        elif node.op == "Concatenate":
            sizes = [quantized.node(name).shape[-1] for name in node.inputs]
            parts = [np.resize(factors[n], s) for n, s in zip(node.inputs, sizes, strict=True)]
            given = np.concatenate(parts)
        given = np.resize(given, node.shape[-1]) if np.ndim(given) else given
        rate = np.float64(1) if node.rate is None else node.rate.astype(np.float64)
        factors[node.name] = given * rate
        units[node.name] = _unit(node.format) / factors[node.name]
        sums[node.name] = units[node.name] if node.sums is None else _unit(node.sums) / given
        if node.op == "Quantizer":
            # The next kernel reads the integers with their offset, which its bias takes back.
            zero = node.registers.get("zero_points")
            if zero is not None:
                zeros[node.name] = zero
    return units, sums, zeros


def _unit(given: Format) -> np.ndarray:
    unit = np.exp2(-np.asarray(given.frac_bits, np.float64))
    return unit if given.scales is None else unit * np.asarray(given.scales, np.float64)
