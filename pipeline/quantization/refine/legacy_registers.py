"""Thresholds and steps of single layers of the scheme cnn2snn, and how coarse weights fit them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.quantization.calibrated_graph import NodeQuantization, OutputQuantizer
from pipeline.quantization.integerize_legacy import LAYERS, integer_node
from pipeline.quantization.legacy_graph import LegacyGraph
from pipeline.quantization.legacy_threshold import Neuron, Scaling, neuron
from pipeline.quantization.quantized_graph import Format, QuantizedNode
from pipeline.quantization.reach import beyond
from pipeline.quantization.refine.legacy_forward import AVERAGE, scaling_after
from pipeline.quantization.refine.steps import Step, steps
from pipeline.quantization.refine.widths import Widths, chosen_widths
from simulator.akida_v1.limits import INPUT_CHANNELS
from simulator.refusal import Refusal

ROOM = 1 + 1e-6
"""Headroom for the float32 of a factor."""
RELUS = ("ReLU", "QuantizedReLU")
"""Activations before and after they are discrete."""


def step_nodes(legacy: LegacyGraph, step: Step, given: Format | None) -> list[QuantizedNode]:
    """Return the integers of a step, given the format of its input."""
    nodes = []
    for node in step:
        nodes.append(integer_node(legacy, legacy.graph.node(node.name), given))
        given = nodes[-1].format
    return nodes


def registers(nodes: Sequence[QuantizedNode], given: Scaling) -> Neuron:
    """Return the thresholds and steps of a layer with its pooling and activation."""
    relu = nodes[-1] if nodes[-1].op == "ReLU" else None
    step, bits = (float(relu.registers["step"]), relu.bits["output"]) if relu else (None, 4)
    return neuron(nodes[0], given, step, bits, pixels(nodes))


def pixels(nodes: Sequence[QuantizedNode]) -> int:
    """Return how many positions an average sums in a step."""
    for before, node in itertools.pairwise(nodes):
        if node.op == AVERAGE:
            return int(before.shape[0] * before.shape[1])
    return 1


def rescaled(step: Step, nodes: Sequence[QuantizedNode], given: Scaling) -> Scaling:
    """Return the scaling of a step's output, given that of its input."""
    if step[-1].op == "Rescaling":
        given = given.rescaled(float(step[-1].attrs["scale"]), float(step[-1].attrs["offset"]))
    return scaling_after(nodes, given)


def chain_registers(
    legacy: LegacyGraph, chain: Iterable[Step]
) -> Iterator[tuple[Node, Neuron, bool]]:
    """Yield each layer of a chain, its thresholds and steps, and whether an activation follows."""
    scaling, given = Scaling(), None
    for step in chain:
        nodes = step_nodes(legacy, step, given)
        if step[0].op in LAYERS:
            yield step[0], registers(nodes, scaling), nodes[-1].op == "ReLU"
        scaling, given = rescaled(step, nodes, scaling), nodes[-1].format


def widths_by_layer(graph: Graph, legacy: LegacyGraph, chain: Iterable[Step]) -> dict[str, Widths]:
    """Return the widths that each layer of a chain must fit, given the model by today's rule."""
    return {
        head.name: chosen_widths(*found, is_input=reads_image(graph, head), activation=activation)
        for head, found, activation in chain_registers(legacy, chain)
    }


def computing(graph: Graph) -> dict[str, NodeQuantization]:
    """Return the nodes that compute, and which of them quantize their output."""
    output = OutputQuantizer(bits=4, per_tensor=True)
    return {
        node.name: NodeQuantization(output=output if node.op in RELUS else None)
        for node in graph.nodes
        if node.op in (*LAYERS, *RELUS)
    }


def refusals(legacy: LegacyGraph) -> Iterator[Refusal]:
    """Yield a refusal for each layer whose thresholds or steps no register holds."""
    chain = steps(legacy.graph, computing(legacy.graph))
    for head, found, activation in chain_registers(legacy, chain):
        yield from beyond(head.name, *found, activation=activation)


def reads_image(graph: Graph, head: Node) -> bool:
    """Return whether a layer becomes the input layer of the chip, which takes images."""
    source = graph.skip_back(head.inputs[0], ("Rescaling",))
    channels = graph.shapes[source.name][-1]
    return head.op == "Conv2D" and source.op == "Input" and channels in INPUT_CHANNELS


def coarser(legacy: LegacyGraph, head: QuantizedNode, excess: np.ndarray) -> LegacyGraph:
    """Return a model whose layer `head` has registers smaller by `excess`, at least 1.

    Thresholds and steps grow with the factor of the weights, which become coarser.
    """
    name = legacy.graph.node(head.name).operation.output_kernel
    factor = head.registers[f"{name}_factor"] / np.maximum(excess * ROOM, 1)
    key = (head.name, name)
    quantizer = replace(legacy.quantizers[key], given=factor.astype(np.float32))
    return replace(legacy, quantizers={**legacy.quantizers, key: quantizer})
