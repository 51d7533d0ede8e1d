"""The widths that a float model will have once it is quantized, before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation import outline
from pipeline.quantization.assignment import assign
from pipeline.quantization.schemes import cnn2snn

Bits = dict[str, dict[str, int]]
"""Widths by node, under the names that `QuantizedNode.bits` has."""


@dataclass(frozen=True, eq=False)
class PlannedNode(Node):
    """A float node with the widths of the integer one.

    Attributes
    ----------
    bits : mapping of str to int
        As in `pipeline.quantization.quantized_graph.QuantizedNode`: weights and output.
    """

    bits: Mapping[str, int] = field(default_factory=dict)

    def bare(self) -> PlannedNode:
        """Return the same node without widths."""
        return replace(self, bits={})


def planned(graph: Graph, options) -> Graph:
    """Return the prepared float graph, with the widths of each node by `options`.

    Only the structure is read: no pass of the preparation is verified, and no range measured.

    Parameters
    ----------
    graph : Graph
        Float model.
    options : Quantization
        The ``quantization`` section of the configuration.

    Raises
    ------
    IncompatibleModelError
        If layers cannot be quantized by the scheme, or a choice for single layers selects nothing.
    """
    prepared, bits = SCHEMES[options.scheme](graph, options)
    return prepared.with_nodes(
        PlannedNode(**vars(node), bits=bits.get(node.name, {})) for node in prepared.nodes
    )


def _quantizeml(source: Graph, options) -> tuple[Graph, Bits]:
    graph, bits = outline(source), {}
    for name, node in assign(graph, options, source).nodes.items():
        weights = {} if node.weight_bits is None else {"weights": node.weight_bits}
        output = {} if node.output is None else {"output": node.output.bits}
        bits[name] = weights | output
    return graph, bits


def _cnn2snn(source: Graph, options) -> tuple[Graph, Bits]:
    graph = cnn2snn.outline(source)
    legacy, bits = cnn2snn.discrete(graph, options, (), source), {}
    for (name, _), quantizer in legacy.quantizers.items():
        bits[name] = {"weights": quantizer.bits}
    for node in legacy.graph.nodes:
        if node.op == "QuantizedReLU":
            bits[node.name] = {"output": node.attrs["bits"]}
    return graph, bits


SCHEMES = {"quantizeml": _quantizeml, "cnn2snn": _cnn2snn}
