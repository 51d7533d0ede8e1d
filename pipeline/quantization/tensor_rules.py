"""Compute the integers of layers without kernels: inputs, shapes, activations, pooling, joins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.graph.node import Node
from pipeline.messages.settings import setting
from pipeline.quantization.calibrated_graph import NodeQuantization
from pipeline.quantization.fixed_point import max_frac_bits, quantize_aligned, quantize_fixed
from pipeline.quantization.lookup import INDEX_BITS, lookup_table
from pipeline.quantization.quantized_graph import Format, QuantizedNode
from pipeline.quantization.walk import ONE, Walk, align, per_channel

INPUT_BITS = {"uint8": 8, "int8": 7, "int16": 15}
"""Value bits of integer input types."""


def input_rule(walk: Walk, node: Node, settings) -> None:
    """Emit the input: integers unchanged, or floats through a Quantizer."""
    dtype, quantizer = node.attrs["dtype"], walk.calibrated.input
    if quantizer is None:
        if dtype not in INPUT_BITS:
            raise walk.refused(
                node,
                f"{dtype} inputs without a quantizer",
                f"{', '.join(INPUT_BITS)}, or float32, whose range is calibrated",
                "store the inputs as one of these and rescale them in the model",
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
    registers = {"scales": per_channel(np.exp2(frac_bits), channels, np.float32)}
    if not quantizer.signed:
        zero = quantize_fixed(-quantizer.range_min, value_bits, frac_bits)
        registers["zero_points"] = per_channel(zero, channels, np.int16)
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


def rescaling_rule(walk: Walk, node: Node, settings) -> None:
    """Emit a rescaling: it changes the unit of the pixels, not the integers."""
    scale, offset = np.asarray(node.attrs["scale"], np.float32), node.attrs["offset"]
    if scale.ndim or np.any(np.asarray(offset) != 0):
        raise walk.refused(
            node,
            "a rescaling per channel or with an offset",
            "before a layer that takes it, as the model's first",
        )
    given = walk.source(node)
    scales = scale if given.scales is None else np.asarray(given.scales * scale, np.float32)
    walk.emit(node, {}, {}, replace(given, scales=scales))


def same_rule(walk: Walk, node: Node, settings) -> None:
    """Emit layers that only move values."""
    walk.emit(node, {}, {}, walk.source(node))


def reshape_rule(walk: Walk, node: Node, settings) -> None:
    """Emit a reshape or flatten: values keep the scales of their channels."""
    given, before, after = walk.source(node), walk.shapes[node.inputs[0]], walk.shapes[node.name]
    if given.scales is not None and given.scales.ndim and before[-1] != after[-1]:
        raise walk.refused(
            node,
            f"{node.op} of an accumulator",
            "of a quantized output",
            f"end the model before it: {setting('model.until', node.inputs[0])}",
        )
    # QuantizeML's Flatten aligns channels even if it moves no value.
    saturates = node.op == "Flatten" and walk.calibrated.flatten_saturates
    if given.frac_bits.ndim == 0 or (before[-1] == after[-1] and not saturates):
        walk.emit(node, {}, {}, given)
    elif len(after) > 1 and after[-1] != np.prod(after):
        raise walk.refused(
            node,
            f"reshaping {before} to {after} mixes channels of different scales",
            "one scale",
            f"use {setting('quantization.per_tensor_activations', True)}",
        )
    elif walk.calibrated.flatten_saturates:
        shift, aligned = align(given)
        bits = {"value_bits": given.value_bits}
        walk.emit(node, {"input_shift": np.resize(shift, after[-1])}, bits, aligned)
    else:
        walk.emit(node, {}, {}, replace(given, frac_bits=np.resize(given.frac_bits, after[-1])))


def relu_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Emit a ReLU with its maximum in units of the accumulator."""
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
        bound = np.float32(node.attrs["max_value"]) / given.scales
        walk.accumulators.count(node.name, bound * np.exp2(given.frac_bits), 8, shift)
        registers["max_value"] = per_channel(mantissa, channels, np.uint8)
        registers["max_value_shift"] = per_channel(shift, channels, np.uint8)
    walk.finish(node, settings, registers, {}, replace(given, value_bits=settings.buffer_bits))


def activation_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Emit any other activation as a look-up table with an 11-bit index."""
    given = walk.source(node)
    if not (given.per_tensor and given.scales is None and given.value_bits == INDEX_BITS - 1):
        raise walk.refused(
            node,
            f"a look-up table on {given.value_bits + 1} bits",
            f"{INDEX_BITS} bits, quantized per tensor",
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


def global_pool_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Emit a global average as a sum, with the division in its scale."""
    shift, given = align(walk.source(node))
    height, width, _ = walk.shapes[node.inputs[0]]
    scales = ONE if given.scales is None else given.scales
    # The reference's compiled graph multiplies by the float32 reciprocal instead of dividing.
    given = Format(
        value_bits=settings.buffer_bits,
        frac_bits=given.frac_bits,
        scales=np.asarray(scales * (ONE / np.float32(height * width)), np.float32),
    )
    walk.finish(node, settings, {"global_pool_shift": shift}, {}, given)


def add_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Emit an addition: left shifts align both inputs to one scale."""
    a, b = (walk.source(node, position) for position in (0, 1))
    if a.scales is not None or b.scales is not None:
        raise walk.refused(node, "Add of an accumulator", "of quantized outputs")
    frac_bits, channels = np.maximum(a.frac_bits, b.frac_bits), walk.shapes[node.name][-1]
    registers = {
        "a_shift": per_channel(frac_bits - a.frac_bits, channels, np.uint8),
        "b_shift": per_channel(frac_bits - b.frac_bits, channels, np.uint8),
    }
    # An average is the sum in units of half the size: nothing to compute.
    accumulator = Format(
        value_bits=settings.buffer_bits - 1,
        frac_bits=np.asarray(frac_bits + bool(node.attrs["average"])),
    )
    walk.finish(node, settings, registers, {"buffer": settings.buffer_bits}, accumulator)


def concatenate_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Emit a concatenation: every channel keeps its own scale."""
    formats = [walk.formats[name] for name in node.inputs]
    shape = walk.shapes[node.name]
    if any(given.scales is not None for given in formats):
        raise walk.refused(node, "Concatenate of an accumulator", "of quantized outputs")
    if node.attrs["axis"] not in (-1, len(shape)):
        raise walk.refused(node, f"Concatenate along axis {node.attrs['axis']}", "channels (-1)")
    frac_bits = [
        np.broadcast_to(given.frac_bits, (walk.shapes[name][-1],))
        for name, given in zip(node.inputs, formats, strict=True)
    ]
    joined = Format(
        value_bits=max(given.value_bits for given in formats), frac_bits=np.concatenate(frac_bits)
    )
    walk.emit(node, {}, {}, joined)


def outputs_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Emit nothing: `Walk.dequantize` ends the model, with floats."""
