"""Blocks to Akida 1.0 layers: one linear chain, pooling before the neuron."""

from __future__ import annotations

import math

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.messages.notes import program_lines
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.targets.akida_v1.legacy_neurons import legacy_neurons
from pipeline.targets.akida_v1.neuron import Neuron, Refused
from pipeline.targets.akida_v1.quantizeml_neurons import quantizeml_neurons
from pipeline.targets.blocks import Block, blocks, pool_padding
from simulator import Program
from simulator.akida_v1 import (
    Convolutional,
    FullyConnected,
    InputConvolutional,
    InputData,
    SeparableConvolutional,
)

NAME = "akida_v1"
ORDER = {"MaxPooling2D": 0, "GlobalAveragePooling2D": 0, "ReLU": 1}
NEURAL = ("Conv2D", "SeparableConv2D", "Dense")
LARGEST_SUM = 256
"""Pixels of a global average: its sum of potentials must stay inside the chip's width (the
vendor's converter refuses more)."""

CURES = {
    "DepthwiseConv2D": "keep separable convolutions fused (transforms=none)",
    "Add": "Akida 1.0 has no branches",
    "Concatenate": "Akida 1.0 has no branches",
    "Activation": "use a ReLU with a max_value",
    "Quantizer": "give the model uint8 inputs",
}


def lower(graph: QuantizedGraph) -> Program:
    """Return the Akida 1.0 program of an integer model.

    Raises
    ------
    IncompatibleModelError
        Listing every node that no layer can hold.
    """
    chain, neurons = check_chain(graph)
    image = graph.nodes[0]
    layers: list = []
    for position, (block, neuron) in enumerate(zip(chain, neurons, strict=True)):
        is_input = position == 0 and _is_input(block, image)
        if position == 0 and not is_input:
            layers.append(_input_data(image))
        feeds = (layers[-1].name,) if layers else ()
        layers.append(_layer(block, neuron, feeds, image, is_input=is_input))
    return Program(
        name=graph.name,
        target=NAME,
        input_shape=image.shape,
        input_dtype="uint8",
        output_shape=next(node.shape for node in graph.nodes if node.name == graph.output),
        layers=tuple(layers),
        notes=program_lines(graph.notes),
    )


def check_chain(graph: QuantizedGraph) -> tuple[list[Block], list[Neuron]]:
    """Return the blocks of a model as one linear chain, with their neurons, or refuse it."""
    found, reasons = blocks(graph, ORDER)
    dequantizer = None
    if found and found[-1].head.op == "Dequantizer":
        dequantizer = found.pop().head
    image = graph.nodes[0]
    if image.attrs["dtype"] == "float32" and graph.scheme == "quantizeml":
        reasons.append(f"{image.name}: float inputs; {CURES['Quantizer']}")
    # Behind a node that fits in no block, the next one seems to read another: say it once.
    whole, previous = not reasons, None
    for block in found:
        if whole and (len(block.sources) != 1 or block.sources[0][0] is not previous):
            name = block.head.name
            reasons.append(f"{name}: it does not read the layer before it; {CURES['Add']}")
        reasons.extend(_refusals(block, image, block is found[-1]))
        previous = block
    if not found and not reasons:
        reasons.append("it has no layer with weights; add a Conv2D or Dense")
    neurons: list[Neuron] = []
    if not reasons:
        try:
            if graph.scheme == "cnn2snn":
                neurons = legacy_neurons(found)
            else:
                neurons = quantizeml_neurons(found, dequantizer)
        except Refused as refusal:
            reasons.append(str(refusal))
        else:
            reasons.extend(_padding(found[0], neurons[0], image))
    if reasons:
        raise IncompatibleModelError(graph.name, reasons, f"convert to {NAME}")
    return found, neurons


def _refusals(block: Block, image: QuantizedNode, is_last: bool):
    """Yield the reasons why a block is no link of an Akida 1.0 chain."""
    head = block.head
    if head.op not in NEURAL:
        cure = f"; {CURES[head.op]}" if head.op in CURES else ""
        yield f"{head.name}: {head.op} has no Akida 1.0 layer{cure}"
        return
    if block.tail_node("ReLU") is None and not is_last:
        yield f"{head.name}: no activation before the next layer; Akida 1.0 needs a ReLU"
    if head.attrs.get("dilation_rate", (1, 1)) != (1, 1) or head.attrs.get("groups", 1) != 1:
        yield f"{head.name}: dilation and groups must be 1"
    if head.attrs.get("depth_multiplier", 1) != 1:
        yield f"{head.name}: depth_multiplier {head.attrs['depth_multiplier']}; only 1"
    if len({bits for name, bits in head.bits.items() if name.endswith("weights")}) > 1:
        yield f"{head.name}: its two kernels have different widths; Akida 1.0 has one"
    pool = block.tail_node("MaxPooling2D")
    if pool is not None and pool_padding(block, pool) != head.attrs["padding"]:
        yield (
            f"{pool.name}: padding '{pool.attrs['padding']}' after a convolution with"
            f" '{head.attrs['padding']}'; they must be the same"
        )
    if head.op == "Dense":
        shape = _fed_shape(block, image)
        if math.prod(shape) != _kernel(head).shape[0]:
            yield f"{head.name}: Dense on a map of {tuple(shape)}; put a Flatten before it"
        return
    read = _read_shape(block, image)
    if _shape3d(_fed_shape(block, image)) != _shape3d(read):
        yield (
            f"{head.name}: reads {_fed_shape(block, image)} reshaped to {read}; Akida 1.0 moves no"
            " values: reshape (n,) to (1, 1, n) only"
        )
    if block.tail_node("GlobalAveragePooling2D") and math.prod(head.shape[:2]) > LARGEST_SUM:
        yield (
            f"{head.name}: global average of {head.shape[0]}x{head.shape[1]} pixels; at most"
            f" {LARGEST_SUM}"
        )


def _is_input(first: Block, image: QuantizedNode) -> bool:
    """Return whether a model's first layer is one for images."""
    return first.head.op == "Conv2D" and image.shape[-1] in (1, 3)


def _padding(first: Block, neuron: Neuron, image: QuantizedNode):
    """Yield a reason if the border of the image should hold what only an input layer writes."""
    head = first.head
    padded = head.op != "Dense" and head.attrs["padding"] == "same"
    if neuron.padding_value and padded and not _is_input(first, image):
        yield (
            f"{head.name}: pads with {neuron.padding_value:g}, as the image has an offset; Akida"
            " 1.0 does so for a Conv2D on 1 or 3 channels only: use a Rescaling without offset, or"
            " padding 'valid'"
        )


def _kernel(head: QuantizedNode) -> np.ndarray:
    return head.registers["kernel"]


def _fed_shape(block: Block, image: QuantizedNode) -> tuple[int, ...]:
    """Return the shape of what feeds a block, before any Flatten or Reshape."""
    source = block.sources[0][0]
    return image.shape if source is None else source.last.shape


def _read_shape(block: Block, image: QuantizedNode) -> tuple[int, ...]:
    """Return the shape that a block's head reads."""
    between = block.sources[0][1]
    return between[-1].shape if between else _fed_shape(block, image)


def _shape3d(shape) -> tuple[int, int, int]:
    return (*(1,) * (3 - len(shape)), *(int(n) for n in shape))


def _input_data(image: QuantizedNode) -> InputData:
    shape = _shape3d(image.shape)
    return InputData(name=image.name, inputs=(), input_shapes=(shape,), input_bits=8)


def _layer(block: Block, neuron: Neuron, feeds, image: QuantizedNode, *, is_input: bool):
    head = block.head
    fields = {
        "name": head.name,
        "inputs": feeds,
        "input_shapes": (_shape3d(_fed_shape(block, image)),),
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
    window = {"kernel_stride": head.attrs["strides"], "padding": head.attrs["padding"]}
    if head.op == "SeparableConv2D":
        return SeparableConvolutional(
            **fields,
            **window,
            weights=_flipped(head.registers["depthwise_kernel"]),
            weights_pw=head.registers["pointwise_kernel"],
        )
    if is_input:
        # The chip pads with a whole pixel; the vendor's converter truncates.
        value = int(neuron.padding_value)
        return InputConvolutional(**fields, **window, weights=_kernel(head), padding_value=value)
    return Convolutional(**fields, **window, weights=_flipped(_kernel(head)))


def _pooling(block: Block) -> dict:
    if pool := block.tail_node("MaxPooling2D"):
        return {
            "pool_type": "max",
            "pool_size": pool.attrs["pool_size"],
            "pool_stride": pool.attrs["strides"] or pool.attrs["pool_size"],
        }
    return {"pool_type": "average"} if block.tail_node("GlobalAveragePooling2D") else {}


def _flipped(kernel: np.ndarray) -> np.ndarray:
    """Turn a cross-correlation kernel into the true convolution kernel that the chip holds."""
    return np.ascontiguousarray(kernel[::-1, ::-1])


def _column_major(kernel: np.ndarray, fields: dict) -> np.ndarray:
    """Reorder (height, width, channel) inputs to the chip's (channel, width, height)."""
    height, width, channels = fields["input_shapes"][0]
    units = kernel.shape[1]
    ordered = kernel.reshape(height, width, channels, units).transpose(2, 1, 0, 3)
    return np.ascontiguousarray(ordered.reshape(1, 1, -1, units))
