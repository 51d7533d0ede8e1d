"""Published limits of Akida 1.0 hardware, on float models.

Source: BrainChip documentation, "Akida 1.0 hardware". A model beyond them converts, and runs on
the emulator only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeline.compatibility.blocks import View, size
from pipeline.compatibility.rule import HARDWARE, Finding, Rule
from simulator.akida_v1.limits import INPUT_FILTERS

SOURCE = "BrainChip documentation, Akida 1.0 hardware"
LAYERS = ("Conv2D", "SeparableConv2D")
INPUT_POOLS = ((1, 2), (2, 1), (2, 2))


def input_kernel(view: View) -> Iterator[Finding]:
    """The input convolution is 3x3, 5x5 or 7x7, of stride 1, 2 or 3."""
    for block in view.blocks:
        if not block.is_input:
            continue
        kernel, stride = block.head.attrs["kernel_size"], block.head.attrs["strides"]
        if not set(kernel) <= {3, 5, 7} or max(stride) > 3:
            yield Finding(
                layer=block.name,
                found=f"kernel {size(kernel)}, stride {size(stride)}",
                allowed="kernel 3, 5, 7; stride 1 to 3",
                fix="use another kernel or stride and retrain",
                transform="enlarge_even_kernels",
            )


def input_size(view: View) -> Iterator[Finding]:
    """The input convolution reads images of 5 to 256 rows and at least 5 columns."""
    for block in view.blocks:
        height, width = block.input_shape[:2] if block.is_input else (5, 5)
        if width < 5 or not 5 <= height <= 256:
            yield Finding(
                layer=block.name,
                found=f"{height}x{width}",
                allowed="height 5 to 256, width at least 5",
                fix="resize the images",
            )


def input_filters(view: View) -> Iterator[Finding]:
    """The input convolution has at most 512, 192, 96 filters of 3x3, 5x5, 7x7; in color fewer.

    With 3 channels 192, 64, 32.
    """
    for block in view.blocks:
        if not block.is_input:
            continue
        table = INPUT_FILTERS[block.input_shape[-1]]
        most = min(table.get(n, 1 << 30) for n in block.head.attrs["kernel_size"])
        if block.shape[-1] > most:
            yield Finding(
                layer=block.name,
                found=f"{block.shape[-1]} filters of {size(block.head.attrs['kernel_size'])}",
                allowed=f"at most {most}",
                fix="use fewer filters or a smaller kernel",
            )


def input_pooling(view: View) -> Iterator[Finding]:
    """Behind the input convolution, max pooling is 1x2, 2x1 or 2x2, and its stride its size."""
    for block in view.blocks:
        pool = block.member("MaxPooling2D") if block.is_input else None
        if pool is None:
            continue
        strides = pool.attrs["strides"] or pool.attrs["pool_size"]
        if pool.attrs["pool_size"] not in INPUT_POOLS or strides != pool.attrs["pool_size"]:
            yield Finding(
                layer=pool.name,
                found=f"{size(pool.attrs['pool_size'])} stride {size(strides)}",
                allowed="1x2, 2x1, 2x2, stride = size",
                fix="use 2x2 and retrain",
            )


def input_average(view: View) -> Iterator[Finding]:
    """The input convolution has no global average pooling."""
    for block in view.blocks:
        pool = block.member("GlobalAveragePooling2D") if block.is_input else None
        if pool is not None:
            yield Finding(
                layer=pool.name,
                found=f"behind {block.name}",
                allowed="behind a later convolution",
                fix="put a convolution between them",
            )


def kernel_and_stride(view: View) -> Iterator[Finding]:
    """Kernels are 1x1 (not separable), 3x3, 5x5 or 7x7; stride 2 goes with 3x3 only."""
    for block in view.blocks:
        if block.is_input or block.head.op not in LAYERS:
            continue
        kernel, stride = block.head.attrs["kernel_size"], block.head.attrs["strides"]
        sizes = (1, 3, 5, 7) if block.head.op == "Conv2D" else (3, 5, 7)
        strided = max(stride) > 1 and (kernel != (3, 3) or max(stride) > 2)
        if not set(kernel) <= set(sizes) or strided:
            yield Finding(
                layer=block.name,
                found=f"kernel {size(kernel)}, stride {size(stride)}",
                allowed=f"kernel {', '.join(map(str, sizes))}; stride 1, or 2 with 3x3",
                fix="use another kernel or stride and retrain",
                transform="enlarge_even_kernels",
            )


def padding(view: View) -> Iterator[Finding]:
    """Convolutions behind the first have padding 'same'."""
    for block in view.blocks:
        if block.is_input or block.head.op not in LAYERS:
            continue
        if block.head.attrs["padding"] != "same" and max(block.head.attrs["kernel_size"]) > 1:
            yield Finding(
                layer=block.name,
                found="padding 'valid'",
                allowed="'same'",
                fix="use padding 'same' and retrain",
            )


def map_size(view: View) -> Iterator[Finding]:
    """Maps have at most 4096 rows and columns and 2048 channels."""
    for block in view.blocks:
        shape = block.input_shape
        if len(shape) == 3 and (max(shape[:2]) > 4096 or shape[2] > 2048):
            yield Finding(
                layer=block.name,
                found=f"input {size(shape)}",
                allowed="at most 4096x4096x2048",
                fix="use smaller maps or fewer channels",
            )


def max_pooling(view: View) -> Iterator[Finding]:
    """Max pooling is 2x2 of stride 1 or 2, and a convolution follows it."""
    for block in view.blocks:
        pool = block.member("MaxPooling2D")
        if pool is None or block.is_input:
            continue
        strides = pool.attrs["strides"] or pool.attrs["pool_size"]
        readers = [reader.op for reader in view.readers(block.tail[-1])]
        good = pool.attrs["pool_size"] == (2, 2) and strides in ((1, 1), (2, 2))
        if not good or any(op not in LAYERS for op in readers):
            yield Finding(
                layer=pool.name,
                found=f"{size(pool.attrs['pool_size'])} stride {size(strides)}, before"
                f" {', '.join(readers) or 'the output'}",
                allowed="2x2 stride 1 or 2, before a convolution",
                fix="use 2x2 and put a convolution behind it",
            )


def global_pooling(view: View) -> Iterator[Finding]:
    """Global averages are taken over 1 to 32 columns, at least 3 rows and at most 256 pixels."""
    for node in view.nodes("GlobalAveragePooling2D"):
        height, width = view.input_shape(node)[:2]
        if width > 32 or height < 3 or height * width > 256:
            yield Finding(
                layer=node.name,
                found=f"map {height}x{width}",
                allowed="width up to 32, height from 3, up to 256 pixels",
                fix="pool or stride more (or less) before it and retrain",
            )


def dense_inputs(view: View) -> Iterator[Finding]:
    """A Dense layer has at most 57334 inputs."""
    for node in view.nodes("Dense"):
        inputs = math.prod(view.input_shape(node))
        if inputs > 57334:
            yield Finding(
                layer=node.name,
                found=f"{inputs} inputs",
                allowed="at most 57334",
                fix="pool or convolve before flattening and retrain",
            )


LIMITS = tuple(
    Rule(find, SOURCE, HARDWARE)
    for find in (
        input_kernel,
        input_size,
        input_filters,
        input_pooling,
        input_average,
        kernel_and_stride,
        padding,
        map_size,
        max_pooling,
        global_pooling,
        dense_inputs,
    )
)
