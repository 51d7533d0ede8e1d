"""Published limits of Akida 1.0 hardware.

A program beyond them still runs on the emulator; it does not map to the chip. Every number is one
of the constants below, from which both the checks and the table in docs/targets.md are made.
"""

from __future__ import annotations

from collections.abc import Iterator

SOURCE = "BrainChip documentation, Akida 1.0 hardware; registers: cnn2snn 2.19 (Apache-2.0)"
INPUT_HEIGHT, INPUT_WIDTH = (5, 256), 5
INPUT_FILTERS = {
    1: {3: 512, 5: 192, 7: 96},
    3: {3: 192, 5: 64, 7: 32},
}
"""Most filters of InputConvolutional, by input channels and kernel size."""
INPUT_STRIDE = 3
INPUT_POOLS = ((1, 2), (2, 1), (2, 2))
KERNELS = {"Convolutional": (1, 3, 5, 7), "SeparableConvolutional": (3, 5, 7)}
WEIGHT_BITS = {
    "InputConvolutional": (8,),
    "Convolutional": (1, 2, 4),
    "SeparableConvolutional": (2, 4),
    "FullyConnected": (1, 2, 4),
}
STRIDED_KERNEL, STRIDE = (3, 3), 2
MAP_SIDE, CHANNELS = 4096, 2048
POOL, POOL_STRIDES = (2, 2), ((1, 1), (2, 2))
AVERAGE_WIDTH, AVERAGE_HEIGHT = 32, 3
INPUTS = 57334
DATA_BITS = (1, 2, 4)

REGISTERS = {True: (20, 23), False: (16, 19)}
"""Bits of act_step and of threshold, of the input layer and of the others."""


def input_convolution(layer) -> Iterator[str]:
    """Limits of InputConvolutional."""
    height, width, channels = layer.input_shapes[0]
    sizes = layer.weights.shape[:2]
    if channels not in INPUT_FILTERS:
        yield f"{channels} input channels; allowed: 1 or 3"
    lowest, highest = INPUT_HEIGHT
    if width < INPUT_WIDTH or not lowest <= height <= highest:
        yield (
            f"input of {height}x{width}; width at least {INPUT_WIDTH}, height {lowest} to {highest}"
        )
    for size in dict.fromkeys(sizes):
        if size not in INPUT_FILTERS[1]:
            yield f"kernel {sizes[0]}x{sizes[1]}; sides of 3, 5 or 7"
    most = min(INPUT_FILTERS.get(channels, {}).get(size, 1 << 30) for size in sizes)
    if layer.filters > most:
        yield f"{layer.filters} filters; a {sizes[0]}x{sizes[1]} kernel allows {most}"
    yield from _widths(layer)
    if max(layer.kernel_stride) > INPUT_STRIDE:
        yield f"stride {layer.kernel_stride}; at most {INPUT_STRIDE}"
    if layer.pool_type == "average":
        yield "global average pooling in the input layer; use it behind a Convolutional"
    if layer.pool_type == "max":
        if layer.pool_size not in INPUT_POOLS:
            yield f"pooling {layer.pool_size}; allowed: 1x2, 2x1, 2x2"
        if layer.pool_stride != layer.pool_size:
            yield f"pooling stride {layer.pool_stride}; it must equal the size"
    yield from _registers(layer, is_input=True)


def convolution(layer) -> Iterator[str]:
    """Limits of Convolutional and SeparableConvolutional."""
    height, width, channels = layer.input_shapes[0]
    sizes, kernels = layer.weights.shape[:2], KERNELS[type(layer).__name__]
    if max(height, width) > MAP_SIDE:
        yield f"input of {height}x{width}; at most {MAP_SIDE} a side"
    if channels > CHANNELS:
        yield f"{channels} input channels; at most {CHANNELS}"
    for size in dict.fromkeys(sizes):
        if size not in kernels:
            yield f"kernel {sizes[0]}x{sizes[1]}; sides of {', '.join(map(str, kernels))}"
    stride = max(layer.kernel_stride)
    if stride > STRIDE or (stride > 1 and sizes != STRIDED_KERNEL):
        yield f"stride {layer.kernel_stride}; allowed: 1, or {STRIDE} with 3x3"
    if layer.padding != "same" and max(sizes) > 1:
        yield "padding 'valid'; allowed: same"
    yield from _widths(layer)
    if layer.pool_type == "max":
        if layer.pool_size != POOL or layer.pool_stride not in POOL_STRIDES:
            yield f"pooling {layer.pool_size} with stride {layer.pool_stride}; 2x2, stride 1 or 2"
    elif layer.pool_type == "average":
        height, width, _ = layer.potential_shape
        if width > AVERAGE_WIDTH or height < AVERAGE_HEIGHT:
            yield (
                f"global average over {height}x{width}; width 1 to {AVERAGE_WIDTH}, height at least"
                f" {AVERAGE_HEIGHT}"
            )
    yield from _registers(layer, is_input=False)


def fully_connected(layer) -> Iterator[str]:
    """Limits of FullyConnected."""
    inputs = layer.weights.shape[2]
    if inputs > INPUTS:
        yield f"{inputs} inputs; at most {INPUTS}"
    yield from _widths(layer)
    yield from _registers(layer, is_input=False)


def _widths(layer) -> Iterator[str]:
    allowed = WEIGHT_BITS[type(layer).__name__]
    if layer.weights_bits not in allowed:
        yield f"{layer.weights_bits}-bit weights; allowed: {', '.join(map(str, allowed))}"


def _registers(layer, *, is_input: bool) -> Iterator[str]:
    if not layer.activation:
        return
    step_bits, threshold_bits = REGISTERS[is_input]
    step, threshold = float(layer.act_step.max()), int(abs(layer.threshold.astype("int64")).max())
    if step > (1 << step_bits) - 1:
        yield f"act_step reaches {step:.6g}; the register holds {step_bits} bits"
    if threshold > (1 << threshold_bits) - 1:
        yield f"threshold reaches {threshold}; the register holds {threshold_bits} bits and a sign"


def _list(values) -> str:
    return ", ".join(map(str, values))


def _filters(channels: int) -> str:
    pairs = (f"{most} of {k}x{k}" for k, most in INPUT_FILTERS[channels].items())
    return f"{', '.join(pairs)} ({channels} channel{'s' * (channels > 1)})"


_MAP = f"up to {MAP_SIDE}x{MAP_SIDE}x{CHANNELS}"
_WINDOW = {
    "stride": f"1; {STRIDE} with {STRIDED_KERNEL[0]}x{STRIDED_KERNEL[1]}",
    "padding": "same",
    "max pooling": f"{POOL[0]}x{POOL[1]}, stride {_list(stride[0] for stride in POOL_STRIDES)}",
    "global average": f"width up to {AVERAGE_WIDTH}, height from {AVERAGE_HEIGHT}",
}
_LEVELS = {"input bits": _list(DATA_BITS), "output bits": _list(DATA_BITS)}
SUPPORTED = {
    "InputData": {"input bits": _list(DATA_BITS)},
    "InputConvolutional": {
        "input": f"height {INPUT_HEIGHT[0]} to {INPUT_HEIGHT[1]}, width from {INPUT_WIDTH},"
        f" channels {_list(INPUT_FILTERS)}",
        "kernel": _list(INPUT_FILTERS[1]),
        "stride": f"1 to {INPUT_STRIDE}",
        "padding": "same, valid",
        "max pooling": _list(f"{h}x{w}" for h, w in INPUT_POOLS) + ", stride = size",
        "filters": "; ".join(map(_filters, INPUT_FILTERS)),
        "input bits": "8",
        "weight bits": _list(WEIGHT_BITS["InputConvolutional"]),
        "output bits": _list(DATA_BITS),
    },
    "Convolutional": {
        "input": _MAP,
        "kernel": _list(KERNELS["Convolutional"]),
        **_WINDOW,
        **_LEVELS,
        "weight bits": _list(WEIGHT_BITS["Convolutional"]),
    },
    "SeparableConvolutional": {
        "input": f"{_MAP}, not 1x1",
        "kernel": _list(KERNELS["SeparableConvolutional"]),
        **_WINDOW,
        **_LEVELS,
        "weight bits": _list(WEIGHT_BITS["SeparableConvolutional"]),
    },
    "FullyConnected": {
        "input": f"up to {INPUTS} values",
        **_LEVELS,
        "weight bits": _list(WEIGHT_BITS["FullyConnected"]),
    },
}
"""Layer class to what it supports, in words; empty where the layer has no such thing."""

NOTES = (
    *(
        f"Registers of {where}: act_step of {step} bits, threshold of {threshold} bits and a sign."
        for where, (step, threshold) in zip(
            ("the input layer", "the other layers but the last"), REGISTERS.values(), strict=True
        )
    ),
    "Global averages sum the potentials, before the activation.",
    "All channels of a tensor have one scale; models quantized with one per channel are brought to"
    " the coarsest of them, and a note of `crossgrade convert` measures what that costs.",
)
