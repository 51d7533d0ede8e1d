"""Compute the integers of layers with kernels: weights, biases, accumulators."""

from __future__ import annotations

import numpy as np

from pipeline.graph.node import Node
from pipeline.quantization.calibrated_graph import NodeQuantization
from pipeline.quantization.fixed_point import quantize_aligned, quantize_weights, weight_scales
from pipeline.quantization.quantized_graph import Format
from pipeline.quantization.walk import ONE, Walk, align, per_channel

KERNEL_AXIS = {"DepthwiseConv2D": -2, "DepthwiseConv2DTranspose": None}
"""Axis over which a kernel has a scale per index, where it is not the last one; None: one scale."""


def kernel_axis(op: str) -> int | None:
    """Return the axis over which the kernel of an operation has a scale per index."""
    return KERNEL_AXIS.get(op, -1)


def in_rule_layout(op: str, kernel: np.ndarray) -> np.ndarray:
    """Return a kernel with its filters on the last axis, or the opposite.

    Keras stores the kernel of a Conv2DTranspose as (height, width, filters, channels).
    """
    return kernel.transpose(0, 1, 3, 2) if op == "Conv2DTranspose" else kernel


def _accumulator(walk: Walk, node, settings, given: Format, scales: np.ndarray, registers):
    """Return the format of a weighted sum, and add the bias registers."""
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
        walk.accumulators.count(node.name, node.weights["bias"] / scales, 7, shift)
        registers["bias"] = per_channel(mantissa, channels, np.int8)
        registers["bias_shift"] = per_channel(shift, channels, np.uint8)
    return accumulator


def _weight_scales(kernel, settings: NodeQuantization, axis: int | None) -> np.ndarray:
    if settings.weight_scales is not None:
        return settings.weight_scales
    return weight_scales(kernel, settings.weight_bits, axis)


def neural_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Quantize layers that sum over input channels: convolutions and dense layers."""
    shift, given = align(walk.source(node))
    registers, kernel = {}, node.weights["kernel"]
    if given.scales is not None and given.scales.ndim:
        raise walk.refused(node, "its input is an accumulator with a scale per channel")
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
        registers["padding_value"] = per_channel(
            np.left_shift(mantissa, left), walk.shapes[node.inputs[0]][-1], np.int32
        )
    kernel = in_rule_layout(node.op, kernel)
    scales = _weight_scales(kernel, settings, kernel_axis(node.op))
    registers["kernel"] = quantize_weights(kernel, settings.weight_bits, scales)
    accumulator = _accumulator(walk, node, settings, given, scales, registers)
    bits = {"weights": settings.weight_bits, "buffer": settings.buffer_bits}
    walk.finish(node, settings, registers, bits, accumulator)


def _input_channels(node: Node, walk: Walk) -> int:
    return walk.shapes[node.inputs[0]][-1]


def depthwise_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Quantize depthwise convolutions: every channel keeps its own scale."""
    given = walk.source(node)
    if given.scales is not None:
        raise walk.refused(
            node, f"{node.op} on rescaled inputs", "quantized ones", "start the model with a Conv2D"
        )
    kernel, registers = node.weights["kernel"], {}
    scales = _weight_scales(kernel, settings, kernel_axis(node.op))
    registers["kernel"] = quantize_weights(kernel, settings.weight_bits, scales[:, None])
    accumulator = _accumulator(walk, node, settings, given, scales, registers)
    bits = {"weights": settings.weight_bits, "buffer": settings.buffer_bits}
    walk.finish(node, settings, registers, bits, accumulator)


def separable_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Quantize fused separable convolutions, without requantization between the two kernels."""
    shift, given = align(walk.source(node))
    depthwise, pointwise = node.weights["depthwise_kernel"], node.weights["pointwise_kernel"]
    dw_scale = weight_scales(depthwise, settings.weight_bits, None)
    pw_scales = _weight_scales(pointwise, settings, -1)
    registers = {
        "depthwise_kernel": quantize_weights(depthwise, settings.weight_bits, dw_scale),
        "pointwise_kernel": quantize_weights(pointwise, settings.weight_bits, pw_scales),
        "input_shift": shift,
    }
    scales = np.asarray(dw_scale * pw_scales, np.float32)
    accumulator = _accumulator(walk, node, settings, given, scales, registers)
    bits = {"weights": settings.weight_bits, "buffer": settings.buffer_bits}
    walk.finish(node, settings, registers, bits, accumulator)


def depthwise_buffer_rule(walk: Walk, node: Node, settings: NodeQuantization) -> None:
    """Quantize depthwise convolutions over time: one weight per frame and channel."""
    shift, given = align(walk.source(node))
    kernel = node.weights["kernel"]
    scales = _weight_scales(kernel, settings, -1)
    registers = {
        "kernel": quantize_weights(kernel, settings.weight_bits, scales),
        "input_shift": shift,
    }
    accumulator = _accumulator(walk, node, settings, given, scales, registers)
    bits = {"weights": settings.weight_bits, "buffer": settings.buffer_bits}
    walk.finish(node, settings, registers, bits, accumulator)
