"""Lower blocks to Akida 1.0 layers: one linear chain, with pooling before the activation.

The model breaks no rule of `pipeline.chips.akida_v1.rules`; refusals here depend only on its
quantization.
"""

from __future__ import annotations

import numpy as np

from pipeline.chips.akida_v1.layers import PIXEL, input_bits, reads_image
from pipeline.chips.akida_v1.legacy_neurons import legacy_neurons
from pipeline.chips.akida_v1.neuron import Neuron, RefusedQuantizationError
from pipeline.chips.akida_v1.quantizeml_neurons import quantizeml_neurons
from pipeline.chips.blocks import Block, View, pool_padding, shape3d
from pipeline.errors import IncompatibleModelError
from pipeline.messages.notes import program_lines
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.quantization.units import origin
from simulator import Program
from simulator.akida_v1 import (
    Convolutional,
    FullyConnected,
    InputConvolutional,
    InputData,
    SeparableConvolutional,
)
from simulator.origin import Origin

NAME = "akida_v1"


def lower(graph: QuantizedGraph) -> Program:
    """Return the Akida 1.0 program of an integer model.

    Raises
    ------
    IncompatibleModelError
        If the registers cannot hold its quantization; lists every such layer.
    """
    view = View(graph, graph)
    neurons = chain_neurons(graph)
    layers: list = []
    for block, neuron in zip(view.blocks, neurons, strict=True):
        is_input = reads_image(view, block)
        if not layers and not is_input:
            layers.append(_input_data(graph.input))
        feeds = (layers[-1].name,) if layers else ()
        layers.append(_layer(view, block, neuron, feeds, is_input=is_input))
    return Program(
        name=graph.name,
        target=NAME,
        input_shape=graph.input.shape,
        input_dtype="uint8",
        output_shape=graph.node(graph.output).shape,
        layers=tuple(layers),
        notes=program_lines(graph.notes),
        output_scale=_output_scale(neurons[-1]),
        origin=_origin(view, neurons),
    )


def _origin(view: View, neurons: list[Neuron]) -> Origin:
    """Return what one level of each layer is worth; a last layer may give values itself."""
    made = {
        block.name: (block.member("ReLU").name, neuron.coarser)
        for block, neuron in zip(view.blocks, neurons, strict=True)
        if neuron.activation
    }
    ends, coarser = ({name: pair[n] for name, pair in made.items()} for n in (0, 1))
    return origin(view.graph, ends, coarser)


def _output_scale(last: Neuron) -> tuple[float, ...] | None:
    """Return the value of one level of the last layer; None where it outputs values itself."""
    if last.level is None:
        return None
    values = np.float32(np.atleast_1d(last.level))
    return tuple(map(float, values[:1] if np.all(values == values[0]) else values))


def chain_neurons(graph: QuantizedGraph) -> list[Neuron]:
    """Return the neuron of each block of a linear chain."""
    chain = View(graph, graph).blocks
    dequantizer = next((node for node in graph.nodes if node.op == "Dequantizer"), None)
    try:
        if graph.scheme == "cnn2snn":
            return legacy_neurons(chain, graph)
        return quantizeml_neurons(chain, dequantizer)
    except RefusedQuantizationError as refused:
        action = f"convert to {NAME}"
        raise IncompatibleModelError(graph.name, refused.refusals, action) from refused


def _kernel(head: QuantizedNode) -> np.ndarray:
    return head.registers["kernel"]


def _source_shape(view: View, block: Block) -> tuple[int, ...]:
    """Return the shape of a block's input, before any Flatten or Reshape."""
    return view.graph.shapes[view.source(block.head).name]


def _input_data(image: QuantizedNode) -> InputData:
    shape = shape3d(image.shape)
    bits = input_bits(image)
    return InputData(name=image.name, inputs=(), input_shapes=(shape,), input_bits=bits)


def _layer(view: View, block: Block, neuron: Neuron, feeds, *, is_input: bool):
    head = block.head
    fields = {
        "name": head.name,
        "inputs": feeds,
        "input_shapes": (shape3d(_source_shape(view, block)),),
        "weights_bits": head.bits["weights"],
        "threshold": neuron.rounded,
        "act_step": neuron.act_step,
        "threshold_fraction": neuron.fraction,
        "activation": neuron.activation,
        "act_bits": neuron.act_bits,
        **_pooling(block),
    }
    if head.op == "Dense":
        return FullyConnected(**fields, weights=_column_major(_kernel(head), fields))
    window = {"kernel_stride": head.attrs["strides"], "padding": _window_padding(block)}
    if head.op == "SeparableConv2D":
        return SeparableConvolutional(
            **fields,
            **window,
            weights=_flipped(head.registers["depthwise_kernel"]),
            weights_pw=head.registers["pointwise_kernel"],
        )
    if is_input:
        # The chip pads with an integer pixel; the vendor's converter truncates.
        value = int(neuron.padding_value)
        if head.attrs["padding"] == "valid" and not 0 <= value <= PIXEL:
            value = 0  # nothing is padded, and the register holds pixels only
        return InputConvolutional(**fields, **window, weights=_kernel(head), padding_value=value)
    return Convolutional(**fields, **window, weights=_flipped(_kernel(head)))


def _window_padding(block: Block) -> str:
    """Return the padding that convolution and pooling share; a 1x1 kernel fits either."""
    pool = block.member("MaxPooling2D")
    if pool is None or max(block.head.attrs["kernel_size"]) > 1:
        return block.head.attrs["padding"]
    return pool_padding(block, block.shape, pool)


def _pooling(block: Block) -> dict:
    if pool := block.member("MaxPooling2D"):
        return {
            "pool_type": "max",
            "pool_size": pool.attrs["pool_size"],
            "pool_stride": pool.attrs["strides"] or pool.attrs["pool_size"],
        }
    return {"pool_type": "average"} if block.member("GlobalAveragePooling2D") else {}


def _flipped(kernel: np.ndarray) -> np.ndarray:
    """Flip a cross-correlation kernel into the convolution kernel that the chip holds."""
    return np.ascontiguousarray(kernel[::-1, ::-1])


def _column_major(kernel: np.ndarray, fields: dict) -> np.ndarray:
    """Reorder (height, width, channel) inputs to the chip's (channel, width, height)."""
    height, width, channels = fields["input_shapes"][0]
    units = kernel.shape[1]
    ordered = kernel.reshape(height, width, channels, units).transpose(2, 1, 0, 3)
    return np.ascontiguousarray(ordered.reshape(1, 1, -1, units))
