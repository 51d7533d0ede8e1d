"""The layers of Akida 2.0 in ONNX' integer operators."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pipeline.exporters.program_onnx.sheet import INT64, Sheet
from pipeline.exporters.program_onnx.sums import (
    Bounds,
    convolve,
    crop,
    max_pool,
    multiply,
    pad,
    spread,
)
from simulator.windows import same_padding

MOST_RIGHT = 40
"""A right shift by more takes every product, of at most 33 bits, to 0."""
ROUND_UP = 1 << 45
"""A multiple of every such power of two, above every product: it makes dividends positive, since
Div truncates towards 0."""


def requantize(sheet: Sheet, x: str, scales, shift, value_bits: int, buffer_bits: int) -> str:
    """Scale accumulators to the output; see `simulator.integer.requantize`."""
    if scales is not None:
        x = sheet.clip(sheet.add("Mul", x, scales.astype(INT64)), buffer_bits)
    shift = shift.astype(INT64)
    right = np.clip(-shift, 0, MOST_RIGHT)
    if right.any():
        power = np.left_shift(INT64(1), right)
        x = sheet.add("Div", sheet.add("Add", x, power // 2 + ROUND_UP), power)
        x = sheet.add("Sub", x, ROUND_UP // power)
    left = np.clip(shift, 0, value_bits + 1)
    if left.any():
        bound = np.right_shift(INT64(1 << value_bits), left) + 1
        bound = np.where(left > 0, bound, INT64(1) << 40)
        x = sheet.shift_left(sheet.between(x, -bound, bound), left)
    return sheet.clip(x, value_bits)


def finish(sheet: Sheet, layer, x: str) -> str:
    """Apply a layer's output stage to accumulators."""
    if layer.pool_size is not None:
        shape, size, stride = layer.accumulator_shape, layer.pool_size, layer.pool_stride
        x = max_pool(sheet, x, shape, size, stride, layer.pool_padding)
    if layer.activation == "relu":
        x = sheet.most(x, INT64(0))
        if layer.max_value is not None:
            bound = np.left_shift(
                layer.max_value.astype(INT64), layer.max_value_shift.astype(INT64)
            )
            x = sheet.least(x, np.minimum(bound, (1 << 32) - 1))
    elif layer.activation == "lut":
        x = _looked_up(sheet, layer, x)
    if layer.global_pool:
        if layer.global_pool_shift is not None:
            x = sheet.clip(sheet.shift_left(x, layer.global_pool_shift), 32)
        x = sheet.clip(sheet.add("ReduceSum", x, np.array([1, 2], INT64), keepdims=1), 32)
    if layer.output_shift is None:
        return x
    value_bits = layer.output_bits - layer.output_signed
    buffer = layer.post_op_buffer_bits
    return requantize(sheet, x, layer.output_scales, layer.output_shift, value_bits, buffer)


def _looked_up(sheet, layer, x):
    half = 1 << (layer.activation_bits - 1)
    x = requantize(
        sheet,
        x,
        layer.activation_scales,
        layer.activation_shift,
        layer.activation_bits - 1,
        layer.post_op_buffer_bits,
    )
    return sheet.add("Gather", layer.lut_values.astype(INT64), sheet.add("Add", x, INT64(half)))


def _neural(sheet, layer, sums) -> str:
    """Saturate weighted sums, add the bias, and finish."""
    x = sheet.clip(sums, layer.buffer_bits - 1)
    if layer.bias is not None:
        bias = np.left_shift(layer.bias.astype(INT64), layer.bias_shift.astype(INT64))
        bound = 1 << (layer.buffer_bits - 1)
        x = sheet.clip(sheet.add("Add", x, np.clip(bias, -bound, bound - 1)), layer.buffer_bits - 1)
    return finish(sheet, layer, x)


def _shifted(sheet, layer, x, limits: Bounds, value_bits=None) -> tuple[str, Bounds]:
    """Return the aligned inputs of a layer, which saturate at its accumulator's width."""
    if layer.input_shift is None or not layer.input_shift.any():
        return x, limits
    most = int(layer.input_shift.max())
    width = layer.buffer_bits - 1 if value_bits is None else value_bits
    low, high = (limit << most for limit in limits)
    x = sheet.shift_left(x, layer.input_shift)
    inside = (max(low, -(1 << width)), min(high, (1 << width) - 1))
    return (x if inside == (low, high) else sheet.clip(x, width)), inside


def _conv2d(sheet, layer, x, limits):
    x, limits = _shifted(sheet, layer, x, limits)
    return _window(sheet, layer, x, limits, layer.weights[::-1, ::-1], 0)


def _input_conv2d(sheet, layer, x, limits):
    value = 0 if layer.padding_value is None else layer.padding_value
    x, limits = _shifted(sheet, layer, x, limits)
    limits = (min(limits[0], int(np.min(value))), max(limits[1], int(np.max(value))))
    return _window(sheet, layer, x, limits, layer.weights, value)


def _window(sheet, layer, x, limits, kernel, value, depthwise=False):
    size, strides = layer.input_shapes[0][:2], layer.kernel_stride
    x = pad(sheet, x, size, kernel.shape[:2], strides, layer.padding, value)
    return _neural(sheet, layer, convolve(sheet, x, limits, kernel, strides, depthwise=depthwise))


def _depthwise_conv2d(sheet, layer, x, limits):
    x, limits = _shifted(sheet, layer, x, limits)
    return _window(sheet, layer, x, limits, layer.weights[::-1, ::-1], 0, depthwise=True)


def _transposed(sheet, layer, x, limits, depthwise=False):
    x, limits = _shifted(sheet, layer, x, limits)
    kernel, strides, shape = layer.weights.shape[:2], layer.kernel_stride, layer.input_shapes[0]
    x = spread(sheet, x, shape, kernel, strides)
    limits = (min(limits[0], 0), max(limits[1], 0))
    flipped = layer.weights[::-1, ::-1]
    x = convolve(sheet, x, limits, flipped, (1, 1), depthwise=depthwise)
    height, width, _ = layer.accumulator_shape
    starts = (0, 0)
    if layer.padding == "same":
        sizes = zip(shape[:2], kernel, strides, strict=True)
        starts = tuple(same_padding(n * s, k, s)[0] for n, k, s in sizes)
    rows, columns = ((a, a + n) for a, n in zip(starts, (height, width), strict=True))
    return _neural(sheet, layer, crop(sheet, x, rows, columns))


def _dense1d(sheet, layer, x, limits):
    x = sheet.add("Reshape", x, np.array([-1, layer.input_channels], INT64))
    x, limits = _shifted(sheet, layer, x, limits, layer.input_value_bits)
    x = multiply(sheet, x, limits, layer.weights)
    x = sheet.add("Reshape", x, np.array([-1, 1, 1, layer.filters], INT64))
    return _neural(sheet, layer, x)


def _frames(sheet, layer, x, limits):
    """Return the frames of each window, oldest first: the batch is a stream after a reset."""
    x, limits = _shifted(sheet, layer, x, limits)
    past, axis = layer.fifo_size - 1, np.array([0], INT64)
    stream = sheet.add("Pad", x, np.array([past, 0, 0, 0] + [0] * 4, INT64), INT64(0))
    frames = []
    for t in range(layer.fifo_size):
        end = np.iinfo(INT64).max if t == past else t - past
        ends = np.array([end], INT64)
        frames.append(sheet.add("Slice", stream, np.array([t], INT64), ends, axis))
    return frames, (min(limits[0], 0), max(limits[1], 0))


def _buffer_temp_conv(sheet, layer, x, limits):
    frames, limits = _frames(sheet, layer, x, limits)
    x = frames[0] if len(frames) == 1 else sheet.add("Concat", *frames, axis=3)
    return _neural(sheet, layer, convolve(sheet, x, limits, layer.weights, (1, 1)))


def _depthwise_buffer(sheet, layer, x, limits):
    frames, _ = _frames(sheet, layer, x, limits)
    weights = layer.weights[0, 0].astype(INT64)
    parts = [sheet.add("Mul", frame, w) for frame, w in zip(frames, weights, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = sheet.add("Add", total, part)
    return _neural(sheet, layer, total)


def _add(sheet, layer, a, a_limits, b, b_limits):
    width = layer.buffer_bits - 1
    terms = ((a, layer.a_shift), (b, layer.b_shift))
    aligned = [sheet.clip(sheet.shift_left(x, shift), width) for x, shift in terms]
    return finish(sheet, layer, sheet.clip(sheet.add("Add", *aligned), width))


def _concatenate(sheet, layer, *given):
    return sheet.add("Concat", *given[::2], axis=3)


def _input_data(sheet, layer, x, limits):
    return x


def _quantizer(sheet, layer, x, limits):
    value_bits = layer.output_bits - layer.output_signed
    bound = np.float32(1 << value_bits)
    x = sheet.add("Round", sheet.add("Mul", x, layer.scales))
    x = sheet.cast(sheet.between(x, -bound - 1, bound), INT64)
    x = sheet.clip(x, value_bits)
    if layer.zero_points is not None:
        x = sheet.clip(sheet.add("Add", x, layer.zero_points.astype(INT64)), value_bits)
    if layer.clip_at_zero and not layer.output_signed:
        x = sheet.most(x, INT64(0))
    return x


def _dequantizer(sheet, layer, x, limits):
    return sheet.add("Mul", sheet.cast(x, np.float32), layer.scales)


def _outputs(sheet, layer, *given):
    vectors = [
        sheet.add("Reshape", x, np.array([-1, 1, 1, math.prod(shape)], INT64))
        for x, shape in zip(given[::2], layer.input_shapes, strict=True)
    ]
    return sheet.add("Concat", *vectors, axis=3)


def _depthwise_transposed(sheet, layer, x, limits):
    return _transposed(sheet, layer, x, limits, depthwise=True)


LAYERS: dict[str, Callable] = {
    "InputData": _input_data,
    "Quantizer": _quantizer,
    "InputConv2D": _input_conv2d,
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "Conv2DTranspose": _transposed,
    "DepthwiseConv2DTranspose": _depthwise_transposed,
    "Dense1D": _dense1d,
    "BufferTempConv": _buffer_temp_conv,
    "DepthwiseBufferTempConv": _depthwise_buffer,
    "Add": _add,
    "Concatenate": _concatenate,
    "Dequantizer": _dequantizer,
    "Outputs": _outputs,
}
"""By type of the layer: a function of the sheet, the layer, and each input with its bounds."""
