"""Map blocks to Akida 2.0 layers, and collect the facts that the chip's limits are checked on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.chips.blocks import Block, View, layer_facts, shape3d
from pipeline.quantization.fixed_point import quantize_aligned
from simulator.akida_v2.limits import INPUT_CHANNELS
from simulator.facts import LayerFacts

PADDING_BITS = 8
"""Bits of the mantissa of a padding value, which is quantized like the layer's weights."""
SIGNED = {"uint8": False, "int8": True, "int16": True}
"""Integer input types, which the chip reads unchanged; True for signed ones."""


def reads_pixels(view: View, block: Block) -> bool:
    """Return True if a block becomes InputConv2D.

    It does if it is a convolution of the image with an activation, or if it pads with values other
    than 0, which no other layer can.
    """
    source = view.source(block.head)
    if block.head.op != "Conv2D" or source.op not in ("Input", "Quantizer"):
        return False
    written = _padding_integers(view, block)
    if written is not None and np.any(written):
        return True
    if source.op == "Quantizer":
        unsigned = not source.bits["output_signed"]
    else:
        unsigned = not SIGNED.get(str(source.attrs["dtype"]), False)
    activated = block.member("ReLU") or block.member("Activation")
    pooled = block.member("GlobalAveragePooling2D")
    channels = shape3d(block.input_shape)[2]
    return bool(channels in INPUT_CHANNELS and unsigned and activated and not pooled)


def padding_values(view: View, block: Block) -> tuple[int, int] | None:
    """Return the smallest and largest integer of "same" padding; None if it is only 0.

    For float inputs calibration determines it; None before.
    """
    value = _padding_integers(view, block)
    if value is None or not (view.quantized or view.graph.input.attrs["dtype"] in SIGNED):
        return None
    return int(np.min(value)), int(np.max(value))


def _padding_integers(view: View, block: Block) -> np.ndarray | None:
    """Return the integers of "same" padding; for float inputs in units of the input."""
    if view.quantized:
        return getattr(block.head, "registers", {}).get("padding_value")
    value = block.head.attrs.get("padding_value")
    if value is None or block.head.attrs["padding"] != "same":
        return None
    scale = [node.attrs["scale"] for node in view.nodes("Rescaling")] or [1.0]
    mantissa, shift = quantize_aligned(
        np.asarray(value, np.float32),
        PADDING_BITS,
        signed=True,
        frac_bits=np.asarray(0),
        scales=np.asarray(scale[0], np.float32),
    )
    return np.left_shift(mantissa, shift)


def kinds(view: View) -> dict[str, str]:
    """Return the layer class that each block becomes, by the block's name."""
    names = {"Dense": "Dense1D"}
    return {
        block.name: "InputConv2D"
        if reads_pixels(view, block)
        else names.get(block.head.op, block.head.op)
        for block in view.blocks
    }


def needs_input_data(view: View, block: Block) -> bool:
    """Return True if a block reads integer inputs through an InputData."""
    return view.source(block.head).op == "Input" and not reads_pixels(view, block)


def facts(view: View) -> Iterator[LayerFacts]:
    """Yield the facts that limits are checked on, for every layer that the model becomes."""
    image, known = view.graph.input, kinds(view)
    dtype = str(image.attrs["dtype"])
    first = [block for block in view.blocks if needs_input_data(view, block)]
    if first and dtype in SIGNED:
        shape = shape3d(first[0].input_shape)
        yield LayerFacts(
            name=image.name,
            kind="InputData",
            input_shape=shape,
            shape=shape,
            input_bits=np.dtype(dtype).itemsize * 8,
            signed=SIGNED[dtype],
        )
    for block in view.blocks:
        yield layer_facts(view, block, known, padding_values=padding_values(view, block))
