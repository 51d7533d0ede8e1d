"""Published limits of Akida 1.0 hardware (BrainChip documentation, "Akida 1.0 hardware").

A program beyond them still runs on the emulator; it does not map to the chip.
"""

from __future__ import annotations

from collections.abc import Iterator

INPUT_FILTERS = {
    1: {3: 512, 5: 192, 7: 96},
    3: {3: 192, 5: 64, 7: 32},
}
"""Most filters of InputConvolutional, by input channels and kernel size."""

REGISTERS = {True: (20, 23), False: (16, 19)}
"""Bits of act_step and of threshold, of the input layer and of the others (vendor's converter)."""


def input_convolution(layer) -> Iterator[str]:
    """Limits of InputConvolutional."""
    height, width, channels = layer.input_shapes[0]
    sizes = layer.weights.shape[:2]
    if channels not in INPUT_FILTERS:
        yield f"{channels} input channels; allowed: 1 or 3"
    if width < 5 or not 5 <= height <= 256:
        yield f"input of {height}x{width}; width at least 5, height 5 to 256"
    for size in dict.fromkeys(sizes):
        if size not in (3, 5, 7):
            yield f"kernel {sizes[0]}x{sizes[1]}; sides of 3, 5 or 7"
    most = min(INPUT_FILTERS.get(channels, {}).get(size, 1 << 30) for size in sizes)
    if layer.filters > most:
        yield f"{layer.filters} filters; a {sizes[0]}x{sizes[1]} kernel allows {most}"
    if max(layer.kernel_stride) > 3:
        yield f"stride {layer.kernel_stride}; at most 3"
    if layer.pool_type == "average":
        yield "global average pooling in the input layer; use it behind a Convolutional"
    if layer.pool_type == "max":
        if layer.pool_size not in ((1, 2), (2, 1), (2, 2)):
            yield f"pooling {layer.pool_size}; allowed: 1x2, 2x1, 2x2"
        if layer.pool_stride != layer.pool_size:
            yield f"pooling stride {layer.pool_stride}; it must equal the size"
    yield from _registers(layer, is_input=True)


def convolution(layer, *, kernels, weights_bits) -> Iterator[str]:
    """Limits of Convolutional and SeparableConvolutional."""
    height, width, channels = layer.input_shapes[0]
    sizes = layer.weights.shape[:2]
    if max(height, width) > 4096:
        yield f"input of {height}x{width}; at most 4096 a side"
    if channels > 2048:
        yield f"{channels} input channels; at most 2048"
    for size in dict.fromkeys(sizes):
        if size not in kernels:
            yield f"kernel {sizes[0]}x{sizes[1]}; sides of {', '.join(map(str, kernels))}"
    if max(layer.kernel_stride) > 2 or (max(layer.kernel_stride) == 2 and sizes != (3, 3)):
        yield f"stride {layer.kernel_stride}; allowed: 1, or 2 with 3x3"
    if layer.padding != "same" and max(sizes) > 1:
        yield "padding 'valid'; allowed: same"
    if layer.weights_bits not in weights_bits:
        yield f"{layer.weights_bits}-bit weights; allowed: {', '.join(map(str, weights_bits))}"
    if layer.pool_type == "max":
        if layer.pool_size != (2, 2) or layer.pool_stride not in ((1, 1), (2, 2)):
            yield f"pooling {layer.pool_size} with stride {layer.pool_stride}; 2x2, stride 1 or 2"
    elif layer.pool_type == "average":
        height, width, _ = layer.potential_shape
        if not (1 <= width <= 32 and height >= 3):
            yield f"global average over {height}x{width}; width 1 to 32, height at least 3"
    yield from _registers(layer, is_input=False)


def fully_connected(layer) -> Iterator[str]:
    """Limits of FullyConnected."""
    inputs = layer.weights.shape[2]
    if inputs > 57334:
        yield f"{inputs} inputs; at most 57334"
    if layer.weights_bits not in (1, 2, 4):
        yield f"{layer.weights_bits}-bit weights; allowed: 1, 2, 4"
    yield from _registers(layer, is_input=False)


def _registers(layer, *, is_input: bool) -> Iterator[str]:
    if not layer.activation:
        return
    step_bits, threshold_bits = REGISTERS[is_input]
    step, threshold = float(layer.act_step.max()), int(abs(layer.threshold.astype("int64")).max())
    if step > (1 << step_bits) - 1:
        yield f"act_step reaches {step:.6g}; the register holds {step_bits} bits"
    if threshold > (1 << threshold_bits) - 1:
        yield f"threshold reaches {threshold}; the register holds {threshold_bits} bits and a sign"
