"""The layers of Akida 1.0 in ONNX' integer operators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.exporters.program_onnx.sheet import INT64, Sheet
from pipeline.exporters.program_onnx.sums import Bounds, convolve, max_pool, multiply, pad


def neuron(sheet: Sheet, layer, x: str) -> str:
    """Apply pooling, thresholds and steps to potentials."""
    if layer.pool_type == "max":
        shape, size, stride = layer.potential_shape, layer.pool_size, layer.pool_stride
        x = max_pool(sheet, x, shape, size, stride, layer.padding)
    elif layer.pool_type == "average":
        x = sheet.add("ReduceSum", x, np.array([1, 2], INT64), keepdims=1)
    above = sheet.cast(sheet.add("Sub", x, layer.threshold.astype(INT64)), np.float64)
    step = layer.act_step.astype(np.float64)
    if not layer.activation:
        if layer.threshold_fraction is not None:
            above = sheet.add("Sub", above, layer.threshold_fraction.astype(np.float64))
        return sheet.cast(sheet.add("Div", above, step), np.float32)
    levels = sheet.add("Ceil", sheet.add("Div", above, step * 2.0 ** (4 - layer.act_bits)))
    highest = np.float64((1 << layer.act_bits) - 1)
    return sheet.cast(sheet.between(levels, np.float64(0), highest), INT64)


def _convolutional(sheet, layer, x, limits):
    return neuron(sheet, layer, _window(sheet, layer, x, limits, layer.weights[::-1, ::-1]))


def _input_convolutional(sheet, layer, x, limits):
    value = layer.padding_value
    return neuron(sheet, layer, _window(sheet, layer, x, limits, layer.weights, value))


def _window(sheet, layer, x, limits, kernel, value=0, depthwise=False):
    size, strides = layer.input_shapes[0][:2], layer.kernel_stride
    x = pad(sheet, x, size, kernel.shape[:2], strides, layer.padding, value)
    return convolve(sheet, x, limits, kernel, strides, depthwise=depthwise)


def _separable(sheet, layer, x, limits: Bounds):
    kernel = layer.weights[::-1, ::-1]
    x = _window(sheet, layer, x, limits, kernel, depthwise=True)
    most = int(np.abs(kernel.astype(INT64)).sum(axis=(0, 1)).max()) * max(map(abs, limits))
    return neuron(sheet, layer, convolve(sheet, x, (-most, most), layer.weights_pw, (1, 1)))


def _fully_connected(sheet, layer, x, limits):
    weights = layer.weights[0, 0]
    flat = sheet.add("Transpose", x, perm=[0, 3, 2, 1])
    flat = sheet.add("Reshape", flat, np.array([-1, len(weights)], INT64))
    x = multiply(sheet, flat, limits, weights)
    return neuron(sheet, layer, sheet.add("Reshape", x, np.array([-1, 1, 1, layer.filters], INT64)))


def _input_data(sheet, layer, x, limits):
    return x


LAYERS: dict[str, Callable] = {
    "InputData": _input_data,
    "InputConvolutional": _input_convolutional,
    "Convolutional": _convolutional,
    "SeparableConvolutional": _separable,
    "FullyConnected": _fully_connected,
}
"""By type of the layer: a function of the sheet, the layer, and each input with its bounds."""
