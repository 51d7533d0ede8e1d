"""Convolutions."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.tensor import Tensor
from pipeline.importers.onnx.windows import padded, pair, read_window, sides

WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


def bias_of(call: Call) -> dict[str, np.ndarray]:
    """Return the bias of a convolution; empty where it has none."""
    return {} if call.value(2) is None else {"bias": call.weights(2, 1)}


def conv(call: Call) -> Tensor:
    """Read a Conv: depthwise where each channel is a group, else with groups."""
    kernel = call.weights(1, 4)
    tensor = call.map()
    window = read_window(call, tensor, kernel.shape[2:])
    source, padding = padded(call, tensor, window)
    channels, groups = tensor.shape[0], call.attr("group", 1)
    filters = len(kernel)
    if kernel.shape[1] * groups != channels or groups < 1 or filters % groups:
        raise ModelError(
            f"its weights {kernel.shape} with group {groups} do not fit {channels} channels"
        )
    weights, bias = {}, bias_of(call)
    attrs = {
        "kernel_size": window.kernel,
        "strides": window.strides,
        "dilation_rate": window.dilations,
        "padding": padding,
        "use_bias": bool(bias),
    }
    if groups == channels > 1:
        multiplier = filters // groups
        parts = kernel.reshape(channels, multiplier, *window.kernel)
        weights = {"kernel": parts.transpose(2, 3, 0, 1), **bias}
        attrs |= {"depth_multiplier": multiplier}
        node = call.emit("DepthwiseConv2D", (source,), attrs, weights)
    else:
        weights = {"kernel": kernel.transpose(2, 3, 1, 0), **bias}
        attrs |= {"filters": filters, "groups": groups}
        node = call.emit("Conv2D", (source,), attrs, weights)
    return call.builder.tensor(node)


def conv_transpose(call: Call) -> Tensor:
    """Read a ConvTranspose whose output is Keras' "same" or "valid".

    Keras' "same" cuts the odd row at the end; where ONNX cuts it at the start, zeros around the
    kernel move the output, which is exact.
    """
    kernel = call.weights(1, 4)
    tensor = call.map()
    if call.attr("auto_pad", "NOTSET") != "NOTSET" or call.attr("output_shape") is not None:
        raise ModelError("it has auto_pad or output_shape; allowed: pads and output_padding")
    if tuple(call.attr("dilations", (1, 1))) != (1, 1):
        raise ModelError(f"its dilations are {call.attr('dilations')}; allowed: (1, 1)")
    size = kernel.shape[2:]
    if tuple(call.attr("kernel_shape", size)) != size:
        raise ModelError(f"its kernel_shape is {call.attr('kernel_shape')}; its weights are {size}")
    strides = pair("strides", call.attr("strides", (1, 1)))
    pads = sides("pads", call.attr("pads", (0, 0, 0, 0)))
    extra = tuple(call.attr("output_padding", (0, 0)))
    cuts = [(a, b - more) for (a, b), more in zip(pads, extra, strict=True)]
    found = [_placed(k, s, *cut) for k, s, cut in zip(size, strides, cuts, strict=True)]
    if None in found or len({padding for padding, _ in found}) > 1:
        raise ModelError(
            f"its pads {pads} and output_padding {extra} cut an output of another size than the"
            f" input times {strides}; allowed: that size (Keras' 'same'), or no pads"
        )
    zeros = [zero for _, zero in found]
    kernel = np.pad(kernel, [(0, 0), (0, 0), *zeros])
    bias = bias_of(call)
    attrs = {
        "kernel_size": kernel.shape[2:],
        "strides": strides,
        "padding": found[0][0],
        "use_bias": bool(bias),
    }
    channels, groups = tensor.shape[0], call.attr("group", 1)
    if groups == channels > 1 and kernel.shape[1] == 1:
        weights = {"kernel": kernel.transpose(2, 3, 0, 1), **bias}
        node = call.emit("DepthwiseConv2DTranspose", (tensor.node,), attrs, weights)
    elif groups == 1:
        weights = {"kernel": kernel.transpose(2, 3, 1, 0), **bias}
        attrs |= {"filters": kernel.shape[1]}
        node = call.emit("Conv2DTranspose", (tensor.node,), attrs, weights)
    else:
        raise ModelError(f"its group is {groups}; allowed: 1, or {channels} with one filter each")
    return call.builder.tensor(node)


def _placed(kernel, stride, start, end):
    """Return Keras' padding and the zeros around the kernel on one axis; None where none fits.

    `start` and `end` rows are cut from (n - 1) * stride + kernel rows; a negative `end` adds some.
    "same" cuts kernel - stride rows, half of them (rounded down) from the start.
    """
    if kernel - stride == start + end:
        zeros = (0, start - end) if start >= end else (end - start - 1, 0)
        return "same", zeros
    return ("valid", (0, 0)) if start == end == 0 and kernel >= stride else None


RULES = {
    "Conv": Rule(read=conv, attributes=WINDOW),
    "ConvTranspose": Rule(
        read=conv_transpose, attributes=(*WINDOW, "output_padding", "output_shape")
    ),
}
