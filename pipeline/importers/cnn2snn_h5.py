"""Convert a model file quantized by cnn2snn's legacy ``quantize`` to a `LegacyGraph`.

The file holds float weights and the class and bit width of each quantizer; no code is run.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import IncompatibleModelError, LayerError, ModelError
from pipeline.formats.cnn2snn import (
    ACTIVATIONS,
    KERNELS,
    PLAIN,
    read_activation,
    read_kernel_quantizers,
)
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS
from pipeline.importers.activation_table import activation
from pipeline.importers.keras_model import KerasLayer, KerasModel, refusal
from pipeline.importers.layer_table import ALIASES, READ_AS
from pipeline.importers.weights import check_weights
from pipeline.preparation.dropout import remove_dropout
from pipeline.preparation.head import cut_head
from pipeline.preparation.pooling_order import max_pool_before_activation
from pipeline.quantization.legacy_graph import LegacyGraph
from simulator.malformed import MALFORMED

IMAGE_CHANNELS = (1, 3)
PIXEL_BITS, ACTIVATION_BITS = 8, 4


def is_cnn2snn(model: KerasModel) -> bool:
    """Return True if layers of the model were quantized by cnn2snn."""
    return any(layer.class_name in (*KERNELS, *ACTIVATIONS) for layer in model.layers)


def legacy_graph(model: KerasModel) -> LegacyGraph:
    """Return a cnn2snn-quantized model without its final activation, in the chip's order of layers.

    Raises
    ------
    IncompatibleModelError
        Listing every layer or setting that cannot be represented.
    """
    whole = whole_graph(model)
    graph, notes = cut_head(whole.graph)
    graph = max_pool_before_activation(remove_dropout(graph))
    return replace(whole, graph=graph, notes=(*whole.notes, *notes))


def whole_graph(model: KerasModel) -> LegacyGraph:
    """Return a cnn2snn-quantized model with every layer of the file; raises as `legacy_graph`."""
    nodes, quantizers, refusals = [], {}, []
    for layer in model.layers:
        try:
            node, own = _node(layer, model)
        except MALFORMED as error:
            refusals.append(refusal(layer, error))
            continue
        nodes.append(node)
        quantizers |= own
    if refusals:
        raise IncompatibleModelError(model.label, refusals, "read the quantized model")
    graph = Graph(model.name, tuple(nodes), model.output)
    check_weights(graph, model.label)
    return LegacyGraph(
        graph=graph,
        quantizers=quantizers,
        notes=model.remarks.notes,
        input_bits=_input_bits(graph, quantizers),
    )


def _input_bits(graph: Graph, quantizers) -> int:
    """Return the bit width of the inputs: 8 for pixels, 4 for activations.

    A model reads pixels if it begins with a convolution of an image, rescales its input, or has the
    8-bit weights of an input layer. All others read the activations of another model: the vendor's
    converter puts an InputData of 4 bits before them.
    """
    image, first = graph.input, next(iter(quantizers), None)
    if first is None:
        return PIXEL_BITS
    pixels = (
        quantizers[first].bits > ACTIVATION_BITS
        or any(node.op == "Rescaling" for node in graph.nodes)
        or (graph.node(first[0]).op == "Conv2D" and image.attrs["shape"][-1] in IMAGE_CHANNELS)
    )
    return PIXEL_BITS if pixels else ACTIVATION_BITS


def _node(layer: KerasLayer, model: KerasModel):
    """Return the node of a layer and the quantizers of its kernels."""
    kind, config = ALIASES.get(layer.class_name, layer.class_name), layer.config
    if kind == "InputLayer":
        # Images are raw pixels, whatever type the training framework casts them to.
        attrs = {**READ_AS[kind].read_keras(kind, config), "dtype": "uint8"}
        return make_node(layer.name, "Input", (), attrs), {}
    if kind in ACTIVATIONS:
        return make_node(
            layer.name, "QuantizedReLU", layer.inputs, read_activation(kind, config)
        ), {}
    if kind == "Activation":
        op, attrs = activation(config["activation"])
        return make_node(layer.name, op, layer.inputs, attrs), {}
    if kind in KERNELS:
        op, found = read_kernel_quantizers(kind, config)
        quantizers = {(layer.name, weight): quantizer for weight, quantizer in found.items()}
    elif kind in PLAIN:
        op, quantizers = READ_AS[kind].name, {}
    else:
        raise LayerError(
            layer.name,
            f"{kind} is not a layer of a cnn2snn-quantized model; known: "
            f"{', '.join((*KERNELS, *ACTIVATIONS, *PLAIN))}; quantize the whole model",
        )
    if config.get("activation") not in (None, "linear") and kind in KERNELS:
        raise ModelError(f"its activation is {config['activation']!r}; allowed: none")
    operation = OPERATIONS[op]
    weights = operation.read_weights(model.weights(layer))
    attrs = operation.read_keras(op, config)
    return make_node(layer.name, op, layer.inputs, attrs, weights), quantizers
