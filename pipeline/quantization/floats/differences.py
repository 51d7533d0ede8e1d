"""Compare a node with one whose integers it should have."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.messages.notes import TRAINED
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from simulator.refusal import Refusal

PAIRS = {"bias": "bias_shift", "max_value": "max_value_shift"}
"""Mantissas and their shifts: only the shifted value counts."""
REACHES = "filters that reach the largest integer, from which the file's scales follow"
"""What the vendor's formats can hold."""
BITS = ("weights", "buffer", "output", "output_signed", "post_op_buffer", "index")


def refusals(
    quantized: QuantizedGraph, found: QuantizedNode, wanted: QuantizedNode, layer: str = ""
) -> Iterator[Refusal]:
    """Yield a refusal for each difference from a node of `quantized`; names `layer`, or the node.

    Both schemes have the same cause: a filter without the largest integer, and so another scale.
    """
    trained = any(note.kind == TRAINED for note in quantized.notes)
    option = setting("quantization.train" if trained else "quantization.refine", "none")
    for text in differences(found, wanted):
        yield Refusal(
            layers=(layer or wanted.name,),
            found=text,
            allowed=REACHES,
            fix=f"quantize the float model again, or with {option}",
            rule="register",
        )


def differences(found: QuantizedNode, wanted: QuantizedNode) -> Iterator[str]:
    """Yield a sentence for each register or width that differs and can change an integer.

    An absent shift is the same as one of zeros.
    """
    shifts = set(PAIRS.values())
    for name in sorted({*found.registers, *wanted.registers} - shifts):
        ours, theirs = (_value(node, name) for node in (found, wanted))
        if count := np.count_nonzero(ours != theirs):
            yield f"{name}: {count:,} of {max(ours.size, theirs.size):,} values would differ"
    for name in BITS:
        ours, theirs = found.bits.get(name), wanted.bits.get(name)
        if ours != theirs:
            yield f"{name}: {theirs} bits would be {ours}"
    ours, theirs = np.asarray(found.format.frac_bits), np.asarray(wanted.format.frac_bits)
    if not (ours == theirs).all():
        yield f"its output would have {_range(ours)} fractional bits instead of {_range(theirs)}"


def _value(node, name):
    value = node.registers.get(name)
    if value is None:
        return np.int64(0)
    shift = node.registers.get(PAIRS.get(name))
    # The scheme cnn2snn has float biases, which have no shift.
    return value if shift is None else np.left_shift(np.int64(value), np.int64(shift))


def _range(values):
    low, high = values.min(), values.max()
    return f"{low}" if low == high else f"{low} to {high}"
