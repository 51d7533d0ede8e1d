"""Published limits of Akida 2.0 hardware.

A program beyond them still runs on the emulator; it does not map to the chip. Every number is one
of the constants below, from which both the checks and the table in docs/targets.md are made.
"""

from __future__ import annotations

from collections.abc import Iterator

SOURCE = "BrainChip documentation, Akida 2.0 hardware"
INPUT_HEIGHT, INPUT_WIDTH, INPUT_CHANNELS, INPUT_FILTERS = (5, 384), 5, (1, 3), 512
INPUT_WEIGHT_BITS = 8
INPUT_POOLS = ((2, 2), (3, 2))
"""Max pooling of InputConv2D: size and stride."""
INPUT_STRIDES = {3: 3, 4: 4, 5: 5, 7: 6}
"""Largest stride of InputConv2D by kernel size."""
KERNELS = {"Conv2D": (1, 3, 5, 7), "DepthwiseConv2D": (3, 5, 7)}
STRIDED_KERNEL, STRIDE = 3, 2
POOLS = ((2, 1), (2, 2))
"""Max pooling of the other convolutions: size and stride."""
TRANSPOSED_KERNELS, TRANSPOSED_STRIDE, TRANSPOSED_BITS = (3, 4), 2, (8,)
MAP_SIDE, CHANNELS = 4096, 2048
AVERAGE_WIDTH, AVERAGE_PIXELS = 64, 143
INPUTS = 2048
FIFO, BUFFERED_FILTERS, BUFFERED_WEIGHT_BITS = (2, 10), 2048, 8
BITS = (4, 8)
"""Widths of weights and of activations."""


def convolution(layer, *, kernels) -> Iterator[str]:
    """Limits of Conv2D and DepthwiseConv2D."""
    yield from _square(layer)
    size, stride = layer.weights.shape[0], layer.kernel_stride[0]
    if size not in kernels:
        yield f"kernel {size}x{size}; allowed: {_squares(kernels)}"
    if stride > STRIDE or (stride > 1 and size != STRIDED_KERNEL):
        yield f"stride {stride} with a {size}x{size} kernel; allowed: 1, or {STRIDE} with 3x3"
    if layer.padding != "same" and size > 1:
        yield "padding 'valid'; allowed: same"
    yield from _widths(layer)
    yield from _channels(layer)
    yield from _pooling(layer, sizes=POOLS)
    height, width, _ = layer.input_shapes[0]
    if max(height, width) > MAP_SIDE:
        yield f"input of {height}x{width}; at most {MAP_SIDE} a side"
    if layer.global_pool:
        height, width, _ = layer.accumulator_shape
        if width > AVERAGE_WIDTH or height * width > AVERAGE_PIXELS:
            yield (
                f"global average over {height}x{width}; at most {AVERAGE_WIDTH} wide and"
                f" {AVERAGE_PIXELS} pixels"
            )


def input_convolution(layer) -> Iterator[str]:
    """Limits of InputConv2D."""
    yield from _square(layer)
    height, width, channels = layer.input_shapes[0]
    size, stride = layer.weights.shape[0], layer.kernel_stride[0]
    if size not in INPUT_STRIDES:
        yield f"kernel {size}x{size}; allowed: {_squares(INPUT_STRIDES)}"
    elif stride > INPUT_STRIDES[size]:
        yield f"stride {stride}; a {size}x{size} kernel allows 1 to {INPUT_STRIDES[size]}"
    lowest, highest = INPUT_HEIGHT
    if width < INPUT_WIDTH or not lowest <= height <= highest:
        yield (
            f"input of {height}x{width}; width at least {INPUT_WIDTH}, height {lowest} to {highest}"
        )
    if channels not in INPUT_CHANNELS:
        yield f"{channels} input channels; allowed: 1 or 3"
    if layer.filters > INPUT_FILTERS:
        yield f"{layer.filters} filters; at most {INPUT_FILTERS}"
    if layer.weight_bits != INPUT_WEIGHT_BITS:
        yield (
            f"{layer.weight_bits}-bit weights; the input layer holds {INPUT_WEIGHT_BITS}"
            " (input_weight_bits)"
        )
    yield from _output_width(layer)
    yield from _pooling(layer, sizes=INPUT_POOLS)
    if layer.padding_value is not None and not (
        layer.padding_value.min() >= 0 and layer.padding_value.max() <= 255
    ):
        yield "padding values outside 0..255"


def transposed_convolution(layer) -> Iterator[str]:
    """Limits of Conv2DTranspose and DepthwiseConv2DTranspose."""
    yield from _square(layer)
    size = layer.weights.shape[0]
    if size not in TRANSPOSED_KERNELS:
        yield f"kernel {size}x{size}; allowed: {_squares(TRANSPOSED_KERNELS)}"
    if layer.kernel_stride != (TRANSPOSED_STRIDE,) * 2 or layer.padding != "same":
        yield (
            f"stride {layer.kernel_stride}, padding '{layer.padding}'; allowed:"
            f" {TRANSPOSED_STRIDE} and same"
        )
    if layer.pool_size is not None or layer.global_pool:
        yield "pooling after a transposed convolution; put a convolution between them"
    yield from _widths(layer, TRANSPOSED_BITS)
    yield from _channels(layer)


def dense(layer) -> Iterator[str]:
    """Limits of Dense1D."""
    inputs = layer.weights.shape[0]
    if inputs > INPUTS:
        yield f"{inputs} inputs; at most {INPUTS} (pool or convolve before flattening)"
    if layer.activation == "lut":
        yield "a look-up table activation after Dense1D; use ReLU"
    if layer.input_value_bits is not None:
        yield "inputs that saturate after their shift (a QuantizeML Flatten); the chip does not"
    yield from _widths(layer)


def buffered_convolution(layer) -> Iterator[str]:
    """Limits of BufferTempConv and DepthwiseBufferTempConv."""
    if not FIFO[0] <= layer.fifo_size <= FIFO[1]:
        yield f"fifo_size {layer.fifo_size}; allowed: {FIFO[0]} to {FIFO[1]}"
    if layer.filters > BUFFERED_FILTERS:
        yield f"{layer.filters} filters; at most {BUFFERED_FILTERS}"
    if layer.weight_bits != BUFFERED_WEIGHT_BITS:
        yield f"{layer.weight_bits}-bit weights; allowed: {BUFFERED_WEIGHT_BITS}"


def _square(layer) -> Iterator[str]:
    for name, pair in (("kernel", layer.weights.shape[:2]), ("stride", layer.kernel_stride)):
        if pair[0] != pair[1]:
            yield f"{name} {pair[0]}x{pair[1]}; it must be square"


def _widths(layer, allowed=BITS) -> Iterator[str]:
    if layer.weight_bits not in allowed:
        yield f"{layer.weight_bits}-bit weights; allowed: {_list(allowed)}"
    yield from _output_width(layer, allowed)


def _output_width(layer, allowed=BITS) -> Iterator[str]:
    if layer.output_shift is not None and layer.output_bits not in allowed:
        yield f"{layer.output_bits}-bit outputs; allowed: {_list(allowed)}"


def _channels(layer) -> Iterator[str]:
    channels = layer.input_shapes[0][2]
    if channels > CHANNELS:
        yield f"{channels} input channels; at most {CHANNELS}"


def _pooling(layer, *, sizes) -> Iterator[str]:
    if layer.pool_size is None:
        return
    pair = (layer.pool_size[0], layer.pool_stride[0])
    if layer.pool_size[0] != layer.pool_size[1] or layer.pool_stride[0] != layer.pool_stride[1]:
        yield f"pooling {layer.pool_size} with stride {layer.pool_stride}; it must be square"
    elif pair not in sizes:
        allowed = ", ".join(f"{k}x{k} stride {s}" for k, s in sizes)
        yield f"pooling {pair[0]}x{pair[0]} with stride {pair[1]}; allowed: {allowed}"
    if layer.activation == "lut":
        yield "max pooling together with a look-up table activation; use ReLU"
    if layer.pool_padding != layer.padding and layer.weights.shape[0] > 1:
        yield f"pooling padding '{layer.pool_padding}' after a '{layer.padding}' convolution"


def _list(values) -> str:
    return ", ".join(map(str, values))


def _squares(sizes) -> str:
    return _list(f"{k}x{k}" for k in sizes)


def _pools(pairs) -> str:
    return _list(f"{size}x{size} stride {stride}" for size, stride in pairs)


_MAP = f"up to {MAP_SIDE}x{MAP_SIDE}x{CHANNELS}"
_WIDTHS = {"input bits": _list(BITS), "weight bits": _list(BITS), "output bits": _list(BITS)}
_WIDE = {"input bits": "8", "weight bits": "8", "output bits": "8"}
_WINDOW = {
    "input": _MAP,
    "stride": f"1; {STRIDE} with {STRIDED_KERNEL}x{STRIDED_KERNEL}",
    "padding": "same",
    "max pooling": _pools(POOLS),
    "global average": f"width up to {AVERAGE_WIDTH}, up to {AVERAGE_PIXELS} pixels",
    **_WIDTHS,
}
_TRANSPOSED = {
    "input": f"up to {CHANNELS} channels",
    "kernel": _list(TRANSPOSED_KERNELS),
    "stride": str(TRANSPOSED_STRIDE),
    "padding": "same",
    **_WIDE,
}
_BUFFERED = {
    "kernel": f"{FIFO[0]} to {FIFO[1]} frames",
    "filters": f"up to {BUFFERED_FILTERS}",
    **_WIDE,
}
SUPPORTED = {
    "InputConv2D": {
        "input": f"height {INPUT_HEIGHT[0]} to {INPUT_HEIGHT[1]}, width from {INPUT_WIDTH},"
        f" channels {_list(INPUT_CHANNELS)}",
        "kernel": _list(INPUT_STRIDES),
        "stride": "; ".join(f"1 to {most} ({k}x{k})" for k, most in INPUT_STRIDES.items()),
        "padding": "same, valid",
        "filters": f"up to {INPUT_FILTERS}",
        "max pooling": _pools(INPUT_POOLS),
        "input bits": "8",
        "weight bits": str(INPUT_WEIGHT_BITS),
        "output bits": _list(BITS),
    },
    "Conv2D": {"kernel": _list(KERNELS["Conv2D"]), **_WINDOW},
    "DepthwiseConv2D": {"kernel": _list(KERNELS["DepthwiseConv2D"]), **_WINDOW}
    | {"global average": "no"},
    "Conv2DTranspose": _TRANSPOSED,
    "DepthwiseConv2DTranspose": _TRANSPOSED,
    "Dense1D": {"input": f"up to {INPUTS} values", **_WIDTHS},
    "BufferTempConv": _BUFFERED,
    "DepthwiseBufferTempConv": _BUFFERED,
}
"""Layer class to what it supports, in words; empty where the layer has no such thing."""

NOTES = (
    "Windows and strides are square.",
    "Look-up table activations do not go with max pooling, nor with Dense1D.",
)
