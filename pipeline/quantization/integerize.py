"""Turn a calibrated graph into integers: every register, and what every tensor's integers mean.

The walk is topological: each node's `Format` follows from its inputs' formats and its own
quantizers (QuantizeML 1.2.5's arithmetic, see `pipeline.quantization.fixed_point`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.node import Node
from pipeline.quantization.calibrated_graph import CalibratedGraph, NodeQuantization
from pipeline.quantization.fixed_point import (
    max_frac_bits,
    quantize_aligned,
    quantize_fixed,
    quantize_scales,
    quantize_weights,
    weight_scales,
)
from pipeline.quantization.lookup import INDEX_BITS, lookup_table
from pipeline.quantization.quantized_graph import Format, QuantizedGraph, QuantizedNode

INPUT_BITS = {"uint8": 8, "int8": 7, "int16": 15}
"""Value bits of integer inputs."""

ONE = np.float32(1)


def integerize(calibrated: CalibratedGraph) -> QuantizedGraph:
    """Return the integer model of a calibrated graph.

    Parameters
    ----------
    calibrated : CalibratedGraph

    Returns
    -------
    QuantizedGraph
        Its last node is a ``Dequantizer``.

    Raises
    ------
    ModelError
        When a node's input is not what its arithmetic takes (an accumulator where a quantized
        tensor is needed, say).
    """
    walk = _Walk(calibrated)
    for node in calibrated.graph.nodes:
        walk.add(node)
    output = walk.dequantize()
    graph = calibrated.graph
    return QuantizedGraph(
        name=graph.name,
        scheme="quantizeml",
        nodes=tuple(walk.nodes),
        output=output,
        notes=calibrated.notes,
    )


def align(given: Format) -> tuple[np.ndarray | None, Format]:
    """Return the left shift that brings all channels to one scale, and the format after it."""
    if given.frac_bits.ndim == 0:
        return None, given
    shift = given.frac_bits.max() - given.frac_bits
    return shift.astype(np.uint8), replace(given, frac_bits=given.frac_bits.max())


class _Walk:
    """The nodes and formats made so far."""

    def __init__(self, calibrated: CalibratedGraph):
        self.calibrated = calibrated
        self.graph = calibrated.graph
        self.shapes = calibrated.graph.shapes
        self.nodes: list[QuantizedNode] = []
        self.formats: dict[str, Format] = {}
        self.feeds: dict[str, str] = {}

    def add(self, node: Node) -> None:
        """Make the integers of one node."""
        rule = RULES.get(node.op)
        if rule is None:
            raise ModelError(
                f"{node.name}: {node.op} has no integer arithmetic; quantizable layers: "
                f"{', '.join(sorted(RULES))}"
            )
        rule(self, node, self.calibrated.nodes.get(node.name, NodeQuantization()))

    def source(self, node: Node, position: int = 0) -> Format:
        """Return the format of one input."""
        return self.formats[node.inputs[position]]

    def emit(self, node: Node, registers: dict, bits: dict, given: Format, **attrs) -> None:
        """Append the integer form of `node`, whose output has the format `given`."""
        self.nodes.append(
            QuantizedNode(
                name=node.name,
                op=node.op,
                inputs=tuple(self.feeds.get(name, name) for name in node.inputs),
                attrs={**node.attrs, **attrs},
                registers={key: value for key, value in registers.items() if value is not None},
                bits=bits,
                format=given,
                shape=self.shapes[node.name],
            )
        )
        self.formats[node.name] = given

    def finish(self, node: Node, settings, registers, bits, accumulator: Format, **attrs) -> None:
        """Append a computing node: quantize its accumulator if it has an output quantizer."""
        quantizer = settings.output
        if quantizer is None:
            self.emit(node, registers, bits, accumulator, **attrs)
            return
        channels = self.shapes[node.name][-1]
        value_bits = quantizer.bits - quantizer.signed
        frac_bits = max_frac_bits(value_bits, quantizer.range_max)
        shift = frac_bits - accumulator.frac_bits
        if accumulator.scales is not None:
            scales = np.asarray(accumulator.scales * quantizer.rescaling_rate, np.float32)
            mantissa, scale_frac_bits = quantize_scales(scales, quantizer.scale_bits)
            shift = shift - scale_frac_bits
            narrow = np.uint8 if quantizer.scale_bits <= 8 else np.uint16
            registers["output_scales"] = _per_channel(mantissa, channels, narrow)
        registers["output_shift"] = _per_channel(shift, channels, np.int8)
        bits |= {
            "output": quantizer.bits,
            "output_signed": int(quantizer.signed),
            "post_op_buffer": quantizer.buffer_bits,
        }
        output = Format(value_bits=value_bits, frac_bits=np.asarray(frac_bits))
        self.emit(node, registers, bits, output, **attrs)

    def dequantize(self) -> str:
        """Append the Dequantizer that ends the model and return its name."""
        last = self.graph.output
        given, shape = self.formats[last], self.shapes[last]
        scales = np.float32(1) if given.scales is None else given.scales
        # Powers of two change no mantissa, so their place in the product is immaterial.
        values = scales * np.exp2(-given.frac_bits.astype(np.float64)).astype(np.float32)
        name = self.graph.fresh_name("dequantizer")
        self.nodes.append(
            QuantizedNode(
                name=name,
                op="Dequantizer",
                inputs=(self.feeds.get(last, last),),
                registers={"scales": _per_channel(values, shape[-1], np.float32)},
                format=given,
                shape=shape,
            )
        )
        return name


def _per_channel(values, channels: int, dtype) -> np.ndarray:
    """Broadcast to one value per channel in a register's type, refusing what does not fit."""
    array = np.broadcast_to(values, (channels,))
    narrow = array.astype(dtype)
    if np.issubdtype(dtype, np.integer) and not np.array_equal(narrow, array):
        raise ModelError(
            f"a register of type {np.dtype(dtype).name} cannot hold {array.min()}..{array.max()};"
            " the model's ranges are too far apart: check for exploding weights"
        )
    return narrow


def _input(walk: _Walk, node: Node, settings) -> None:
    dtype, quantizer = node.attrs["dtype"], walk.calibrated.input
    if quantizer is None:
        if dtype not in INPUT_BITS:
            raise ModelError(
                f"{node.name}: inputs are {dtype} but no input quantizer is given; calibrate with"
                f" samples, or use inputs of {', '.join(INPUT_BITS)}"
            )
        walk.emit(node, {}, {}, Format(value_bits=INPUT_BITS[dtype], frac_bits=np.asarray(0)))
        return
    channels = walk.shapes[node.name][-1]
    value_bits = quantizer.bits - quantizer.signed
    if quantizer.signed:
        ranges = np.maximum(np.abs(quantizer.range_max), np.abs(quantizer.range_min))
    else:
        ranges = np.asarray(quantizer.range_max - quantizer.range_min, np.float32)
    frac_bits = np.asarray(max_frac_bits(value_bits, ranges))
    registers = {"scales": _per_channel(np.exp2(frac_bits), channels, np.float32)}
    if not quantizer.signed:
        zero = quantize_fixed(-quantizer.range_min, value_bits, frac_bits)
        registers["zero_points"] = _per_channel(zero, channels, np.int16)
    walk.emit(node, {}, {}, Format(value_bits=value_bits, frac_bits=np.asarray(0)))
    name = walk.graph.fresh_name(f"{node.name}/quantizer")
    walk.nodes.append(
        QuantizedNode(
            name=name,
            op="Quantizer",
            inputs=(node.name,),
            attrs={"clip_at_zero": quantizer.clip_at_zero},
            registers=registers,
            bits={"output": quantizer.bits, "output_signed": int(quantizer.signed)},
            format=Format(
                value_bits=value_bits,
                frac_bits=frac_bits,
                scales=None if quantizer.signed else np.asarray(ONE),
            ),
            shape=walk.shapes[node.name],
        )
    )
    walk.feeds[node.name] = name
    walk.formats[node.name] = walk.nodes[-1].format


def _rescaling(walk: _Walk, node: Node, settings) -> None:
    scale, offset = np.asarray(node.attrs["scale"], np.float32), node.attrs["offset"]
    if scale.ndim or np.any(np.asarray(offset) != 0):
        raise ModelError(
            f"{node.name}: a rescaling per channel or with an offset must be folded into the next"
            " layer first; it can only be the first layer"
        )
    given = walk.source(node)
    scales = scale if given.scales is None else np.asarray(given.scales * scale, np.float32)
    walk.emit(node, {}, {}, replace(given, scales=scales))


def _same(walk: _Walk, node: Node, settings) -> None:
    walk.emit(node, {}, {}, walk.source(node))


def _reshape(walk: _Walk, node: Node, settings) -> None:
    """Reshape or flatten: channels' scales travel with their values."""
    given, before, after = walk.source(node), walk.shapes[node.inputs[0]], walk.shapes[node.name]
    if given.scales is not None and given.scales.ndim:
        raise ModelError(f"{node.name}: cannot {node.op.lower()} an accumulator; quantize it first")
    if given.frac_bits.ndim == 0 or before[-1] == after[-1]:
        walk.emit(node, {}, {}, given)
    elif len(after) > 1 and after[-1] != np.prod(after):
        raise ModelError(
            f"{node.name}: reshaping {before} to {after} mixes channels of different scales; use"
            " quantization.per_tensor_activations=true"
        )
    elif walk.calibrated.flatten_saturates:
        shift, aligned = align(given)
        bits = {"value_bits": given.value_bits}
        walk.emit(node, {"input_shift": np.resize(shift, after[-1])}, bits, aligned)
    else:
        walk.emit(node, {}, {}, replace(given, frac_bits=np.resize(given.frac_bits, after[-1])))


def _accumulator(walk: _Walk, node, settings, given: Format, scales: np.ndarray, registers):
    """Return the format of a weighted sum, adding the bias registers."""
    if given.scales is not None:
        scales = np.asarray(given.scales * scales, np.float32)
    accumulator = Format(
        value_bits=settings.buffer_bits - 1, frac_bits=np.asarray(given.frac_bits), scales=scales
    )
    if "bias" in node.weights:
        channels = walk.shapes[node.name][-1]
        mantissa, shift = quantize_aligned(
            node.weights["bias"], 8, signed=True, frac_bits=given.frac_bits, scales=scales
        )
        registers["bias"] = _per_channel(mantissa, channels, np.int8)
        registers["bias_shift"] = _per_channel(shift, channels, np.uint8)
    return accumulator


def _neural(walk: _Walk, node: Node, settings: NodeQuantization) -> None:
    """Layers that contract input channels: convolutions and dense layers."""
    shift, given = align(walk.source(node))
    registers, kernel = {}, node.weights["kernel"]
    if given.scales is not None and given.scales.ndim:
        raise ModelError(f"{node.name}: its input is an accumulator with a scale per channel")
    if shift is not None:
        registers["input_shift"] = np.resize(shift, _input_channels(node, walk))
    if settings.padding_value is not None:
        unit = ONE if given.scales is None else given.scales
        mantissa, left = quantize_aligned(
            np.asarray(settings.padding_value, np.float32).squeeze(),
            settings.weight_bits,
            signed=True,
            frac_bits=given.frac_bits,
            scales=unit,
        )
        registers["padding_value"] = _per_channel(
            np.left_shift(mantissa, left), walk.shapes[node.inputs[0]][-1], np.int32
        )
    if node.op == "Conv2DTranspose":
        kernel = kernel.transpose(0, 1, 3, 2)
    per_tensor = node.op == "DepthwiseConv2DTranspose"
    scales = weight_scales(kernel, settings.weight_bits, None if per_tensor else -1)
    registers["kernel"] = quantize_weights(kernel, settings.weight_bits, scales)
    accumulator = _accumulator(walk, node, settings, given, scales, registers)
    bits = {"weights": settings.weight_bits, "buffer": settings.buffer_bits}
    walk.finish(node, settings, registers, bits, accumulator)


def _input_channels(node: Node, walk: _Walk) -> int:
    return walk.shapes[node.inputs[0]][-1]


def _depthwise(walk: _Walk, node: Node, settings: NodeQuantization) -> None:
    """Depthwise convolutions: every channel keeps its own scale."""
    given = walk.source(node)
    if given.scales is not None:
        raise ModelError(
            f"{node.name}: a {node.op} needs quantized inputs, found rescaled ones; start the"
            " model with a Conv2D"
        )
    kernel, registers = node.weights["kernel"], {}
    scales = weight_scales(kernel, settings.weight_bits, -2)
    registers["kernel"] = quantize_weights(kernel, settings.weight_bits, scales[:, None])
    accumulator = _accumulator(walk, node, settings, given, scales, registers)
    bits = {"weights": settings.weight_bits, "buffer": settings.buffer_bits}
    walk.finish(node, settings, registers, bits, accumulator)


def _depthwise_buffer(walk: _Walk, node: Node, settings: NodeQuantization) -> None:
    shift, given = align(walk.source(node))
    kernel = node.weights["kernel"]
    scales = weight_scales(kernel, settings.weight_bits, -1)
    registers = {
        "kernel": quantize_weights(kernel, settings.weight_bits, scales),
        "input_shift": shift,
    }
    accumulator = _accumulator(walk, node, settings, given, scales, registers)
    bits = {"weights": settings.weight_bits, "buffer": settings.buffer_bits}
    walk.finish(node, settings, registers, bits, accumulator)


def _relu(walk: _Walk, node: Node, settings: NodeQuantization) -> None:
    given, registers = walk.source(node), {}
    if given.scales is None:
        given = replace(given, scales=np.asarray(ONE))
    if node.attrs["max_value"] is not None:
        channels = walk.shapes[node.name][-1]
        mantissa, shift = quantize_aligned(
            np.float32(node.attrs["max_value"]),
            8,
            signed=False,
            frac_bits=given.frac_bits,
            scales=given.scales,
        )
        registers["max_value"] = _per_channel(mantissa, channels, np.uint8)
        registers["max_value_shift"] = _per_channel(shift, channels, np.uint8)
    walk.finish(node, settings, registers, {}, replace(given, value_bits=settings.buffer_bits))


def _activation(walk: _Walk, node: Node, settings: NodeQuantization) -> None:
    given = walk.source(node)
    if not (given.per_tensor and given.scales is None and given.value_bits == INDEX_BITS - 1):
        raise ModelError(
            f"{node.name}: a look-up table needs an {INDEX_BITS}-bit input quantized per tensor,"
            f" found {given.value_bits + 1} bits"
        )
    values, scale = lookup_table(
        node.attrs["activation"], node.attrs["alpha"], int(given.frac_bits), settings.lut_bits or 14
    )
    table = Format(
        value_bits=(settings.lut_bits or 14) - 1,
        frac_bits=np.asarray(0),
        scales=np.asarray(scale, np.float32),
    )
    walk.finish(node, settings, {"lut_values": values}, {"index": INDEX_BITS}, table)


def _global_pool(walk: _Walk, node: Node, settings: NodeQuantization) -> None:
    shift, given = align(walk.source(node))
    height, width, _ = walk.shapes[node.inputs[0]]
    scales = ONE if given.scales is None else given.scales
    # The chip sums; the division is part of the scale. The reference's compiled graph multiplies by
    # the float32 reciprocal instead of dividing.
    given = Format(
        value_bits=settings.buffer_bits,
        frac_bits=given.frac_bits,
        scales=np.asarray(scales * (ONE / np.float32(height * width)), np.float32),
    )
    walk.finish(node, settings, {"global_pool_shift": shift}, {}, given)


def _add(walk: _Walk, node: Node, settings: NodeQuantization) -> None:
    a, b = (walk.source(node, position) for position in (0, 1))
    if a.scales is not None or b.scales is not None:
        raise ModelError(f"{node.name}: Add needs quantized inputs, found an accumulator")
    frac_bits, channels = np.maximum(a.frac_bits, b.frac_bits), walk.shapes[node.name][-1]
    registers = {
        "a_shift": _per_channel(frac_bits - a.frac_bits, channels, np.uint8),
        "b_shift": _per_channel(frac_bits - b.frac_bits, channels, np.uint8),
    }
    # An average is a sum in units of half the size: nothing to compute.
    accumulator = Format(
        value_bits=settings.buffer_bits - 1,
        frac_bits=np.asarray(frac_bits + bool(node.attrs["average"])),
    )
    walk.finish(node, settings, registers, {"buffer": settings.buffer_bits}, accumulator)


def _concatenate(walk: _Walk, node: Node, settings: NodeQuantization) -> None:
    formats = [walk.formats[name] for name in node.inputs]
    shape = walk.shapes[node.name]
    if any(given.scales is not None for given in formats):
        raise ModelError(f"{node.name}: Concatenate needs quantized inputs, found an accumulator")
    if node.attrs["axis"] not in (-1, len(shape)):
        raise ModelError(
            f"{node.name}: concatenation along axis {node.attrs['axis']}; only channels (-1)"
        )
    frac_bits = [
        np.broadcast_to(given.frac_bits, (walk.shapes[name][-1],))
        for name, given in zip(node.inputs, formats, strict=True)
    ]
    joined = Format(
        value_bits=max(given.value_bits for given in formats), frac_bits=np.concatenate(frac_bits)
    )
    walk.emit(node, {}, {}, joined)


RULES = {
    "Input": _input,
    "Rescaling": _rescaling,
    "Dropout": _same,
    "MaxPooling2D": _same,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Conv2D": _neural,
    "Conv2DTranspose": _neural,
    "DepthwiseConv2DTranspose": _neural,
    "Dense": _neural,
    "BufferTempConv": _neural,
    "DepthwiseConv2D": _depthwise,
    "DepthwiseBufferTempConv": _depthwise_buffer,
    "ReLU": _relu,
    "Activation": _activation,
    "GlobalAveragePooling2D": _global_pool,
    "Add": _add,
    "Concatenate": _concatenate,
}
"""Operation to the rule that makes its integers."""
