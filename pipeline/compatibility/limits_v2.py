"""Published limits of Akida 2.0 hardware, on float models.

Source: BrainChip documentation, "Akida 2.0 hardware". A model beyond them converts, and runs on
the emulator only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeline.compatibility.blocks import View, size
from pipeline.compatibility.rule import HARDWARE, Finding, Rule
from simulator.akida_v2.limits import INPUT_STRIDES

SOURCE = "BrainChip documentation, Akida 2.0 hardware"
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D")
TRANSPOSED = ("Conv2DTranspose", "DepthwiseConv2DTranspose")


def _reads_pixels(block) -> bool:
    """Return whether a block becomes InputConv2D: the image's convolution, with an activation."""
    activated = {"ReLU", "Activation"} & set(block.ops)
    return block.is_input and bool(activated) and "GlobalAveragePooling2D" not in block.ops


def input_kernel(view: View) -> Iterator[Finding]:
    """The input convolution is 3x3, 4x4, 5x5 or 7x7, of stride 1 to 3, 4, 5 or 6."""
    for block in view.blocks:
        if not _reads_pixels(block):
            continue
        kernel, stride = block.head.attrs["kernel_size"], block.head.attrs["strides"]
        if kernel[0] not in INPUT_STRIDES or max(stride) > INPUT_STRIDES[kernel[0]]:
            yield Finding(
                layer=block.name,
                found=f"kernel {size(kernel)}, stride {size(stride)}",
                allowed="3x3 s1-3, 4x4 s1-4, 5x5 s1-5, 7x7 s1-6",
                fix="use another kernel or stride and retrain",
            )


def input_size(view: View) -> Iterator[Finding]:
    """The input convolution reads images of 5 to 384 rows and at least 5 columns."""
    for block in view.blocks:
        height, width = block.input_shape[:2] if _reads_pixels(block) else (5, 5)
        if width < 5 or not 5 <= height <= 384:
            yield Finding(
                layer=block.name,
                found=f"{height}x{width}",
                allowed="height 5 to 384, width at least 5",
                fix="resize the images",
            )


def input_filters(view: View) -> Iterator[Finding]:
    """The input convolution has at most 512 filters."""
    for block in view.blocks:
        if _reads_pixels(block) and block.shape[-1] > 512:
            yield Finding(
                layer=block.name,
                found=f"{block.shape[-1]} filters",
                allowed="at most 512",
                fix="use fewer filters",
            )


def kernel_and_stride(view: View) -> Iterator[Finding]:
    """Convolutions are 1x1, 3x3, 5x5 or 7x7 (depthwise: from 3x3); stride 2 goes with 3x3 only."""
    for block in view.blocks:
        if _reads_pixels(block) or block.head.op not in CONVOLUTIONS:
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
            )


def padding(view: View) -> Iterator[Finding]:
    """Convolutions behind the first have padding 'same'."""
    for block in view.blocks:
        if _reads_pixels(block) or block.head.op not in (*CONVOLUTIONS, *TRANSPOSED):
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
    """Max pooling is 2x2 of stride 1 or 2; behind the input convolution 2x2 or 3x3 of stride 2."""
    for block in view.blocks:
        pool = block.member("MaxPooling2D")
        if pool is None:
            continue
        pair = (pool.attrs["pool_size"], pool.attrs["strides"] or pool.attrs["pool_size"])
        allowed = [((2, 2), (2, 2)), ((3, 3), (2, 2)) if _reads_pixels(block) else ((2, 2), (1, 1))]
        if pair not in allowed:
            yield Finding(
                layer=pool.name,
                found=f"{size(pair[0])} stride {size(pair[1])}",
                allowed=" or ".join(f"{size(k)} stride {size(s)}" for k, s in allowed),
                fix="use another pooling and retrain",
            )


def pooled_table(view: View) -> Iterator[Finding]:
    """Look-up table activations do not go with max pooling."""
    for block in view.blocks:
        table = block.member("Activation")
        if table is not None and block.member("MaxPooling2D"):
            yield Finding(
                layer=table.name,
                found=f"{table.attrs['activation']} behind a max pooling",
                allowed="ReLU",
                fix="use ReLU and retrain",
            )


def global_pooling(view: View) -> Iterator[Finding]:
    """Global averages are taken over at most 64 columns and fewer than 144 pixels."""
    for node in view.nodes("GlobalAveragePooling2D"):
        height, width = view.input_shape(node)[:2]
        if width > 64 or height * width >= 144:
            yield Finding(
                layer=node.name,
                found=f"map {height}x{width}",
                allowed="width up to 64, fewer than 144 pixels",
                fix="pool or stride more before it and retrain",
            )


def dense_inputs(view: View) -> Iterator[Finding]:
    """A Dense layer has at most 2048 inputs."""
    for node in view.nodes("Dense"):
        inputs = math.prod(view.input_shape(node))
        if inputs > 2048:
            yield Finding(
                layer=node.name,
                found=f"{inputs} inputs",
                allowed="at most 2048",
                fix="pool or convolve before flattening and retrain",
            )


def signed_input(view: View) -> Iterator[Finding]:
    """Only a first convolution with an activation, of 1 or 3 channels, reads unsigned inputs."""
    if not str(view.graph.input.attrs["dtype"]).startswith("u"):
        return
    for block in view.blocks:
        if view.source(block.head).op == "Input" and not _reads_pixels(block):
            yield Finding(
                layer=block.name,
                found=f"{view.graph.input.attrs['dtype']} input of {size(block.input_shape)}",
                allowed="int8",
                fix="put a convolution with ReLU first, or shift the inputs to int8",
            )


def buffers(view: View) -> Iterator[Finding]:
    """Buffered temporal convolutions keep 2 to 10 steps and have at most 2048 filters."""
    for node in view.nodes("BufferTempConv", "DepthwiseBufferTempConv"):
        filters = view.graph.shapes[node.name][-1]
        if not 2 <= node.attrs["fifo_size"] <= 10 or filters > 2048:
            yield Finding(
                layer=node.name,
                found=f"fifo_size {node.attrs['fifo_size']}, {filters} filters",
                allowed="fifo_size 2 to 10, at most 2048 filters",
                fix="use a shorter memory or fewer filters",
            )


LIMITS = tuple(
    Rule(find, SOURCE, HARDWARE)
    for find in (
        input_kernel,
        input_size,
        input_filters,
        kernel_and_stride,
        padding,
        map_size,
        max_pooling,
        pooled_table,
        global_pooling,
        dense_inputs,
        signed_input,
        buffers,
    )
)
