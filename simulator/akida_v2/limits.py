"""Published limits of Akida 2.0 hardware (BrainChip documentation, "Akida 2.0 hardware").

A program beyond them still runs on the emulator; it does not map to the chip.
"""

from __future__ import annotations

from collections.abc import Iterator

INPUT_STRIDES = {3: 3, 4: 4, 5: 5, 7: 6}
"""Largest stride of InputConv2D by kernel size."""


def convolution(layer, *, kernels) -> Iterator[str]:
    """Limits of Conv2D and DepthwiseConv2D."""
    yield from _square(layer)
    size, stride = layer.weights.shape[0], layer.kernel_stride[0]
    if size not in kernels:
        yield f"kernel {size}x{size}; allowed: {', '.join(f'{k}x{k}' for k in kernels)}"
    if stride > 2 or (stride == 2 and size != 3):
        yield f"stride {stride} with a {size}x{size} kernel; allowed: 1, or 2 with 3x3"
    if layer.padding != "same" and size > 1:
        yield "padding 'valid'; allowed: same"
    yield from _widths(layer)
    yield from _channels(layer)
    yield from _pooling(layer, sizes=((2, 1), (2, 2)))
    height, width, _ = layer.input_shapes[0]
    if max(height, width) > 4096:
        yield f"input of {height}x{width}; at most 4096 a side"
    if layer.global_pool:
        height, width, _ = layer.accumulator_shape
        if width > 64 or height * width >= 144:
            yield f"global average over {height}x{width}; at most 64 wide and 143 pixels"


def input_convolution(layer) -> Iterator[str]:
    """Limits of InputConv2D."""
    yield from _square(layer)
    height, width, channels = layer.input_shapes[0]
    size, stride = layer.weights.shape[0], layer.kernel_stride[0]
    if size not in INPUT_STRIDES:
        yield f"kernel {size}x{size}; allowed: 3x3, 4x4, 5x5, 7x7"
    elif stride > INPUT_STRIDES[size]:
        yield f"stride {stride}; a {size}x{size} kernel allows 1 to {INPUT_STRIDES[size]}"
    if width < 5 or not 5 <= height <= 384:
        yield f"input of {height}x{width}; width at least 5, height 5 to 384"
    if channels not in (1, 3):
        yield f"{channels} input channels; allowed: 1 or 3"
    if layer.filters > 512:
        yield f"{layer.filters} filters; at most 512"
    if layer.weight_bits != 8:
        yield f"{layer.weight_bits}-bit weights; the input layer holds 8 (input_weight_bits)"
    yield from _output_width(layer)
    yield from _pooling(layer, sizes=((2, 2), (3, 2)))
    if layer.padding_value is not None and not (
        layer.padding_value.min() >= 0 and layer.padding_value.max() <= 255
    ):
        yield "padding values outside 0..255"


def transposed_convolution(layer) -> Iterator[str]:
    """Limits of Conv2DTranspose and DepthwiseConv2DTranspose."""
    yield from _square(layer)
    size = layer.weights.shape[0]
    if size not in (3, 4):
        yield f"kernel {size}x{size}; allowed: 3x3, 4x4"
    if layer.kernel_stride != (2, 2) or layer.padding != "same":
        yield f"stride {layer.kernel_stride}, padding '{layer.padding}'; allowed: 2 and same"
    if layer.pool_size is not None or layer.global_pool:
        yield "pooling after a transposed convolution; put a convolution between them"
    yield from _widths(layer)
    yield from _channels(layer)


def dense(layer) -> Iterator[str]:
    """Limits of Dense1D."""
    inputs = layer.weights.shape[0]
    if inputs > 2048:
        yield f"{inputs} inputs; at most 2048 (pool or convolve before flattening)"
    if layer.activation == "lut":
        yield "a look-up table activation after Dense1D; use ReLU"
    if layer.input_value_bits is not None:
        yield "inputs that saturate after their shift (a QuantizeML Flatten); the chip does not"
    yield from _widths(layer)


def buffered_convolution(layer) -> Iterator[str]:
    """Limits of BufferTempConv and DepthwiseBufferTempConv."""
    if not 2 <= layer.fifo_size <= 10:
        yield f"fifo_size {layer.fifo_size}; allowed: 2 to 10"
    if layer.filters > 2048:
        yield f"{layer.filters} filters; at most 2048"
    if layer.weight_bits != 8:
        yield f"{layer.weight_bits}-bit weights; allowed: 8"


def _square(layer) -> Iterator[str]:
    for name, pair in (("kernel", layer.weights.shape[:2]), ("stride", layer.kernel_stride)):
        if pair[0] != pair[1]:
            yield f"{name} {pair[0]}x{pair[1]}; it must be square"


def _widths(layer) -> Iterator[str]:
    if layer.weight_bits not in (4, 8):
        yield f"{layer.weight_bits}-bit weights; allowed: 4, 8"
    yield from _output_width(layer)


def _output_width(layer) -> Iterator[str]:
    if layer.output_shift is not None and layer.output_bits not in (4, 8):
        yield f"{layer.output_bits}-bit outputs; allowed: 4, 8"


def _channels(layer) -> Iterator[str]:
    channels = layer.input_shapes[0][2]
    if channels > 2048:
        yield f"{channels} input channels; at most 2048"


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
